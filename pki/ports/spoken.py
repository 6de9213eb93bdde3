"""What the spoken interfaces keep: keys of access tokens, webhooks and their deliveries."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.model import Delivery, Event, TokenKey, Webhook


class TokenKeys(Protocol):
    """Keys that sign access tokens."""

    def add(self, key: TokenKey) -> None: ...

    def all(self) -> list[TokenKey]:
        """Return every key, newest first."""

    def retire(self, at: dt.datetime) -> int:
        """Retire every key that still signs; return how many."""

    def forget(self, before: dt.datetime) -> int:
        """Forget keys that were retired before a time; return how many."""


class Webhooks(Protocol):
    """Addresses that are told of events, deliveries, and events that are not yet handed on."""

    def put(self, webhook: Webhook) -> None:
        """Store a webhook in place of the one with its id."""

    def get(self, webhook_id: str) -> Webhook | None: ...

    def of(self, client_id: str) -> list[Webhook]: ...

    def wanted(self) -> set[str]:
        """Return the events that webhooks in force name."""

    def page(self, after: str, limit: int) -> list[Webhook]:
        """Return a page of every webhook, ordered by id, beginning behind `after`."""

    def remove(self, webhook_id: str) -> bool:
        """Forget a webhook and what was still to be delivered; tell whether it was there."""

    def queued(self, limit: int) -> list[Event]:
        """Return events that were not handed on yet."""

    def dequeue(self, event_id: str) -> bool:
        """Note that an event was handed on; tell whether it was not before."""

    def put_delivery(self, delivery: Delivery) -> None:
        """Store a delivery, or what became of it."""

    def delivery(self, delivery_id: str) -> Delivery | None: ...

    def waiting(self, now: dt.datetime) -> list[Webhook]:
        """Return webhooks in force for which deliveries are due."""

    def due(self, webhook_id: str, now: dt.datetime, limit: int) -> list[Delivery]:
        """Return deliveries of a webhook that are to be tried, the oldest first."""

    def log(self, webhook_id: str, before: str | None, limit: int) -> list[Delivery]:
        """Return a page of a webhook's deliveries, newest first, beginning behind `before`."""

    def prune(self, oldest: str, limit: int) -> int:
        """Forget deliveries with smaller ids that are over; return how many."""
