"""Revocation: from the commit on, every decision refuses it and all that lies below."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pki import access, audit, gate, lookup
from pki.errors import BadInput, Conflict
from pki.ids import SerialNumber, quote
from pki.model import (
    CertificateRecord,
    ChangeKind,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Principal,
    Reason,
    Revocation,
)
from pki.pkix.crl import shard_of
from pki.ports import Deployment, Transaction

_KEY_LOST: Final = frozenset((Reason.KEY_COMPROMISE, Reason.CA_COMPROMISE))


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationReport:
    """
    What a revocation does, or would do.

    Attributes:
        siblings: fingerprints of further certificates of the same key, revoked with it where
            the key was lost.
        issuers_below: our CAs that fall with a revoked CA, itself included.
        certificates_below: how many certificates they issued.
        key_blocked: the key is never certified again.
        from_intent: no certificate is stored; an unfinished intent with this serial is closed.
    """

    subject: str
    issuer_id: str
    revocation: Revocation
    siblings: tuple[str, ...]
    issuers_below: tuple[str, ...]
    certificates_below: int
    key_blocked: bool
    from_intent: bool
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReport:
    """What a release from hold does, or would do."""

    subject: str
    issuer_id: str
    serial: SerialNumber
    held_since: dt.datetime
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
    _let_others_agree(deployment, principal, reference, reason)
    with deployment.store.write() as tx:
        hold(tx, _concerned(tx, reference, reason))
        return _revoke(deployment, tx, principal, reference, reason, dry_run=False)


def _let_others_agree(
    deployment: Deployment, principal: Principal, reference: str, reason: Reason | None
) -> None:
    """Ask other people first where a CA of ours would fall or, without a reason, stand again."""
    with deployment.store.read() as tx:
        target = lookup.target(tx, reference)
        lost = _siblings(tx, target) if reason in _KEY_LOST else []
        fall = any(issuers_below(tx, one) for one in (target, *lost))
        access.require_owner(principal, access.Action.REVOKE, target.kind, target.owner)
    if fall:
        wanted = {
            "issuer": target.issuer_id,
            "serial": target.serial.value,
            "reference": reference,
            "reason": reason.value if reason else None,
        }
        gate.enter(deployment, principal, "ca.revoke" if reason else "ca.release", wanted)


def hold(tx: Transaction, issuer_ids: Iterable[str]) -> None:
    """
    Make everybody wait who would revoke, release or issue under these issuers.

    The audit chains in order, then the change log, as every transaction has it: one that issues
    records first, and tells the change log at its end. Who revokes several certificates in one
    transaction calls it once for all of them before the first.
    """
    for issuer_id in sorted(set(issuer_ids)):
        tx.audit.head(issuer_id)
    tx.status.take_turn()


def _concerned(tx: Transaction, reference: str, reason: Reason) -> list[str]:
    """Return the issuers of what a revocation takes with it."""
    target = lookup.target(tx, reference)
    siblings = _siblings(tx, target) if reason in _KEY_LOST else []
    return [one.issuer_id for one in (target, *siblings)]


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
    access.require_owner(principal, access.Action.REVOKE, target.kind, target.owner)
    revocation = Revocation(
        issuer_id=target.issuer_id,
        serial=target.serial,
        reason=reason,
        revoked_at=deployment.clock.now(),
        revoked_by=principal.name,
    )
    _refuse_second(tx.certificates.revocation(target.issuer_id, target.serial), revocation)
    lost = reason in _KEY_LOST and isinstance(target, CertificateRecord)
    siblings = _siblings(tx, target) if lost else []
    below = [i for t in (target, *siblings) for i in issuers_below(tx, t)]
    if not dry_run:
        for one in (target, *siblings):
            _apply(tx, one, revocation, below)
    return RevocationReport(
        subject=target.subject if isinstance(target, CertificateRecord) else target.profile,
        issuer_id=target.issuer_id,
        revocation=revocation,
        siblings=tuple(sibling.fingerprint.value for sibling in siblings),
        issuers_below=tuple(issuer.issuer_id for issuer in below),
        certificates_below=sum(tx.certificates.count(issuer.issuer_id) for issuer in below),
        key_blocked=lost,
        from_intent=isinstance(target, Intent),
        dry_run=dry_run,
    )


def _siblings(tx: Transaction, target: CertificateRecord | Intent) -> list[CertificateRecord]:
    """Return further certificates of the same key that are not finally revoked."""
    if not isinstance(target, CertificateRecord):
        return []
    others = [r for r in tx.certificates.by_key(target.spki_sha256) if r != target]
    revoked = tx.certificates.revocations([(r.issuer_id, r.serial) for r in others])
    final = {k for k, r in revoked.items() if r.reason is not Reason.CERTIFICATE_HOLD}
    return [record for record in others if (record.issuer_id, record.serial) not in final]


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


def issuers_below(tx: Transaction, target: CertificateRecord | Intent) -> list[Issuer]:
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
    cause: Revocation,
    below: list[Issuer],
) -> None:
    """Revoke one certificate for the cause that was given for all of them."""
    if tx.certificates.revocation(target.issuer_id, target.serial) is not None:
        tx.certificates.release(target.issuer_id, target.serial)  # a hold becomes final
    own = tx.issuers.get(target.issuer_id)
    revocation = replace(
        cause,
        issuer_id=target.issuer_id,
        serial=target.serial,
        not_after=target.not_after if isinstance(target, CertificateRecord) else None,
        shard=shard_of(target.serial.as_int, own.crl_shards) if own else 0,
    )
    tx.certificates.revoke(revocation)
    tx.status.drop_answers(target.issuer_id, target.serial)
    if isinstance(target, Intent):
        tx.intents.move(target.intent_id, target.state, IntentState.ABANDONED)
    elif revocation.reason in _KEY_LOST:
        why = f"{revocation.reason.value} {target.fingerprint}"
        tx.certificates.block_key(target.spki_sha256, revocation.revoked_at, why)
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
    # last, since other writers wait for the change log from here on
    at, shard = revocation.revoked_at, revocation.shard
    tx.status.add_change(ChangeKind.REVOKED, target.issuer_id, target.serial, at, shard=shard)


def within(
    tx: Transaction, record: CertificateRecord, reason: Reason, at: dt.datetime, by: str
) -> bool:
    """
    Revoke a leaf inside the caller's transaction; False where it is revoked for good already.

    Call it last: other writers of statuses wait from here on until the transaction ends. For
    several, call `hold` with the issuers of all of them before.
    """
    hold(tx, [record.issuer_id])
    earlier = tx.certificates.revocation(record.issuer_id, record.serial)
    if earlier is not None and (
        earlier.reason is not Reason.CERTIFICATE_HOLD or reason is Reason.CERTIFICATE_HOLD
    ):
        return False
    revocation = Revocation(
        issuer_id=record.issuer_id,
        serial=record.serial,
        reason=reason,
        revoked_at=at,
        revoked_by=by,
    )
    _apply(tx, record, revocation, [])
    return True


def release_within(tx: Transaction, record: CertificateRecord, at: dt.datetime, by: str) -> bool:
    """Release a leaf from hold inside the caller's transaction; False where it is not held."""
    hold(tx, [record.issuer_id])
    held = tx.certificates.revocation(record.issuer_id, record.serial)
    if held is None or held.reason is not Reason.CERTIFICATE_HOLD:
        return False
    _let_go(tx, record, held, at, by)
    return True


def _let_go(
    tx: Transaction,
    target: CertificateRecord | Intent,
    held: Revocation,
    at: dt.datetime,
    by: str,
) -> None:
    tx.certificates.release(target.issuer_id, target.serial)
    tx.status.drop_answers(target.issuer_id, target.serial)
    audit.record(
        tx,
        chain=target.issuer_id,
        at=at,
        actor=by,
        action="certificate.release",
        subject=target.serial.value,
        details={},
    )
    kind = ChangeKind.RELEASED
    tx.status.add_change(kind, target.issuer_id, target.serial, at, shard=held.shard)


def release(
    deployment: Deployment, principal: Principal, reference: str, *, dry_run: bool = False
) -> ReleaseReport:
    """
    Release a certificate from hold; its status is good again.

    Raises:
        NotAllowed: `party_not_allowed`.
        NotFound: `certificate_unknown`.
        Conflict: `serial_ambiguous`, `not_on_hold`.
    """
    access.require(principal, access.Action.REVOKE)
    if dry_run:
        with deployment.store.read() as tx:
            return _release(deployment, tx, principal, reference, dry_run=True)
    _let_others_agree(deployment, principal, reference, None)
    with deployment.store.write() as tx:
        hold(tx, [lookup.target(tx, reference).issuer_id])
        return _release(deployment, tx, principal, reference, dry_run=False)


def _release(
    deployment: Deployment, tx: Transaction, principal: Principal, reference: str, *, dry_run: bool
) -> ReleaseReport:
    target = lookup.target(tx, reference)
    access.require_owner(principal, access.Action.REVOKE, target.kind, target.owner)
    held = tx.certificates.revocation(target.issuer_id, target.serial)
    if held is None or held.reason is not Reason.CERTIFICATE_HOLD:
        raise Conflict("not_on_hold", f"Serial {target.serial} is not on hold.")
    if not dry_run:
        _let_go(tx, target, held, deployment.clock.now(), principal.name)
    return ReleaseReport(
        subject=target.subject if isinstance(target, CertificateRecord) else target.profile,
        issuer_id=target.issuer_id,
        serial=target.serial,
        held_since=held.revoked_at,
        dry_run=dry_run,
    )
