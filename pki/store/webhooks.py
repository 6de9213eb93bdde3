"""Webhooks, their deliveries, and events that are not yet handed on."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, select, text

from pki.model import Delivery, DeliveryState, Event, Naming, Webhook
from pki.store.hot import hot
from pki.store.schema import clients
from pki.store.schema_events import PENDING, deliveries, event_queue, webhooks
from pki.store.schema_provisioning import events
from pki.store.session import Insert, Session, Upsert

_COLUMNS: Final = [column.name for column in webhooks.columns]
_PENDING: Final = text(PENDING)


def _replace(insert: Insert) -> Insert:
    changed = {name: insert.excluded[name] for name in _COLUMNS if name != "webhook_id"}
    return insert.on_conflict_do_update(index_elements=["webhook_id"], set_=changed)


def _replace_delivery(insert: Insert) -> Insert:
    names = ("state", "attempts", "next_at", "status", "problem", "tried_at")
    changed = {name: insert.excluded[name] for name in names}
    return insert.on_conflict_do_update(index_elements=["delivery_id"], set_=changed)


_PUT: Final = Upsert.of(webhooks, _replace)
_GET: Final = select(webhooks).where(webhooks.c.webhook_id == bindparam("webhook_id"))
_BY_CLIENT: Final = (
    select(webhooks)
    .where(webhooks.c.client_id == bindparam("client_id"))
    .order_by(webhooks.c.webhook_id)
)
_PAGE: Final = (
    select(webhooks)
    .where(webhooks.c.webhook_id > bindparam("after"))
    .order_by(webhooks.c.webhook_id)
    .limit(bindparam("most"))
)
_WANTED: Final = hot(select(webhooks.c.events).where(webhooks.c.enabled).distinct())
_REMOVE: Final = delete(webhooks).where(webhooks.c.webhook_id == bindparam("the_webhook"))
_GIVE_UP: Final = delete(deliveries).where(
    deliveries.c.webhook_id == bindparam("the_webhook"), _PENDING
)
_QUEUED: Final = (
    select(events)
    .join(event_queue, event_queue.c.event_id == events.c.event_id)
    .order_by(event_queue.c.event_id)
    .limit(bindparam("most"))
)
_DEQUEUE: Final = delete(event_queue).where(event_queue.c.event_id == bindparam("the_event"))
_PUT_DELIVERY: Final = Upsert.of(deliveries, _replace_delivery)
_DELIVERY: Final = select(deliveries).where(deliveries.c.delivery_id == bindparam("delivery_id"))
_WAITING: Final = (
    select(webhooks)
    .join(clients, clients.c.client_id == webhooks.c.client_id)
    .where(
        webhooks.c.enabled,
        clients.c.disabled_at.is_(None),
        webhooks.c.webhook_id.in_(
            select(deliveries.c.webhook_id).where(
                _PENDING, deliveries.c.next_at <= bindparam("now")
            )
        ),
    )
    .order_by(webhooks.c.webhook_id)
)
_DUE: Final = (
    select(deliveries)
    .where(
        deliveries.c.webhook_id == bindparam("webhook_id"),
        _PENDING,
        deliveries.c.next_at <= bindparam("now"),
    )
    .order_by(deliveries.c.delivery_id)
    .limit(bindparam("most"))
)
_LOG: Final = (
    select(deliveries)
    .where(
        deliveries.c.webhook_id == bindparam("webhook_id"),
        deliveries.c.delivery_id < bindparam("before"),
    )
    .order_by(deliveries.c.delivery_id.desc())
    .limit(bindparam("most"))
)
_LAST: Final = "~"
"""Sorts behind every id."""
_PRUNE: Final = delete(deliveries).where(
    deliveries.c.delivery_id.in_(
        select(deliveries.c.delivery_id)
        .where(deliveries.c.delivery_id < bindparam("oldest"), deliveries.c.state != "pending")
        .order_by(deliveries.c.delivery_id)
        .limit(bindparam("most"))
    )
)


class WebhookRows:
    """The tables of webhooks; see `pki.ports.Webhooks`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, webhook: Webhook) -> None:
        """Store a webhook in place of the one with its id."""
        row = {name: getattr(webhook, name) for name in _COLUMNS}
        self._session.put(_PUT, row | {"events": json.dumps(webhook.events)})

    def get(self, webhook_id: str) -> Webhook | None:
        """Return a webhook, or None."""
        row = self._session.first(_GET, {"webhook_id": webhook_id})
        return _webhook(row) if row else None

    def of(self, client_id: str) -> list[Webhook]:
        """Return the webhooks of a client."""
        return [_webhook(row) for row in self._session.rows(_BY_CLIENT, {"client_id": client_id})]

    def wanted(self) -> set[str]:
        """Return the events that webhooks in force name."""
        return {event for row in self._session.rows(_WANTED) for event in json.loads(row.events)}

    def page(self, after: str, limit: int) -> list[Webhook]:
        """Return a page of every webhook, ordered by id, beginning behind `after`."""
        rows = self._session.rows(_PAGE, {"after": after, "most": limit})
        return [_webhook(row) for row in rows]

    def remove(self, webhook_id: str) -> bool:
        """Forget a webhook and what was still to be delivered; tell whether it was there."""
        self._session.change(_GIVE_UP, {"the_webhook": webhook_id})
        return self._session.change(_REMOVE, {"the_webhook": webhook_id}) > 0

    def queued(self, limit: int) -> list[Event]:
        """Return events that were not handed on yet."""
        return [
            Event(
                event_id=row.event_id,
                type=row.type,
                party=row.party,
                payload=row.payload,
                created_at=row.created_at,
            )
            for row in self._session.rows(_QUEUED, {"most": limit})
        ]

    def dequeue(self, event_id: str) -> bool:
        """Note that an event was handed on; tell whether it was not before."""
        return self._session.change(_DEQUEUE, {"the_event": event_id}) > 0

    def put_delivery(self, delivery: Delivery) -> None:
        """Store a delivery, or what became of it."""
        row = {column.name: getattr(delivery, column.name) for column in deliveries.columns}
        self._session.put(_PUT_DELIVERY, row)

    def delivery(self, delivery_id: str) -> Delivery | None:
        """Return a delivery, or None."""
        row = self._session.first(_DELIVERY, {"delivery_id": delivery_id})
        return _delivery(row) if row else None

    def waiting(self, now: dt.datetime) -> list[Webhook]:
        """Return webhooks in force for which deliveries are due."""
        return [_webhook(row) for row in self._session.rows(_WAITING, {"now": now})]

    def due(self, webhook_id: str, now: dt.datetime, limit: int) -> list[Delivery]:
        """Return deliveries of a webhook that are to be tried, the oldest first."""
        asked = {"webhook_id": webhook_id, "now": now, "most": limit}
        return [_delivery(row) for row in self._session.rows(_DUE, asked)]

    def log(self, webhook_id: str, before: str | None, limit: int) -> list[Delivery]:
        """Return a page of a webhook's deliveries, newest first, beginning behind `before`."""
        found = {"webhook_id": webhook_id, "before": before or _LAST, "most": limit}
        return [_delivery(row) for row in self._session.rows(_LOG, found)]

    def prune(self, oldest: str, limit: int) -> int:
        """Forget deliveries with smaller ids that are over; return how many."""
        return self._session.change(_PRUNE, {"oldest": oldest, "most": limit})


def _webhook(row: Row[Any]) -> Webhook:
    found = {name: getattr(row, name) for name in _COLUMNS}
    return Webhook(
        **found | {"events": tuple(json.loads(row.events)), "naming": Naming(row.naming)}
    )


def _delivery(row: Row[Any]) -> Delivery:
    found = {column.name: getattr(row, column.name) for column in deliveries.columns}
    return Delivery(**found | {"state": DeliveryState(row.state)})
