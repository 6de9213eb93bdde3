"""
Consent: requests of some kinds wait until somebody of this PKI accepts them.

The same request (kind, owner, name and key) sent again asks what became of it: it still waits, it
was rejected, or it was accepted and its certificate is made, once. Another key is another request.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from pki import access, audit, batches
from pki.errors import ConsentNeeded, NotAllowed, PolicyViolation
from pki.model import Enrolment, EnrolmentState, Principal, Role
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

LIFE: Final = dt.timedelta(days=30)
RETENTION: Final = dt.timedelta(days=90)
MOST_WAITING: Final = 1000
"""Requests of one owner that may wait."""

RETRY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    A certificate that is asked for.

    Attributes:
        spki: of the key, which names the request together with kind, owner and name.
        station: JSON of the SignCertificate that asks, else None.
        always: whatever the settings say, somebody must accept it.
    """

    kind: Kind
    owner: str
    common_name: str
    spki: bytes
    request: bytes
    station: str | None = None
    always: bool = False

    @property
    def digest(self) -> str:
        """What the same request has in common with this one."""
        told = (self.kind.value, self.owner, self.common_name, self.spki.hex())
        return sha256("\0".join(told).encode()).hexdigest()


def settle(deployment: Deployment, principal: Principal, wanted: Wanted) -> Enrolment | None:
    """
    Return None if nobody needs to consent, or the request whose consent is used up hereby.

    Raises:
        ConsentNeeded: `enrolment_waits`.
        NotAllowed: `enrolment_rejected`, with the reason.
        PolicyViolation: `queue_full`.
    """
    needed = wanted.always or deployment.enrolment.approves(wanted.owner, wanted.kind)
    if not needed or principal.role is Role.ADMIN:
        return None
    with deployment.store.write() as tx:
        known = tx.entities.enrolment_like(wanted.digest)
        if known is None or known.expires_at <= deployment.clock.now():
            _propose(deployment, tx, principal, wanted)
        elif known.state is EnrolmentState.REJECTED:
            raise NotAllowed(
                "enrolment_rejected",
                f"This request was rejected: {known.reason or 'no reason was given'}.",
                hint="A CSR with another key is a new request.",
            )
        elif known.state is EnrolmentState.ACCEPTED:
            spent = replace(known, state=EnrolmentState.ISSUED)
            if tx.entities.move_enrolment(spent, EnrolmentState.ACCEPTED):
                return spent
    raise ConsentNeeded(
        "enrolment_waits",
        "The request waits until an administrator accepts it.",
        hint="Send the same CSR again later.",
        data={"retryAfter": RETRY_SECONDS},
    )


def _propose(deployment: Deployment, tx: Transaction, principal: Principal, wanted: Wanted) -> None:
    now = deployment.clock.now()
    tx.entities.expire_enrolments(now)
    if tx.entities.count_waiting(wanted.owner) >= MOST_WAITING:
        raise PolicyViolation(
            "queue_full",
            f"{MOST_WAITING} requests of {wanted.owner or 'this client'} wait already.",
            hint="An administrator accepts or rejects them: pnc enrolment list.",
        )
    enrolment = Enrolment(
        enrolment_id=f"{_prefix(now)}{secrets.token_hex(8)}",
        kind=wanted.kind,
        owner=wanted.owner,
        common_name=wanted.common_name,
        digest=wanted.digest,
        request=wanted.request,
        requested_by=principal.name,
        state=EnrolmentState.WAITING,
        created_at=now,
        expires_at=now + LIFE,
        station=wanted.station,
    )
    if tx.entities.add_enrolment(enrolment):
        _record(tx, enrolment, principal, now, "enrolment.ask")


def _prefix(at: dt.datetime) -> str:
    return f"{int(at.timestamp()):010x}-"


def give_back(deployment: Deployment, spent: Enrolment) -> None:
    """Let a consent that led to no certificate be used again."""
    back = replace(spent, state=EnrolmentState.ACCEPTED)
    with deployment.store.write() as tx:
        tx.entities.move_enrolment(back, EnrolmentState.ISSUED)


def note(deployment: Deployment, spent: Enrolment, fingerprint: str) -> None:
    """Keep which certificate a consent led to."""
    with deployment.store.write() as tx:
        issued = replace(spent, certificate=fingerprint)
        tx.entities.move_enrolment(issued, EnrolmentState.ISSUED)


def decide(  # noqa: PLR0913 - who decides what, when and why
    tx: Transaction,
    principal: Principal,
    enrolment: Enrolment,
    state: EnrolmentState,
    at: dt.datetime,
    reason: str | None,
) -> Enrolment | None:
    """Write a decision about a request that waits; return None where it waits no more."""
    access.require(principal, access.Action.ACCEPT_ENROLMENTS)
    decided = replace(
        enrolment, state=state, decided_at=at, decided_by=principal.name, reason=reason
    )
    if not tx.entities.move_enrolment(decided, EnrolmentState.WAITING):
        return None
    _record(tx, decided, principal, at, f"enrolment.{state.value}")
    return decided


def _record(
    tx: Transaction, enrolment: Enrolment, principal: Principal, at: dt.datetime, action: str
) -> None:
    audit.note(
        tx,
        at,
        principal.name,
        action,
        enrolment.enrolment_id,
        {
            "kind": enrolment.kind.value,
            "owner": enrolment.owner,
            "commonName": enrolment.common_name,
            "reason": enrolment.reason,
        },
    )


def prune(deployment: Deployment) -> int:
    """Close requests whose time is over and forget closed ones of long ago; return how many."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        closed = tx.entities.expire_enrolments(now)
    oldest = _prefix(now - RETENTION)
    return closed + batches.each_apart(
        deployment, lambda tx, most: tx.entities.prune_enrolments(oldest, most)
    )
