"""Webhooks: who is told of events, and what became of each telling."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class Naming(StrEnum):
    """Whose names of events a webhook is told: `mo.…` or `emsp.…`."""

    OPCP = "opcp"
    OPNC = "opnc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """
    An address that a client wants told.

    Attributes:
        client_id: whose it is; what the client is entitled to hear is asked at each event.
        events: names as OPCP has them.
        metadata: JSON object of the caller's own, given back unread.
        secret_seed: what the secret is derived from, together with a key; no secret itself.
    """

    webhook_id: str
    client_id: str
    url: str
    events: tuple[str, ...]
    naming: Naming
    description: str
    api_version: str
    metadata: str
    enabled: bool
    secret_seed: str
    created_at: dt.datetime


class DeliveryState(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    REFUSED = "refused"  # the receiver said that it does not want it
    FAILED = "failed"  # every try was in vain


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One event for one webhook.

    Attributes:
        delivery_id: sorts by time of creation.
        next_at: when it is tried (again), while pending.
        status: HTTP status of the last try, where there was an answer.
        problem: what went wrong at the last try.
    """

    delivery_id: str
    webhook_id: str
    event_id: str
    event_type: str
    state: DeliveryState
    attempts: int
    next_at: dt.datetime
    created_at: dt.datetime
    status: int | None = None
    problem: str | None = None
    tried_at: dt.datetime | None = None
