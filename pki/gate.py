"""
Two people: acts of consequence are only proposed until others approved exactly those bytes.

Each such verb calls `enter` with its name and its arguments before it changes anything. Where
nobody else must agree, `enter` returns. Else it stores the canonical JSON of both as a proposal and
raises ApprovalNeeded; `pki.approve` later calls the verb again in the proposer's name, and `enter`
lets it pass only if its arguments make the very bytes that were approved (I9).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from pki import audit
from pki.clock import format_time
from pki.errors import ApprovalNeeded, BadInput, Conflict, JsonValue, NotAllowed
from pki.model import ApprovalPolicy, Principal, Proposal, ProposalState, Role
from pki.ports import Deployment, Transaction

SHELL: Final = "cli:"
"""Begins the name of whoever holds the home directory and does not say who it is."""

BEGUN: Final = "two_people_since"
"""Setting of the store: when there were enough people, from which moment nobody acts alone."""

MAX_ACT: Final = 256 * 1024
MAX_PENDING: Final = 200


def enter(
    deployment: Deployment, principal: Principal, verb: str, arguments: Mapping[str, Any]
) -> None:
    """
    Return if this act may be done now; else propose it.

    Args:
        arguments: everything that decides what will be done, JSON-ready, files included.

    Raises:
        ApprovalNeeded: `approval_needed`: it is proposed; others must approve.
        NotAllowed: `person_needed`, `not_what_was_approved`.
        Conflict: `too_many_proposals`. BadInput: `act_too_large`.
    """
    if deployment.approvals.required == 0:
        return
    act = canonical(verb, arguments)
    if principal.proposal is not None:
        _require_approved(deployment, principal.proposal, act)
        return
    with deployment.store.write() as tx:
        if principal.name.startswith(SHELL) and not begun(tx, deployment.approvals):
            return
        require_person(tx, principal)
        proposal = _pending(tx, act, deployment.clock.now()) or _propose(
            deployment, tx, principal, act
        )
    raise needed(proposal)


def canonical(verb: str, arguments: Mapping[str, Any]) -> str:
    """Return the bytes of an act, as ASCII: the same act has the same bytes everywhere."""
    return json.dumps(
        {"arguments": dict(arguments), "verb": verb}, sort_keys=True, separators=(",", ":")
    )


def digest(act: str) -> bytes:
    """Return the SHA-256 that approvals are given over."""
    return hashlib.sha256(act.encode()).digest()


def begun(tx: Transaction, policy: ApprovalPolicy) -> bool:
    """
    Tell whether there are, or once were, enough people for nobody to act alone.

    Until then whoever holds the home directory acts alone, or the first CAs and the first
    administrators could never be made.
    """
    return tx.setting(BEGUN) is not None or len(people(tx)) > policy.required


def alone(deployment: Deployment) -> bool:
    """Tell whether whoever holds the home directory acts alone, until there are enough people."""
    if not deployment.approvals.required:
        return True
    with deployment.store.read() as tx:
        return not begun(tx, deployment.approvals)


def people(tx: Transaction) -> set[str]:
    """Return those who may propose and approve: the enabled clients of role ADMIN."""
    return {c.client_id for c in tx.clients.all() if c.role is Role.ADMIN and not c.disabled_at}


def needed(proposal: Proposal) -> ApprovalNeeded:
    """Return the error that tells of a proposal."""
    return ApprovalNeeded(
        "approval_needed",
        f"Proposed as {proposal.proposal_id}; {proposal.required} other people must approve it.",
        hint=f"They look with `pnc approve show {proposal.proposal_id}` and accept or reject.",
        data={
            "proposalId": proposal.proposal_id,
            "sha256": proposal.sha256.hex(),
            "required": proposal.required,
            "expiresAt": format_time(proposal.expires_at),
        },
    )


def _require_approved(deployment: Deployment, proposal_id: str, act: str) -> None:
    with deployment.store.read() as tx:
        proposal = tx.proposals.get(proposal_id)
    same = proposal is not None and digest(act) == proposal.sha256 == digest(proposal.act)
    if proposal is None or not same or proposal.state is not ProposalState.RUNNING:
        raise NotAllowed(
            "not_what_was_approved", "These are not the bytes that were approved, or not now."
        )


def _pending(tx: Transaction, act: str, now: dt.datetime) -> Proposal | None:
    """Return the proposal of the same act that still waits, so that nobody approves twice."""
    wanted = digest(act)
    waiting = tx.proposals.waiting(MAX_PENDING)
    same = next((p for p in waiting if p.sha256 == wanted and p.expires_at > now), None)
    if same is None and len(waiting) >= MAX_PENDING:
        raise Conflict(
            "too_many_proposals",
            f"{MAX_PENDING} proposals wait.",
            hint="`pnc approve list` shows them; reject what nobody wants.",
        )
    return same


def require_person(tx: Transaction, principal: Principal) -> None:
    """Return if the caller is one of `people`. Raises NotAllowed (`person_needed`)."""
    if principal.name not in people(tx):
        raise NotAllowed(
            "person_needed",
            "This needs a named administrator.",
            hint="Say who you are: `pnc --token-file FILE …` with the token of a client of role "
            "admin.",
        )


def _propose(deployment: Deployment, tx: Transaction, principal: Principal, act: str) -> Proposal:
    if len(act) > MAX_ACT:
        raise BadInput("act_too_large", f"The act has more than {MAX_ACT} octets.")
    now = deployment.clock.now()
    proposal_id = f"{now:%Y%m%d%H%M%S}-{secrets.token_hex(4)}"
    required = deployment.approvals.required
    expires_at = now + deployment.approvals.lifetime
    details: dict[str, JsonValue] = {
        "verb": str(json.loads(act)["verb"]),
        "sha256": digest(act).hex(),
        "required": required,
        "expiresAt": format_time(expires_at),
    }
    entry = audit.note(tx, now, principal.name, "proposal.add", proposal_id, details)
    proposal = Proposal(
        proposal_id=proposal_id,
        act=act,
        sha256=digest(act),
        proposed_by=principal.name,
        proposed_at=now,
        expires_at=expires_at,
        required=required,
        sequence=entry.sequence,
    )
    tx.proposals.add(proposal)
    return proposal
