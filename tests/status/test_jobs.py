"""Runners: each job once, under a lease that lives as long as its holder and its work."""

from __future__ import annotations

import datetime as dt
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pki.clock import SystemClock
from pki.errors import BadInput, Unavailable
from pki.jobs import LEASE, Job, Runner, holder, pause_after, run_once
from pki.model import Reason
from pki.revoke import revoke
from pki.services import Services
from tests.homes import ADMIN
from tests.status import hosts
from tests.status.hosts import MovableClock, Switch, wait_for

ROOT = Path(__file__).resolve().parents[2]
SHORT = dt.timedelta(seconds=1)
WORK = """
import sys, time
from pathlib import Path
from tests.homes import opened
from pki.jobs import Job, run_once
def work():
    print("mine", flush=True)
    time.sleep(60)
    return 1
with opened(Path(sys.argv[1]), database_url=sys.argv[2]) as services:
    run_once(services.deployment, Job(name="crls", every=1.0, work=work), "process")
"""


def job(work: object = None, *, every: float = 0.1) -> Job:
    return Job(name="crls", every=every, work=work or (lambda: 1))  # type: ignore[arg-type]


def _start(services: Services) -> subprocess.Popen[str]:
    """Start a process that holds the lease for its work, which is long."""
    home, url = services.settings.home, services.settings.database_url
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(home), url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


# --- leases --------------------------------------------------------------------------------------


def test_a_job_that_another_process_is_at_is_left_to_it_until_its_lease_lapses(
    anywhere: Services,
) -> None:
    process = _start(anywhere)
    try:
        assert run_once(anywhere.deployment, job(), holder()) is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    assert run_once(anywhere.deployment, job(), holder()) is None
    later = MovableClock(SystemClock().now() + LEASE + dt.timedelta(seconds=1))
    assert run_once(replace(anywhere.deployment, clock=later), job(), holder()) == 1


@pytest.mark.parametrize("error", [BadInput("broken", "It broke."), ZeroDivisionError()])
def test_a_job_that_fails_gives_its_lease_back(small: Services, error: Exception) -> None:
    def fail() -> int:
        raise error

    with pytest.raises(type(error)):
        run_once(small.deployment, job(fail), "one")
    assert run_once(small.deployment, job(), "other") == 1


def test_work_longer_than_the_lease_stays_with_its_holder(small: Services) -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        assert ended.wait(30)
        return 7

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run_once, small.deployment, job(work), "one", lease=SHORT)
        assert begun.wait(10)
        until = time.monotonic() + 2.5 * SHORT.total_seconds()
        while time.monotonic() < until:
            assert run_once(small.deployment, job(), "other", lease=SHORT) is None
            time.sleep(0.1)
        ended.set()
        assert done.result(timeout=10) == 7
    assert run_once(small.deployment, job(), "other", lease=SHORT) == 1


def test_a_holder_that_slept_too_long_does_not_take_its_lease_back(small: Services) -> None:
    clock = MovableClock()
    second = dt.timedelta(seconds=1)

    def work() -> int:
        clock.at += 2 * LEASE  # as a process that was stopped
        with small.deployment.store.write() as tx:
            assert tx.leases.take("crls", "other", clock.at, clock.at + LEASE)
        time.sleep(0.6)  # its keeper finds the lease taken meanwhile
        return 1

    assert run_once(replace(small.deployment, clock=clock), job(work), "one", lease=second) == 1
    with small.deployment.store.write() as tx:
        assert not tx.leases.take("crls", "one", clock.at, clock.at + LEASE)


def test_a_lease_that_cannot_be_given_back_spoils_no_result(small: Services) -> None:
    switch = Switch(small.deployment.store)
    deployment = replace(small.deployment, store=switch)

    def work() -> int:
        switch.fault = "gone"
        return 3

    assert run_once(deployment, job(work), "one") == 3
    with pytest.raises(Unavailable):
        run_once(deployment, job(), "one")
    switch.restore()
    assert run_once(deployment, job(), "one") == 1


# --- runner --------------------------------------------------------------------------------------


@contextmanager
def running(runner: Runner) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        yield thread
    finally:
        runner.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_two_runners_share_the_work_and_are_never_at_it_together(anywhere: Services) -> None:
    at_work = threading.Lock()
    done: list[str] = []

    def worker(name: str) -> Job:
        def work() -> int:
            assert at_work.acquire(blocking=False)
            time.sleep(0.02)
            done.append(name)
            at_work.release()
            return 1

        return job(work, every=0.01)

    with hosts.same_host(anywhere) as other:
        first = Runner(deployment=anywhere.deployment, jobs=(worker("first"),))
        second = Runner(deployment=other.deployment, jobs=(worker("second"),))
        with running(first), running(second):
            wait_for(lambda: {"first", "second"} <= set(done) and len(done) > 10)


def test_a_job_that_fails_in_any_way_holds_up_neither_itself_nor_others(
    small: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    tries: list[Exception] = []
    errors = [BadInput("broken", "It broke."), ZeroDivisionError(), MemoryError()]
    done = threading.Event()

    def fail() -> int:
        if errors:
            tries.append(errors.pop())
            raise tries[-1]
        done.set()
        return 1

    good = threading.Event()
    jobs = (
        Job(name="bad", every=0.01, work=fail),
        Job(name="good", every=0.01, work=lambda: good.set() or 1),  # type: ignore[func-returns-value]
    )
    with running(Runner(deployment=small.deployment, jobs=jobs)):
        assert good.wait(10)
        assert done.wait(10)
    assert len(tries) == 3


def test_a_slow_job_holds_up_no_other(small: Services) -> None:
    ended, done = threading.Event(), threading.Event()
    jobs = (
        Job(name="slow", every=0.1, work=lambda: (ended.wait(20) and 1) or 0),
        Job(name="quick", every=0.1, work=lambda: done.set() or 1),  # type: ignore[func-returns-value]
    )
    with running(Runner(deployment=small.deployment, jobs=jobs)):
        assert done.wait(5)
        ended.set()


def test_a_runner_survives_an_outage_and_goes_on_at_its_usual_pace(
    small: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    switch = Switch(small.deployment.store)
    done: list[float] = []
    worker = job(lambda: done.append(time.monotonic()) or 1, every=0.05)  # type: ignore[func-returns-value]
    runner = Runner(deployment=replace(small.deployment, store=switch), jobs=(worker,))
    with running(runner):
        wait_for(lambda: len(done) > 2)
        switch.fault = "gone"
        reads = switch.reads
        wait_for(lambda: switch.reads > reads + 10)
        count = len(done)
        switch.restore()
        assert wait_for(lambda: len(done) > count + 2) < 2.0


def test_a_runner_ends_when_nobody_needs_it_any_more(small: Services) -> None:
    done = threading.Event()
    runner = Runner(deployment=small.deployment, jobs=(job(lambda: done.set() or 1),))  # type: ignore[func-returns-value]
    begun = time.monotonic()
    runner.run(lambda: not done.is_set())
    assert time.monotonic() - begun < 5


def test_pauses_grow_with_failures_and_with_what_the_work_takes() -> None:
    each = Job(name="crls", every=2.0, work=lambda: 0)
    assert [pause_after(each, 0.1, failures) for failures in range(7)] == [
        2.0,
        4.0,
        8.0,
        16.0,
        32.0,
        60.0,
        60.0,
    ]
    assert pause_after(each, 30.0, 0) == 30.0
    assert pause_after(each, 90.0, 5) == 90.0
    assert pause_after(each, 0.1, 5000) == 60.0
    assert pause_after(replace(each, every=600.0), 0.1, 3) == 600.0


def test_a_revocation_is_on_a_crl_within_seconds(small: Services) -> None:
    with (
        hosts.same_host(small) as other,
        running(Runner(deployment=other.deployment, jobs=other.jobs()[:3])),
    ):
        record = hosts.issued(small)
        wait_for(lambda: hosts.number_of(small) == 1)
        revoke(small.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
        assert wait_for(lambda: hosts.number_of(small) == 2) < 4.0
        assert hosts.listed(small) == {record.serial.as_int: "superseded"}
