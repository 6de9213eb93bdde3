"""What a CRL needs, beside each revocation: the end of its certificate, and its shard."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ENDS: Final = """
UPDATE revocations SET not_after = (
    SELECT certificates.not_after FROM certificates
    WHERE certificates.issuer_id = revocations.issuer_id
    AND certificates.serial = revocations.serial
)
"""
_SHARDED: Final = "SELECT issuer_id, crl_shards FROM issuers WHERE crl_shards > 0"
_TABLES: Final = ("revocations", "changes")


def upgrade() -> None:
    """Add the columns, fill them, and index what is asked."""
    op.add_column("revocations", sa.Column("not_after", sa.BigInteger, nullable=True))
    for table in _TABLES:
        op.add_column(table, _shard())
    op.execute(sa.text(_ENDS))
    for issuer_id, shards in op.get_bind().execute(sa.text(_SHARDED)).all():
        for table in _TABLES:
            _fill_shards(table, issuer_id, shards)
    op.create_index(
        "ix_revocations_crl",
        "revocations",
        ["issuer_id", "shard", "serial", "reason", "revoked_at", "not_after"],
    )
    op.drop_index(op.f("ix_changes_issuer_id_kind"), "changes")
    op.create_index(op.f("ix_changes_issuer_id_sequence"), "changes", ["issuer_id", "sequence"])
    op.create_index(
        op.f("ix_changes_issuer_id_shard_sequence"), "changes", ["issuer_id", "shard", "sequence"]
    )


def _shard() -> sa.Column[Any]:
    return sa.Column("shard", sa.SmallInteger, nullable=False, server_default=sa.text("0"))


def _fill_shards(name: str, issuer_id: str, shards: int) -> None:
    """Number the shards as certificates name them: the remainder of the serial, from 1."""
    table = sa.table(name, sa.column("issuer_id"), sa.column("serial"), sa.column("shard"))
    chosen = (table.c.issuer_id == issuer_id) & table.c.serial.is_not(None)
    serials = op.get_bind().execute(sa.select(table.c.serial).where(chosen).distinct()).scalars()
    rows = [{"the_serial": s, "to": 1 + int(s, 16) % shards} for s in serials.all()]
    if rows:
        one = chosen & (table.c.serial == sa.bindparam("the_serial"))
        op.get_bind().execute(table.update().where(one).values(shard=sa.bindparam("to")), rows)
