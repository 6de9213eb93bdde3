"""Work on many rows in transactions that are short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pki.ports import Deployment, Transaction

SIZE: Final = 1000


def each_apart(deployment: Deployment, step: Callable[[Transaction, int], int]) -> int:
    """
    Do a step, each time in a transaction of its own, until it finds less than it may take.

    Args:
        step: takes the transaction and how many rows it may touch; returns how many it did.
    """
    done = 0
    while True:
        with deployment.store.write() as tx:
            batch = step(tx, SIZE)
        done += batch
        if batch < SIZE:
            return done
