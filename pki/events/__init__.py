"""
Webhooks: who wants to be told of which events, where, and what became of it.

Events are written by the verbs whose change they tell of, into the outbox, in the transaction of
that change. `pki.events.delivery` hands them on.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pki import access, audit
from pki.errors import BadInput, Conflict, JsonValue, NotFound
from pki.events.delivery import Told, new_delivery
from pki.events.keys import names, secret_of
from pki.events.names import KNOWN, canonical, heard_by
from pki.ids import quote
from pki.model import Client, Delivery, Naming, Principal, Role, Webhook
from pki.outbound import OutboundPolicy, check_target
from pki.ports import Deployment, Transaction

MAX_WEBHOOKS: Final = 20
"""Of one client."""
MAX_EVENTS: Final = 40
MAX_METADATA: Final = 4096
MAX_DESCRIPTION: Final = 500
MAX_VERSION: Final = 40

__all__ = [
    "KNOWN",
    "MAX_WEBHOOKS",
    "Shown",
    "Told",
    "Wanted",
    "add",
    "change",
    "deliveries",
    "heard_by",
    "redeliver",
    "remove",
    "webhook",
    "webhooks",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What a caller says of a webhook; None where it says nothing.

    Attributes:
        events: names as OPCP or as OPNC has them.
        metadata: any JSON object.
    """

    url: str | None = None
    events: tuple[str, ...] | None = None
    enabled: bool | None = None
    description: str | None = None
    api_version: str | None = None
    metadata: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """
    A webhook with its secret and its owner, as its owner may see it.

    Attributes:
        next_secret: takes the secret's place soon; None unless a rotation is under way.
    """

    webhook: Webhook
    client: Client
    secret: str
    next_secret: str | None = None


def add(
    deployment: Deployment,
    principal: Principal,
    policy: OutboundPolicy,
    wanted: Wanted,
    naming: Naming,
) -> Shown:
    """
    Register a webhook of the caller.

    Raises:
        NotAllowed: `role_not_allowed`.
        BadInput: `field_missing`, `invalid_address`, `address_refused`, `event_unknown`,
            `too_many`, `too_long`.
        Conflict: `too_many_webhooks`.
    """
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    now = deployment.clock.now()
    if wanted.url is None or wanted.events is None:
        missing = "url" if wanted.url is None else "enabledEvents"
        raise BadInput("field_missing", f"The field {missing} is missing.")
    blank = Webhook(
        webhook_id=secrets.token_hex(16),
        client_id=principal.name,
        url=wanted.url,
        events=(),
        naming=naming,
        description="",
        api_version="",
        metadata="{}",
        enabled=True,
        secret_seed=secrets.token_hex(16),
        created_at=now,
    )
    made = _changed(blank, policy, wanted)
    with deployment.store.write() as tx:
        client = _owner(tx, made)
        if len(tx.webhooks.of(principal.name)) >= MAX_WEBHOOKS:
            raise Conflict("too_many_webhooks", f"A client has at most {MAX_WEBHOOKS} webhooks.")
        tx.webhooks.put(made)
        _note(tx, deployment, principal, "webhook.add", made)
    return _shown(deployment, made, client)


def change(
    deployment: Deployment,
    principal: Principal,
    policy: OutboundPolicy,
    webhook_id: str,
    wanted: Wanted,
) -> Shown:
    """
    Change what is named of a webhook; its secret stays.

    Raises:
        NotFound: `webhook_unknown`, also for one of somebody else.
        BadInput: as `add`.
    """
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    with deployment.store.write() as tx:
        changed = _changed(_own(tx, principal, webhook_id), policy, wanted)
        tx.webhooks.put(changed)
        _note(tx, deployment, principal, "webhook.change", changed)
        client = _owner(tx, changed)
    return _shown(deployment, changed, client)


def remove(deployment: Deployment, principal: Principal, webhook_id: str) -> None:
    """Forget a webhook and what it was still to be told. Raises NotFound (`webhook_unknown`)."""
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    with deployment.store.write() as tx:
        gone = _own(tx, principal, webhook_id)
        tx.webhooks.remove(webhook_id)
        _note(tx, deployment, principal, "webhook.remove", gone)


def webhook(deployment: Deployment, principal: Principal, webhook_id: str) -> Shown:
    """Return a webhook of the caller. Raises NotFound (`webhook_unknown`)."""
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    with deployment.store.read() as tx:
        found = _own(tx, principal, webhook_id)
        client = _owner(tx, found)
    return _shown(deployment, found, client)


def webhooks(
    deployment: Deployment, principal: Principal, *, after: str = "", limit: int = 500
) -> list[Shown]:
    """Return the caller's webhooks; an administrator sees a page of everybody's."""
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    with deployment.store.read() as tx:
        if principal.role is Role.ADMIN:
            found = tx.webhooks.page(after, limit)
        else:
            found = tx.webhooks.of(principal.name)
        owned = [(each, _owner(tx, each)) for each in found]
    return [_shown(deployment, each, client) for each, client in owned]


def deliveries(
    deployment: Deployment,
    principal: Principal,
    webhook_id: str,
    *,
    before: str | None = None,
    limit: int = 100,
) -> list[Delivery]:
    """Return a page of a webhook's deliveries, newest first. Raises NotFound."""
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    with deployment.store.read() as tx:
        _own(tx, principal, webhook_id)
        return tx.webhooks.log(webhook_id, before, limit)


def redeliver(deployment: Deployment, principal: Principal, delivery_id: str) -> Delivery:
    """
    Tell an event again, at the next run of the job, as a delivery of its own.

    Raises:
        NotFound: `delivery_unknown`, also where its webhook is gone or of somebody else.
    """
    access.require(principal, access.Action.KEEP_WEBHOOKS)
    with deployment.store.write() as tx:
        told = tx.webhooks.delivery(delivery_id)
        target = tx.webhooks.get(told.webhook_id) if told else None
        if told is None or target is None or not _is_own(principal, target):
            raise NotFound("delivery_unknown", f"There is no delivery {quote(delivery_id)}.")
        again = new_delivery(target, told.event_id, told.event_type, deployment.clock.now())
        tx.webhooks.put_delivery(again)
        _note(tx, deployment, principal, "webhook.redeliver", target)
    return again


# --- parts ---------------------------------------------------------------------------------------


def _changed(webhook: Webhook, policy: OutboundPolicy, wanted: Wanted) -> Webhook:
    changed = replace(
        webhook,
        url=wanted.url if wanted.url is not None else webhook.url,
        enabled=webhook.enabled if wanted.enabled is None else wanted.enabled,
        description=_short(wanted.description, webhook.description, MAX_DESCRIPTION),
        api_version=_short(wanted.api_version, webhook.api_version, MAX_VERSION),
    )
    check_target(policy, changed.url)
    if wanted.events is not None:
        changed = replace(changed, events=_events(wanted.events))
    if wanted.metadata is not None:
        metadata = json.dumps(dict(wanted.metadata), separators=(",", ":"))
        changed = replace(changed, metadata=_short(metadata, "", MAX_METADATA))
    return changed


def _short(new: str | None, old: str, most: int) -> str:
    if new is None:
        return old
    if len(new) > most:
        raise BadInput("too_long", f"A text has more than {most} characters.")
    return new


def _events(named: tuple[str, ...]) -> tuple[str, ...]:
    if len(named) > MAX_EVENTS:
        raise BadInput("too_many", f"More than {MAX_EVENTS} events are named.")
    return tuple(dict.fromkeys(canonical(name) for name in named))


def _own(tx: Transaction, principal: Principal, webhook_id: str) -> Webhook:
    found = tx.webhooks.get(webhook_id)
    if found is None or not _is_own(principal, found):
        raise NotFound("webhook_unknown", f"There is no webhook {quote(webhook_id)}.")
    return found


def _is_own(principal: Principal, webhook: Webhook) -> bool:
    return principal.role is Role.ADMIN or webhook.client_id == principal.name


def _owner(tx: Transaction, webhook: Webhook) -> Client:
    client = tx.clients.get(webhook.client_id)
    if client is None:  # whoever holds the home is no client
        raise BadInput("client_missing", "A webhook belongs to a client.")
    return client


def _shown(deployment: Deployment, webhook: Webhook, client: Client) -> Shown:
    with deployment.store.read() as tx:
        keys = names(tx)
    following = keys.following
    return Shown(
        webhook=webhook,
        client=client,
        secret=secret_of(deployment, webhook, keys.current),
        next_secret=secret_of(deployment, webhook, following) if following else None,
    )


def _note(
    tx: Transaction, deployment: Deployment, principal: Principal, action: str, webhook: Webhook
) -> None:
    details: dict[str, JsonValue] = {"url": webhook.url, "events": list(webhook.events)}
    audit.note(tx, deployment.clock.now(), principal.name, action, webhook.webhook_id, details)
