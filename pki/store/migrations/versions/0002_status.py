"""Tables of the status authority: change log, responders, answers, CRLs, leases."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _changes()
    _responders()
    _answers()
    _crls()
    op.create_table(
        "leases",
        _line("name"),
        _line("holder"),
        _number("until"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _line(name: str) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _octets(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _changes() -> None:
    op.create_table(
        "change_sequence",
        sa.Column("id", sa.SmallInteger, nullable=False, autoincrement=False),
        _number("sequence"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_sequence")),
        sa.CheckConstraint("id = 1", name=op.f("ck_change_sequence_one_row")),
    )
    op.create_table(
        "changes",
        sa.Column("sequence", sa.BigInteger, nullable=False, autoincrement=False),
        _line("kind"),
        _line("issuer_id"),
        sa.Column("serial", _TEXT, nullable=True),
        _number("changed_at"),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_changes")),
        sa.CheckConstraint(
            "kind IN ('revoked', 'released', 'issuers')", name=op.f("ck_changes_kind")
        ),
    )
    op.create_index(op.f("ix_changes_issuer_id_kind"), "changes", ["issuer_id", "kind"])


def _responders() -> None:
    op.create_table(
        "responders",
        _line("fingerprint"),
        _line("issuer_id"),
        _line("key_label"),
        _octets("der"),
        _number("not_before"),
        _number("not_after"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_responders")),
        sa.UniqueConstraint("key_label", name=op.f("uq_responders_key_label")),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_responders_issuer_id")
        ),
    )
    op.create_index(op.f("ix_responders_issuer_id"), "responders", ["issuer_id"])


def _answers() -> None:
    op.create_table(
        "ocsp_answers",
        _octets("cert_id_hash"),
        _octets("cert_id"),
        _line("issuer_id"),
        _line("serial"),
        _octets("der"),
        _number("this_update"),
        _number("next_update"),
        _number("refresh_at"),
        sa.PrimaryKeyConstraint("cert_id_hash", name=op.f("pk_ocsp_answers")),
    )
    op.create_index(
        op.f("ix_ocsp_answers_issuer_id_serial"), "ocsp_answers", ["issuer_id", "serial"]
    )
    op.create_index(op.f("ix_ocsp_answers_refresh_at"), "ocsp_answers", ["refresh_at"])


def _crls() -> None:
    op.create_table(
        "crls",
        _line("issuer_id"),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        _number("number"),
        _number("this_update"),
        _number("next_update"),
        _number("entries"),
        _number("octets"),
        _octets("sha256"),
        _number("change_sequence"),
        sa.PrimaryKeyConstraint("issuer_id", "shard", "number", name=op.f("pk_crls")),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_crls_issuer_id")
        ),
    )
    op.create_table(
        "crl_intents",
        _line("intent_id"),
        _line("issuer_id"),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        _number("number"),
        _octets("tbs_sha256"),
        _line("state"),
        _number("created_at"),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("pk_crl_intents")),
        sa.UniqueConstraint("issuer_id", "number", name=op.f("uq_crl_intents_issuer_id_number")),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_crl_intents_issuer_id")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'signing', 'completed', 'abandoned')",
            name=op.f("ck_crl_intents_state"),
        ),
    )
    op.create_table(
        "crl_chunks",
        _line("issuer_id"),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        _number("number"),
        _number("position"),
        _octets("data"),
        sa.PrimaryKeyConstraint(
            "issuer_id", "shard", "number", "position", name=op.f("pk_crl_chunks")
        ),
    )
