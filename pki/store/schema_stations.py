"""The table of messages to charging stations."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Index, Table, text

from pki.model import MessageState
from pki.store.columns import key, line, metadata, one_of, time

OPEN: Final = "state IN ('making', 'pending')"
"""Literal in index and query alike: with parameters no planner would find the partial index."""

station_messages: Final = Table(
    "station_messages",
    metadata,
    line("message_id"),
    line("operator"),
    line("station_id"),
    line("version"),
    line("action"),
    line("use"),
    line("digest"),
    line("payload"),
    line("state"),
    time("created_at"),
    line("created_by"),
    time("expires_at"),
    line("certificate", nullable=True),
    line("answer", nullable=True),
    time("answered_at", nullable=True),
    key("message_id"),
    one_of("state", MessageState),
    Index(None, "operator", "message_id"),
    Index(None, "station_id", "message_id"),
    Index(
        "ix_station_messages_open",
        "operator",
        "station_id",
        "digest",
        unique=True,
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
)
