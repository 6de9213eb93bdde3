"""Table of messages to charging stations."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NAME: Final = "station_messages"
_OPEN: Final = sa.text("state IN ('making', 'pending')")
_STATES: Final = (
    "state IN ('making', 'pending', 'accepted', 'rejected', 'failed', 'superseded', 'expired')"
)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        _NAME,
        *map(_line, ("message_id", "operator", "station_id", "version", "action", "use")),
        *map(_line, ("digest", "payload", "state")),
        _number("created_at"),
        _line("created_by"),
        _number("expires_at"),
        _line("certificate", nullable=True),
        _line("answer", nullable=True),
        _number("answered_at", nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_station_messages")),
        sa.CheckConstraint(_STATES, name=op.f("ck_station_messages_state")),
    )
    for column in ("operator", "station_id"):
        name = op.f(f"ix_station_messages_{column}_message_id")
        op.create_index(name, _NAME, [column, "message_id"])
    op.create_index(
        "ix_station_messages_open",
        _NAME,
        ["operator", "station_id", "digest"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)
