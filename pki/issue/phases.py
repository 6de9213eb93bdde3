"""The two phases of an issuance, for leaves, CAs and responders alike."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448

from pki import audit, contracts, sign
from pki.errors import BadInput, Conflict, PolicyViolation, Unavailable
from pki.ids import Emaid, Fingerprint, SerialNumber
from pki.model import (
    CertificateRecord,
    ChangeKind,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Principal,
)
from pki.pkix import build, lint
from pki.pkix.certificate import Certificate, load
from pki.pkix.crl import shard_of
from pki.pkix.profiles import Kind, Profile
from pki.pkix.suites import PrivateKey, PublicKey, Suite, generate, verifies
from pki.ports import Deployment, Transaction

_SERIAL_OCTETS: Final = 16
_SERIAL_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    One certificate to be issued, everything decided but serial and signature.

    Attributes:
        issuer_certificate: None for a root, which signs itself.
        new_issuer: the CA that comes to life with this certificate, or None.
        prepared: that CA signs status only, until `pki.rotate` switches to it.
        alternate_key: X448 key beside an Ed448 one, where the profile has it.
    """

    profile: Profile
    issuer: Issuer
    issuer_certificate: Certificate | None
    public_key: PublicKey
    suite: Suite
    subject: x509.Name
    common_name: str
    owner: str
    not_before: dt.datetime
    not_after: dt.datetime
    new_issuer: Issuer | None = None
    alternate_key: x448.X448PublicKey | None = None
    prepared: bool = False


def spki_hash(public_key: PublicKey) -> bytes:
    """Return SHA-256 over the DER SubjectPublicKeyInfo."""
    return hashlib.sha256(build.spki(public_key)).digest()


def validity_end(
    profile: Profile,
    issuer: Certificate | None,
    not_before: dt.datetime,
    wanted: dt.datetime | None,
    *,
    cut: bool = False,
) -> dt.datetime:
    """
    Return the end of validity: what is wanted, else the profile's length cut to the issuer's end
        (I5).

    Raises:
        BadInput: `not_after_past`.
        PolicyViolation: `outlives_issuer`, `validity_too_long`.
    """
    longest = not_before + dt.timedelta(days=profile.validity_days) - dt.timedelta(seconds=1)
    end = issuer.not_after if issuer else longest
    if end <= not_before:
        raise PolicyViolation("issuer_expired", "The issuer's own certificate has expired.")
    if wanted is None:
        return min(longest, end)
    if wanted <= not_before:
        raise BadInput("not_after_past", "The end of validity lies in the past.")
    if cut:
        return min(wanted, longest, end)
    if wanted > end:
        raise PolicyViolation("outlives_issuer", f"The issuer itself ends at {end:%Y-%m-%d}.")
    if wanted > longest:
        raise PolicyViolation(
            "validity_too_long", f"The profile allows {profile.validity_days} days at most."
        )
    return wanted


def carry_out(deployment: Deployment, principal: Principal, order: Order) -> CertificateRecord:
    """Take an order through both phases; also used for roots, sub-CAs and responders."""
    intent = _commit_intent(deployment, principal, order)
    signature = sign.sign_intent(deployment, intent.intent_id)
    der = _prove(order, intent, signature)
    return _commit_certificate(deployment, principal, order, intent, der)


def _commit_intent(deployment: Deployment, principal: Principal, order: Order) -> Intent:
    for attempt in range(_SERIAL_TRIES):
        serial = SerialNumber.from_int(_random_serial())
        tbs = linted_twin(deployment, order, serial)
        intent = Intent(
            intent_id=secrets.token_hex(12),
            issuer_id=order.issuer.issuer_id,
            serial=serial,
            profile=order.profile.profile_id,
            kind=order.profile.kind,
            edition=order.profile.edition,
            suite=order.suite,
            tbs=tbs,
            owner=order.owner,
            requested_by=principal.name,
            state=IntentState.OPEN,
            created_at=deployment.clock.now(),
        )
        try:
            _store_intent(deployment, order, intent)
        except Conflict as taken:
            if taken.code != "serial_taken" or attempt == _SERIAL_TRIES - 1:
                raise
            continue
        return intent
    raise AssertionError("unreachable")  # the last attempt returns or raises


def _random_serial() -> int:
    """Return 126 random bits behind a leading one: 16 octets, positive (RFC 5280 4.1.2.2)."""
    bits = 8 * _SERIAL_OCTETS - 2
    return (1 << bits) | secrets.randbits(bits)


def _store_intent(deployment: Deployment, order: Order, intent: Intent) -> None:
    with deployment.store.write() as tx:
        sign.refuse_restored(tx)
        if order.issuer.state is IssuerState.PENDING and tx.issuers.get(intent.issuer_id) is None:
            tx.issuers.add(order.issuer)
        tx.intents.add(intent)
        audit.record(
            tx,
            chain=intent.issuer_id,
            at=intent.created_at,
            actor=intent.requested_by,
            action="certificate.intend",
            subject=intent.serial.value,
            details={
                "intent": intent.intent_id,
                "profile": intent.profile,
                "tbsSha256": hashlib.sha256(intent.tbs).hexdigest(),
            },
        )


def linted_twin(deployment: Deployment, order: Order, serial: SerialNumber) -> bytes:
    """
    Return the to-be-signed bytes of a twin that a throw-away key signed and our lints passed (I6).

    Raises:
        PolicyViolation: `lint_failed`, with the findings.
    """
    twin = twin_of(deployment, order, serial)
    findings = lint.lint(twin, order.profile, _lint_issuer(order))
    if findings:
        raise PolicyViolation(
            "lint_failed",
            f"The certificate would break its profile: {findings[0].message}.",
            data={"findings": [f"{f.rule}: {f.message}" for f in findings]},
        )
    return x509.load_der_x509_certificate(twin).tbs_certificate_bytes


def twin_of(deployment: Deployment, order: Order, serial: SerialNumber) -> bytes:
    """Return the DER of the order's twin: same to-be-signed bytes, signed with a throw-away key."""
    profile, issuer = order.profile, order.issuer
    parent = order.issuer_certificate
    facts = build.Facts(
        serial=serial.as_int,
        subject=order.subject,
        issuer=parent.x509.subject if parent else order.subject,
        public_key=order.public_key,
        issuer_key_id=parent.key_id if parent else None,
        not_before=order.not_before,
        not_after=order.not_after,
        ocsp_url=f"{_plain(deployment.public_url)}/ocsp" if profile.ocsp_url else None,
        crl_url=_crl_url(deployment, order, serial),
        alternate_key=order.alternate_key,
    )
    key = _throw_away_key(issuer.suite)
    return build.encoded(build.builder(profile, facts).sign(key, issuer.suite.hash))


_LONGEST_SIGNATURE: Final = {Suite.P256: 72, Suite.P521: 139, Suite.ED448: 114}
"""Octets: of ECDSA the DER of two numbers, each as long as the field and a sign bit need."""
_MIDDLE_SERIAL: Final = SerialNumber.from_int(1 << 126)


def longest(deployment: Deployment, order: Order) -> bytes:
    """Return a certificate of the order as long as it can become; its signature is zeros."""
    tbs = linted_twin(deployment, order, _MIDDLE_SERIAL)
    return build.assemble(tbs, order.issuer.suite, bytes(_LONGEST_SIGNATURE[order.issuer.suite]))


def _crl_url(deployment: Deployment, order: Order, serial: SerialNumber) -> str | None:
    issuer = order.issuer
    if not order.profile.ocsp_url or not (issuer.crl_url or issuer.crl_shards):
        return None
    shard = shard_of(serial.as_int, issuer.crl_shards) if issuer.crl_shards else 0
    return crl_address(deployment.public_url, issuer, shard)


def crl_address(public_url: str, issuer: Issuer, shard: int) -> str:
    """Return where an issuer's CRL, or one of its shards, is published."""
    base = f"{_plain(public_url)}/crl/{issuer.published_as}"
    return f"{base}/{shard}" if shard else base


def _plain(url: str) -> str:
    """Return the address by plain HTTP: status over TLS would need status (RFC 5280 section 8)."""
    return url.replace("https://", "http://", 1)


@lru_cache(maxsize=len(Suite))
def _throw_away_key(suite: Suite) -> PrivateKey:
    return generate(suite)


def _lint_issuer(order: Order) -> lint.IssuerFacts | None:
    parent = order.issuer_certificate
    if parent is None:
        return None
    return lint.IssuerFacts(
        subject=parent.subject,
        key_id=parent.key_id,
        not_before=parent.not_before,
        not_after=parent.not_after,
        path_length=parent.basic_constraints.path_length if parent.basic_constraints else None,
        suite=order.issuer.suite,
    )


def _prove(order: Order, intent: Intent, signature: bytes) -> bytes:
    """Assemble and prove: the twin's bytes, good under the issuer's key."""
    der = build.assemble(intent.tbs, order.issuer.suite, signature)
    certificate = load(der)
    key = order.issuer_certificate.public_key if order.issuer_certificate else order.public_key
    if certificate.x509.tbs_certificate_bytes != intent.tbs or not verifies(
        key, signature, intent.tbs
    ):
        raise Unavailable(
            "signature_not_proven",
            f"The signature of {order.issuer.issuer_id} does not verify; nothing was issued.",
        )
    return der


def _commit_certificate(
    deployment: Deployment, principal: Principal, order: Order, intent: Intent, der: bytes
) -> CertificateRecord:
    now = deployment.clock.now()
    record = CertificateRecord(
        fingerprint=Fingerprint.of(der),
        issuer_id=intent.issuer_id,
        serial=intent.serial,
        der=der,
        kind=intent.kind,
        edition=intent.edition,
        suite=intent.suite,
        subject=order.subject.rfc4514_string(),
        common_name=order.common_name,
        not_before=order.not_before,
        not_after=order.not_after,
        owner=order.owner,
        spki_sha256=spki_hash(order.public_key),
        intent_id=intent.intent_id,
        issued_at=now,
    )
    with deployment.store.write() as tx:
        if intent.kind is Kind.CONTRACT:
            emaid = Emaid.parse(order.common_name, intent.edition)
            contract = contracts.attach(tx, emaid, now, principal.name)
            record = replace(record, contract_id=contract.contract_id)
        _begin_issuer(tx, order, intent, der)
        if not tx.intents.move(intent.intent_id, IntentState.SIGNING, IntentState.COMPLETED):
            raise Conflict("intent_spent", "The intent was closed while it was being signed.")
        tx.certificates.add(record)
        audit.record(
            tx,
            chain=intent.issuer_id,
            at=now,
            actor=principal.name,
            action="certificate.issue",
            subject=record.serial.value,
            details={"intent": intent.intent_id, "fingerprint": record.fingerprint.value},
        )
        if order.issuer.state is IssuerState.PENDING or order.new_issuer is not None:
            # a CA came, which decisions know by name
            tx.status.add_change(ChangeKind.TRUST, intent.issuer_id, None, now)
    return record


def _begin_issuer(tx: Transaction, order: Order, intent: Intent, der: bytes) -> None:
    """Give life to the CA that this certificate is of, where it is one's first."""
    state = IssuerState.STATUS_ONLY if order.prepared else IssuerState.ACTIVE
    if order.issuer.state is IssuerState.PENDING:
        tx.issuers.activate(intent.issuer_id, der)
        tx.issuers.set_state(intent.issuer_id, state)
    if order.new_issuer is not None:
        tx.issuers.add(replace(order.new_issuer, certificate=der, state=state))
        audit.record(  # its chain begins with it, whatever is made of it later
            tx,
            chain=order.new_issuer.issuer_id,
            at=order.new_issuer.created_at,
            actor=intent.requested_by,
            action="issuer.add",
            subject=order.new_issuer.issuer_id,
            details={"state": state.value, "serial": intent.serial.value},
        )


def chain_of(tx: Transaction, record: CertificateRecord) -> tuple[bytes, ...]:
    """Return the certificate and its issuers below the root, leaf first, as DER."""
    return (record.der, *issuer_chain(tx, record.issuer_id))


def issuer_chain(tx: Transaction, issuer_id: str) -> tuple[bytes, ...]:
    """Return the certificates of a CA and of those above it, below the root, as DER."""
    chain: list[bytes] = []
    issuer = tx.issuers.get(issuer_id)
    while issuer is not None and issuer.parent_id is not None:
        chain.append(issuer.certificate)
        issuer = tx.issuers.get(issuer.parent_id)
    return tuple(chain)


def chain_to_root(tx: Transaction, issuer: Issuer) -> tuple[bytes, ...]:
    """Return the certificates of a CA and of those above it, its root last, as DER."""
    chain, above = [issuer.certificate], issuer.parent_id
    while above is not None and (parent := tx.issuers.get(above)) is not None:
        chain.append(parent.certificate)
        above = parent.parent_id
    return tuple(chain)
