"""Indexes that cost every certificate more than the questions behind them are worth."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_NAMED: Final = sa.text("contract_id IS NOT NULL")


def upgrade() -> None:
    """Find serials by issuer and serial, and index the contracts of those that have one."""
    for table in ("intents", "certificates"):
        op.drop_index(op.f(f"ix_{table}_serial"), table)
    name = op.f("ix_certificates_contract_id")
    op.drop_index(name, "certificates")
    op.create_index(
        name, "certificates", ["contract_id"], sqlite_where=_NAMED, postgresql_where=_NAMED
    )
