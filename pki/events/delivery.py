"""
Handing events on: from the outbox to deliveries, from deliveries to addresses.

At least once: a receiver tells repetitions by `eventId`. Deliveries of one webhook go one after the
other; the first that fails ends its turn, so that a dead address holds up nobody but itself.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from pki.clock import format_time, sortable_id
from pki.errors import PkiError
from pki.events.keys import KeyNames, names, secret_of
from pki.events.names import heard_by, presented
from pki.model import Delivery, DeliveryState, Event, Webhook
from pki.outbound import OutboundPolicy
from pki.outbound import request as send
from pki.ports import Deployment, Transaction

RETRIES: Final = (dt.timedelta(hours=1), dt.timedelta(hours=1), dt.timedelta(hours=1))
"""OPCP: three more tries at one-hour spacing."""
KEPT: Final = dt.timedelta(days=30)
"""How long a delivery that is over stands in the log."""

NEXT_SIGNATURE: Final = "X-Operator-Signature-Next"
"""Made with the secret that comes next, while the key of the secrets is being rotated."""

_BATCH: Final = 200
_TURN: Final = 20
_THREADS: Final = 8
_SECONDS: Final = 10.0
_OCTETS: Final = 64 * 1024
_STOPS: Final = frozenset((400, 409, 410))
_GOOD: Final = range(200, 300)
_NAMESPACE: Final = "urn:iso:15118:2:2013:MsgDef"
_SENT: Final = "oem.contract."


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a try went; no status where nobody answered."""

    status: int | None = None
    problem: str | None = None

    @property
    def good(self) -> bool:
        """Whether the receiver has it."""
        return self.status in _GOOD

    @property
    def final(self) -> bool:
        """Whether the receiver said that it does not want it."""
        return self.status in _STOPS


def new_delivery(webhook: Webhook, event_id: str, event_type: str, now: dt.datetime) -> Delivery:
    """Return a delivery that is due at once; those of one run sort as their events."""
    return Delivery(
        delivery_id=f"{_sortable(now)}{event_id[:16]}{secrets.token_hex(4)}",
        webhook_id=webhook.webhook_id,
        event_id=event_id,
        event_type=event_type,
        state=DeliveryState.PENDING,
        attempts=0,
        next_at=now,
        created_at=now,
    )


def _sortable(time: dt.datetime) -> str:
    return f"{int(time.timestamp()):010x}"


# --- the job -------------------------------------------------------------------------------------


def run(deployment: Deployment, policy: OutboundPolicy) -> int:
    """Hand on what is queued, try what is due, forget what is old; return how many were tried."""
    hand_on(deployment)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        due = _turns(tx, now)
    limited = replace(policy, seconds=min(policy.seconds, _SECONDS), octets=_OCTETS)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook") as pool:
        tried = sum(pool.map(lambda turn: _turn(deployment, limited, turn), due))
    with deployment.store.write() as tx:
        tx.webhooks.prune(_sortable(now - KEPT), _BATCH)
    return tried


def hand_on(deployment: Deployment) -> int:
    """Make deliveries of the events in the queue, for who may hear of them; return how many."""
    now = deployment.clock.now()
    made = 0
    with deployment.store.write() as tx:
        queued = tx.webhooks.queued(_BATCH)
        listening = list(_listening(tx)) if queued else []
        for event in queued:
            if not tx.webhooks.dequeue(event.event_id):
                continue  # another runner was faster
            for webhook in listening:
                if event.type in webhook.events and _may_hear(tx, event, webhook):
                    tx.webhooks.put_delivery(new_delivery(webhook, event.event_id, event.type, now))
                    made += 1
    return made


def _listening(tx: Transaction) -> Iterable[Webhook]:
    after = ""
    while page := tx.webhooks.page(after, _BATCH):
        yield from (webhook for webhook in page if webhook.enabled)
        after = page[-1].webhook_id


def _may_hear(tx: Transaction, event: Event, webhook: Webhook) -> bool:
    client = tx.clients.get(webhook.client_id)
    return client is not None and heard_by(event, client)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    webhook: Webhook
    pending: tuple[tuple[Delivery, Event], ...]
    keys: KeyNames


def _turns(tx: Transaction, now: dt.datetime) -> list[_Turn]:
    """Return what each webhook gets in this run: bounded, so that none keeps others waiting."""
    turns = []
    keys = names(tx)
    for webhook in tx.webhooks.waiting(now):
        due = tx.webhooks.due(webhook.webhook_id, now, _TURN)
        found = ((delivery, tx.outbox.get(delivery.event_id)) for delivery in due)
        pending = tuple((delivery, event) for delivery, event in found if event is not None)
        turns.append(_Turn(webhook=webhook, pending=pending, keys=keys))
    return turns


def _turn(deployment: Deployment, policy: OutboundPolicy, turn: _Turn) -> int:
    for number, (delivery, event) in enumerate(turn.pending, 1):
        told = _tell(deployment, policy, turn, event)
        with deployment.store.write() as tx:
            _record(tx, delivery, event, told, deployment.clock.now())
        if not told.good:
            return number
    return len(turn.pending)


def _tell(deployment: Deployment, policy: OutboundPolicy, turn: _Turn, event: Event) -> Told:
    webhook, keys = turn.webhook, turn.keys
    body = body_of(event, webhook)
    headers = {
        "Content-Type": "application/json",
        **signature_headers(secret_of(deployment, webhook, keys.current), body),
    }
    if keys.following is not None:
        headers[NEXT_SIGNATURE] = (
            f"sha256={_mac(secret_of(deployment, webhook, keys.following), body)}"
        )
    try:
        answer = send(policy, "POST", webhook.url, body=body, headers=headers)
    except PkiError as error:
        return Told(problem=error.code)
    problem = None if answer.status in _GOOD else "status_not_good"
    return Told(status=answer.status, problem=problem)


def _record(
    tx: Transaction, delivery: Delivery, event: Event, told: Told, now: dt.datetime
) -> None:
    """Keep what became of a try, and tell the eMSP how its news reached the maker of the car."""
    attempts = delivery.attempts + 1
    state = DeliveryState.PENDING
    wait = dt.timedelta()
    if told.good:
        state = DeliveryState.DELIVERED
    elif told.final:
        state = DeliveryState.REFUSED
    elif attempts > len(RETRIES):
        state = DeliveryState.FAILED
    else:
        wait = RETRIES[attempts - 1]
    tried = replace(
        delivery,
        state=state,
        attempts=attempts,
        next_at=now + wait,
        status=told.status,
        problem=told.problem,
        tried_at=now,
    )
    tx.webhooks.put_delivery(tried)
    news = _news(tried)
    if news is not None:
        _tell_emsp(tx, news, event, now)


def _news(tried: Delivery) -> str | None:
    if not tried.event_type.startswith(_SENT):
        return None
    match tried.state:
        case DeliveryState.DELIVERED:
            return f"mo.contract.{tried.event_type.removeprefix(_SENT)}.sent.to.oem"
        case DeliveryState.REFUSED | DeliveryState.FAILED:
            return "mo.contract.rejected.by.oem"
        case DeliveryState.PENDING:
            return "mo.contract.queued.to.oem" if tried.attempts == 1 else None


def _tell_emsp(tx: Transaction, kind: str, event: Event, now: dt.datetime) -> None:
    provider = str(json.loads(event.payload).get("emaid", ""))[:5]
    if provider:
        tx.outbox.add(
            Event(
                event_id=sortable_id(),
                type=kind,
                party=provider,
                payload=event.payload,
                created_at=now,
            )
        )


# --- what is sent --------------------------------------------------------------------------------


def body_of(event: Event, webhook: Webhook) -> bytes:
    """Return the octets that are sent and signed; id and time of the event stand in them."""
    payload: dict[str, Any] = json.loads(event.payload)
    told = {
        "timestamp": format_time(event.created_at),
        "eventId": str(uuid.UUID(event.event_id)),
        "eventType": presented(event.type, webhook.naming),
        "xsdMsgDefNamespace": payload.get("xsdMsgDefNamespace", _NAMESPACE),
        "payload": payload,
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def signature_headers(secret: str, body: bytes) -> Mapping[str, str]:
    """Return the HMAC-SHA256 over the body under every name that the documents give it."""
    mac = _mac(secret, body)
    return {
        "X-Operator-Signature": f"sha256={mac}",
        "X-Hubject-Signature": f"sha256={mac}",
        "payload-signature": mac,
    }


def _mac(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()
