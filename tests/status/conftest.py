"""The small PKI under a clock that a test sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pki.services import Services
from tests.homes import opened
from tests.status.hosts import MovableClock


@pytest.fixture
def clock() -> MovableClock:
    """A clock that stands until the test moves it."""
    return MovableClock()


@pytest.fixture
def timed(small_home: Path, clock: MovableClock) -> Iterator[Services]:
    """The small PKI under that clock."""
    with opened(small_home, clock=clock) as services:
        yield services
