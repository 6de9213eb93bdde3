"""Proposals and approvals: a few rows, of which only the state ever changes."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update

from pki.errors import Conflict
from pki.model import Approval, Proposal, ProposalState
from pki.store.schema_approvals import approvals, proposals
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(proposals)
_GET: Final = select(proposals).where(proposals.c.proposal_id == bindparam("proposal_id"))
_NEWEST: Final = select(proposals).order_by(proposals.c.proposal_id.desc())
_WAITING: Final = (
    select(proposals)
    .where(proposals.c.state == ProposalState.PENDING)
    .order_by(proposals.c.expires_at)
    .limit(bindparam("limit"))
)
_MOVE: Final = (
    update(proposals)
    .where(proposals.c.proposal_id == bindparam("the_id"), proposals.c.state == bindparam("before"))
    .values(state=bindparam("after"), ended_at=bindparam("at"), outcome=bindparam("code"))
)
_APPROVE: Final = Upsert.new(approvals)
_APPROVALS: Final = (
    select(approvals)
    .where(approvals.c.proposal_id == bindparam("proposal_id"))
    .order_by(approvals.c.sequence)
)


class ProposalRows:
    """The tables of two-person control; see `pki.ports.Proposals`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, proposal: Proposal) -> None:
        """Store a proposal. Raises Conflict (`proposal_exists`)."""
        row = {
            "proposal_id": proposal.proposal_id,
            "act": proposal.act,
            "sha256": proposal.sha256,
            "proposed_by": proposal.proposed_by,
            "proposed_at": proposal.proposed_at,
            "expires_at": proposal.expires_at,
            "required": proposal.required,
            "sequence": proposal.sequence,
            "state": proposal.state,
            "ended_at": proposal.ended_at,
            "outcome": proposal.outcome,
        }
        if not self._session.put(_ADD, row):
            raise Conflict("proposal_exists", "There is a proposal of that id already.")

    def get(self, proposal_id: str) -> Proposal | None:
        """Return a proposal, or None."""
        row = self._session.first(_GET, {"proposal_id": proposal_id})
        return _proposal(row) if row else None

    def page(
        self, *, state: ProposalState | None = None, before: str | None = None, limit: int = 100
    ) -> list[Proposal]:
        """Return a page, newest first, beginning behind `before`."""
        query = _NEWEST.limit(limit)
        if state is not None:
            query = query.where(proposals.c.state == state)
        if before is not None:
            query = query.where(proposals.c.proposal_id < before)
        return [_proposal(row) for row in self._session.rows(query)]

    def waiting(self, limit: int) -> list[Proposal]:
        """Return pending proposals, those that end first at the head."""
        return [_proposal(row) for row in self._session.rows(_WAITING, {"limit": limit})]

    def move(
        self,
        proposal_id: str,
        before: ProposalState,
        after: ProposalState,
        *,
        at: dt.datetime | None = None,
        outcome: str | None = None,
    ) -> bool:
        """Change the state only if it is `before`; tell whether it was."""
        step = {"the_id": proposal_id, "before": before, "after": after, "at": at, "code": outcome}
        return self._session.change(_MOVE, step) > 0

    def approve(self, approval: Approval) -> bool:
        """Store an approval; False where this person approved before."""
        row = {
            "proposal_id": approval.proposal_id,
            "person": approval.person,
            "sha256": approval.sha256,
            "approved_at": approval.approved_at,
            "sequence": approval.sequence,
        }
        return self._session.put(_APPROVE, row)

    def approvals(self, proposal_id: str) -> list[Approval]:
        """Return the approvals of a proposal, oldest first."""
        rows = self._session.rows(_APPROVALS, {"proposal_id": proposal_id})
        return [_approval(row) for row in rows]


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(
        proposal_id=row.proposal_id,
        act=row.act,
        sha256=row.sha256,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        expires_at=row.expires_at,
        required=row.required,
        sequence=row.sequence,
        state=ProposalState(row.state),
        ended_at=row.ended_at,
        outcome=row.outcome,
    )


def _approval(row: Row[Any]) -> Approval:
    return Approval(
        proposal_id=row.proposal_id,
        person=row.person,
        sha256=row.sha256,
        approved_at=row.approved_at,
        sequence=row.sequence,
    )
