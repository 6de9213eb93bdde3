"""
The tables, as data. Migrations build them; a test keeps both equal.

Identifiers and times sort the same on every database: text compares byte by byte, a time is a
number of seconds. No table draws numbers from a sequence, so that writers never meet there.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

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
from pki.store.columns import key, line, metadata, octets, one_of, points_to, time

REVISION: Final = "0023"
"""The migration that these tables belong to."""

UNFINISHED: Final = "state IN ('open', 'signing')"
"""Literal in index and query alike: with parameters no planner would find the partial index."""

_OF_CONTRACT: Final = "contract_id IS NOT NULL"

issuers: Final = Table(
    "issuers",
    metadata,
    line("issuer_id"),
    line("name"),
    Column("generation", SmallInteger, nullable=False),
    line("kind"),
    line("edition"),
    line("suite"),
    line("state"),
    octets("certificate"),
    line("parent_id", nullable=True),
    line("key_label"),
    line("owner"),
    Column("demo", Boolean, nullable=False),
    time("created_at"),
    Column("crl_url", Boolean, nullable=False),
    Column("crl_shards", SmallInteger, nullable=False),
    key("issuer_id"),
    UniqueConstraint("name", "generation"),
    points_to("parent_id", "issuers.issuer_id"),
    one_of("edition", Edition),
    one_of("suite", Suite),
    one_of("state", IssuerState),
)

intents: Final = Table(
    "intents",
    metadata,
    line("intent_id"),
    line("issuer_id"),
    line("serial"),
    line("profile"),
    line("kind"),
    line("edition"),
    line("suite"),
    octets("tbs"),
    line("owner"),
    line("requested_by"),
    line("state"),
    time("created_at"),
    line("contract_id", nullable=True),
    key("intent_id"),
    UniqueConstraint("issuer_id", "serial"),  # the reservation of a serial; never given up
    points_to("issuer_id", "issuers.issuer_id"),
    points_to("contract_id", "contracts.contract_id"),
    one_of("edition", Edition),
    one_of("suite", Suite),
    one_of("state", IntentState),
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
    line("fingerprint"),
    line("issuer_id"),
    line("serial"),
    octets("der"),
    line("kind"),
    line("edition"),
    line("suite"),
    line("subject"),
    line("common_name"),
    time("not_before"),
    time("not_after"),
    line("owner"),
    octets("spki_sha256"),
    line("intent_id"),
    time("issued_at"),
    line("contract_id", nullable=True),
    key("fingerprint"),
    UniqueConstraint("issuer_id", "serial"),  # finds serials alone as well: issuers are few
    UniqueConstraint("intent_id"),  # an intent is signed once
    points_to("issuer_id", "issuers.issuer_id"),
    points_to("intent_id", "intents.intent_id"),
    points_to("contract_id", "contracts.contract_id"),
    one_of("edition", Edition),
    one_of("suite", Suite),
    Index(None, "kind", "fingerprint"),
    Index(None, "owner", "fingerprint"),
    Index(None, "common_name", "fingerprint"),
    Index(None, "spki_sha256"),
    Index(
        "ix_certificates_contract_id",
        "contract_id",
        sqlite_where=text(_OF_CONTRACT),
        postgresql_where=text(_OF_CONTRACT),
    ),
    Index(None, "not_after", "fingerprint"),
)

revocations: Final = Table(
    "revocations",
    metadata,
    line("issuer_id"),
    line("serial"),
    line("reason"),
    time("revoked_at"),
    line("revoked_by"),
    time("not_after", nullable=True),
    Column("shard", SmallInteger, nullable=False, server_default=text("0")),
    key("issuer_id", "serial"),
    points_to("issuer_id", "issuers.issuer_id"),
    one_of("reason", Reason),
    # all that a CRL is made of, so that the table itself is never touched for one
    Index(
        "ix_revocations_crl", "issuer_id", "shard", "serial", "reason", "revoked_at", "not_after"
    ),
)

blocked_keys: Final = Table(
    "blocked_keys",
    metadata,
    octets("spki_sha256"),
    time("blocked_at"),
    line("why"),
    key("spki_sha256"),
)

parties: Final = Table(
    "parties",
    metadata,
    line("role"),
    line("party_id"),
    line("name"),
    time("created_at"),
    line("hub", nullable=True),
    key("role", "party_id"),
    one_of("role", Role),
)

accounts: Final = Table(
    "accounts",
    metadata,
    line("provider_id"),
    line("name"),
    time("created_at"),
    key("provider_id"),
)

contracts: Final = Table(
    "contracts",
    metadata,
    line("contract_id"),
    line("account"),  # the owning party; no foreign key, since the account may come later
    line("state"),
    time("created_at"),
    time("valid_from", nullable=True),
    time("valid_until", nullable=True),
    line("whitelist", nullable=True),
    key("contract_id"),
    one_of("state", ContractState),
    Index(None, "account", "contract_id"),
)

contract_identifiers: Final = Table(
    "contract_identifiers",
    metadata,
    line("edition"),
    line("key"),
    line("contract_id"),
    line("presented"),
    line("check_digit"),
    time("blocked_at", nullable=True),
    key("edition", "key"),
    points_to("contract_id", "contracts.contract_id"),
    one_of("edition", Edition),
    one_of("check_digit", CheckDigit),
    Index(None, "contract_id"),
)

anchors: Final = Table(
    "anchors",
    metadata,
    line("fingerprint"),
    line("domain"),
    octets("der"),
    time("added_at"),
    line("added_by"),
    time("removed_at", nullable=True),
    key("fingerprint", "domain"),
    one_of("domain", Domain),
)

domain_rules: Final = Table(
    "domain_rules",
    metadata,
    line("domain"),
    line("rule"),
    key("domain"),
    one_of("domain", Domain),
    one_of("rule", StatusRule),
)

trust_version: Final = Table(
    "trust_version",
    metadata,
    Column("id", SmallInteger, nullable=False, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    key("id"),
    CheckConstraint("id = 1", name="one_row"),
)

clients: Final = Table(
    "clients",
    metadata,
    line("client_id"),
    line("role"),
    line("parties"),  # a JSON list
    octets("token_hash"),
    line("pki", nullable=True),
    time("created_at"),
    time("disabled_at", nullable=True),
    key("client_id"),
    UniqueConstraint("token_hash"),
    one_of("role", Role),
    one_of("pki", ("own", "hosted")),
)

decisions: Final = Table(
    "decisions",
    metadata,
    line("decision_id"),
    time("decided_at"),
    Column("accepted", Boolean, nullable=False),
    line("fault", nullable=True),
    line("emaid", nullable=True),
    line("asked_by"),
    line("record"),
    key("decision_id"),
    Index(None, "decided_at"),
)

repeated_decisions: Final = Table(
    "repeated_decisions",
    metadata,
    line("decision_id"),  # begins with its second, so that new rows lie side by side
    time("decided_at"),
    line("repeats"),  # a row of `decisions`, which stays as long
    key("decision_id"),
    sqlite_with_rowid=False,
)

receipt_forms: Final = Table(
    "receipt_forms",
    metadata,
    line("form_id"),  # begins with the second in which its day began
    line("text"),
    key("form_id"),
)

audit: Final = Table(
    "audit",
    metadata,
    line("chain"),
    Column("sequence", BigInteger, nullable=False),
    time("at"),
    line("actor"),
    line("action"),
    line("subject"),
    line("details"),
    octets("previous_hash"),
    octets("entry_hash"),
    key("chain", "sequence"),
    Index(None, "at", "chain", "sequence"),
    Index(None, "subject", "at"),
)

audit_heads: Final = Table(
    "audit_heads",
    metadata,
    line("chain"),
    Column("sequence", BigInteger, nullable=False),
    octets("hash"),
    key("chain"),
)

settings: Final = Table(
    "settings",
    metadata,
    line("name"),
    line("value"),
    key("name"),
)
