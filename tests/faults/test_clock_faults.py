"""A clock that is set back or ahead: I3, I5 and I8 hold without the guard that refuses to sign."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from pki import audit
from pki.errors import PkiError
from pki.issue import Issued, IssueRequest, issue
from pki.model import Accepted, ContractCheck, Reason
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from pki.status import StatusPolicy, crls
from pki.validate import validate
from tests.homes import ADMIN, EMAID, opened
from tests.status import hosts
from tests.status.hosts import MovableClock

DAY = dt.timedelta(days=1)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def small_at(small_home: Path, clock: MovableClock) -> Iterator[Services]:
    with opened(small_home, clock=clock) as services:
        yield services


def _issue(services: Services) -> Issued:
    return issue(services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=EMAID))


def _accepted(services: Services, chain: tuple[bytes, ...]) -> bool:
    decision = validate(services.deployment, ADMIN, ContractCheck(chain=chain))
    return isinstance(decision.verdict, Accepted)


def test_i3_the_chains_verify_though_the_clock_jumped(
    small_at: Services, clock: MovableClock
) -> None:
    for jump in (DAY * 30, -DAY * 45, DAY * 15):
        clock.at += jump
        try:
            record = _issue(small_at).record
        except PkiError as error:  # before the CA itself began
            assert error.code in {"lint_failed", "issuer_expired"}  # noqa: PT017 - most jumps issue
            continue
        revoke(small_at.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    assert not any(report.problem for report in audit.verify(small_at.deployment.store))


def test_i5_a_clock_set_ahead_makes_no_leaf_that_outlives_its_issuer(
    small_at: Services, clock: MovableClock
) -> None:
    issuer = load(hosts.issuer_of(small_at).certificate)
    for before in (DAY * 100, DAY, dt.timedelta(seconds=2)):
        clock.at = issuer.not_after - before
        assert load(_issue(small_at).chain[0]).not_after <= issuer.not_after
    for after in (dt.timedelta(), DAY, DAY * 10_000):
        clock.at = issuer.not_after + after
        with pytest.raises(PkiError) as caught:
            _issue(small_at)
        assert caught.value.code == "issuer_expired"


def test_i8_a_clock_set_back_or_ahead_accepts_nothing_outside_its_dates(
    small_at: Services, clock: MovableClock
) -> None:
    begun = clock.at
    issued = _issue(small_at)
    assert _accepted(small_at, issued.chain)
    for jump in (issued.record.not_after - begun + DAY, -DAY * 400):
        clock.at = begun + jump
        assert not _accepted(small_at, issued.chain)
    clock.at = begun
    assert _accepted(small_at, issued.chain)


def test_i4_what_was_revoked_stays_revoked_whatever_the_clock_says(
    small_at: Services, clock: MovableClock
) -> None:
    begun, record = clock.at, _issue(small_at).record
    assert hosts.ask(small_at, record) == hosts.GOOD
    revoke(small_at.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    crls.publish(small_at.deployment, ADMIN, hosts.issuer_of(small_at), 0, StatusPolicy())
    for jump in (-DAY * 3, DAY * 3):
        clock.at = begun + jump
        told = hosts.ask(small_at, record, nonce=bytes(16))
        assert told != hosts.GOOD
        assert record.serial.as_int in hosts.listed(small_at)
