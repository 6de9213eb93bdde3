"""Signed checkpoints of the audit chains, and indexes for who searches in them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables and the indexes."""
    op.create_table(
        "audit_checkpoints",
        sa.Column("chain", _TEXT, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("entry_hash", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kid", _TEXT, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_keys",
        sa.Column("kid", _TEXT, nullable=False),
        sa.Column("label", _TEXT, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_audit_keys")),
    )
    op.create_index(op.f("ix_audit_at_chain_sequence"), "audit", ["at", "chain", "sequence"])
    op.create_index(op.f("ix_audit_subject_at"), "audit", ["subject", "at"])
