"""Marks of pulls, tokens of real-time hooks, references of sessions that nobody confirmed."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_OWN: Final = sa.text("NOT partner")


def upgrade() -> None:
    """Create the table, add the columns, and index what is asked."""
    op.create_table(
        "page_marks",
        _line("partner_id"),
        _line("pull"),
        _number("position"),
        _number("updated"),
        _line("key"),
        _number("total"),
        _number("created_at"),
        sa.PrimaryKeyConstraint("partner_id", "pull", "position", name=op.f("pk_page_marks")),
        sa.ForeignKeyConstraint(
            ["partner_id"], ["partners.partner_id"], name=op.f("fk_page_marks_partner_id")
        ),
    )
    op.create_index(op.f("ix_page_marks_created_at"), "page_marks", ["created_at"])
    op.add_column("emsps", sa.Column("sealed_token", sa.LargeBinary, nullable=True))
    op.add_column("sessions", _line("unconfirmed", nullable=True))
    for owner in ("cpo", "emsp"):
        name = op.f(f"ix_sessions_{owner}_session_id")
        op.create_index(name, "sessions", [owner, "session_id"])
    op.drop_index(op.f("ix_credentials_emsp_updated_at_credential_id"), "credentials")
    op.create_index(
        "ix_credentials_own",
        "credentials",
        ["emsp", "updated_at", "credential_id"],
        sqlite_where=_OWN,
        postgresql_where=_OWN,
    )


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)
