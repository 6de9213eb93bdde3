"""Webhooks and deliveries as JSON, for HTTP and command line alike."""

from __future__ import annotations

import uuid
from typing import Any

from pki.clock import format_time
from pki.events.names import presented
from pki.model import Delivery, Webhook


def webhook_summary(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook without its secret."""
    return {
        "id": webhook.webhook_id,
        "clientId": webhook.client_id,
        "url": webhook.url,
        "enabledEvents": [presented(name, webhook.naming) for name in webhook.events],
        "status": "enabled" if webhook.enabled else "disabled",
        "createdAt": format_time(webhook.created_at),
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """Return what became of a delivery."""
    return {
        "deliveryId": delivery.delivery_id,
        "eventId": str(uuid.UUID(delivery.event_id)),
        "eventType": delivery.event_type,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "createdAt": format_time(delivery.created_at),
        "triedAt": format_time(delivery.tried_at) if delivery.tried_at else None,
        "nextAt": format_time(delivery.next_at) if delivery.state == "pending" else None,
        "httpStatus": delivery.status,
        "problem": delivery.problem,
    }
