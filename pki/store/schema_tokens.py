"""The table of keys that sign access tokens."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Table

from pki.store.columns import key, line, metadata, octets, time

token_keys: Final = Table(
    "token_keys",
    metadata,
    line("kid"),
    line("label"),
    octets("public_key"),
    time("created_at"),
    time("retired_at", nullable=True),
    key("kid"),
)
