"""The tables of foreign evidence: sources, CRLs, statuses, certificates seen."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table

from pki.model import Domain, Reason, SourceKind, StaleRule
from pki.store.columns import key, line, metadata, octets, one_of, time

status_sources: Final = Table(
    "status_sources",
    metadata,
    line("source_id"),
    line("domain"),
    line("kind"),
    line("url"),
    octets("issuer"),
    octets("issuer_hash"),
    time("added_at"),
    line("added_by"),
    time("fetched_at", nullable=True),
    line("problem", nullable=True),
    key("source_id"),
    one_of("domain", Domain),
    one_of("kind", SourceKind),
)

foreign_crls: Final = Table(
    "foreign_crls",
    metadata,
    octets("issuer_hash"),
    line("number", nullable=True),
    time("this_update"),
    time("next_update"),
    key("issuer_hash"),
)

foreign_statuses: Final = Table(
    "foreign_statuses",
    metadata,
    octets("issuer_hash"),
    line("serial"),
    line("origin"),
    Column("revoked", Boolean, nullable=False),
    line("reason", nullable=True),
    time("revoked_at", nullable=True),
    time("this_update"),
    time("next_update"),
    Column("response", LargeBinary, nullable=True),
    key("issuer_hash", "serial", "origin"),
    one_of("origin", SourceKind),
    one_of("reason", Reason),
)

seen_certificates: Final = Table(
    "seen_certificates",
    metadata,
    line("fingerprint"),
    octets("issuer_hash"),
    octets("der"),
    time("seen_at"),
    time("not_after"),
    key("fingerprint"),
    Index(None, "issuer_hash"),
)

domain_stale_rules: Final = Table(
    "domain_stale_rules",
    metadata,
    line("domain"),
    line("rule"),
    key("domain"),
    one_of("domain", Domain),
    one_of("rule", StaleRule),
)
