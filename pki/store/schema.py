"""
The tables, as data. Migrations build them; a test keeps both equal.

Identifiers and times sort the same on every database: text compares byte by byte, a time is a
number of seconds. No table draws numbers from a sequence, so that writers never meet there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from pki.clock import UTC
from pki.errors import BadInput
from pki.ids import CheckDigit, Edition
from pki.model import (
    ContractState,
    Domain,
    IntentState,
    IssuerState,
    Reason,
    Role,
    StatusRule,
)
from pki.pkix.suites import Suite

REVISION: Final = "0001"
"""The migration that these tables belong to."""

UNFINISHED: Final = "state IN ('open', 'signing')"
"""Literal in index and query alike: with parameters no planner would find the partial index."""

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Line(TypeDecorator[str]):
    """
    Text that compares byte by byte on every database.

    Raises:
        BadInput: `text_not_storable`, for a NUL or half a surrogate pair: PostgreSQL refuses them,
            and both databases are to answer alike.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Ask PostgreSQL for the C collation; SQLite compares bytes anyway."""
        return Text(collation="C" if dialect.name == "postgresql" else None)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return plain text, enumerations included."""
        if value is None:
            return None
        if "\0" in value or not _encodable(value):
            raise BadInput("text_not_storable", "A text holds characters that cannot be kept.")
        return str(value)


def _encodable(value: str) -> bool:
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


class UtcTime(TypeDecorator[dt.datetime]):
    """
    An aware time in whole seconds, kept as seconds since 1970.

    Raises:
        ValueError: for a naive time and for fractions, which would not come back.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return the seconds."""
        if value is None:
            return None
        if value.utcoffset() is None or value.microsecond:
            raise ValueError("the store keeps aware times in whole seconds")
        return int(value.timestamp())

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return the time in UTC."""
        return None if value is None else dt.datetime.fromtimestamp(value, UTC)


def _line(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Line, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[dt.datetime]:
    return Column(name, UtcTime, nullable=nullable)


def _octets(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def _key(*columns: str) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint(*columns)


def _points_to(column: str, target: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint([column], [target])


issuers: Final = Table(
    "issuers",
    metadata,
    _line("issuer_id"),
    _line("name"),
    Column("generation", SmallInteger, nullable=False),
    _line("kind"),
    _line("edition"),
    _line("suite"),
    _line("state"),
    _octets("certificate"),
    _line("parent_id", nullable=True),
    _line("key_label"),
    _line("owner"),
    Column("demo", Boolean, nullable=False),
    _time("created_at"),
    Column("crl_url", Boolean, nullable=False),
    _key("issuer_id"),
    UniqueConstraint("name", "generation"),
    _points_to("parent_id", "issuers.issuer_id"),
    _one_of("edition", Edition),
    _one_of("suite", Suite),
    _one_of("state", IssuerState),
)

intents: Final = Table(
    "intents",
    metadata,
    _line("intent_id"),
    _line("issuer_id"),
    _line("serial"),
    _line("profile"),
    _line("kind"),
    _line("edition"),
    _line("suite"),
    _octets("tbs"),
    _line("owner"),
    _line("requested_by"),
    _line("state"),
    _time("created_at"),
    _line("contract_id", nullable=True),
    _key("intent_id"),
    UniqueConstraint("issuer_id", "serial"),  # the reservation of a serial; never given up
    _points_to("issuer_id", "issuers.issuer_id"),
    _points_to("contract_id", "contracts.contract_id"),
    _one_of("edition", Edition),
    _one_of("suite", Suite),
    _one_of("state", IntentState),
    Index(None, "serial"),
    Index(
        "ix_intents_unfinished",
        "created_at",
        sqlite_where=text(UNFINISHED),
        postgresql_where=text(UNFINISHED),
    ),
)

certificates: Final = Table(
    "certificates",
    metadata,
    _line("fingerprint"),
    _line("issuer_id"),
    _line("serial"),
    _octets("der"),
    _line("kind"),
    _line("edition"),
    _line("suite"),
    _line("subject"),
    _line("common_name"),
    _time("not_before"),
    _time("not_after"),
    _line("owner"),
    _octets("spki_sha256"),
    _line("intent_id"),
    _time("issued_at"),
    _line("contract_id", nullable=True),
    _key("fingerprint"),
    UniqueConstraint("issuer_id", "serial"),
    UniqueConstraint("intent_id"),  # an intent is signed once
    _points_to("issuer_id", "issuers.issuer_id"),
    _points_to("intent_id", "intents.intent_id"),
    _points_to("contract_id", "contracts.contract_id"),
    _one_of("edition", Edition),
    _one_of("suite", Suite),
    Index(None, "serial"),
    Index(None, "kind", "fingerprint"),
    Index(None, "owner", "fingerprint"),
    Index(None, "common_name", "fingerprint"),
    Index(None, "spki_sha256"),
    Index(None, "contract_id"),
)

revocations: Final = Table(
    "revocations",
    metadata,
    _line("issuer_id"),
    _line("serial"),
    _line("reason"),
    _time("revoked_at"),
    _line("revoked_by"),
    _key("issuer_id", "serial"),
    _points_to("issuer_id", "issuers.issuer_id"),
    _one_of("reason", Reason),
)

blocked_keys: Final = Table(
    "blocked_keys",
    metadata,
    _octets("spki_sha256"),
    _time("blocked_at"),
    _line("why"),
    _key("spki_sha256"),
)

parties: Final = Table(
    "parties",
    metadata,
    _line("role"),
    _line("party_id"),
    _line("name"),
    _time("created_at"),
    _key("role", "party_id"),
    _one_of("role", Role),
)

accounts: Final = Table(
    "accounts",
    metadata,
    _line("provider_id"),
    _line("name"),
    _time("created_at"),
    _key("provider_id"),
)

contracts: Final = Table(
    "contracts",
    metadata,
    _line("contract_id"),
    _line("account"),  # the owning party; no foreign key, since the account may come later
    _line("state"),
    _time("created_at"),
    _key("contract_id"),
    _one_of("state", ContractState),
    Index(None, "account", "contract_id"),
)

contract_identifiers: Final = Table(
    "contract_identifiers",
    metadata,
    _line("edition"),
    _line("key"),
    _line("contract_id"),
    _line("presented"),
    _line("check_digit"),
    _key("edition", "key"),
    _points_to("contract_id", "contracts.contract_id"),
    _one_of("edition", Edition),
    _one_of("check_digit", CheckDigit),
    Index(None, "contract_id"),
)

anchors: Final = Table(
    "anchors",
    metadata,
    _line("fingerprint"),
    _line("domain"),
    _octets("der"),
    _time("added_at"),
    _line("added_by"),
    _time("removed_at", nullable=True),
    _key("fingerprint", "domain"),
    _one_of("domain", Domain),
)

domain_rules: Final = Table(
    "domain_rules",
    metadata,
    _line("domain"),
    _line("rule"),
    _key("domain"),
    _one_of("domain", Domain),
    _one_of("rule", StatusRule),
)

trust_version: Final = Table(
    "trust_version",
    metadata,
    Column("id", SmallInteger, nullable=False, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    _key("id"),
    CheckConstraint("id = 1", name="one_row"),
)

clients: Final = Table(
    "clients",
    metadata,
    _line("client_id"),
    _line("role"),
    _line("parties"),  # a JSON list
    _octets("token_hash"),
    _line("pki", nullable=True),
    _time("created_at"),
    _time("disabled_at", nullable=True),
    _key("client_id"),
    UniqueConstraint("token_hash"),
    _one_of("role", Role),
    _one_of("pki", ("own", "hosted")),
)

decisions: Final = Table(
    "decisions",
    metadata,
    _line("decision_id"),
    _time("decided_at"),
    Column("accepted", Boolean, nullable=False),
    _line("fault", nullable=True),
    _line("emaid", nullable=True),
    _line("asked_by"),
    _line("record"),
    _key("decision_id"),
)

audit: Final = Table(
    "audit",
    metadata,
    _line("chain"),
    Column("sequence", BigInteger, nullable=False),
    _time("at"),
    _line("actor"),
    _line("action"),
    _line("subject"),
    _line("details"),
    _octets("previous_hash"),
    _octets("entry_hash"),
    _key("chain", "sequence"),
)

audit_heads: Final = Table(
    "audit_heads",
    metadata,
    _line("chain"),
    Column("sequence", BigInteger, nullable=False),
    _octets("hash"),
    _key("chain"),
)

settings: Final = Table(
    "settings",
    metadata,
    _line("name"),
    _line("value"),
    _key("name"),
)
