"""What two-person control keeps."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.model import Approval, Proposal, ProposalState


class Proposals(Protocol):
    """Proposals and their approvals. What was proposed is never changed, only its state."""

    def add(self, proposal: Proposal) -> None: ...

    def get(self, proposal_id: str) -> Proposal | None: ...

    def page(
        self, *, state: ProposalState | None = None, before: str | None = None, limit: int = 100
    ) -> list[Proposal]:
        """Return a page, newest first, beginning behind `before`."""

    def waiting(self, limit: int) -> list[Proposal]:
        """Return pending proposals, those that end first at the head."""

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

    def approve(self, approval: Approval) -> bool:
        """Store an approval; False where this person approved before."""

    def approvals(self, proposal_id: str) -> list[Approval]:
        """Return the approvals of a proposal, oldest first."""
