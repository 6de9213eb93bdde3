"""Revocation: from the commit on, every decision refuses it and all that lies below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pki import access, audit, lookup
from pki.errors import BadInput, Conflict
from pki.ids import quote
from pki.model import (
    CertificateRecord,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Principal,
    Reason,
    Revocation,
)
from pki.ports import Deployment, Transaction

_KEY_LOST: Final = frozenset((Reason.KEY_COMPROMISE, Reason.CA_COMPROMISE))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationReport:
    """
    What a revocation does, or would do.

    Attributes:
        issuers_below: names of our CAs that fall with a revoked CA, itself included.
        certificates_below: how many certificates they issued.
        key_blocked: the key is never certified again.
        from_intent: no certificate is stored; an unfinished intent with this serial is closed.
    """

    subject: str
    issuer_id: str
    revocation: Revocation
    issuers_below: tuple[str, ...]
    certificates_below: int
    key_blocked: bool
    from_intent: bool
    dry_run: bool


def parse_reason(text: str) -> Reason:
    """Read a reason as RFC 5280 spells it, in any case. Raises BadInput (`invalid_reason`)."""
    for reason in Reason:
        if text.lower() == reason.value.lower():
            return reason
    raise BadInput(
        "invalid_reason",
        f"{quote(text)} is no reason for a revocation.",
        hint="One of: " + ", ".join(reason.value for reason in Reason) + ".",
    )


def revoke(
    deployment: Deployment,
    principal: Principal,
    reference: str,
    reason: Reason,
    *,
    dry_run: bool = False,
) -> RevocationReport:
    """
    Revoke the certificate with this serial or fingerprint.

    Raises:
        NotAllowed: `party_not_allowed`: a subscriber may revoke its own only.
        NotFound: `certificate_unknown`.
        Conflict: `serial_ambiguous`, `already_revoked`.
    """
    access.require(principal, access.Action.REVOKE)
    if dry_run:
        with deployment.store.read() as tx:
            return _revoke(deployment, tx, principal, reference, reason, dry_run=True)
    with deployment.store.write() as tx:
        return _revoke(deployment, tx, principal, reference, reason, dry_run=False)


def _revoke(  # noqa: PLR0913 - one call for both modes, so that the preview cannot differ
    deployment: Deployment,
    tx: Transaction,
    principal: Principal,
    reference: str,
    reason: Reason,
    *,
    dry_run: bool,
) -> RevocationReport:
    target = lookup.target(tx, reference)
    access.require(principal, access.Action.REVOKE, target.owner or "the operator of this PKI")
    revocation = Revocation(
        issuer_id=target.issuer_id,
        serial=target.serial,
        reason=reason,
        revoked_at=deployment.clock.now(),
        revoked_by=principal.name,
    )
    earlier = tx.certificates.revocation(target.issuer_id, target.serial)
    _refuse_second(earlier, revocation)
    below = _issuers_below(tx, target)
    block = reason in _KEY_LOST and isinstance(target, CertificateRecord)
    if not dry_run:
        if earlier is not None:
            tx.certificates.release(target.issuer_id, target.serial)
        _apply(tx, target, revocation, below)
    return RevocationReport(
        subject=target.subject if isinstance(target, CertificateRecord) else target.profile,
        issuer_id=target.issuer_id,
        revocation=revocation,
        issuers_below=tuple(issuer.issuer_id for issuer in below),
        certificates_below=sum(tx.certificates.count(issuer.issuer_id) for issuer in below),
        key_blocked=block,
        from_intent=isinstance(target, Intent),
        dry_run=dry_run,
    )


def _refuse_second(earlier: Revocation | None, wanted: Revocation) -> None:
    """A hold may become final; nothing else is revoked twice."""
    if earlier is None:
        return
    if earlier.reason is Reason.CERTIFICATE_HOLD and wanted.reason is not earlier.reason:
        return
    raise Conflict(
        "already_revoked",
        f"Serial {wanted.serial} was revoked at {earlier.revoked_at:%Y-%m-%dT%H:%M:%SZ} "
        f"({earlier.reason.value}).",
    )


def _issuers_below(tx: Transaction, target: CertificateRecord | Intent) -> list[Issuer]:
    """Return the CA that the certificate belongs to and every CA under it."""
    if not isinstance(target, CertificateRecord):
        return []
    issuers = tx.issuers.all()
    found = [issuer for issuer in issuers if issuer.certificate == target.der]
    for parent in found:  # grows while it runs: the tree below, breadth first
        found.extend(i for i in issuers if i.parent_id == parent.issuer_id and i not in found)
    return found


def _apply(
    tx: Transaction,
    target: CertificateRecord | Intent,
    revocation: Revocation,
    below: list[Issuer],
) -> None:
    tx.certificates.revoke(revocation)
    if isinstance(target, Intent):
        tx.intents.move(target.intent_id, target.state, IntentState.ABANDONED)
    elif revocation.reason in _KEY_LOST:
        tx.certificates.block_key(
            target.spki_sha256, revocation.revoked_at, f"{revocation.reason} {target.fingerprint}"
        )
    for issuer in below:
        if issuer.state is IssuerState.ACTIVE:
            tx.issuers.set_state(issuer.issuer_id, IssuerState.STATUS_ONLY)
    audit.record(
        tx,
        chain=revocation.issuer_id,
        at=revocation.revoked_at,
        actor=revocation.revoked_by,
        action="certificate.revoke",
        subject=revocation.serial.value,
        details={
            "reason": revocation.reason.value,
            "issuersBelow": [issuer.issuer_id for issuer in below],
        },
    )


__all__ = ["RevocationReport", "parse_reason", "revoke"]
