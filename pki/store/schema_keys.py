"""The table of signatures by CA keys: counted here, so that a restart forgets none."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Table

from pki.store.columns import key, line, metadata, points_to, time

key_uses: Final = Table(
    "key_uses",
    metadata,
    line("issuer_id"),
    time("last_at"),
    time("minute"),
    Column("in_minute", BigInteger, nullable=False),
    time("day"),
    Column("in_day", BigInteger, nullable=False),
    key("issuer_id"),
    points_to("issuer_id", "issuers.issuer_id"),
)
