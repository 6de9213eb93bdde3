"""`pnc webhook`: who is told of events, what became of it, and telling it again."""

from __future__ import annotations

from typing import Final

import click

from pki import events
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    paged,
    tell_more,
    with_errors,
)
from pki.clock import format_time
from pki.events.render import delivery_json, webhook_summary


@click.group("webhook")
def webhook_group() -> None:
    """Webhooks of clients; clients register them over /v1/webhook/endpoints."""


@webhook_group.command("list")
@json_option
@click.pass_obj
@with_errors
def webhook_list(home: HomeOption, *, as_json: bool) -> None:
    """List every webhook."""
    with installation(home) as services:
        found = events.webhooks(services.deployment, operator())
    rows = [
        (s.webhook.webhook_id, s.webhook.client_id, s.webhook.url, s.webhook.enabled) for s in found
    ]
    emit(
        {"webhooks": [webhook_summary(shown.webhook) for shown in found]},
        as_json=as_json,
        table=lambda: listing(("webhook", "client", "url", "enabled"), rows),
    )


@webhook_group.command("deliveries")
@click.argument("webhook_id")
@paged("Delivery", option="before", most=500, default=50)
@json_option
@click.pass_obj
@with_errors
def webhook_deliveries(
    home: HomeOption, *, webhook_id: str, before: str | None, limit: int, as_json: bool
) -> None:
    """Show what a webhook was told, newest first."""
    with installation(home) as services:
        found = events.deliveries(
            services.deployment, operator(), webhook_id, before=before, limit=limit
        )
    tell_more(found, limit, lambda delivery: delivery.delivery_id, option="before")
    rows = [
        (d.delivery_id, d.event_type, d.state.value, d.attempts, d.status or d.problem)
        for d in found
    ]
    emit(
        {"deliveries": [delivery_json(delivery) for delivery in found]},
        as_json=as_json,
        table=lambda: listing(("delivery", "event", "state", "tries", "answer"), rows),
    )


@webhook_group.command("redeliver")
@click.argument("delivery_id")
@json_option
@click.pass_obj
@with_errors
def webhook_redeliver(home: HomeOption, *, delivery_id: str, as_json: bool) -> None:
    """Tell an event again, at the next run of the job `webhooks`."""
    with installation(home) as services:
        again = events.redeliver(services.deployment, operator(), delivery_id)
    body = {"deliveryId": again.delivery_id, "nextAt": format_time(again.next_at)}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


COMMANDS: Final = (webhook_group,)
