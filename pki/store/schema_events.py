"""The tables of webhooks: events not yet handed on, addresses, deliveries."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, Index, SmallInteger, Table, text

from pki.model import DeliveryState, Naming
from pki.store.columns import key, line, metadata, one_of, points_to, time

PENDING: Final = "state = 'pending'"
"""Literal in index and query alike: with parameters no planner would find the partial index."""

event_queue: Final = Table(
    "event_queue",
    metadata,
    line("event_id"),
    key("event_id"),
    points_to("event_id", "events.event_id"),
)

webhooks: Final = Table(
    "webhooks",
    metadata,
    line("webhook_id"),
    line("client_id"),
    line("url"),
    line("events"),  # a JSON list
    line("naming"),
    line("description"),
    line("api_version"),
    line("metadata"),
    Column("enabled", Boolean, nullable=False),
    line("secret_seed"),
    time("created_at"),
    key("webhook_id"),
    points_to("client_id", "clients.client_id"),
    one_of("naming", Naming),
    Index(None, "client_id", "webhook_id"),
)

deliveries: Final = Table(
    "deliveries",
    metadata,
    line("delivery_id"),
    line("webhook_id"),
    line("event_id"),
    line("event_type"),
    line("state"),
    Column("attempts", SmallInteger, nullable=False),
    time("next_at"),
    time("created_at"),
    Column("status", SmallInteger, nullable=True),
    line("problem", nullable=True),
    time("tried_at", nullable=True),
    key("delivery_id"),
    one_of("state", DeliveryState),
    Index(None, "webhook_id", "delivery_id"),
    Index(
        "ix_deliveries_pending",
        "webhook_id",
        "next_at",
        sqlite_where=text(PENDING),
        postgresql_where=text(PENDING),
    ),
)
