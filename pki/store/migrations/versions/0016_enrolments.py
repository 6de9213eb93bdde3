"""Tables of registered end entities and of enrolments that wait for consent."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_OPEN: Final = sa.text("state IN ('waiting', 'accepted')")
_STATES: Final = "state IN ('waiting', 'accepted', 'rejected', 'issued', 'expired')"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "end_entities",
        *map(_line, ("secc_key", "operator", "presented", "details")),
        _number("registered_at"),
        _line("registered_by"),
        sa.PrimaryKeyConstraint("secc_key", name=op.f("pk_end_entities")),
    )
    name = op.f("ix_end_entities_operator_secc_key")
    op.create_index(name, "end_entities", ["operator", "secc_key"])
    _enrolments()


def _enrolments() -> None:
    op.create_table(
        "enrolments",
        *map(_line, ("enrolment_id", "kind", "owner", "common_name", "digest")),
        sa.Column("request", sa.LargeBinary, nullable=False),
        *map(_line, ("requested_by", "state")),
        _number("created_at"),
        _number("expires_at"),
        _line("station", nullable=True),
        _number("decided_at", nullable=True),
        _line("decided_by", nullable=True),
        _line("reason", nullable=True),
        _line("certificate", nullable=True),
        sa.PrimaryKeyConstraint("enrolment_id", name=op.f("pk_enrolments")),
        sa.CheckConstraint(_STATES, name=op.f("ck_enrolments_state")),
    )
    for column in ("owner", "digest"):
        name = op.f(f"ix_enrolments_{column}_enrolment_id")
        op.create_index(name, "enrolments", [column, "enrolment_id"])
    op.create_index(
        "ix_enrolments_open",
        "enrolments",
        ["digest"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)
