"""The tables of the status authority: change log, responders, answers, CRLs, leases."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from pki.model import ChangeKind, IntentState
from pki.store.columns import key, line, metadata, octets, one_of, points_to, time

change_sequence: Final = Table(
    "change_sequence",
    metadata,
    Column("id", SmallInteger, nullable=False, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    key("id"),
    CheckConstraint("id = 1", name="one_row"),
)

changes: Final = Table(
    "changes",
    metadata,
    Column("sequence", BigInteger, nullable=False, autoincrement=False),
    line("kind"),
    line("issuer_id"),
    line("serial", nullable=True),
    time("changed_at", nullable=True),
    Column("shard", SmallInteger, nullable=False, server_default=text("0")),
    key("sequence"),
    one_of("kind", ChangeKind),
    Index(None, "issuer_id", "sequence"),
    Index(None, "issuer_id", "shard", "sequence"),
)

responders: Final = Table(
    "responders",
    metadata,
    line("fingerprint"),
    line("issuer_id"),
    line("key_label"),
    octets("der"),
    time("not_before"),
    time("not_after"),
    key("fingerprint"),
    UniqueConstraint("key_label"),
    points_to("issuer_id", "issuers.issuer_id"),
    Index(None, "issuer_id"),
)

ocsp_answers: Final = Table(
    "ocsp_answers",
    metadata,
    octets("cert_id_hash"),
    octets("cert_id"),
    line("issuer_id"),
    line("serial"),
    octets("der"),
    time("this_update"),
    time("next_update"),
    time("refresh_at"),
    key("cert_id_hash"),
    Index(None, "issuer_id", "serial"),
    Index(None, "refresh_at"),
)

crls: Final = Table(
    "crls",
    metadata,
    line("issuer_id"),
    Column("shard", SmallInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    time("this_update"),
    time("next_update"),
    Column("entries", BigInteger, nullable=False),
    Column("octets", BigInteger, nullable=False),
    octets("sha256"),
    Column("change_sequence", BigInteger, nullable=False),
    key("issuer_id", "shard", "number"),
    points_to("issuer_id", "issuers.issuer_id"),
)

crl_intents: Final = Table(
    "crl_intents",
    metadata,
    line("intent_id"),
    line("issuer_id"),
    Column("shard", SmallInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    octets("tbs_sha256"),
    line("state"),
    time("created_at"),
    key("intent_id"),
    UniqueConstraint("issuer_id", "number"),
    points_to("issuer_id", "issuers.issuer_id"),
    one_of("state", IntentState),
)

crl_chunks: Final = Table(
    "crl_chunks",
    metadata,
    line("issuer_id"),
    Column("shard", SmallInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    octets("data"),
    key("issuer_id", "shard", "number", "position"),
)

leases: Final = Table(
    "leases",
    metadata,
    line("name"),
    line("holder"),
    time("until"),
    key("name"),
)
