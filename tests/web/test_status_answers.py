"""What an OCSP answer says and who signs it (cases 36 to 46, 51, 52 and 54), I4 among it."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.model import IssuerState, Reason, Responder
from pki.pkix.suites import Suite
from pki.status import StatusPolicy, refresh, responders
from tests.homes import ADMIN
from tests.web import asking
from tests.web.asking import Answer, request
from tests.web.authority import (
    AT,
    DAY,
    LOWEST,
    SECOND,
    Authority,
    Leaf,
    next_generation,
    opened,
    working,
)
from web.app import create_app

REASONS = {
    Reason.UNSPECIFIED: None,
    Reason.KEY_COMPROMISE: "key_compromise",
    Reason.CA_COMPROMISE: "ca_compromise",
    Reason.AFFILIATION_CHANGED: "affiliation_changed",
    Reason.SUPERSEDED: "superseded",
    Reason.CESSATION_OF_OPERATION: "cessation_of_operation",
    Reason.CERTIFICATE_HOLD: "certificate_hold",
    Reason.PRIVILEGE_WITHDRAWN: "privilege_withdrawn",
    Reason.AA_COMPROMISE: "aa_compromise",
}
BOUND = 0.6  # seconds
SHORT_SIGHTED = StatusPolicy(max_view_age=BOUND)


def signer_of(answer: Answer) -> x509.Certificate:
    assert answer.signer is not None
    return answer.signer


# --- status --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_a_revoked_certificate_has_its_time_and_reason(
    authority_home: Path, reason: Reason
) -> None:
    """Case 36: every reason; `unspecified` is left out."""
    with working(authority_home) as before:
        leaf = before.issue()
        assert before.status(leaf) == "good"
    with working(authority_home, at=AT + DAY) as then:
        then.revoke(leaf, reason)
    with working(authority_home, at=AT + 2 * DAY) as now:
        single = now.ask(leaf.request).single
        assert (single.status, single.reason) == ("revoked", REASONS[reason])
        assert (single.revoked_at, single.this_update) == (AT + DAY, AT + 2 * DAY)


def test_a_hold_can_be_released_and_can_become_final(authority_home: Path) -> None:
    """Case 37: a later final revocation has a time of its own."""
    with working(authority_home) as now:
        leaf = now.issue()
        now.revoke(leaf, Reason.CERTIFICATE_HOLD)
        assert now.ask(leaf.request).single.reason == "certificate_hold"
        now.release(leaf)
        assert now.status(leaf) == "good"
        now.revoke(leaf, Reason.CERTIFICATE_HOLD)
        assert now.status(leaf) == "revoked"
    with working(authority_home, at=AT + DAY) as later:
        later.revoke(leaf, Reason.KEY_COMPROMISE)
        single = later.ask(leaf.request).single
        assert (single.reason, single.revoked_at) == ("key_compromise", AT + DAY)


def test_a_hold_that_becomes_final_in_the_same_second_is_final(authority: Authority) -> None:
    leaf = authority.issue()
    authority.revoke(leaf, Reason.CERTIFICATE_HOLD)
    assert authority.ask(leaf.request).single.reason == "certificate_hold"
    authority.revoke(leaf, Reason.SUPERSEDED)
    assert authority.ask(leaf.request).single.reason == "superseded"


def test_an_expired_certificate_is_still_answered_with_the_archive_cutoff(
    authority_home: Path,
) -> None:
    """Case 38: good or revoked, as it was; since when is the CA's own beginning."""
    with working(authority_home) as now:
        good = now.issue(not_after=AT + DAY)
        revoked = now.issue(not_after=AT + DAY)
        now.revoke(revoked, Reason.SUPERSEDED)
        assert now.ask(good.request).single.archive_cutoff is None
    with working(authority_home, at=AT + 20 * DAY) as later:
        for leaf, status in ((good, "good"), (revoked, "revoked")):
            single = later.ask(leaf.request).single
            assert single.status == status
            assert single.archive_cutoff == leaf.issuer.not_valid_before_utc


def test_the_times_of_an_answer_are_whole_and_in_order(common: Authority) -> None:
    """Case 39: GeneralizedTime with Z, whole seconds, nextUpdate always there."""
    leaf = common.issue()
    for der in (leaf.request, request(leaf.cert_id(), more=(asking.nonce(bytes(16)),))):
        answer = common.ask(der)
        single = answer.single
        assert single.next_update is not None
        assert answer.produced_at is not None
        assert single.this_update <= AT < single.next_update
        assert answer.produced_at >= single.this_update
        assert signer_of(answer).not_valid_after_utc >= single.next_update
        for moment in (single.this_update, single.next_update, answer.produced_at):
            assert b"\x18\x0f" + moment.strftime("%Y%m%d%H%M%SZ").encode() in answer.der


def test_status_of_sub_cas_and_roots_is_answered_by_their_issuers(common: Authority) -> None:
    for name, parent in (("mo2-2", "mo1-2"), ("mo1-2", "mo-2"), ("mo-2", "mo-2")):
        asked = asking.cert_id(common.ca(parent), common.ca(name).serial_number)
        answer = common.ask(request(asked))
        assert answer.status == "good"
        signer_of(answer).verify_directly_issued_by(common.ca(parent))


# --- who signs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", Suite)
def test_the_signer_is_delegated_by_the_very_ca(common: Authority, suite: Suite) -> None:
    """Cases 40 and 43: EKU, nocheck, digitalSignature; the algorithm follows the key."""
    leaf = common.issue(suite)
    answer = common.ask(leaf.request)  # its signature is verified with the suite's own hash
    signer = signer_of(answer)
    signer.verify_directly_issued_by(leaf.issuer)
    found = signer.extensions
    usage = found.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert found.get_extension_for_class(x509.OCSPNoCheck)
    key_usage = found.get_extension_for_class(x509.KeyUsage).value
    assert (key_usage.digital_signature, key_usage.key_cert_sign) == (True, False)
    assert type(signer.public_key()) is type(leaf.issuer.public_key())
    assert common.ca(LOWEST[suite]) == leaf.issuer


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_the_responder_is_named_by_the_sha_1_of_its_key(common: Authority, algorithm: str) -> None:
    """Case 42, the default; `tests/interop/test_signers.py` has byName."""
    answer = common.ask(request(common.issue().cert_id(algorithm)))
    octets = asking.key_octets(signer_of(answer))
    assert answer.responder_key == hashlib.sha1(octets, usedforsecurity=False).digest()


def test_every_answer_brings_its_signer_and_no_ca_signs_unless_a_setting_says_so(
    common: Authority,
) -> None:
    """Case 44, the default; in `tests/interop/test_signers.py` the CA itself signs."""
    for suite in Suite:
        leaf = common.issue(suite)
        signer = signer_of(common.ask(leaf.request))
        assert signer.public_key() != leaf.issuer.public_key()
        assert not any(
            e.value.ca for e in signer.extensions if isinstance(e.value, x509.BasicConstraints)
        )


def test_both_generations_are_signed_for_by_their_own_responders(authority: Authority) -> None:
    """Case 45."""
    old = authority.issue()
    first = signer_of(authority.ask(old.request))
    next_generation(authority, "mo2-2")
    new = authority.issue()
    second = signer_of(authority.ask(new.request))
    first.verify_directly_issued_by(old.issuer)
    second.verify_directly_issued_by(new.issuer)
    assert signer_of(authority.ask(old.request)) == first


def own_responders(authority: Authority, issuer_id: str) -> list[Responder]:
    with authority.services.deployment.store.read() as tx:
        return [r for r in tx.status.responders() if r.issuer_id == issuer_id]


def test_an_expired_signer_signs_nothing(authority_home: Path) -> None:
    """Case 41: tryLater until a job has made a new one, then that one signs."""
    with working(authority_home) as now:
        leaf = now.issue()
        assert now.status(leaf) == "good"
        (responder,) = own_responders(now, "mo2-2.g1")
    for later in (responder.not_after + SECOND, responder.not_after + 30 * DAY):
        with working(authority_home, at=later) as expired:
            for der in (leaf.request, request(leaf.cert_id(), more=(asking.nonce(bytes(9)),))):
                assert expired.ask(der).status == "try_later"
            assert asking.read(expired.get(leaf.request).data).status == "try_later"
    with working(authority_home, at=responder.not_after + SECOND) as renewed:
        policy = renewed.services.settings.status
        assert responders.renew(renewed.services.deployment, ADMIN, policy) > 0
        answer = renewed.ask(leaf.request)
        assert answer.status == "good"
        assert signer_of(answer).not_valid_after_utc > responder.not_after


def test_a_signer_that_is_not_yet_valid_signs_nothing(authority_home: Path) -> None:
    with working(authority_home) as now:
        leaf = now.issue()
    with working(authority_home, at=AT - 400 * DAY) as early:
        assert early.ask(leaf.request).status == "try_later"


def test_a_revoked_signer_signs_no_more_and_its_stored_answers_go(authority: Authority) -> None:
    """Case 41."""
    leaf = authority.issue()
    signed_before = authority.get(leaf.request).data
    (responder,) = own_responders(authority, "mo2-2.g1")
    record = replace(leaf.record, fingerprint=responder.fingerprint)
    authority.revoke(Leaf(record=record, issuer=leaf.issuer), Reason.KEY_COMPROMISE)
    assert authority.ask(leaf.request).status == "try_later"
    assert asking.read(authority.get(leaf.request).data).status == "try_later"
    responders.make(authority.services.deployment, ADMIN, authority.issuer("mo2-2"))
    answer = authority.ask(leaf.request)
    assert (answer.status, answer.der != signed_before) == ("good", True)
    assert (
        signer_of(answer).serial_number
        != x509.load_der_x509_certificate(responder.der).serial_number
    )


def test_a_ca_that_was_revoked_still_answers_for_what_it_issued(authority: Authority) -> None:
    leaf = authority.issue()
    ca = authority.issuer("mo2-2")
    with authority.services.deployment.store.read() as tx:
        (record,) = [r for r in tx.certificates.search(limit=1000) if r.der == ca.certificate]
    authority.revoke(Leaf(record=record, issuer=leaf.issuer), Reason.CA_COMPROMISE)
    assert authority.issuer("mo2-2").state is IssuerState.STATUS_ONLY
    assert authority.status(leaf) == "good"
    parent = asking.cert_id(authority.ca("mo1-2"), leaf.issuer.serial_number)
    assert authority.ask(request(parent)).single.reason == "ca_compromise"


# --- I4 ------------------------------------------------------------------------------------------


def test_i4_never_good_after_a_revocation_on_any_process_of_the_home(
    authority_home: Path,
) -> None:
    """Case 46: two workers, answers in both memories and in the store; every form of asking."""
    with working(authority_home) as one, working(authority_home) as two:
        leaf, other = one.issue(), one.issue()
        forms = [
            leaf.request,
            request(leaf.cert_id("sha256", null=False)),
            request(leaf.cert_id("sha512"), more=(asking.nonce(bytes(16)),)),
            request(other.cert_id(), leaf.cert_id()),
        ]
        for worker in (one, two):
            assert worker.status(leaf) == "good"
            for der in forms:
                assert {s.status for s in worker.ask(der).singles} == {"good"}
        one.revoke(leaf)
        for worker in (two, one):
            assert worker.status(leaf) == "revoked"
            for der in forms:
                assert worker.ask(der).singles[-1].status == "revoked"
            assert worker.status(other) == "good"


def test_i4_a_released_certificate_is_good_at_once_on_any_process(authority_home: Path) -> None:
    with working(authority_home) as one, working(authority_home) as two:
        leaf = one.issue()
        for _ in range(3):
            two.revoke(leaf, Reason.CERTIFICATE_HOLD)
            assert (one.status(leaf), two.status(leaf)) == ("revoked", "revoked")
            one.release(leaf)
            assert (two.status(leaf), one.status(leaf)) == ("good", "good")


def test_i4_a_lost_key_takes_its_siblings_with_it(authority: Authority) -> None:
    leaf = authority.issue()
    sibling = authority.adopt(leaf, 0x99999)
    assert authority.status(sibling) == "good"
    authority.revoke(leaf, Reason.KEY_COMPROMISE)
    assert (authority.status(leaf), authority.status(sibling)) == ("revoked", "revoked")


def test_i4_holds_while_others_ask(authority_home: Path) -> None:
    """Case 54: no question asked after a revocation returned is answered good."""
    with working(authority_home) as here, working(authority_home) as there:
        leaves = [here.issue() for _ in range(12)]
        revoked: set[int] = set()
        wrong: list[int] = []
        asked = threading.Event()
        done = threading.Event()

        def ask(worker: Authority) -> None:
            while not done.is_set():
                for at, leaf in enumerate(leaves):
                    was_revoked = at in revoked
                    told = (worker.post(leaf.request).data, worker.get(leaf.request).data)
                    if was_revoked and "good" in {asking.read(der).status for der in told}:
                        wrong.append(at)
                asked.set()

        askers = [threading.Thread(target=ask, args=(worker,)) for worker in (here, there)]
        for asker in askers:
            asker.start()
        asked.wait(20)
        for at, leaf in enumerate(leaves):
            here.revoke(leaf)
            revoked.add(at)
        asked.clear()
        asked.wait(20)
        done.set()
        for asker in askers:
            asker.join()
        assert not wrong
        assert [there.status(leaf) for leaf in leaves] == ["revoked"] * len(leaves)


def test_a_revocation_between_reading_and_keeping_an_answer_is_seen(
    authority: Authority,
) -> None:
    """I4: an answer whose status changed while it was signed is signed again."""
    leaf = authority.issue()
    deployment = authority.services.deployment

    class Interrupted:
        """Keys that revoke the certificate while its first answer is being signed."""

        def create(self, label: str, suite: Suite) -> object:
            raise AssertionError(label, suite)

        def signer(self, label: str) -> object:
            if not revoked:
                revoked.append(label)
                authority.revoke(leaf)
            return deployment.keys.signer(label)

    revoked: list[str] = []
    services = replace(authority.services, deployment=replace(deployment, keys=Interrupted()))  # type: ignore[arg-type]
    answers = type(services.answers)(services.deployment, services.view, services.settings.status)
    reply = answers.respond(leaf.request)
    assert asking.read(reply.der).status == "revoked"
    assert asking.read(answers.respond(leaf.request).der).status == "revoked"


# --- failure -------------------------------------------------------------------------------------


def test_without_database_the_answer_is_try_later_and_never_good(authority_home: Path) -> None:
    """Case 51: beyond the bound on the view's age, stored answers too."""
    with working(authority_home, policy=SHORT_SIGHTED) as worker:
        leaf = worker.issue()
        assert worker.status(leaf) == "good"
        worker.services.database.close()
        database = authority_home / "pnc.db"
        away = database.rename(database.with_suffix(".away"))
        time.sleep(BOUND)
        for der in (leaf.request, request(leaf.cert_id("sha256"))):
            assert worker.ask(der).status == "try_later"
            got = worker.get(der)
            assert (got.status_code, got.headers["Cache-Control"]) == (200, "no-store")
            assert asking.read(got.data).status == "try_later"
        away.rename(database)
        time.sleep(BOUND)
        assert worker.status(leaf) == "good"


def test_without_database_held_answers_are_given_within_the_bound(authority_home: Path) -> None:
    with working(authority_home) as worker:
        leaf, other = worker.issue(), worker.issue()
        held = worker.get(leaf.request)
        worker.services.database.close()
        database = authority_home / "pnc.db"
        away = database.rename(database.with_suffix(".away"))
        assert worker.get(leaf.request).data == held.data
        assert worker.ask(other.request).status == "try_later"
        away.rename(database)


def test_a_key_that_is_gone_is_try_later(authority_home: Path) -> None:
    with working(authority_home) as now:
        leaf = now.issue()
    key = authority_home / "keys" / "ocsp.mo2-2.g1.1.pem"
    away = key.rename(key.with_suffix(".away"))
    with working(authority_home) as worker:
        assert worker.ask(leaf.request).status == "try_later"
        away.rename(key)
        assert worker.status(leaf) == "good"


@pytest.mark.parametrize("jump", [dt.timedelta(days=-2), dt.timedelta(days=6)], ids=str)
def test_answers_of_another_time_are_signed_anew(authority_home: Path, jump: dt.timedelta) -> None:
    """Case 52: after a jump of the clock nothing is given that is not yet or no longer true."""
    with working(authority_home) as setup:
        leaf = setup.issue()
    start = AT + 10 * DAY
    with working(authority_home, at=start) as before:
        assert before.status(leaf) == "good"
    with working(authority_home, at=start + jump) as after:
        for answer in (after.ask(leaf.request), asking.read(after.get(leaf.request).data)):
            assert (answer.status, answer.single.this_update) == ("good", start + jump)


def test_a_clock_that_jumps_in_a_running_process_is_followed(authority_home: Path) -> None:
    running = opened(authority_home)
    worker = Authority(running, create_app(running))
    leaf = worker.issue()
    clock = running.deployment.clock
    assert worker.status(leaf) == "good"
    object.__setattr__(clock, "at", AT + 6 * DAY)
    ahead = worker.ask(leaf.request).single
    assert ahead.this_update == AT + 6 * DAY
    object.__setattr__(clock, "at", AT + DAY)
    assert worker.ask(leaf.request).single.this_update == AT + DAY
    running.close()


def test_stored_answers_are_signed_anew_ahead_of_their_end(authority_home: Path) -> None:
    with working(authority_home) as now:
        leaf, held = now.issue(), now.issue()
        first = now.ask(leaf.request)
        now.revoke(held)
        assert now.status(held) == "revoked"
    half = now.services.settings.status.validity / 2
    with working(authority_home, at=AT + half) as later:
        running = later.services
        renewed = refresh.refresh_answers(running.deployment, running.view, running.answers)
        assert renewed == 2
        second = later.ask(leaf.request)
        assert first.single.next_update is not None
        assert second.single.this_update == AT + half < first.single.next_update
        assert later.status(held) == "revoked"
