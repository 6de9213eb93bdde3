"""Tables of foreign evidence: sources, CRLs, statuses, certificates seen."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_DOMAINS: Final = "domain IN ('v2g', 'mo', 'oem', 'pe')"
_REASONS: Final = (
    "reason IN ('unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', "
    "'superseded', 'cessationOfOperation', 'certificateHold', 'privilegeWithdrawn', "
    "'aACompromise')"
)


def upgrade() -> None:
    """Create the tables."""
    _sources()
    op.create_table(
        "foreign_crls",
        _octets("issuer_hash"),
        _line("number", nullable=True),
        _number("this_update"),
        _number("next_update"),
        sa.PrimaryKeyConstraint("issuer_hash", name=op.f("pk_foreign_crls")),
    )
    _statuses()
    _seen()
    op.create_table(
        "domain_stale_rules",
        _line("domain"),
        _line("rule"),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain_stale_rules")),
        sa.CheckConstraint(_DOMAINS, name=op.f("ck_domain_stale_rules_domain")),
        sa.CheckConstraint("rule IN ('refuse', 'accept')", name=op.f("ck_domain_stale_rules_rule")),
    )


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _octets(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _sources() -> None:
    op.create_table(
        "status_sources",
        _line("source_id"),
        _line("domain"),
        _line("kind"),
        _line("url"),
        _octets("issuer"),
        _octets("issuer_hash"),
        _number("added_at"),
        _line("added_by"),
        _number("fetched_at", nullable=True),
        _line("problem", nullable=True),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_status_sources")),
        sa.CheckConstraint(_DOMAINS, name=op.f("ck_status_sources_domain")),
        sa.CheckConstraint("kind IN ('crl', 'ocsp')", name=op.f("ck_status_sources_kind")),
    )


def _statuses() -> None:
    op.create_table(
        "foreign_statuses",
        _octets("issuer_hash"),
        _line("serial"),
        _line("origin"),
        sa.Column("revoked", sa.Boolean, nullable=False),
        _line("reason", nullable=True),
        _number("revoked_at", nullable=True),
        _number("this_update"),
        _number("next_update"),
        sa.Column("response", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint(
            "issuer_hash", "serial", "origin", name=op.f("pk_foreign_statuses")
        ),
        sa.CheckConstraint("origin IN ('crl', 'ocsp')", name=op.f("ck_foreign_statuses_origin")),
        sa.CheckConstraint(_REASONS, name=op.f("ck_foreign_statuses_reason")),
    )


def _seen() -> None:
    op.create_table(
        "seen_certificates",
        _line("fingerprint"),
        _octets("issuer_hash"),
        _octets("der"),
        _number("seen_at"),
        _number("not_after"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_seen_certificates")),
    )
    op.create_index(op.f("ix_seen_certificates_issuer_hash"), "seen_certificates", ["issuer_hash"])
