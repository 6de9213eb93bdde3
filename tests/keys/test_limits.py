"""Limits of keys and the clock guard: what a CA may sign, how often, and at what time."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from pki.clock import SkewGuard, SystemClock
from pki.errors import PkiError, PolicyViolation, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, KeyLimit
from pki.pkix.profiles import Kind
from pki.ports import Deployment
from pki.services import Services
from pki.status import crls
from pki.status.policy import StatusPolicy
from tests.homes import ADMIN, EMAID, opened
from tests.status import hosts
from tests.status.hosts import MovableClock

MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
BOUND = dt.timedelta(seconds=60)


def _issue(deployment: Deployment) -> CertificateRecord:
    request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
    return issue(deployment, ADMIN, request).record


def _code(deployment: Deployment) -> str:
    with pytest.raises(Unavailable) as caught:
        _issue(deployment)
    assert caught.value.hint
    return caught.value.code


def _limited(
    services: Services, *, per_minute: int | None = None, per_day: int | None = None
) -> tuple[Deployment, MovableClock]:
    noon = SystemClock().now().replace(hour=12, minute=0, second=30) + DAY
    clock = MovableClock(noon)
    limits = (KeyLimit(issuer="mo2-2", per_minute=per_minute, per_day=per_day),)
    return replace(services.deployment, clock=clock, limits=limits, skew=None), clock


def test_a_key_signs_so_often_a_minute(small: Services) -> None:
    deployment, clock = _limited(small, per_minute=2)
    _issue(deployment)
    _issue(deployment)
    assert _code(deployment) == "key_rate_limit"
    clock.at += MINUTE
    _issue(deployment)


def test_a_day_is_counted_across_restarts_and_minutes(anywhere: Services) -> None:
    deployment, clock = _limited(anywhere, per_day=3)
    for _ in range(3):
        _issue(deployment)
        clock.at += MINUTE
    url = anywhere.settings.database_url
    with opened(anywhere.settings.home, database_url=url, clock=clock) as again:
        restarted = replace(again.deployment, limits=deployment.limits)
        assert _code(restarted) == "key_daily_limit"
        clock.at += DAY
        _issue(restarted)


def test_those_who_sign_at_once_share_a_limit(anywhere: Services) -> None:
    deployment, _ = _limited(anywhere, per_minute=5)

    def one(_: int) -> str:
        try:
            _issue(deployment)
        except PkiError as error:
            return error.code
        return "signed"

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(one, range(9)))
    assert told == ["key_rate_limit"] * 4 + ["signed"] * 5


def test_what_a_limit_refuses_leaves_no_intent_open(small: Services) -> None:
    deployment, _ = _limited(small, per_minute=1)
    _issue(deployment)
    assert _code(deployment) == "key_rate_limit"
    with small.deployment.store.read() as tx:
        assert tx.intents.unfinished() == []


def test_a_key_signs_the_kinds_that_are_listed(small: Services) -> None:
    limit = KeyLimit(issuer="*", kinds=frozenset(("contract", "ocsp")))
    deployment = replace(small.deployment, limits=(limit,))
    _issue(deployment)
    with pytest.raises(PolicyViolation) as caught:
        crls.publish(deployment, ADMIN, hosts.issuer_of(small), 0, StatusPolicy())
    assert caught.value.code == "key_kind_not_allowed"


def test_a_limit_by_name_comes_before_the_one_for_all(small: Services) -> None:
    limits = (KeyLimit(issuer="*", kinds=frozenset(("crl",))), KeyLimit(issuer="mo2-2"))
    _issue(replace(small.deployment, limits=limits))
    with pytest.raises(PolicyViolation):
        _issue(replace(small.deployment, limits=limits[:1]))


# --- clocks --------------------------------------------------------------------------------------


@dataclass
class Steady:
    """Seconds that a test counts."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def _guarded(services: Services) -> tuple[Deployment, MovableClock, Steady]:
    clock, steady = MovableClock(), Steady()
    guard = SkewGuard(BOUND, steady)
    return replace(services.deployment, clock=clock, skew=guard), clock, steady


def test_a_clock_set_back_signs_nothing_until_it_is_right(small: Services) -> None:
    deployment, clock, _ = _guarded(small)
    clock.at += DAY
    _issue(deployment)
    right = clock.at
    clock.at = right - dt.timedelta(hours=2)
    assert _code(deployment) == "clock_disagrees"
    clock.at = right
    _issue(deployment)


def test_a_clock_set_back_is_noticed_by_a_process_that_never_signed(small: Services) -> None:
    deployment, clock, _ = _guarded(small)
    clock.at += 2 * DAY
    _issue(deployment)
    fresh = replace(deployment, skew=SkewGuard(BOUND, Steady()))
    clock.at -= DAY
    assert _code(fresh) == "clock_disagrees"


def test_a_clock_set_ahead_signs_nothing_until_it_is_right(anywhere: Services) -> None:
    """PostgreSQL's own clock contradicts it, or the time since the last signature does."""
    deployment, clock, _ = _guarded(anywhere)
    _issue(deployment)
    right = clock.at
    clock.at = right + DAY
    assert _code(deployment) == "clock_disagrees"
    clock.at = right
    _issue(deployment)


def test_a_clock_that_runs_is_trusted(small: Services) -> None:
    deployment, clock, steady = _guarded(small)
    for _ in range(3):
        _issue(deployment)
        clock.at += DAY
        steady.seconds += DAY.total_seconds() + 5


def test_a_correction_that_lasts_is_believed_where_nobody_contradicts(small: Services) -> None:
    deployment, clock, steady = _guarded(small)
    _issue(deployment)
    clock.at += DAY
    assert _code(deployment) == "clock_disagrees"
    clock.at += dt.timedelta(seconds=300)
    steady.seconds += 300
    assert _code(deployment) == "clock_disagrees"
    clock.at += dt.timedelta(seconds=301)
    steady.seconds += 301
    _issue(deployment)


def test_a_clock_that_jumps_again_and_again_is_not_believed() -> None:
    steady = Steady()
    guard = SkewGuard(BOUND, steady)
    now = SystemClock().now()
    guard.trust(now)
    for _ in range(5):
        now += DAY
        steady.seconds += 400
        with pytest.raises(Unavailable):
            guard.check(now, None, None)


def test_the_bound_itself_is_still_trusted() -> None:
    guard = SkewGuard(BOUND, Steady())
    now = SystemClock().now()
    guard.check(now, now + BOUND, now + BOUND)
    guard.check(now, now - BOUND, now - DAY)
    for database, newest in ((now + 2 * BOUND, now), (now - 2 * BOUND, now), (now, now + DAY)):
        with pytest.raises(Unavailable) as caught:
            guard.check(now, database, newest)
        assert caught.value.code == "clock_disagrees"
        assert "NTP" in (caught.value.hint or "")


def test_a_running_installation_guards_its_clock(small: Services) -> None:
    assert small.deployment.skew is not None
    assert small.deployment.skew.bound == BOUND
    _issue(small.deployment)


def test_crls_are_guarded_too(small: Services) -> None:
    deployment, clock, _ = _guarded(small)
    _issue(deployment)
    clock.at -= DAY
    with pytest.raises(Unavailable) as caught:
        crls.publish(deployment, ADMIN, hosts.issuer_of(small), 0, StatusPolicy())
    assert caught.value.code == "clock_disagrees"
