"""Tables of webhooks: events not yet handed on, addresses, deliveries."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_STATES: Final = "state IN ('pending', 'delivered', 'refused', 'failed')"
_PENDING: Final = sa.text("state = 'pending'")


def upgrade() -> None:
    """Create the tables; events that are there already are not handed on."""
    op.create_table(
        "event_queue",
        _line("event_id"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_queue")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.event_id"], name=op.f("fk_event_queue_event_id")
        ),
    )
    _webhooks()
    _deliveries()


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        *map(_line, ("webhook_id", "client_id", "url", "events", "naming", "description")),
        *map(_line, ("api_version", "metadata")),
        sa.Column("enabled", sa.Boolean, nullable=False),
        _line("secret_seed"),
        _number("created_at"),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhooks")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.client_id"], name=op.f("fk_webhooks_client_id")
        ),
        sa.CheckConstraint("naming IN ('opcp', 'opnc')", name=op.f("ck_webhooks_naming")),
    )
    columns = ["client_id", "webhook_id"]
    op.create_index(op.f("ix_webhooks_client_id_webhook_id"), "webhooks", columns)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        *map(_line, ("delivery_id", "webhook_id", "event_id", "event_type", "state")),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        _number("next_at"),
        _number("created_at"),
        sa.Column("status", sa.SmallInteger, nullable=True),
        _line("problem", nullable=True),
        _number("tried_at", nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries")),
        sa.CheckConstraint(_STATES, name=op.f("ck_deliveries_state")),
    )
    columns = ["webhook_id", "delivery_id"]
    op.create_index(op.f("ix_deliveries_webhook_id_delivery_id"), "deliveries", columns)
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["webhook_id", "next_at"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
