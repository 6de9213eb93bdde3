"""How often each CA signed: in this minute, on this day, and when the last time."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "key_uses",
        sa.Column("issuer_id", _TEXT, nullable=False),
        *(_number(name) for name in ("last_at", "minute", "in_minute", "day", "in_day")),
        sa.PrimaryKeyConstraint("issuer_id", name=op.f("pk_key_uses")),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_key_uses_issuer_id")
        ),
    )


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)
