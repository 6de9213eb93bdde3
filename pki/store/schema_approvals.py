"""The tables of two-person control."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, SmallInteger, Table

from pki.model import ProposalState
from pki.store.columns import key, line, metadata, octets, one_of, points_to, time

proposals: Final = Table(
    "proposals",
    metadata,
    line("proposal_id"),
    line("act"),
    octets("sha256"),
    line("proposed_by"),
    time("proposed_at"),
    time("expires_at"),
    Column("required", SmallInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    line("state"),
    time("ended_at", nullable=True),
    line("outcome", nullable=True),
    key("proposal_id"),
    one_of("state", ProposalState),
    Index(None, "state", "expires_at"),
)

approvals: Final = Table(
    "approvals",
    metadata,
    line("proposal_id"),
    line("person"),
    octets("sha256"),
    time("approved_at"),
    Column("sequence", BigInteger, nullable=False),
    key("proposal_id", "person"),
    points_to("proposal_id", "proposals.proposal_id"),
)
