"""The tables of signed checkpoints; the entries themselves are in `schema`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Table

from pki.store.columns import key, line, metadata, octets, time

audit_checkpoints: Final = Table(
    "audit_checkpoints",
    metadata,
    line("chain"),
    Column("sequence", BigInteger, nullable=False),
    octets("entry_hash"),
    time("at"),
    line("kid"),
    octets("signature"),
    key("chain", "sequence"),
)

audit_keys: Final = Table(
    "audit_keys",
    metadata,
    line("kid"),
    line("label"),
    octets("public_key"),
    time("created_at"),
    time("retired_at", nullable=True),
    key("kid"),
)
