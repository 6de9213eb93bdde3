"""Tables of OCPI partners and of the objects that they keep with us."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_OPEN: Final = sa.text("state = 'open'")


def upgrade() -> None:
    """Create the tables."""
    _partners()
    _objects()
    _commands()


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _to_partner(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_partner_id")
    return sa.ForeignKeyConstraint(["partner_id"], ["partners.partner_id"], name=name)


def _partners() -> None:
    states = "state IN ('invited', 'registered', 'suspended', 'removed')"
    op.create_table(
        "partners",
        *(_line(name) for name in ("partner_id", "name", "state", "own")),
        _number("created_at"),
        sa.Column("token_hash", sa.LargeBinary, nullable=True),
        sa.Column("sealed_token", sa.LargeBinary, nullable=True),
        _flag("raw_token"),
        _line("emaid_type"),
        _line("version", nullable=True),
        _line("versions_url", nullable=True),
        _line("endpoints"),
        _line("hub", nullable=True),
        _number("registered_at", nullable=True),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_partners")),
        sa.CheckConstraint(states, name=op.f("ck_partners_state")),
    )
    op.create_index(op.f("ix_partners_token_hash"), "partners", ["token_hash"], unique=True)
    op.create_table(
        "partner_own",
        _line("party"),
        _line("partner_id"),
        sa.PrimaryKeyConstraint("party", "partner_id", name=op.f("pk_partner_own")),
        _to_partner("partner_own"),
    )
    op.create_table(
        "partner_parties",
        *(_line(name) for name in ("partner_id", "role", "party", "name", "status")),
        _flag("behind_hub"),
        _number("updated"),
        sa.PrimaryKeyConstraint("partner_id", "role", "party", name=op.f("pk_partner_parties")),
        _to_partner("partner_parties"),
    )
    op.create_index(op.f("ix_partner_parties_party_role"), "partner_parties", ["party", "role"])


def _objects() -> None:
    op.create_table(
        "partner_objects",
        *(_line(name) for name in ("kind", "party", "key")),
        sa.Column("sequence", sa.Integer, nullable=False),
        _line("partner_id"),
        _number("updated"),
        _number("received_at"),
        _line("document"),
        _line("reference", nullable=True),
        _flag("deleted"),
        sa.PrimaryKeyConstraint(
            "kind", "party", "key", "sequence", name=op.f("pk_partner_objects")
        ),
        sa.CheckConstraint(
            "kind IN ('cdr', 'session', 'tariff')", name=op.f("ck_partner_objects_kind")
        ),
        _to_partner("partner_objects"),
    )
    for column in ("reference", "key"):
        name = op.f(f"ix_partner_objects_kind_{column}")
        op.create_index(name, "partner_objects", ["kind", column])


def _commands() -> None:
    states = "state IN ('open', 'answered', 'expired')"
    op.create_table(
        "partner_commands",
        _line("command_id"),
        _flag("inbound"),
        *(_line(n) for n in ("kind", "partner_id", "party", "response_url", "document")),
        _number("created_at"),
        _number("expires_at"),
        _line("state"),
        _line("result", nullable=True),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_partner_commands")),
        sa.CheckConstraint(states, name=op.f("ck_partner_commands_state")),
        _to_partner("partner_commands"),
    )
    for name, columns in (("open", ["party", "command_id"]), ("expiring", ["expires_at"])):
        op.create_index(
            op.f(f"ix_partner_commands_{name}"),
            "partner_commands",
            columns,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        )
