"""
Proposals: looked at, accepted, rejected, and carried out once by the last approval.

Approvals are given over the SHA-256 of the act's bytes, by people other than the proposer. Before
an act is carried out, its row, its approvals and the audit entries of both are held against each
other, so that a row that somebody changed is refused.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pki import access, audit, ceremony, clients, emergency, foreign, gate, hierarchy, rotate, trust
from pki.clock import format_time
from pki.errors import Conflict, NotAllowed, NotFound, PkiError
from pki.hierarchy import IssuerPlan
from pki.ids import Fingerprint, quote
from pki.model import (
    Approval,
    Domain,
    Principal,
    Proposal,
    ProposalState,
    Role,
    SourceKind,
    StaleRule,
    StatusRule,
    TrustList,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Deployment, Transaction
from pki.provision import rcp
from pki.revoke import parse_reason, release, revoke
from pki.status import StatusPolicy

_EXPIRED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A proposal with who approved it."""

    proposal: Proposal
    approvals: tuple[Approval, ...]


def proposals(
    deployment: Deployment,
    principal: Principal,
    *,
    state: ProposalState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[Shown]:
    """Return a page of proposals, newest first, beginning behind `before`."""
    access.require(principal, access.Action.READ_PROPOSALS)
    with deployment.store.read() as tx:
        return [_shown(tx, p) for p in tx.proposals.page(state=state, before=before, limit=limit)]


def proposal(deployment: Deployment, principal: Principal, proposal_id: str) -> Shown:
    """Return one proposal. Raises NotFound (`proposal_unknown`)."""
    access.require(principal, access.Action.READ_PROPOSALS)
    with deployment.store.read() as tx:
        return _shown(tx, _get(tx, proposal_id))


def accept(deployment: Deployment, principal: Principal, proposal_id: str, sha256: bytes) -> Shown:
    """
    Approve the act with this SHA-256; the last approval that is needed carries it out.

    Raises:
        NotAllowed: `person_needed`, `own_proposal`.
        Conflict: `proposal_ended`, `already_approved`, `not_what_was_proposed`,
            `proposal_tampered`.
        PkiError: what the act raises, when it is carried out.
    """
    access.require(principal, access.Action.APPROVE)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        audit.hold(tx, audit.ADMIN)
        found = _open(deployment, tx, proposal_id)
        _require_other_person(tx, principal, found)
        if not hmac.compare_digest(found.sha256, sha256):
            raise Conflict(
                "not_what_was_proposed",
                "The proposal has another SHA-256 than the one that was given.",
                hint=f"Look again: `pnc approve show {found.proposal_id}`.",
            )
        last = _missing(deployment, tx, found) == 1
        details = {"sha256": sha256.hex()}
        entry = audit.note(tx, now, principal.name, "proposal.accept", found.proposal_id, details)
        approval = Approval(
            proposal_id=found.proposal_id,
            person=principal.name,
            sha256=sha256,
            approved_at=now,
            sequence=entry.sequence,
        )
        if not tx.proposals.approve(approval):
            raise Conflict("already_approved", "You approved this proposal before.")
    if last:  # the approval that completes it, so that of two at once one carries it out
        return _carry_out(deployment, principal, proposal_id)
    return proposal(deployment, principal, proposal_id)


def reject(deployment: Deployment, principal: Principal, proposal_id: str) -> Shown:
    """End a proposal; one rejection does. Whoever proposed it may withdraw it so."""
    access.require(principal, access.Action.APPROVE)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        audit.hold(tx, audit.ADMIN)
        found = _open(deployment, tx, proposal_id)
        gate.require_person(tx, principal)
        tx.proposals.move(proposal_id, found.state, ProposalState.REJECTED, at=now)
        details = {"sha256": found.sha256.hex()}
        audit.note(tx, now, principal.name, "proposal.reject", proposal_id, details)
    return proposal(deployment, principal, proposal_id)


def run(deployment: Deployment, principal: Principal, proposal_id: str) -> Shown:
    """
    Carry out a proposal that enough people approved, if the last approval did not.

    Raises:
        Conflict: `approvals_missing`, `proposal_ended`, `proposal_tampered`.
        NotAllowed: `person_needed`.
    """
    access.require(principal, access.Action.APPROVE)
    with deployment.store.read() as tx:
        gate.require_person(tx, principal)
    return _carry_out(deployment, principal, proposal_id)


def expire(deployment: Deployment) -> int:
    """End proposals that nobody approved in time; return how many."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        audit.hold(tx, audit.ADMIN)
        waiting = tx.proposals.waiting(_EXPIRED_AT_ONCE)
        ended = [found for found in waiting if found.expires_at <= now]
        for found in ended:
            tx.proposals.move(
                found.proposal_id, ProposalState.PENDING, ProposalState.EXPIRED, at=now
            )
            audit.note(tx, now, "job:approvals", "proposal.expire", found.proposal_id)
    return len(ended)


# --- carrying out --------------------------------------------------------------------------------


def _carry_out(deployment: Deployment, principal: Principal, proposal_id: str) -> Shown:
    """Carry out once: who moves the proposal to `running` does it, nobody else ever again."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        audit.hold(tx, audit.ADMIN)
        found = _open(deployment, tx, proposal_id)
        missing = _missing(deployment, tx, found)
        if missing:
            raise Conflict("approvals_missing", f"{missing} more people must approve this.")
        tx.proposals.move(proposal_id, ProposalState.PENDING, ProposalState.RUNNING)
        details = {"sha256": found.sha256.hex()}
        audit.note(tx, now, principal.name, "proposal.execute", proposal_id, details)
    proposer = Principal(name=found.proposed_by, role=Role.ADMIN, proposal=proposal_id)
    try:
        _act(deployment, proposer, found.act)
    except PkiError as error:
        _end(deployment, found, ProposalState.FAILED, error.code)
        raise
    _end(deployment, found, ProposalState.DONE, None)
    return proposal(deployment, principal, proposal_id)


def _end(
    deployment: Deployment, found: Proposal, state: ProposalState, outcome: str | None
) -> None:
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        tx.proposals.move(found.proposal_id, ProposalState.RUNNING, state, at=now, outcome=outcome)
        audit.note(
            tx, now, found.proposed_by, "proposal.end", found.proposal_id, {"outcome": outcome}
        )


def _act(deployment: Deployment, proposer: Principal, act: str) -> None:
    document = json.loads(act)
    _ACTS[document["verb"]](deployment, proposer, document["arguments"])


Arguments = Mapping[str, Any]


def _create_hierarchy(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    plans = [
        IssuerPlan(**plan | {"kind": Kind(plan["kind"]), "suite": Suite(plan["suite"])})
        for plan in given["plans"]
    ]
    hierarchy.create(deployment, proposer, plans)


def _revoke_ca(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    revoke(deployment, proposer, given["reference"], parse_reason(given["reason"]))


def _add_client(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    wanted = clients.new(
        Role(given["role"]),
        tuple(given["parties"]),
        bytes.fromhex(given["token_hash"]),
        client_id=given["client_id"],
        name=given["name"],
        pki=given["pki"],
    )
    clients.register(deployment, proposer, wanted)


def _remove_anchor(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    domain = Domain(given["domain"]) if given["domain"] else None
    trust.remove(deployment, proposer, Fingerprint.parse(given["fingerprint"]), domain)


def _add_source(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    foreign.add_source(
        deployment,
        proposer,
        Domain(given["domain"]),
        SourceKind(given["kind"]),
        given["url"],
        _octets(given["issuer"]),
    )


def _add_root(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    der = _octets(given["certificate"])
    rcp.add(
        deployment,
        proposer,
        der,
        Domain(given["domain"]),
        confirm=Fingerprint.of(der).value,
        trust_lists=tuple(map(TrustList, given["trustLists"])),
    )


def _list_root(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    lists = tuple(map(TrustList, given["trustLists"]))
    rcp.set_trust_lists(deployment, proposer, given["root"], lists, confirm=given["confirm"])


def _add_cross(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    der = _octets(given["certificate"])
    rcp.add_cross_certificate(deployment, proposer, der, confirm=Fingerprint.of(der).value)


def _remove_cross(deployment: Deployment, proposer: Principal, given: Arguments) -> None:
    fingerprint = Fingerprint.parse(given["fingerprint"])
    rcp.remove_cross_certificate(deployment, proposer, fingerprint, confirm=given["fingerprint"])


def _octets(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_ACTS: Final[Mapping[str, Callable[[Deployment, Principal, Arguments], object]]] = {
    "hierarchy.create": _create_hierarchy,
    "ca.revoke": _revoke_ca,
    "ca.release": lambda d, p, given: release(d, p, given["reference"]),
    "rotate.prepare": lambda d, p, given: rotate.prepare(d, p, given["name"]),
    "rotate.switch": lambda d, p, given: rotate.switch(d, p, given["name"]),
    "rotate.abandon": lambda d, p, given: rotate.retire(d, p, given["issuer"], abandon=True),
    "client.add": _add_client,
    "client.remove": lambda d, p, given: clients.disable(d, p, given["client"]),
    "trust.add": lambda d, p, given: trust.add(
        d, p, _octets(given["certificate"]), Domain(given["domain"])
    ),
    "trust.remove": _remove_anchor,
    "trust.status_rule": lambda d, p, given: trust.set_rule(
        d, p, Domain(given["domain"]), StatusRule(given["status"])
    ),
    "trust.stale_rule": lambda d, p, given: foreign.set_stale_rule(
        d, p, Domain(given["domain"]), StaleRule(given["stale"])
    ),
    "source.add": _add_source,
    "source.remove": lambda d, p, given: foreign.remove_source(d, p, given["source"]),
    "root.add": _add_root,
    "root.remove": lambda d, p, given: rcp.remove(d, p, given["root"], confirm=given["confirm"]),
    "root.lists": _list_root,
    "root.cross.add": _add_cross,
    "root.cross.remove": _remove_cross,
    "ceremony.run": lambda d, p, given: ceremony.run(d, p, given["file"]),
    "ceremony.sign": lambda d, p, given: ceremony.answer(d, p, StatusPolicy(), given["file"]),
    "ceremony.accept": lambda d, p, given: ceremony.accept(d, p, given["file"]),
    "emergency.replace": lambda d, p, given: emergency.replace_cas(d, p, given["fingerprint"]),
}
"""Every verb that calls `gate.enter`, from its arguments; a test holds both lists together."""


# --- judging -------------------------------------------------------------------------------------


def _get(tx: Transaction, proposal_id: str) -> Proposal:
    found = tx.proposals.get(proposal_id)
    if found is None:
        raise NotFound(
            "proposal_unknown",
            f"There is no proposal {quote(proposal_id)}.",
            hint="`pnc approve list` shows them.",
        )
    return found


def _shown(tx: Transaction, found: Proposal) -> Shown:
    return Shown(proposal=found, approvals=tuple(tx.proposals.approvals(found.proposal_id)))


def _open(deployment: Deployment, tx: Transaction, proposal_id: str) -> Proposal:
    """Return a proposal that waits and is what it was when it was proposed."""
    found = _get(tx, proposal_id)
    expired = found.expires_at <= deployment.clock.now()
    if found.state is not ProposalState.PENDING or expired:
        state = "expired" if found.state is ProposalState.PENDING else found.state.value
        raise Conflict("proposal_ended", f"The proposal is {state}.")
    told = {
        "sha256": found.sha256.hex(),
        "required": found.required,
        "expiresAt": format_time(found.expires_at),
    }
    same = gate.digest(found.act) == found.sha256
    if not same or not _told(
        tx, found.sequence, found.proposed_by, "proposal.add", found.proposal_id, told
    ):
        raise _tampered()
    return found


def _missing(deployment: Deployment, tx: Transaction, found: Proposal) -> int:
    """Return how many more people must approve; refuse approvals that the audit does not know."""
    people = gate.people(tx) - {found.proposed_by}
    counted = 0
    for approval in tx.proposals.approvals(found.proposal_id):
        told = {"sha256": found.sha256.hex()}
        if approval.sha256 != found.sha256 or not _told(
            tx, approval.sequence, approval.person, "proposal.accept", found.proposal_id, told
        ):
            raise _tampered()
        counted += approval.person in people
    return max(0, max(found.required, deployment.approvals.required) - counted)


def _told(  # noqa: PLR0913 - what an entry says
    tx: Transaction, sequence: int, actor: str, action: str, subject: str, told: Arguments
) -> bool:
    """Tell whether the chain of administration has such an entry, unchanged."""
    entry = tx.audit.entry(audit.ADMIN, sequence)
    if entry is None or not audit.sealed(entry):
        return False
    details = json.loads(entry.details)
    return (entry.actor, entry.action, entry.subject) == (actor, action, subject) and all(
        details.get(name) == value for name, value in told.items()
    )


def _tampered() -> Conflict:
    return Conflict(
        "proposal_tampered",
        "The proposal or its approvals are not what the audit chain tells of.",
        hint="Run `pnc audit verify`, and propose anew.",
    )


def _require_other_person(tx: Transaction, principal: Principal, found: Proposal) -> None:
    gate.require_person(tx, principal)
    if principal.name == found.proposed_by:
        raise NotAllowed("own_proposal", "Whoever proposed it cannot approve it.")
