"""The tables of two-person control."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_STATES: Final = "state IN ('pending', 'running', 'done', 'failed', 'rejected', 'expired')"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "proposals",
        sa.Column("proposal_id", _TEXT, nullable=False),
        sa.Column("act", _TEXT, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("proposed_by", _TEXT, nullable=False),
        sa.Column("proposed_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("required", sa.SmallInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        sa.Column("outcome", _TEXT, nullable=True),
        sa.PrimaryKeyConstraint("proposal_id", name=op.f("pk_proposals")),
        sa.CheckConstraint(_STATES, name=op.f("ck_proposals_state")),
    )
    op.create_index(op.f("ix_proposals_state_expires_at"), "proposals", ["state", "expires_at"])
    op.create_table(
        "approvals",
        sa.Column("proposal_id", _TEXT, nullable=False),
        sa.Column("person", _TEXT, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("approved_at", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("proposal_id", "person", name=op.f("pk_approvals")),
        sa.ForeignKeyConstraint(
            ["proposal_id"],
            ["proposals.proposal_id"],
            name=op.f("fk_approvals_proposal_id"),
        ),
    )
