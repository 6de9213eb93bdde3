"""The change log tells of more than status: contracts, trust, evidence, keys, clients."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KINDS: Final = (
    "kind IN ('revoked', 'released', 'issuers', 'roaming', "
    "'contract', 'trust', 'evidence', 'keys', 'clients')"
)
_COLUMNS: Final = "sequence, kind, issuer_id, serial, changed_at"


def upgrade() -> None:
    """Allow the new kinds, and changes whose time nobody told."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_changes_kind"), "changes", type_="check")
        op.create_check_constraint(op.f("ck_changes_kind"), "changes", _KINDS)
        op.alter_column("changes", "changed_at", existing_type=sa.BigInteger, nullable=True)
        return
    # SQLite alters no constraint: a new table takes the place of the old one
    op.drop_index(op.f("ix_changes_issuer_id_kind"), "changes")
    op.rename_table("changes", "changes_before")
    op.create_table(
        "changes",
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        _line("kind", nullable=False),
        _line("issuer_id", nullable=False),
        _line("serial", nullable=True),
        sa.Column("changed_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_changes")),
        sa.CheckConstraint(_KINDS, name=op.f("ck_changes_kind")),
    )
    op.execute(f"INSERT INTO changes ({_COLUMNS}) SELECT {_COLUMNS} FROM changes_before")  # noqa: S608 - constants
    op.drop_table("changes_before")
    op.create_index(op.f("ix_changes_issuer_id_kind"), "changes", ["issuer_id", "kind"])


def _line(name: str, *, nullable: bool) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)
