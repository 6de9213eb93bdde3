"""The index of own credentials answers alone, on SQLite too: counts and leaps read no row."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_OWN: Final = sa.text("NOT partner")


def upgrade() -> None:
    """Make the index anew with the column that its own condition names."""
    op.drop_index("ix_credentials_own", "credentials")
    op.create_index(
        "ix_credentials_own",
        "credentials",
        ["emsp", "updated_at", "credential_id", "partner"],
        sqlite_where=_OWN,
        postgresql_where=_OWN,
    )
