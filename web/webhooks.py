"""Webhook endpoints as OPCP and OPNC have them; the log of deliveries and redelivery are ours."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, request

from pki import events
from pki.errors import BadInput
from pki.events import Shown, Wanted
from pki.events.names import presented
from pki.events.render import delivery_json
from pki.model import Naming, Role
from pki.outbound import OutboundPolicy
from pki.ports import Deployment
from web import auth, pools
from web.answers import json_answer, json_list
from web.parsing import Fields, page_size, query

PREFIXES: Final = {Naming.OPCP: "/v1/webhook", Naming.OPNC: "/opnc/v1/event"}
_ROLES: Final = {Role.EMSP: "eMSP", Role.OEM: "OEM", Role.CPO: "CPO", Role.CPS: "CPS"}
_STATES: Final = {"enabled": True, "disabled": False}


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The handlers, over one installation."""

    deployment: Deployment
    policy: OutboundPolicy
    naming: Naming

    def list(self) -> Response:
        """Return the caller's webhooks."""
        found = events.webhooks(self.deployment, auth.principal(self.deployment))
        return json_list([self._json(shown) for shown in found])

    def add(self) -> Response:
        """Register a webhook."""
        principal = auth.principal(self.deployment)
        wanted = _wanted(pools.body())
        shown = events.add(self.deployment, principal, self.policy, wanted, self.naming)
        return json_answer(self._json(shown), 201)

    def get(self, webhook_id: str) -> Response:
        """Return one webhook."""
        principal = auth.principal(self.deployment)
        return json_answer(self._json(events.webhook(self.deployment, principal, webhook_id)))

    def change(self, webhook_id: str) -> Response:
        """Change what the body names."""
        principal = auth.principal(self.deployment)
        wanted = _wanted(pools.body())
        shown = events.change(self.deployment, principal, self.policy, webhook_id, wanted)
        return json_answer(self._json(shown))

    def remove(self, webhook_id: str) -> Response:
        """Forget a webhook."""
        events.remove(self.deployment, auth.principal(self.deployment), webhook_id)
        return Response(status=200)

    def deliveries(self, webhook_id: str) -> Response:
        """Return a page of what a webhook was told, newest first."""
        principal = auth.principal(self.deployment)
        fields = query(request, ("before", "limit"))
        limit = page_size(fields)
        before = fields.text("before")
        found = events.deliveries(
            self.deployment, principal, webhook_id, before=before, limit=limit
        )
        more = found[-1].delivery_id if len(found) == limit else None
        return json_answer({"deliveries": [delivery_json(d) for d in found], "next": more})

    def redeliver(self, delivery_id: str) -> Response:
        """Tell an event again."""
        again = events.redeliver(self.deployment, auth.principal(self.deployment), delivery_id)
        return json_answer(delivery_json(again), 202)

    def _json(self, shown: Shown) -> dict[str, Any]:
        hook, client = shown.webhook, shown.client
        names = [presented(name, self.naming) for name in hook.events]
        return {
            "id": str(uuid.UUID(hook.webhook_id)),
            "created": int(hook.created_at.timestamp()),
            "url": hook.url,
            "enabledEvents": names,
            "events": names,  # as the examples of OPCP have it
            "secret": shown.secret,
            **({"nextSecret": shown.next_secret} if shown.next_secret else {}),
            "status": "enabled" if hook.enabled else "disabled",
            "apiVersion": hook.api_version,
            "description": hook.description,
            "metadata": json.loads(hook.metadata),
            "providerIds": list(client.parties) if client.role is Role.EMSP else [],
            "wmis": list(client.parties) if client.role is Role.OEM else [],
            "userRole": _ROLES.get(client.role, client.role.value),
            "userName": client.client_id,
        }


def _wanted(fields: Fields) -> Wanted:
    status = fields.text("status")
    if status is not None and status not in _STATES:
        raise BadInput("invalid_value", "status is enabled or disabled.", data={"field": "status"})
    metadata = fields.values.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise BadInput("wrong_type", "metadata is not an object.", data={"field": "metadata"})
    return Wanted(
        url=fields.text("url", longest=2000),
        events=pools.texts(fields, "enabledEvents", events.MAX_EVENTS),
        enabled=_STATES[status] if status is not None else None,
        description=fields.text("description", longest=events.MAX_DESCRIPTION),
        api_version=fields.text("apiVersion"),
        metadata=metadata,
    )


def _by_id(handler: Callable[[str], Response]) -> Callable[[str], Response]:
    """Take an id with or without dashes."""

    def called(webhook_id: str) -> Response:
        return handler(webhook_id.replace("-", ""))

    return called


def blueprint(deployment: Deployment, policy: OutboundPolicy) -> Blueprint:
    """Return the routes of both documents, and ours under the older one."""
    made = Blueprint("webhooks", __name__)

    def add(method: str, path: str, handler: Callable[..., Response]) -> None:
        made.add_url_rule(path, f"{method} {path}".replace(".", "_"), handler, methods=[method])

    for naming, prefix in PREFIXES.items():
        hooks = Webhooks(deployment, policy, naming)
        add("GET", f"{prefix}/endpoints", hooks.list)
        add("POST", f"{prefix}/endpoints", hooks.add)
        add("GET", f"{prefix}/endpoints/<webhook_id>", _by_id(hooks.get))
        add("PUT", f"{prefix}/endpoints/<webhook_id>", _by_id(hooks.change))
        add("DELETE", f"{prefix}/endpoints/<webhook_id>", _by_id(hooks.remove))
    own = Webhooks(deployment, policy, Naming.OPCP)
    prefix = PREFIXES[Naming.OPCP]
    add("GET", f"{prefix}/endpoints/<webhook_id>/deliveries", _by_id(own.deliveries))
    add("POST", f"{prefix}/deliveries/<delivery_id>/redeliver", own.redeliver)
    return made
