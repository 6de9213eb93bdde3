"""Who signs: settings, what a signer says of itself, and what the audit log is told."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509

from pki import audit
from pki.clock import format_time
from pki.errors import Conflict, Unavailable
from pki.ids import Fingerprint
from pki.model import AuditEntry, IssuerState, Reason
from pki.pkix import ocsp
from pki.pkix.ocsp import CertStatus, ResponseData, SingleAnswer
from pki.pkix.suites import PublicKey, Suite
from pki.ports import Keys, Signer
from pki.revoke import revoke
from pki.services import Services, build
from pki.settings import load
from pki.sign import sign_answer
from pki.status import Answers, StatusPolicy, tally
from tests.homes import ADMIN
from tests.status import hosts
from tests.status.hosts import GOOD, LEAF_ISSUER, REVOKED, UNKNOWN, MovableClock
from tests.web import asking

NONCE = bytes(range(16))
CA_SIGNS = StatusPolicy(ca_signs=True)
BY_NAME = StatusPolicy(responder_by_name=True)


def answers(services: Services, policy: StatusPolicy) -> Answers:
    """Return what another process with other settings answers."""
    return Answers(services.deployment, services.view, policy)


def plain(services: Services, serial: int) -> bytes:
    return hosts.request_about(hosts.issuer_of(services), serial)


# --- by setting ----------------------------------------------------------------------------------


def test_a_change_of_settings_is_in_the_next_answer_though_one_is_stored(small: Services) -> None:
    record = hosts.issued(small)
    request = plain(small, record.serial.as_int)
    issuer = x509.load_der_x509_certificate(hosts.issuer_of(small).certificate)
    first = asking.read(answers(small, StatusPolicy()).respond(request).der)
    assert first.responder_key is not None
    assert first.signer is not None
    named = asking.read(answers(small, BY_NAME).respond(request).der)
    assert named.responder_name == named.signer.subject.public_bytes()  # type: ignore[union-attr]  # read() wants one
    ours = asking.read(answers(small, CA_SIGNS).respond(request).der, issuer)
    assert (ours.status, ours.signer) == (GOOD, issuer)
    both = StatusPolicy(ca_signs=True, responder_by_name=True)
    assert asking.read(answers(small, both).respond(request).der, issuer).responder_name == (
        issuer.subject.public_bytes()
    )
    assert asking.read(answers(small, StatusPolicy()).respond(request).der).signer == first.signer


def test_an_answer_of_the_same_settings_is_given_again(small: Services) -> None:
    record = hosts.issued(small)
    request = plain(small, record.serial.as_int)
    for policy in (StatusPolicy(), CA_SIGNS, BY_NAME):
        signed = answers(small, policy).respond(request).der
        assert answers(small, policy).respond(request).der == signed


def test_i4_holds_where_the_ca_signs(small: Services) -> None:
    record = hosts.issued(small)
    ours = answers(small, CA_SIGNS)
    requests = [
        plain(small, record.serial.as_int),
        hosts.request_about(hosts.issuer_of(small), record.serial.as_int, nonce=NONCE),
    ]
    for status in (GOOD, GOOD):
        assert [hosts.status_in(ours.respond(r).der) for r in requests] == [status] * 2
    revoke(small.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    assert [hosts.status_in(ours.respond(r).der) for r in requests] == [REVOKED] * 2


def data() -> ResponseData:
    cert_id = bytes.fromhex("3000")
    now = hosts.MovableClock().at
    answer = SingleAnswer(cert_id=cert_id, status=CertStatus.GOOD, this_update=now)
    responder = ocsp.responder_by_name(bytes.fromhex("3000"))
    return ResponseData(responder=responder, produced_at=now, answers=(answer,))


def test_a_ca_that_may_not_sign_signs_no_answer(small: Services) -> None:
    with small.deployment.store.write() as tx:
        tx.issuers.set_state(LEAF_ISSUER, IssuerState.RETIRED)
    for issuer_id in (LEAF_ISSUER, "nobody.g1"):
        with pytest.raises(Conflict) as refused:
            sign_answer(small.deployment, issuer_id, data())
        assert refused.value.code == "issuer_not_active"


def test_a_demo_key_of_a_ca_signs_no_answer_in_production(small: Services) -> None:
    with pytest.raises(Unavailable) as refused:
        sign_answer(replace(small.deployment, demo=False), LEAF_ISSUER, data())
    assert refused.value.code == "demo_key"


def test_the_warning_that_ca_keys_are_exposed_is_shown_in_production(tmp_path: Path) -> None:
    (tmp_path / "pnc.toml").write_text(
        'mode = "production"\n[keys]\npassphrase_file = "x"\n'
        '[signer]\nsocket = "x"\n[status]\nsigner = "ca"\n',
        "utf-8",
    )
    assert any("status.signer" in warning for warning in build(load({}, tmp_path)).warnings)


def test_no_key_of_a_ca_is_needed_to_answer(small: Services) -> None:
    """Only delegated signers' keys lie on this host; even a revocation needs no other."""
    records = [hosts.issued(small) for _ in range(2)]
    for file in (small.settings.home / "keys").glob("*.pem"):
        if not file.name.startswith("ocsp."):
            file.unlink()
    with hosts.same_host(small) as other:
        revoke(other.deployment, ADMIN, records[1].fingerprint.value, Reason.KEY_COMPROMISE)
        for nonce in (b"", NONCE):
            asked = [hosts.ask(other, record, nonce=nonce) for record in records]
            assert asked == [GOOD, REVOKED]
            unissued = hosts.request_about(hosts.issuer_of(other), 77, nonce=nonce)
            assert hosts.answer_to(other, unissued) == UNKNOWN
        with pytest.raises(Unavailable):
            other.deployment.keys.signer(hosts.issuer_of(other).key_label)


# --- quick, or not -------------------------------------------------------------------------------


@dataclass
class Slow:
    """A signer in other hardware: of a quick suite, and yet it takes a wait."""

    inner: Signer

    quick = False

    @property
    def suite(self) -> Suite:
        return self.inner.suite

    @property
    def public_key(self) -> PublicKey:
        return self.inner.public_key

    def sign(self, data: bytes) -> bytes:
        return self.inner.sign(data)


@dataclass
class SlowKeys:
    inner: Keys

    def create(self, label: str, suite: Suite) -> Signer:
        return Slow(self.inner.create(label, suite))

    def signer(self, label: str) -> Signer:
        return Slow(self.inner.signer(label))


def test_only_a_signer_that_says_it_is_quick_signs_without_a_thread(small: Services) -> None:
    record = hosts.issued(small)
    nonced = hosts.request_about(hosts.issuer_of(small), record.serial.as_int, nonce=NONCE)
    slow = replace(small.deployment, keys=SlowKeys(small.deployment.keys))
    now = small.deployment.clock.now()
    for deployment, quick in ((small.deployment, True), (slow, False)):
        ours = Answers(deployment, small.view, StatusPolicy())
        assert hosts.status_in(ours.respond(nonced).der) == GOOD
        assert (ours.in_memory(nonced, now) is not None) is quick
    ours = answers(small, CA_SIGNS)
    assert hosts.status_in(ours.respond(nonced).der) == GOOD
    assert ours.in_memory(nonced, now) is None  # a CA's key is used by `pki.sign` alone


# --- audit ---------------------------------------------------------------------------------------


def told(services: Services) -> list[AuditEntry]:
    with services.deployment.store.read() as tx:
        return [e for e in tx.audit.entries(LEAF_ISSUER) if e.action == "ocsp.sign"]


def test_signatures_are_told_to_the_audit_log_in_aggregate(
    timed: Services, clock: MovableClock
) -> None:
    """I1."""
    record = hosts.issued(timed)
    begun = clock.at
    for _ in range(3):
        assert hosts.ask(timed, record) == GOOD  # signed once, then stored
        assert hosts.ask(timed, record, nonce=NONCE) == GOOD  # signed every time
    timed.answers.account()
    assert told(timed) == []
    clock.at += dt.timedelta(seconds=tally.EVERY)
    timed.answers.account()
    timed.answers.account()
    (entry,) = told(timed)
    signer = next(r for r in hosts.responders_of(timed) if r.issuer_id == LEAF_ISSUER)
    assert entry.subject == signer.fingerprint.value
    assert json.loads(entry.details) == {"answers": 4, "since": format_time(begun)}
    assert all(report.broken_at is None for report in audit.verify(timed.deployment.store))


def test_what_the_ca_signed_is_told_too_and_at_the_end_at_once(small: Services) -> None:
    record = hosts.issued(small)
    ours = answers(small, CA_SIGNS)
    assert hosts.status_in(ours.respond(plain(small, record.serial.as_int)).der) == GOOD
    ours.account(at_once=True)
    (entry,) = told(small)
    assert entry.subject == Fingerprint.of(hosts.issuer_of(small).certificate).value
    with hosts.same_host(small) as other:
        assert hosts.ask(other, record, nonce=NONCE) == GOOD
    assert len(told(small)) == 2


def test_without_a_database_nothing_is_forgotten(small: Services) -> None:
    record = hosts.issued(small)
    switch = hosts.Switch(small.deployment.store)
    ours = answers(replace(small, deployment=replace(small.deployment, store=switch)), CA_SIGNS)
    request = plain(small, record.serial.as_int)
    assert hosts.status_in(ours.respond(request).der) == GOOD
    switch.fault = "gone"
    ours.account(at_once=True)
    switch.restore()
    ours.account(at_once=True)
    assert [json.loads(entry.details)["answers"] for entry in told(small)] == [1]
