"""
The confirmation of a restored installation: from then on it signs again.

Serials are random and come never twice; numbers of CRLs would, so they jump. What was published
before the backup is published anew, since it may have been overtaken by what the backup lacks.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from typing import Final

from pki import access, audit
from pki.backup import checks
from pki.backup.checks import Check
from pki.backup.values import Contents, contents_of
from pki.clock import parse_time
from pki.errors import BadInput, Conflict, PolicyViolation
from pki.model import RESTORED, CrlIntent, IntentState, Issuer, IssuerState, Principal
from pki.pkix.certificate import load
from pki.ports import Deployment, Transaction
from pki.status import StatusPolicy, crls

JUMP: Final = 1_000_000
"""Numbers of CRLs that are left out, besides one for every second since the backup."""
HEAD: Final = 16
"""Hexadecimal digits of the head of the admin chain that whoever confirms repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """
    What is confirmed, or would be.

    Attributes:
        head: begin of the hash that the admin chain ended with.
        crls: published anew.
    """

    backup_at: dt.datetime
    restored_at: dt.datetime
    contents: Contents
    checks: tuple[Check, ...]
    head: str
    crls: int
    dry_run: bool


def confirm(
    deployment: Deployment,
    principal: Principal,
    policy: StatusPolicy,
    *,
    head: str | None = None,
) -> Confirmation:
    """
    Let a restored installation sign again; without `head` only show what would be confirmed.

    Args:
        head: the first digits of the head of the admin chain, as proof that somebody compared it
            with what was noted elsewhere.

    Raises:
        Conflict: `not_restored`.
        BadInput: `head_not_confirmed`.
        PolicyViolation: `restore_broken`: a check failed.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    found = checks.run(deployment)
    with deployment.store.read() as tx:
        mark = _mark(tx)
        contents = contents_of(tx)
    shown = contents.heads.get(audit.ADMIN, (0, ""))[1][:HEAD]
    made = 0
    if head is not None:
        _refuse(found, shown, head)
        _apply(deployment, principal, mark["backupAt"], shown)
        made = _publish(deployment, principal, policy)
    return Confirmation(
        backup_at=parse_time(mark["backupAt"]),
        restored_at=parse_time(mark["restoredAt"]),
        contents=contents,
        checks=tuple(found),
        head=shown,
        crls=made,
        dry_run=head is None,
    )


def _mark(tx: Transaction) -> dict[str, str]:
    text = tx.setting(RESTORED)
    if not text:
        raise Conflict("not_restored", "No restored backup waits for a confirmation here.")
    found: dict[str, str] = json.loads(text)
    return found


def _refuse(found: list[Check], shown: str, head: str) -> None:
    broken = [f"{check.name}: {check.problem}" for check in found if check.problem]
    if broken:
        raise PolicyViolation(
            "restore_broken",
            "The restored installation does not hold: " + "; ".join(broken) + ".",
            hint="Restore another backup.",
            data={"problems": broken},
        )
    if head.lower() != shown:
        raise BadInput(
            "head_not_confirmed",
            f"The admin chain ends with {shown}…, not with what was given.",
            hint="Compare it with the head that was noted outside, then repeat its first "
            f"{HEAD} digits.",
        )


def _apply(deployment: Deployment, principal: Principal, backup_at: str, head: str) -> None:
    now = deployment.clock.now()
    lost = max(0, int((now - parse_time(backup_at)).total_seconds()))
    with deployment.store.write() as tx:
        _mark(tx)  # somebody else may have been faster
        for issuer in tx.issuers.all():
            if issuer.certificate:
                _jump(tx, issuer.issuer_id, JUMP + lost, now)
        audit.note(tx, now, principal.name, "restore.confirm", head, {"backupAt": backup_at})
        tx.status.drop_every_answer()
        tx.put_setting(RESTORED, "")


def _jump(tx: Transaction, issuer_id: str, by: int, now: dt.datetime) -> None:
    """Take a number far above the last one, for a CRL that is never made."""
    tx.status.add_crl_intent(
        CrlIntent(
            intent_id=secrets.token_hex(12),
            issuer_id=issuer_id,
            shard=0,
            number=tx.status.crl_number(issuer_id) + by,
            tbs_sha256=bytes(32),
            state=IntentState.ABANDONED,
            created_at=now,
        )
    )


def _publish(deployment: Deployment, principal: Principal, policy: StatusPolicy) -> int:
    """Publish every CRL anew that was published before; what is missing the job makes."""
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        before = [
            (issuer, shard)
            for issuer in tx.issuers.all()
            for shard in range(issuer.crl_shards + 1)
            if _signs(issuer, now) and tx.status.crl(issuer.issuer_id, shard) is not None
        ]
    for issuer, shard in before:
        crls.publish(deployment, principal, issuer, shard, policy)
    return len(before)


def _signs(issuer: Issuer, now: dt.datetime) -> bool:
    return (
        issuer.state in _SIGNING and not issuer.offline and load(issuer.certificate).not_after > now
    )


_SIGNING: Final = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))
