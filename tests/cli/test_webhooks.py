"""`pnc webhook`: what an operator sees of the webhooks of clients."""

from __future__ import annotations

from pathlib import Path

from pki import events
from pki.events import delivery
from pki.model import Event, Naming, Principal, Role
from pki.outbound import OutboundPolicy
from tests.cli.test_cli import ok, refused
from tests.homes import opened


def test_webhooks_are_listed_and_told_again(small_home: Path) -> None:
    client = ok(small_home, "client", "add", "--role", "oem", "--party", "WPN")
    oem = Principal(name=client["clientId"], role=Role.OEM, parties=("WPN",))
    wanted = events.Wanted(url="https://backend.example/hook", events=("root.cert.added",))
    with opened(small_home) as services:
        shown = events.add(services.deployment, oem, OutboundPolicy(), wanted, Naming.OPCP)
        event = Event(
            event_id="1" * 32,
            type="root.cert.added",
            party="",
            payload="{}",
            created_at=services.deployment.clock.now(),
        )
        with services.deployment.store.write() as tx:
            tx.outbox.add(event)
        assert delivery.hand_on(services.deployment) == 1
    (listed,) = ok(small_home, "webhook", "list")["webhooks"]
    assert (listed["clientId"], listed["status"]) == (client["clientId"], "enabled")
    assert shown.secret not in str(listed)
    (told,) = ok(small_home, "webhook", "deliveries", listed["id"])["deliveries"]
    assert (told["state"], told["eventType"]) == ("pending", "root.cert.added")
    assert ok(small_home, "webhook", "redeliver", told["deliveryId"])["deliveryId"]
    assert len(ok(small_home, "webhook", "deliveries", listed["id"])["deliveries"]) == 2
    assert refused(small_home, "webhook", "redeliver", "none")["code"] == "delivery_unknown"
