"""Receipts that repeat another one."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "repeated_decisions",
        sa.Column("decision_id", _TEXT, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("repeats", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_repeated_decisions")),
        sqlite_with_rowid=False,
    )
