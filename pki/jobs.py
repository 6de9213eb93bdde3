"""
Periodic work, under leases: several runners on several hosts do each piece once.

A lease is a row with an end; a runner that dies lets it lapse.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pki.errors import PkiError
from pki.ports import Deployment

_LOG: Final = logging.getLogger(__name__)
_PAUSE: Final = 0.5
LEASE: Final = dt.timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    A piece of periodic work.

    Attributes:
        every: seconds from one end to the next beginning.
        work: does it; returns how much there was to do.
    """

    name: str
    every: float
    work: Callable[[], int]


def holder() -> str:
    """Return a name for this runner that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def run_once(deployment: Deployment, job: Job, who: str) -> int | None:
    """
    Do a job under its lease; return how much was done, or None where another runner holds it.

    Raises:
        PkiError: what the job raises; the lease is given back.
    """
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        if not tx.leases.take(job.name, who, now, now + LEASE):
            return None
    try:
        return job.work()
    finally:
        with deployment.store.write() as tx:
            tx.leases.give_back(job.name, who)


@dataclass(slots=True)
class Runner:
    """Does jobs until it is stopped; a job that fails is logged and tried again later."""

    deployment: Deployment
    jobs: tuple[Job, ...]
    who: str = field(default_factory=holder)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, alive: Callable[[], bool] = lambda: True) -> None:
        """Work until `stop` is called or `alive` says no."""
        due = dict.fromkeys((job.name for job in self.jobs), 0.0)
        while not self.stopped.wait(_PAUSE) and alive():
            for job in self.jobs:
                if time.monotonic() >= due[job.name]:
                    self._try(job)
                    due[job.name] = time.monotonic() + job.every

    def stop(self) -> None:
        """End after the job at hand."""
        self.stopped.set()

    def _try(self, job: Job) -> None:
        try:
            done = run_once(self.deployment, job, self.who)
        except PkiError as error:
            _LOG.warning("job %s: %s: %s", job.name, error.code, error.message)
            return
        if done:
            _LOG.info("job %s: %d done", job.name, done)
