"""I4 where the counter of a host cannot be used: commits are reported, and seen all the same."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pki.beacon import Beacon
from pki.model import CertificateRecord, Reason
from pki.revoke import revoke
from pki.services import Services
from tests.cli.test_cli import ok
from tests.homes import ADMIN
from tests.status import hosts
from tests.status.hosts import GOOD, REVOKED, TRY_LATER

SECOND = 1.0
NONCE = bytes(range(16))


def spoil(services: Services) -> None:
    """Let the place of the counter be no directory, which stops root too."""
    run = services.run_directory
    run.rename(run.with_name("elsewhere"))
    run.touch()


def asks(services: Services, record: CertificateRecord) -> list[str]:
    return [hosts.ask(services, record), hosts.ask(services, record, nonce=NONCE)]


def superseded(services: Services, record: CertificateRecord) -> None:
    revoke(services.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)


@contextmanager
def answering(services: Services, *, threaded: bool) -> Iterator[Services]:
    """Another process of this host that has answered before."""
    with hosts.same_host(services) as other:
        if threaded:
            other.view.start()
        assert other.view.ready()
        yield other


def test_a_revocation_is_reported_as_committed_and_the_failure_told_loudly(
    anywhere: Services, caplog: pytest.LogCaptureFixture
) -> None:
    record = hosts.issued(anywhere)
    told: list[str] = []
    anywhere.beacon.listen(lambda: told.append("once"))
    spoil(anywhere)
    with caplog.at_level(logging.ERROR):
        superseded(anywhere, record)
    assert told == ["once"]
    assert "could not be announced" in caplog.text
    with anywhere.deployment.store.read() as tx:
        assert tx.certificates.revocation(record.issuer_id, record.serial) is not None


def test_i4_the_process_that_revoked_says_so_at_once(anywhere: Services) -> None:
    anywhere.view.start()
    record = hosts.issued(anywhere)
    assert asks(anywhere, record) == [GOOD, GOOD]
    spoil(anywhere)
    superseded(anywhere, record)
    assert asks(anywhere, record) == [REVOKED, REVOKED]


@pytest.mark.parametrize("threaded", [False, True], ids=["alone", "threaded"])
def test_i4_another_process_says_so_within_a_second(anywhere: Services, *, threaded: bool) -> None:
    record, next_one = hosts.issued(anywhere), hosts.issued(anywhere)
    with (
        answering(anywhere, threaded=threaded) as other,
        hosts.same_host(anywhere) as newcomer,  # which never saw the counter, as `pnc revoke`
    ):
        assert asks(other, record) == asks(other, next_one) == [GOOD, GOOD]
        spoil(anywhere)
        superseded(newcomer, record)
        committed = time.monotonic()
        while REVOKED not in (said := hosts.ask(other, record)):
            assert said in (GOOD, TRY_LATER)
            assert time.monotonic() - committed < SECOND
        hosts.wait_for(lambda: other.view._deaf)
        # from here on the log is looked at for each question: at once, and not only soon
        assert not other.view.current()
        superseded(newcomer, next_one)
        assert asks(other, next_one) == [REVOKED, REVOKED]


@pytest.mark.parametrize("threaded", [False, True], ids=["alone", "threaded"])
def test_i4_holds_for_a_process_that_starts_without_a_counter(
    small: Services, *, threaded: bool
) -> None:
    records = [hosts.issued(small) for _ in range(5)]
    spoil(small)
    with answering(small, threaded=threaded) as other:
        for record in records:
            assert asks(other, record) == [GOOD, GOOD]
            superseded(small, record)
            assert asks(other, record) == [REVOKED, REVOKED]


def test_a_counter_that_comes_back_is_used_again(small: Services) -> None:
    small.view.start()
    spoil(small)
    hosts.wait_for(lambda: small.view._deaf)
    small.run_directory.unlink()
    hosts.wait_for(small.view.current)
    record = hosts.issued(small)
    with answering(small, threaded=True) as other:
        assert hosts.ask(other, record) == GOOD
        superseded(small, record)
        assert hosts.ask(other, record) == REVOKED


def test_without_database_a_deaf_process_says_try_later_at_once(small: Services) -> None:
    """Nobody knows what happened since the last look, so its age is no excuse."""
    record = hosts.issued(small)
    with hosts.same_host(small) as other:
        request = hosts.request_about(hosts.issuer_of(small), record.serial.as_int)
        assert hosts.answer_to(other, request) == GOOD
        spoil(small)
        other.view._beacon = Beacon(small.run_directory / "changes")
        other.database.close()
        (small.settings.home / "pnc.db").rename(small.settings.home / "gone.db")
        assert hosts.answer_to(other, request) == TRY_LATER


def test_the_command_reports_what_is_committed(small: Services) -> None:
    record = hosts.issued(small)
    spoil(small)
    words = ("revoke", record.fingerprint.value, "--reason", "superseded", "--yes")
    assert ok(small.settings.home, *words)["reason"] == "superseded"
    assert asks(small, record) == [REVOKED, REVOKED]
