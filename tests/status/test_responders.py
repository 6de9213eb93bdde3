"""Delegated signers: replaced ahead of their end, with a new key, for each CA that needs it."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from pki.errors import PkiError, Unavailable
from pki.model import IssuerState, Reason, Responder
from pki.pkix.certificate import load
from pki.pkix.suites import Suite
from pki.ports import Deployment, Signer
from pki.revoke import revoke
from pki.services import Services
from pki.status import StatusPolicy, responders
from tests.homes import ADMIN, MO_BRANCH
from tests.status import hosts
from tests.status.hosts import GOOD, LEAF_ISSUER, MovableClock

POLICY = StatusPolicy()
SECOND, DAY = dt.timedelta(seconds=1), dt.timedelta(days=1)


def signers(services: Services, issuer_id: str = LEAF_ISSUER) -> list[Responder]:
    with services.deployment.store.read() as tx:
        return [r for r in tx.status.responders() if r.issuer_id == issuer_id]


def renew(services: Services) -> int:
    return responders.renew(services.deployment, ADMIN, POLICY)


def signed_by(services: Services, responder: Responder) -> bool:
    """Ask with a nonce, so that the answer is signed now."""
    record = hosts.issued(services)
    issuer = hosts.issuer_of(services, responder.issuer_id)
    request = hosts.request_about(issuer, record.serial.as_int, nonce=bytes(16))
    return responder.der in services.answers.respond(request).der


def test_a_responder_is_replaced_ahead_of_its_end_and_its_answers_stay(
    timed: Services, clock: MovableClock
) -> None:
    (old,) = signers(timed)
    clock.at = old.not_after - POLICY.responder_renewal - SECOND
    assert renew(timed) == 0
    record = hosts.issued(timed)
    request = hosts.request_about(hosts.issuer_of(timed), record.serial.as_int)
    kept = timed.answers.respond(request).der
    assert old.der in kept
    clock.at += 2 * SECOND
    assert renew(timed) == len(MO_BRANCH)
    assert renew(timed) == 0
    first, new = signers(timed)
    assert first == old
    assert new.key_label != old.key_label
    assert load(new.der).spki != load(old.der).spki
    assert new.not_after > old.not_after
    assert signed_by(timed, new)
    assert timed.answers.respond(request).der == kept


def test_a_revoked_responder_is_replaced(anywhere: Services) -> None:
    (old,) = signers(anywhere)
    revoke(anywhere.deployment, ADMIN, old.fingerprint.value, Reason.KEY_COMPROMISE)
    assert renew(anywhere) == 1
    _, new = signers(anywhere)
    assert signed_by(anywhere, new)
    assert renew(anywhere) == 0


def test_a_responder_of_a_clock_ahead_is_not_waited_for(
    timed: Services, clock: MovableClock
) -> None:
    begun = clock.at
    clock.at = begun + 300 * DAY
    assert renew(timed) == len(MO_BRANCH)
    clock.at = begun + 70 * DAY
    assert renew(timed) == len(MO_BRANCH)
    now = signers(timed)
    assert sorted(r.not_before - begun for r in now) == [
        now[0].not_before - begun,
        70 * DAY,
        300 * DAY,
    ]
    clock.at = begun + 100 * DAY
    assert signed_by(timed, now[1])


def test_near_the_end_of_its_ca_one_last_responder_is_made(
    timed: Services, clock: MovableClock
) -> None:
    end = load(hosts.issuer_of(timed).certificate).not_after
    clock.at = end - 50 * DAY
    assert renew(timed) == len(MO_BRANCH)
    assert signers(timed)[-1].not_after == end
    clock.at = end - 20 * DAY
    renew(timed)
    assert len(signers(timed)) == 2
    clock.at = end - SECOND
    renew(timed)
    assert len(signers(timed)) == 2
    clock.at = end + SECOND
    renew(timed)
    assert len(signers(timed)) == 2


def test_a_responder_that_ends_before_its_ca_which_ends_soon_is_replaced(
    timed: Services, clock: MovableClock
) -> None:
    """A CA in its last month once got no signer for the days between."""
    end = load(hosts.issuer_of(timed).certificate).not_after
    clock.at = end - 100 * DAY
    renew(timed)
    assert signers(timed)[-1].not_after < end
    clock.at = end - 12 * DAY
    renew(timed)
    assert signers(timed)[-1].not_after == end


def test_a_retired_ca_gets_none(timed: Services, clock: MovableClock) -> None:
    with timed.deployment.store.write() as tx:
        tx.issuers.set_state(LEAF_ISSUER, IssuerState.RETIRED)
    clock.at += 80 * DAY
    assert renew(timed) == len(MO_BRANCH) - 1
    assert len(signers(timed)) == 1


def test_a_revoked_ca_goes_on_answering_beyond_the_end_of_its_first_responder(
    timed: Services, clock: MovableClock
) -> None:
    """It once got no new responder, so that everybody was told tryLater after some months."""
    good, bad = (hosts.issued(timed) for _ in range(2))
    revoke(timed.deployment, ADMIN, bad.fingerprint.value, Reason.KEY_COMPROMISE)
    authority = load(hosts.issuer_of(timed).certificate)
    revoke(timed.deployment, ADMIN, authority.fingerprint.value, Reason.CA_COMPROMISE)
    assert hosts.issuer_of(timed).state is IssuerState.STATUS_ONLY
    (old,) = signers(timed)
    clock.at = old.not_after + DAY
    assert hosts.ask(timed, good) == hosts.TRY_LATER
    assert renew(timed) == len(MO_BRANCH)
    assert len(signers(timed)) == 2
    assert (hosts.ask(timed, good), hosts.ask(timed, bad)) == (GOOD, hosts.REVOKED)
    with pytest.raises(PkiError) as refused:
        hosts.issued(timed)
    assert refused.value.code in {"issuer_not_active", "issuer_unknown"}


@dataclass
class _Full:
    """Keys that make none for one CA."""

    deployment: Deployment

    def create(self, label: str, suite: Suite) -> Signer:
        if "mo1-2" in label:
            raise Unavailable("key_unavailable", "There is no room.")
        return self.deployment.keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        return self.deployment.keys.signer(label)


def test_a_ca_whose_key_cannot_be_made_holds_up_no_other(
    timed: Services, clock: MovableClock
) -> None:
    clock.at += 80 * DAY
    deployment = replace(timed.deployment, keys=_Full(timed.deployment))
    with pytest.raises(Unavailable) as refused:
        responders.renew(deployment, ADMIN, POLICY)
    assert refused.value.code == "key_unavailable"
    counts = [len(signers(timed, f"{name}.g1")) for name in MO_BRANCH]
    assert counts == [2, 1, 2]


def test_runners_that_meet_leave_one_responder_of_each_key(anywhere: Services) -> None:
    (old,) = signers(anywhere)
    clock = MovableClock(old.not_after - DAY)
    record = hosts.issued(anywhere)
    with (
        hosts.same_host(anywhere, clock=clock) as first,
        hosts.same_host(anywhere, clock=clock) as second,
    ):
        start = threading.Barrier(2)

        def run(services: Services) -> int:
            start.wait()
            return renew(services)

        with ThreadPoolExecutor(2) as pool:
            made = sum(pool.map(run, (first, second)))
        found = signers(first)
        assert len(MO_BRANCH) <= made <= 2 * len(MO_BRANCH)
        assert len({r.key_label for r in found}) == len(found) <= 3
        for services in (first, second):
            assert hosts.ask(services, record, nonce=bytes(16)) == GOOD
            for responder in found:
                key = services.deployment.keys.signer(responder.key_label).public_key
                assert key == load(responder.der).public_key
