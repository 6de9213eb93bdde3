"""The tables of OCPI partners and of the objects that they keep with us."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, text

from pki.model import CommandState, PartnerState
from pki.store.columns import key, line, metadata, one_of, points_to, time

KINDS: Final = ("cdr", "session", "tariff")
OPEN: Final = "state = 'open'"

partners: Final = Table(
    "partners",
    metadata,
    line("partner_id"),
    line("name"),
    line("state"),
    line("own"),  # JSON
    time("created_at"),
    Column("token_hash", LargeBinary, nullable=True),
    Column("sealed_token", LargeBinary, nullable=True),
    Column("raw_token", Boolean, nullable=False),
    line("emaid_type"),
    line("version", nullable=True),
    line("versions_url", nullable=True),
    line("endpoints"),  # JSON
    line("hub", nullable=True),
    time("registered_at", nullable=True),
    key("partner_id"),
    one_of("state", PartnerState),
    Index(None, "token_hash", unique=True),
)

partner_own: Final = Table(
    "partner_own",
    metadata,
    line("party"),
    line("partner_id"),
    key("party", "partner_id"),
    points_to("partner_id", "partners.partner_id"),
)
"""Which partners deal with a party of ours: what `partners.own` says, the other way round."""

partner_parties: Final = Table(
    "partner_parties",
    metadata,
    line("partner_id"),
    line("role"),
    line("party"),
    line("name"),
    line("status"),
    Column("behind_hub", Boolean, nullable=False),
    Column("updated", BigInteger, nullable=False),
    key("partner_id", "role", "party"),
    points_to("partner_id", "partners.partner_id"),
    Index(None, "party", "role"),
)

partner_objects: Final = Table(
    "partner_objects",
    metadata,
    line("kind"),
    line("party"),
    line("key"),
    Column("sequence", Integer, nullable=False),
    line("partner_id"),
    Column("updated", BigInteger, nullable=False),
    time("received_at"),
    line("document"),
    line("reference", nullable=True),
    Column("deleted", Boolean, nullable=False),
    key("kind", "party", "key", "sequence"),
    points_to("partner_id", "partners.partner_id"),
    one_of("kind", KINDS),
    Index(None, "kind", "reference"),
    Index(None, "kind", "key"),
)

partner_commands: Final = Table(
    "partner_commands",
    metadata,
    line("command_id"),
    Column("inbound", Boolean, nullable=False),
    line("kind"),
    line("partner_id"),
    line("party"),
    line("response_url"),
    line("document"),
    time("created_at"),
    time("expires_at"),
    line("state"),
    line("result", nullable=True),
    key("command_id"),
    points_to("partner_id", "partners.partner_id"),
    one_of("state", CommandState),
    Index(
        "ix_partner_commands_open",
        "party",
        "command_id",
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
    Index(
        "ix_partner_commands_expiring",
        "expires_at",
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
)

page_marks: Final = Table(
    "page_marks",
    metadata,
    line("partner_id"),
    line("pull"),
    Column("position", BigInteger, nullable=False),
    time("updated"),
    line("key"),
    Column("total", BigInteger, nullable=False),
    time("created_at"),
    key("partner_id", "pull", "position"),
    points_to("partner_id", "partners.partner_id"),
    Index(None, "created_at"),
)
"""Which object stood how far into a pull of tokens."""
