"""The tables of roaming: ranges, agreements, credentials, sessions, idempotency keys."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)

from pki.model import (
    AgreementState,
    CredentialKind,
    CredentialState,
    RangeKind,
    Role,
    SessionProtocol,
    Whitelist,
)
from pki.store.columns import key, line, metadata, octets, one_of, points_to, time

RUNNING: Final = "stopped_at IS NULL"
"""Literal in index and query alike, as for unfinished intents."""

OWN: Final = "NOT partner"
"""Credentials that are kept here, as their eMSP's own word."""

number_ranges: Final = Table(
    "number_ranges",
    metadata,
    line("kind"),
    line("prefix"),
    time("valid_from"),
    time("valid_until", nullable=True),
    line("role"),
    line("party_id"),
    line("ported_from", nullable=True),
    key("kind", "prefix", "valid_from"),
    one_of("kind", RangeKind),
    one_of("role", Role),
)

agreements: Final = Table(
    "agreements",
    metadata,
    line("agreement_id"),
    Column("version", Integer, nullable=False),
    line("state"),
    line("cpo"),
    line("emsp"),
    time("valid_from"),
    time("valid_until", nullable=True),
    line("terms"),  # JSON: countries, operators, evseGroups, kinds, sessions, tariff
    time("created_at"),
    line("created_by"),
    key("agreement_id", "version"),
    one_of("state", AgreementState),
)

emsps: Final = Table(
    "emsps",
    metadata,
    line("provider_id"),
    line("party_id", nullable=True),
    line("realtime_url", nullable=True),
    line("whitelist", nullable=True),
    Column("sealed_token", LargeBinary, nullable=True),
    key("provider_id"),
    points_to("provider_id", "accounts.provider_id"),
    one_of("whitelist", Whitelist),
)

credentials: Final = Table(
    "credentials",
    metadata,
    line("credential_id"),
    line("emsp"),
    line("kind"),
    line("uid"),
    line("presented"),
    line("contract_id", nullable=True),
    line("contract"),
    line("state"),
    line("whitelist", nullable=True),
    line("visual_number", nullable=True),
    line("issuer", nullable=True),
    line("group_id", nullable=True),
    line("language", nullable=True),
    Column("partner", Boolean, nullable=False),
    line("more"),
    time("created_at"),
    time("updated_at"),
    key("credential_id"),
    UniqueConstraint("kind", "uid", "emsp"),  # begins as authorisations ask: whose card is it?
    points_to("contract_id", "contracts.contract_id"),
    one_of("kind", CredentialKind),
    one_of("state", CredentialState),
    one_of("whitelist", Whitelist),
    Index(None, "contract_id"),
    Index(
        "ix_credentials_own",
        "emsp",
        "updated_at",
        "credential_id",
        "partner",  # so that counting and leaping read the index alone, on SQLite too
        sqlite_where=text(OWN),
        postgresql_where=text(OWN),
    ),
)

sessions: Final = Table(
    "sessions",
    metadata,
    line("session_id"),
    line("reference", nullable=True),
    line("protocol"),
    line("cpo"),
    line("station_id"),
    line("external_id"),
    line("emsp", nullable=True),
    line("contract_id", nullable=True),
    line("contract", nullable=True),
    line("evse_id", nullable=True),
    time("started_at"),
    time("stopped_at", nullable=True),
    Column("energy_wh", Integer, nullable=True),
    line("stop_reason", nullable=True),
    Column("others", Integer, nullable=False),
    line("unconfirmed", nullable=True),
    key("session_id"),
    UniqueConstraint("cpo", "station_id", "external_id", "protocol"),
    one_of("protocol", SessionProtocol),
    Index(None, "reference"),
    Index(None, "cpo", "session_id"),
    Index(None, "emsp", "session_id"),
    Index(
        "ix_sessions_running",
        "contract_id",
        sqlite_where=text(RUNNING),
        postgresql_where=text(RUNNING),
    ),
)

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    line("client"),
    line("key"),
    octets("request"),  # SHA-256 of method, path and body
    Column("status", Integer, nullable=False),
    line("answer"),
    time("created_at"),
    key("client", "key"),
    Index(None, "created_at"),
)
