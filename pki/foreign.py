"""
Status of foreign certificates: fetched ahead from configured sources, verified, kept as evidence.

A source is an address of a CRL or OCSP responder together with the CA certificate under whose key
its answers must verify. No address is ever taken from a certificate or a message.
"""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Iterator
from typing import Final

from pki import access, audit, gate, outbound
from pki.errors import BadInput, NotFound, PkiError, Unavailable
from pki.ids import quote
from pki.model import (
    CLOCK_SKEW,
    Domain,
    ForeignCrl,
    ForeignStatus,
    Principal,
    Reason,
    SeenCertificate,
    SourceKind,
    StaleRule,
    StatusSource,
)
from pki.outbound import OutboundPolicy
from pki.pkix import crl_check, ocsp_check
from pki.pkix.certificate import Certificate, load
from pki.pkix.hashes import identity, issuer_hashes
from pki.pkix.ocsp_ask import request_for
from pki.ports import Deployment, Transaction
from pki.trust import anchor_certificate

_ASKED_AT_ONCE: Final = 1000
_AGAIN: Final = dt.timedelta(hours=1)
_FORGOTTEN: Final = dt.timedelta(days=90)
_MAX_OCSP_AGE: Final = dt.timedelta(days=7)
_OCSP_HEADERS: Final = {
    "Content-Type": "application/ocsp-request",
    "Accept": "application/ocsp-response",
}


def add_source(  # noqa: PLR0913 - the columns of a source
    deployment: Deployment,
    principal: Principal,
    domain: Domain,
    kind: SourceKind,
    url: str,
    issuer: bytes,
) -> StatusSource:
    """
    Configure where the status of one foreign CA's certificates is fetched.

    Raises:
        BadInput: `invalid_address`, `unreadable`, `anchor_not_ca`, `anchor_key`.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    outbound.check_address(url)
    certificate = anchor_certificate(issuer)
    wanted = {
        "domain": domain.value,
        "kind": kind.value,
        "url": url,
        "issuer": base64.b64encode(certificate.der).decode(),
    }
    gate.enter(deployment, principal, "source.add", wanted)
    now = deployment.clock.now()
    source = StatusSource(
        source_id=f"{kind.value}-{secrets.token_hex(4)}",
        domain=domain,
        kind=kind,
        url=url,
        issuer=certificate.der,
        issuer_hash=identity(certificate),
        added_at=now,
        added_by=principal.name,
    )
    with deployment.store.write() as tx:
        tx.evidence.add_source(source)
        details = {"domain": domain.value, "url": url, "issuer": certificate.subject_text}
        audit.note(tx, now, principal.name, "source.add", source.source_id, details)
    return source


def remove_source(deployment: Deployment, principal: Principal, source_id: str) -> None:
    """Fetch from a source no more; evidence that is held grows old. Raises NotFound."""
    access.require(principal, access.Action.KEEP_TRUST)
    gate.enter(deployment, principal, "source.remove", {"source": source_id})
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        if not tx.evidence.remove_source(source_id):
            raise NotFound(
                "source_unknown",
                f"There is no source {quote(source_id)}.",
                hint="`pnc trust source list` shows them.",
            )
        audit.note(tx, now, principal.name, "source.remove", source_id)


def sources(deployment: Deployment, principal: Principal) -> list[StatusSource]:
    """Return every source with the outcome of its last fetch."""
    access.require(principal, access.Action.KEEP_TRUST)
    with deployment.store.read() as tx:
        return tx.evidence.sources()


def set_stale_rule(
    deployment: Deployment, principal: Principal, domain: Domain, rule: StaleRule
) -> None:
    """Say whether evidence past its nextUpdate still counts; by default it does not."""
    access.require(principal, access.Action.KEEP_TRUST)
    wanted = {"domain": domain.value, "stale": rule.value}
    gate.enter(deployment, principal, "trust.stale_rule", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        tx.evidence.set_stale_rule(domain, rule)
        audit.note(tx, now, principal.name, "trust.policy", domain.value, {"stale": rule.value})


def stale_rules(deployment: Deployment, principal: Principal) -> dict[Domain, StaleRule]:
    """Return the rule of every domain, the default included."""
    access.require(principal, access.Action.KEEP_TRUST)
    with deployment.store.read() as tx:
        stored = tx.evidence.stale_rules()
    return {domain: stored.get(domain, StaleRule.REFUSE) for domain in Domain}


# --- fetching --------------------------------------------------------------------------------


def fetch_due(deployment: Deployment, policy: OutboundPolicy) -> int:
    """Fetch what is missing or half through its life; return how much evidence is new."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        tx.evidence.forget(now, now - _FORGOTTEN)
    with deployment.store.read() as tx:
        found = tx.evidence.sources()
    return sum(_fetch(deployment, policy, source) for source in found)


def _fetch(deployment: Deployment, policy: OutboundPolicy, source: StatusSource) -> int:
    problem: str | None = None
    fresh = 0
    try:
        if source.kind is SourceKind.OCSP:
            fresh = _ask_responder(deployment, policy, source)
        elif _crl_is_due(deployment, source):
            fresh = _import_crl(deployment, policy, source)
        else:
            return 0
    except PkiError as error:
        problem = error.message
    with deployment.store.write() as tx:
        tx.evidence.fetched(source.source_id, deployment.clock.now(), problem)
    return fresh


def _crl_is_due(deployment: Deployment, source: StatusSource) -> bool:
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        held = tx.evidence.crl(source.issuer_hash)
    if held is None or source.fetched_at is None:
        return True
    half = held.this_update + (held.next_update - held.this_update) / 2
    return now >= half or now - source.fetched_at >= _AGAIN


def _import_crl(deployment: Deployment, policy: OutboundPolicy, source: StatusSource) -> int:
    answer = outbound.call(policy, source.url)
    store_crl(deployment, load(source.issuer), answer.body)
    return 1


def store_crl(deployment: Deployment, issuer: Certificate, data: bytes) -> ForeignCrl:
    """
    Check a foreign CRL once and keep what it says of every serial.

    Raises:
        BadInput: `crl_not_used`, with the reason; `crl_unreadable`.
    """
    with deployment.store.read() as tx:
        held = tx.evidence.crl(identity(issuer))
    kept, crl = check_crl(
        issuer, data, deployment.clock.now(), minimum_number=held.number if held else None
    )
    with deployment.store.write() as tx:
        tx.evidence.put_crl(kept, _listed(crl, kept))
    return kept


def check_crl(
    issuer: Certificate, data: bytes, now: dt.datetime, *, minimum_number: int | None = None
) -> tuple[ForeignCrl, crl_check.Crl]:
    """
    Check a CRL that is to stand for every certificate of its issuer.

    Raises:
        BadInput: `crl_not_used`, with the reason; `crl_unreadable`.
    """
    crl = crl_check.read(data)
    checked = crl_check.check(
        crl, (issuer,), at=now, minimum_number=minimum_number, skew=CLOCK_SKEW
    )
    if isinstance(checked, crl_check.CrlRefused):
        raise BadInput("crl_not_used", f"The CRL is not used: {checked.detail}.")
    if crl.names is not None or crl.only_cas or crl.only_users or crl.next_update is None:
        raise BadInput("crl_not_used", "The CRL is not used: it does not speak for all.")
    kept = ForeignCrl(
        issuer_hash=identity(issuer),
        number=crl.number,
        this_update=crl.this_update,
        next_update=crl.next_update,
    )
    return kept, crl


def _listed(crl: crl_check.Crl, kept: ForeignCrl) -> Iterator[ForeignStatus]:
    for serial, entry in crl.entries.items():
        yield ForeignStatus(
            issuer_hash=kept.issuer_hash,
            serial=f"{serial:x}",
            origin=SourceKind.CRL,
            revoked=True,
            reason=_reason(entry.reason),
            revoked_at=entry.at,
            this_update=kept.this_update,
            next_update=kept.next_update,
        )


def _reason(name: str | None) -> Reason:
    return Reason(name) if name in list(Reason) else Reason.UNSPECIFIED


def _ask_responder(deployment: Deployment, policy: OutboundPolicy, source: StatusSource) -> int:
    """Ask for every seen certificate whose answer is missing or half through its life."""
    issuer = load(source.issuer)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        seen = tx.evidence.seen(source.issuer_hash, now, _ASKED_AT_ONCE)
        due = [one for one in seen if _answer_is_due(tx, source, one, now)]
    for one in due:
        status, signer = _ask(policy, source, issuer, load(one.der), now)
        _check_signer(deployment, source, signer)
        with deployment.store.write() as tx:
            tx.evidence.put_status(status)
    return len(due)


def _answer_is_due(
    tx: Transaction, source: StatusSource, one: SeenCertificate, now: dt.datetime
) -> bool:
    serial = f"{load(one.der).serial:x}"
    for status in tx.evidence.statuses(source.issuer_hash, serial):
        half = status.this_update + (status.next_update - status.this_update) / 2
        if status.origin is SourceKind.OCSP and now < half:
            return False
    return True


def _ask(
    policy: OutboundPolicy,
    source: StatusSource,
    issuer: Certificate,
    certificate: Certificate,
    now: dt.datetime,
) -> tuple[ForeignStatus, Certificate]:
    """
    Return what a responder says of one certificate, verified, and who signed it.

    Raises:
        Unavailable: `answer_not_used`, and what `outbound.call` raises.
    """
    request = request_for("sha1", *issuer_hashes(issuer, "sha1"), certificate.serial)
    body = outbound.call(policy, source.url, body=request, headers=_OCSP_HEADERS).body
    target = ocsp_check.Target.of(certificate)
    answer = ocsp_check.check(body, target, issuer, at=now, max_age=_MAX_OCSP_AGE, skew=CLOCK_SKEW)
    usable = answer.status in (ocsp_check.OcspStatus.GOOD, ocsp_check.OcspStatus.REVOKED)
    if answer.this_update is None or answer.signer is None or not usable:
        raise Unavailable("answer_not_used", f"The OCSP answer is not used: {answer.detail}.")
    status = ForeignStatus(
        issuer_hash=source.issuer_hash,
        serial=f"{certificate.serial:x}",
        origin=SourceKind.OCSP,
        revoked=answer.status is ocsp_check.OcspStatus.REVOKED,
        reason=_reason(answer.reason) if answer.revoked_at else None,
        revoked_at=answer.revoked_at,
        this_update=answer.this_update,
        next_update=answer.next_update or answer.this_update + _MAX_OCSP_AGE,
        response=body,
    )
    return status, answer.signer


def _check_signer(deployment: Deployment, source: StatusSource, signer: Certificate) -> None:
    """
    Refuse the answer of a delegate that evidence of its issuer calls revoked (RFC 6960 4.2.2.2.1).

    Where there is no such evidence the delegate counts, with id-pkix-ocsp-nocheck or without.

    Raises:
        Unavailable: `answer_not_used`.
    """
    if identity(signer) == source.issuer_hash:
        return
    with deployment.store.read() as tx:
        known = tx.evidence.statuses(source.issuer_hash, f"{signer.serial:x}")
    if any(status.revoked for status in known):
        raise Unavailable(
            "answer_not_used", f"The OCSP answer is not used: {signer.subject_text} is revoked."
        )
