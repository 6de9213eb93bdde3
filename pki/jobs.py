"""
Periodic work, under leases: several runners on several hosts do each piece once.

A lease is a row with an end, moved on while the work lasts; a runner that dies lets it lapse. A
runner that was stopped for longer than its lease may meet another at the same work, so every job is
harmless when it is done twice.
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
_LONGEST_PAUSE: Final = 60.0
_MOST_DOUBLINGS: Final = 10
_GRACE: Final = 20.0
_OUTAGES: Final = frozenset(("store_unavailable", "store_busy"))
LEASE: Final = dt.timedelta(minutes=2)
_BEATS: Final = 4
"""How often a lease is moved on in its time."""


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


def run_once(
    deployment: Deployment, job: Job, who: str, *, lease: dt.timedelta = LEASE
) -> int | None:
    """
    Do a job under its lease; return how much was done, or None where another runner holds it.

    Raises:
        PkiError: what the job raises; the lease is given back.
        Unavailable: the store is out of reach.
    """
    if not _take(deployment, job, who, lease):
        return None
    done = threading.Event()
    keeper = threading.Thread(
        target=_keep,
        args=(deployment, job, who, lease, done),
        name=f"lease-{job.name}",
        daemon=True,
    )
    keeper.start()
    try:
        return job.work()
    finally:
        done.set()
        keeper.join()
        _give_back(deployment, job, who)


def _take(deployment: Deployment, job: Job, who: str, lease: dt.timedelta) -> bool:
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        return tx.leases.take(job.name, who, now, now + lease)


def _keep(
    deployment: Deployment, job: Job, who: str, lease: dt.timedelta, done: threading.Event
) -> None:
    """Move the end of a lease on until the work is done, or somebody else took it over."""
    while not done.wait(lease.total_seconds() / _BEATS):
        try:
            if not _take(deployment, job, who, lease):
                _LOG.warning("job %s: the lease was taken over", job.name)
                return
        except PkiError as error:
            _LOG.warning("job %s: the lease was not moved on: %s", job.name, error.code)


def _give_back(deployment: Deployment, job: Job, who: str) -> None:
    try:
        with deployment.store.write() as tx:
            tx.leases.give_back(job.name, who)
    except PkiError as error:  # it lapses by itself; what the job did counts
        _LOG.warning("job %s: the lease was not given back: %s", job.name, error.code)


@dataclass(slots=True)
class Runner:
    """
    Does jobs until it is stopped, each in a thread of its own, so that none waits for another.

    A job that fails is logged and tried again, after ever longer pauses while it goes on failing.
    """

    deployment: Deployment
    jobs: tuple[Job, ...]
    who: str = field(default_factory=holder)
    _stopping: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self, alive: Callable[[], bool] = lambda: True) -> None:
        """Work until `stop` is called or `alive` says no; the jobs at hand get time to end."""
        threads = [
            threading.Thread(target=self._repeat, args=(job,), name=f"job-{job.name}", daemon=True)
            for job in self.jobs
        ]
        for thread in threads:
            thread.start()
        while not self._stopping and alive():
            time.sleep(_PAUSE)
        self._ended.set()
        deadline = time.monotonic() + _GRACE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """
        End after the jobs at hand.

        Only sets a flag: called by a signal handler, an event could wait for the very thread that
        the signal interrupted.
        """
        self._stopping = True

    def _repeat(self, job: Job) -> None:
        failures = 0
        pause = 0.0
        while not self._ended.wait(pause):
            begun = time.monotonic()
            failures = 0 if self._try(job) else failures + 1
            pause = pause_after(job, time.monotonic() - begun, failures)

    def _try(self, job: Job) -> bool:
        """Tell whether the job itself is well; a database that is gone is not its fault."""
        try:
            done = run_once(self.deployment, job, self.who)
        except PkiError as error:
            _LOG.warning("job %s: %s: %s", job.name, error.code, error.message)
            return error.code in _OUTAGES
        except Exception:  # noqa: BLE001 - whatever it was, the other jobs and the next try go on
            _LOG.exception("job %s", job.name)
            return False
        if done:
            _LOG.info("job %s: %d done", job.name, done)
        return True


def pause_after(job: Job, took: float, failures: int) -> float:
    """
    Return the seconds until a job is done again.

    Never less than the job took, so that it uses half of a processor at the most; doubled with each
    failure in a row, up to a minute.
    """
    usual = max(job.every, took)
    return max(usual, min(usual * 2.0 ** min(failures, _MOST_DOUBLINGS), _LONGEST_PAUSE))
