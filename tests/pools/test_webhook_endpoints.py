"""Webhook endpoints over HTTP, in both dialects."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from pki.events import delivery
from pki.model import Event
from tests.pools.conftest import World
from tests.web.calling import code

URL = "https://backend.example/hook"


@pytest.mark.parametrize(
    ("prefix", "named"),
    [("/v1/webhook", "mo.prov.cert.updated"), ("/opnc/v1/event", "emsp.prov.cert.updated")],
)
def test_a_webhook_is_made_changed_and_removed(world: World, prefix: str, named: str) -> None:
    path = f"{prefix}/endpoints"
    body = {"url": URL, "enabledEvents": [named], "metadata": {"a": 1}, "description": "ours"}
    made = world.ask("emsp", "POST", path, body)
    assert made.status_code == 201
    hook = made.json
    assert hook is not None
    assert hook["enabledEvents"] == hook["events"] == [named]
    assert (hook["providerIds"], hook["wmis"], hook["userRole"]) == (["DEMOA"], [], "eMSP")
    assert (hook["status"], hook["metadata"]) == ("enabled", {"a": 1})
    assert isinstance(hook["created"], int)
    own = f"{path}/{uuid.UUID(hook['id'])}"
    assert world.ok("emsp", "GET", own) == hook
    assert world.ok("emsp", "GET", path) == [hook]
    assert world.ok("oem", "GET", path) == []
    for method in ("GET", "DELETE"):
        assert code(world.ask("oem", method, own)) == (404, "webhook_unknown")
    changed = world.ok("emsp", "PUT", own, {"status": "disabled"})
    assert changed == hook | {"status": "disabled"}
    assert world.ask("emsp", "DELETE", own).status_code == 200
    assert world.ok("emsp", "GET", path) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"enabledEvents": []}, "field_missing"),
        ({"url": "http://127.0.0.1/", "enabledEvents": []}, "address_refused"),
        ({"url": "file:///etc/passwd", "enabledEvents": []}, "invalid_address"),
        ({"url": URL, "enabledEvents": ["no.such"]}, "event_unknown"),
        ({"url": URL, "enabledEvents": "root.cert.added"}, "wrong_type"),
        ({"url": URL, "enabledEvents": [], "status": "maybe"}, "invalid_value"),
        ({"url": URL, "enabledEvents": [], "metadata": []}, "wrong_type"),
    ],
)
def test_what_cannot_be_a_webhook_is_named(
    world: World, body: dict[str, object], expected: str
) -> None:
    assert code(world.ask("oem", "POST", "/v1/webhook/endpoints", body)) == (400, expected)


def test_the_log_is_read_and_an_event_is_told_again(world: World) -> None:
    body = {"url": URL, "enabledEvents": ["root.cert.added"]}
    hook = world.ask("oem", "POST", "/v1/webhook/endpoints", body).json
    assert hook is not None
    event = Event(
        event_id="2" * 32,
        type="root.cert.added",
        party="",
        payload="{}",
        created_at=world.services.deployment.clock.now(),
    )
    with world.services.deployment.store.write() as tx:
        tx.outbox.add(event)
        tx.outbox.add(dataclasses.replace(event, event_id="3" * 32))
    assert delivery.hand_on(world.services.deployment) == 2
    path = f"/v1/webhook/endpoints/{hook['id']}/deliveries"
    page = world.ok("oem", "GET", f"{path}?limit=1")
    (rest,) = world.ok("oem", "GET", f"{path}?before={page['next']}")["deliveries"]
    assert rest["state"] == "pending"
    assert world.ask("oem2", "GET", path).status_code == 404
    again = f"/v1/webhook/deliveries/{rest['deliveryId']}/redeliver"
    assert world.ask("oem2", "POST", again).status_code == 404
    told = world.ask("oem", "POST", again)
    assert told.status_code == 202
    assert told.json is not None
    assert told.json["eventId"] == rest["eventId"]
    assert len(world.ok("oem", "GET", path)["deliveries"]) == 3
