"""Two-person control: what was proposed, and what other people said of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class ProposalState(StrEnum):
    """Where a proposal stands; only `pending` takes approvals, only `running` may be acted on."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    An act that needs other people's approval.

    Attributes:
        act: canonical JSON of verb and arguments: the exact bytes that are approved and carried
            out.
        sha256: of the octets of `act`.
        required: how many others must approve, as it was when it was proposed.
        sequence: of the entry in the chain of administration that tells of it.
        outcome: code of the error of a failed one.
    """

    proposal_id: str
    act: str
    sha256: bytes
    proposed_by: str
    proposed_at: dt.datetime
    expires_at: dt.datetime
    required: int
    sequence: int
    state: ProposalState = ProposalState.PENDING
    ended_at: dt.datetime | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """
    That one person approved, over the bytes that this person saw.

    Attributes:
        sequence: of the entry in the chain of administration that tells of it.
    """

    proposal_id: str
    person: str
    sha256: bytes
    approved_at: dt.datetime
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicy:
    """
    Who must agree before an act of consequence is done.

    Attributes:
        required: people other than the proposer; 0: none, verbs act at once.
        lifetime: of a proposal that is not approved.
    """

    required: int = 0
    lifetime: dt.timedelta = dt.timedelta(hours=72)
