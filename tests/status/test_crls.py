"""CRLs: when they are made, what they list, that nothing leaves them without leave."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pki.errors import Conflict, PolicyViolation
from pki.jobs import Job, holder, run_once
from pki.model import IntentState, IssuerState, Reason
from pki.pkix.certificate import load
from pki.revoke import release, revoke
from pki.services import Services
from pki.status import StatusPolicy, crls
from tests.homes import ADMIN, MO_BRANCH
from tests.status import hosts
from tests.status.crl_work import POLICY, intents, publish, publish_due, revoked
from tests.status.hosts import LEAF_ISSUER, MovableClock

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
HOLD = Reason.CERTIFICATE_HOLD


# --- when ----------------------------------------------------------------------------------------


def test_every_ca_gets_a_first_crl_and_then_one_for_each_change(anywhere: Services) -> None:
    assert publish_due(anywhere) == 3
    assert hosts.listed(anywhere) == {}
    assert publish_due(anywhere) == 0
    serial = revoked(anywhere, Reason.KEY_COMPROMISE)
    other = revoked(anywhere, Reason.UNSPECIFIED)
    assert publish_due(anywhere) == 1
    assert hosts.listed(anywhere) == {serial: "keyCompromise", other: "unspecified"}
    assert [hosts.number_of(anywhere, i) for i in (LEAF_ISSUER, "mo-2.g1")] == [2, 1]
    assert publish_due(anywhere) == 0


def test_a_crl_is_renewed_at_half_of_its_life(timed: Services, clock: MovableClock) -> None:
    publish_due(timed)
    begun = clock.at
    clock.at = begun + POLICY.crl_validity / 2 - dt.timedelta(seconds=1)
    assert publish_due(timed) == 0
    clock.at = begun + POLICY.crl_validity / 2
    assert publish_due(timed) == 3
    assert hosts.number_of(timed) == 2


def test_a_longer_policy_leaves_no_gap_behind_a_shorter_crl(
    timed: Services, clock: MovableClock
) -> None:
    publish_due(timed, StatusPolicy(crl_validity=2 * HOUR))
    clock.at += HOUR
    assert publish_due(timed) == 3
    clock.at += HOUR
    assert publish_due(timed, StatusPolicy(crl_validity=2 * HOUR)) == 3


def test_a_crl_ends_with_its_ca_and_is_not_renewed_ever_faster_before(
    timed: Services, clock: MovableClock
) -> None:
    end = load(hosts.issuer_of(timed).certificate).not_after
    clock.at = end - 2 * HOUR
    publish(timed)
    with timed.deployment.store.read() as tx:
        record = tx.status.crl(LEAF_ISSUER, 0)
    assert record is not None
    assert record.next_update == end
    number = hosts.number_of(timed)
    for minutes in range(0, 120, 10):
        clock.at = end - 2 * HOUR + dt.timedelta(minutes=minutes)
        publish_due(timed)
    assert hosts.number_of(timed) == number


def test_a_ca_that_expired_gets_no_crl_and_holds_up_no_other(
    timed: Services, clock: MovableClock
) -> None:
    """The writer refuses a CRL that ends before it begins, which once ended the runner."""
    clock.at = load(hosts.issuer_of(timed).certificate).not_after
    assert publish_due(timed) == 2
    with pytest.raises(PolicyViolation) as refused:
        publish(timed)
    assert refused.value.code == "issuer_expired"
    assert intents(timed) == []


@pytest.mark.parametrize(
    ("state", "made"), [(IssuerState.STATUS_ONLY, 3), (IssuerState.RETIRED, 2)]
)
def test_a_ca_with_status_only_signs_crls_and_a_retired_one_does_not(
    small: Services, state: IssuerState, made: int
) -> None:
    issuer = hosts.issuer_of(small)
    with small.deployment.store.write() as tx:
        tx.issuers.set_state(LEAF_ISSUER, state)
    assert publish_due(small) == made
    if state is IssuerState.RETIRED:
        with pytest.raises(Conflict) as refused:
            crls.publish(small.deployment, ADMIN, issuer, 0, POLICY)
        assert refused.value.code == "issuer_not_active"
        assert [intent.state for intent in intents(small)] == [IntentState.ABANDONED]


@pytest.mark.parametrize("leased", [True, False], ids=["leased", "by hand"])
def test_runners_that_meet_publish_each_crl_once_and_without_leases_do_no_harm(
    anywhere: Services, *, leased: bool
) -> None:
    serial = revoked(anywhere)
    with hosts.same_host(anywhere) as second, hosts.same_host(anywhere) as third:
        runners = (anywhere, second, third)
        start = threading.Barrier(len(runners))

        def run(services: Services) -> int:
            start.wait()
            if not leased:
                return publish_due(services)
            job = Job(name="crls", every=1.0, work=lambda: publish_due(services))
            return run_once(services.deployment, job, holder()) or 0

        with ThreadPoolExecutor(len(runners)) as pool:
            made = sum(pool.map(run, runners))
    assert hosts.listed(anywhere) == {serial: "superseded"}
    found = [(i.number, i.state) for i in intents(anywhere)]
    numbers = [hosts.number_of(anywhere, f"{name}.g1") for name in MO_BRANCH]
    if leased:
        assert (made, numbers) == (3, [1, 1, 1])
        assert found == [(1, IntentState.COMPLETED)]
    else:
        assert 3 <= made <= 9
        assert found[-1][1] is IntentState.COMPLETED
        assert {state for _, state in found} <= {IntentState.COMPLETED, IntentState.ABANDONED}
    assert publish_due(anywhere) == 0


def test_a_crl_that_was_due_is_not_made_after_somebody_else_made_it(small: Services) -> None:
    assert publish(small) == 1
    issuer = hosts.issuer_of(small)
    with pytest.raises(Conflict) as refused:
        crls.publish(small.deployment, ADMIN, issuer, 0, POLICY, after=0)
    assert refused.value.code == "crl_number_taken"
    assert crls.publish(small.deployment, ADMIN, issuer, 0, POLICY, after=1).number == 2


# --- what leaves ---------------------------------------------------------------------------------


def _delete(services: Services, serial: int) -> None:
    """Delete a revocation as nobody should."""
    with services.deployment.store.write() as tx:
        tx.certificates._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            f"DELETE FROM revocations WHERE serial = '{serial:x}'"  # noqa: S608 - hexadecimal
        )


def test_a_crl_from_which_an_entry_vanished_is_refused_before_anything_is_signed(
    small: Services,
) -> None:
    serial, other = revoked(small), revoked(small)
    publish_due(small)
    before = hosts.crl_of(small)
    _delete(small, serial)
    revoked(small)
    revoke(small.deployment, ADMIN, _ca_serial(small, "mo2-2.g1"), HOLD)
    for _ in range(2):
        with pytest.raises(PolicyViolation) as refused:
            publish_due(small)
    assert refused.value.code == "crl_differs"
    assert f"{serial:x}" in str(refused.value.data["findings"])
    assert f"{other:x}" not in str(refused.value.data["findings"])
    assert hosts.crl_of(small) == before
    assert [intent.number for intent in intents(small)] == [1]
    # the others had their turn
    assert hosts.number_of(small, "mo1-2.g1") == 2


def _ca_serial(services: Services, issuer_id: str) -> str:
    return load(hosts.issuer_of(services, issuer_id).certificate).fingerprint.value


def test_a_predecessor_that_cannot_be_read_is_no_leave_to_go_on(small: Services) -> None:
    publish(small)
    with small.deployment.store.write() as tx:
        tx.status._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            "UPDATE crl_chunks SET data = x'3003020101'"
        )
    with pytest.raises(PolicyViolation) as refused:
        publish(small)
    assert refused.value.code == "crl_differs"
    assert len(intents(small)) == 1


def test_an_entry_leaves_one_crl_after_its_certificate_ended(
    timed: Services, clock: MovableClock
) -> None:
    record = hosts.issued(timed, until=clock.at + DAY)
    revoke(timed.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    serial = record.serial.as_int
    seen = []
    for days in (0.5, 1.5, 1.6, 1.7):
        clock.at += dt.timedelta(days=days) - (clock.at - record.not_before)
        publish(timed)
        seen.append(serial in hosts.listed(timed))
    assert seen == [True, True, False, False]


def test_an_entry_released_from_hold_leaves_with_the_next_crl(small: Services) -> None:
    record = hosts.issued(small)
    kept = revoked(small, HOLD)
    revoke(small.deployment, ADMIN, record.fingerprint.value, HOLD)
    publish(small)
    assert hosts.listed(small) == {
        record.serial.as_int: "certificateHold",
        kept: "certificateHold",
    }
    release(small.deployment, ADMIN, record.fingerprint.value)
    assert publish_due(small) == 3
    assert hosts.listed(small) == {kept: "certificateHold"}


def test_an_entry_that_a_clock_ahead_dropped_comes_back(
    timed: Services, clock: MovableClock
) -> None:
    begun = clock.at
    record = hosts.issued(timed, until=begun + 10 * DAY)
    revoke(timed.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    seen = []
    for days in (1, 20, 21):
        clock.at = begun + days * DAY
        publish(timed)
        seen.append(record.serial.as_int in hosts.listed(timed))
    assert seen == [True, True, False]
    clock.at = begun + 2 * DAY
    assert publish_due(timed) == len(MO_BRANCH)
    assert hosts.listed(timed) == {record.serial.as_int: "superseded"}


def test_after_a_clock_was_ahead_a_crl_is_made_at_once_and_its_number_grows(
    timed: Services, clock: MovableClock
) -> None:
    begun = clock.at
    publish_due(timed)
    clock.at = begun + 400 * DAY
    publish_due(timed)
    ahead = hosts.number_of(timed)
    clock.at = begun + HOUR
    assert publish_due(timed) == len(MO_BRANCH)
    assert hosts.number_of(timed) == ahead + 1
    with timed.deployment.store.read() as tx:
        record = tx.status.crl(LEAF_ISSUER, 0)
    assert record is not None
    assert record.this_update == begun + HOUR
    assert publish_due(timed) == 0


def test_a_certificate_that_ended_before_the_first_crl_stands_on_it_once(
    timed: Services, clock: MovableClock
) -> None:
    record = hosts.issued(timed, until=clock.at + DAY)
    revoke(timed.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    clock.at += 2 * DAY
    publish(timed)
    assert record.serial.as_int in hosts.listed(timed)
    clock.at += DAY
    publish(timed)
    assert hosts.listed(timed) == {}
