"""Webhooks: who is told what, signed how, how often; receivers are real HTTP servers."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from pki import clients, events, rotate, services, settings
from pki.clock import FixedClock
from pki.errors import BadInput, Conflict, NotAllowed, NotFound
from pki.events import Wanted, delivery
from pki.model import Delivery, DeliveryState, Event, Naming, Principal, Role
from pki.outbound import OutboundPolicy, check_target
from pki.ports import Deployment
from pki.provision import notices
from pki.rotate import Step
from tests.builders import NOW
from tests.homes import ADMIN

HERE = OutboundPolicy(allowed=(ip_network("127.0.0.0/8"),), seconds=5.0)
HOUR = dt.timedelta(hours=1)
EMAID = "DE8AACA2B3C4D5"
PAYLOAD = {
    "emaid": EMAID,
    "pcid": "WPN12345678901234",
    "xsdMsgDefNamespace": "urn:iso:15118:20:2022:MsgDef",
}


@dataclass
class Receiver:
    """A backend that answers as it is told and keeps what it gets."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def types(self) -> list[str]:
        return [body["eventType"] for body in self.bodies()]


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    """Run a backend that answers 204 after the answers given."""
    kept = Receiver(answers=list(answers))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.got.append((dict(self.headers), body))
            self.send_response(kept.answers.pop(0) if kept.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class World:
    """An installation with an OEM and an eMSP as clients."""

    deployment: Deployment
    oem: Principal
    emsp: Principal

    def later(self, by: dt.timedelta) -> World:
        return replace(self, deployment=replace(self.deployment, clock=FixedClock(NOW + by)))

    def add(
        self, who: Principal, url: str, *names: str, naming: Naming = Naming.OPCP
    ) -> events.Shown:
        wanted = Wanted(url=url, events=names)
        return events.add(self.deployment, who, HERE, wanted, naming)

    def happen(self, kind: str, party: str, number: int = 1) -> str:
        event_id = f"{number:032x}"
        with self.deployment.store.write() as tx:
            tx.outbox.add(
                Event(
                    event_id=event_id,
                    type=kind,
                    party=party,
                    payload=json.dumps(PAYLOAD),
                    created_at=NOW,
                )
            )
        return event_id

    def run(self) -> int:
        return delivery.run(self.deployment, HERE)

    def log(self, who: Principal, shown: events.Shown) -> list[Delivery]:
        return events.deliveries(self.deployment, who, shown.webhook.webhook_id)


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> Iterator[World]:
    environment = {"PNC_DATABASE_URL": database_url}
    running = services.build(settings.load(environment, tmp_path), clock=FixedClock(NOW))
    running.database.migrate()

    def client(role: Role, party: str) -> Principal:
        made, _ = clients.add(running.deployment, ADMIN, role, (party,))
        return Principal(name=made.client_id, role=role, parties=made.parties)

    yield World(running.deployment, client(Role.OEM, "WPN"), client(Role.EMSP, "DE8AA"))
    running.close()


def test_an_event_is_told_with_id_and_time_under_the_mac(world: World) -> None:
    with receiving() as backend:
        shown = world.add(world.oem, backend.url, "oem.contract.created")
        event_id = world.happen("oem.contract.created", "WPN")
        assert world.run() == 1
        assert world.run() == 0
    ((headers, body),) = backend.got
    assert json.loads(body) == {
        "timestamp": "2026-06-01T12:00:00Z",
        "eventId": f"{event_id[:8]}-{event_id[8:12]}-{event_id[12:16]}-{event_id[16:20]}-"
        + event_id[20:],
        "eventType": "oem.contract.created",
        "xsdMsgDefNamespace": "urn:iso:15118:20:2022:MsgDef",
        "payload": PAYLOAD,
    }
    mac = hmac.new(shown.secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Operator-Signature"] == f"sha256={mac}"
    assert headers["X-Hubject-Signature"] == f"sha256={mac}"
    assert headers["payload-signature"] == mac
    (told,) = world.log(world.oem, shown)
    assert (told.state, told.status, told.attempts) == (DeliveryState.DELIVERED, 204, 1)


def test_what_happened_in_one_second_is_told_in_its_order(world: World) -> None:
    kinds = ["oem.contract.created", "oem.contract.deleted"] * 15
    with receiving() as backend:
        world.add(world.oem, backend.url, *kinds)
        for kind in kinds:
            with world.deployment.store.write() as tx:
                notices.emit(tx, kind, "WPN", PAYLOAD, NOW)
        while world.run():
            pass
    assert backend.types() == kinds


def test_the_emsp_hears_how_its_news_reached_the_maker_of_the_car(world: World) -> None:
    with receiving(500, 200, 409) as maker, receiving() as backend:
        world.add(world.oem, maker.url, "oem.contract.created", "oem.contract.deleted")
        mo = "mo.contract."
        world.add(
            world.emsp,
            backend.url,
            mo + "created.sent.to.oem",
            mo + "queued.to.oem",
            mo + "rejected.by.oem",
        )
        world.happen("oem.contract.created", "WPN")
        world.run()
        world.run()
        assert backend.types() == [mo + "queued.to.oem"]
        world.later(HOUR).run()
        world.later(HOUR).run()
        assert backend.types()[1:] == [mo + "created.sent.to.oem"]
        world.happen("oem.contract.deleted", "WPN", 2)
        world.later(HOUR).run()
        world.later(HOUR).run()
        assert backend.types()[2:] == [mo + "rejected.by.oem"]


def test_a_failing_backend_is_tried_three_more_times_an_hour_apart(world: World) -> None:
    with receiving(500, 502, 503, 500) as backend:
        shown = world.add(world.oem, backend.url, "root.cert.added")
        world.happen("root.cert.added", "")
        for hours in range(4):
            assert world.later(hours * HOUR).run() == 1
            assert world.later((hours + 1) * HOUR - dt.timedelta(seconds=1)).run() == 0
        assert world.later(9 * HOUR).run() == 0
        assert len({body["eventId"] for body in backend.bodies()}) == 1
    (told,) = world.log(world.oem, shown)
    assert (told.state, told.status, told.attempts) == (DeliveryState.FAILED, 500, 4)


@pytest.mark.parametrize("status", [400, 409, 410])
def test_a_backend_that_says_no_is_not_asked_again(world: World, status: int) -> None:
    with receiving(status) as backend:
        shown = world.add(world.oem, backend.url, "root.cert.added")
        world.happen("root.cert.added", "")
        world.run()
        assert world.later(9 * HOUR).run() == 0
    assert world.log(world.oem, shown)[0].state is DeliveryState.REFUSED


def test_a_redirect_is_not_followed_and_a_dead_backend_is_noted(world: World) -> None:
    with receiving(302) as backend:
        shown = world.add(world.oem, backend.url, "root.cert.added")
        world.happen("root.cert.added", "")
        world.run()
        assert world.log(world.oem, shown)[0].problem == "status_not_good"
    world.later(HOUR).run()
    (told,) = world.log(world.oem, shown)
    assert (told.state, told.status, told.problem) == (
        DeliveryState.PENDING,
        None,
        "outbound_failed",
    )


def test_a_dead_backend_holds_up_nobody_else(world: World) -> None:
    with receiving() as backend, receiving(*[500] * 50) as dead:
        world.add(world.oem, dead.url, "root.cert.added")
        world.add(world.emsp, backend.url, "root.cert.added")
        for number in range(30):
            world.happen("root.cert.added", "", number)
        world.run()
        world.run()
        assert (len(backend.got), len(dead.got)) == (30, 2)


def test_a_client_hears_of_its_own_and_of_what_is_for_all(world: World) -> None:
    names = ("oem.contract.created", "mo.prov.cert.deleted", "root.cert.added")
    with receiving() as maker, receiving() as backend:
        world.add(world.oem, maker.url, *names)
        world.add(world.emsp, backend.url, *names)
        for number, (kind, party) in enumerate(
            [
                ("oem.contract.created", "WPN"),
                ("oem.contract.created", "WVW"),
                ("oem.contract.created", "DE8AA"),  # a party of another role's name space
                ("mo.prov.cert.deleted", "DE8AA"),
                ("mo.prov.cert.deleted", "WPN"),
                ("root.cert.added", ""),
                ("oem.contract.updated", "WPN"),  # not asked for
            ]
        ):
            world.happen(kind, party, number)
        world.run()
        assert sorted(maker.types()) == ["oem.contract.created", "root.cert.added"]
        assert sorted(backend.types()) == ["mo.prov.cert.deleted", "root.cert.added"]


def test_a_webhook_of_opnc_is_told_opncs_names(world: World) -> None:
    with receiving() as backend:
        shown = world.add(world.emsp, backend.url, "emsp.prov.cert.updated", naming=Naming.OPNC)
        assert shown.webhook.events == ("mo.prov.cert.updated",)
        world.happen("mo.prov.cert.updated", "DE8AA")
        world.run()
        assert backend.types() == ["emsp.prov.cert.updated"]


def test_what_was_told_is_told_again_on_demand(world: World) -> None:
    with receiving() as backend:
        shown = world.add(world.oem, backend.url, "root.cert.added")
        world.happen("root.cert.added", "")
        world.run()
        (told,) = world.log(world.oem, shown)
        with pytest.raises(NotFound):
            events.redeliver(world.deployment, world.emsp, told.delivery_id)
        events.redeliver(world.deployment, world.oem, told.delivery_id)
        assert world.run() == 1
        assert backend.got[0][1] == backend.got[1][1]
    assert [d.state for d in world.log(world.oem, shown)] == [DeliveryState.DELIVERED] * 2


def test_a_resting_webhook_a_removed_one_and_one_of_a_removed_client_hear_nothing(
    world: World,
) -> None:
    with receiving() as backend:
        resting, gone = (world.add(world.oem, backend.url, "root.cert.added") for _ in range(2))
        world.add(world.emsp, backend.url, "root.cert.added")
        world.happen("root.cert.added", "")
        assert delivery.hand_on(world.deployment) == 3
        off = Wanted(enabled=False)
        events.change(world.deployment, world.oem, HERE, resting.webhook.webhook_id, off)
        events.remove(world.deployment, world.oem, gone.webhook.webhook_id)
        clients.disable(world.deployment, ADMIN, world.emsp.name)
        assert world.run() == 0
        on = Wanted(enabled=True)
        events.change(world.deployment, world.oem, HERE, resting.webhook.webhook_id, on)
        assert world.run() == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://10.1.2.3/x",
        "https://169.254.169.254/latest",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[::127.0.0.1]/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://[2002:a01:203::]/x",
        "http://0.0.0.0/x",
        "http://[fd00::1]/x",
    ],
)
def test_an_internal_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_target(OutboundPolicy(), url)
    assert caught.value.code == "address_refused"


def test_a_name_that_leads_inside_is_refused_when_it_is_called(world: World) -> None:
    with receiving() as backend:
        url = backend.url.replace("127.0.0.1", "localhost")
        shown = world.add(world.oem, url, "root.cert.added")
        world.happen("root.cert.added", "")
        assert delivery.run(world.deployment, OutboundPolicy(seconds=5.0)) == 1
        assert backend.got == []
    assert world.log(world.oem, shown)[0].problem == "address_refused"


BAD = (
    (Wanted(events=()), "field_missing"),
    (Wanted(url="https://a.example/"), "field_missing"),
    (Wanted(url="ftp://a.example/", events=()), "invalid_address"),
    (Wanted(url="https://u:p@a.example/", events=()), "invalid_address"),
    (Wanted(url="https://192.168.0.1/", events=()), "address_refused"),
    (Wanted(url="https://a.example/", events=("no.such",)), "event_unknown"),
    (Wanted(url="https://a.example/", events=("root.cert.added",) * 41), "too_many"),
    (Wanted(url="https://a.example/", events=(), metadata={"a": "b" * 5000}), "too_long"),
    (Wanted(url="https://a.example/", events=(), description="b" * 501), "too_long"),
)


def test_what_cannot_be_a_webhook_is_named(world: World) -> None:
    for wanted, code in BAD:
        with pytest.raises(BadInput) as caught:
            events.add(world.deployment, world.oem, HERE, wanted, Naming.OPCP)
        assert caught.value.code == code
    assert events.webhooks(world.deployment, world.oem) == []


def test_a_client_sees_its_own_and_has_twenty_at_most(world: World) -> None:
    made = [world.add(world.oem, "https://a.example/") for _ in range(20)]
    with pytest.raises(Conflict):
        world.add(world.oem, "https://a.example/")
    assert {s.webhook.webhook_id for s in events.webhooks(world.deployment, world.oem)} == {
        s.webhook.webhook_id for s in made
    }
    assert len({s.secret for s in made}) == 20
    again = events.webhook(world.deployment, world.oem, made[0].webhook.webhook_id)
    assert again == made[0]
    assert events.webhooks(world.deployment, world.emsp) == []
    for verb in (events.webhook, events.remove, events.deliveries):
        with pytest.raises(NotFound):
            verb(world.deployment, world.emsp, made[0].webhook.webhook_id)
    auditor = Principal(name="auditor", role=Role.AUDITOR)
    with pytest.raises(NotAllowed):
        events.webhooks(world.deployment, auditor)
    assert len(events.webhooks(world.deployment, ADMIN, limit=7)) == 7


def _write_and_fail(world: World) -> None:
    event = Event(event_id="0" * 32, type="root.cert.added", party="", payload="{}", created_at=NOW)
    with world.deployment.store.write() as tx:
        tx.outbox.add(event)
        raise Conflict("any", "The change failed after its event was written.")


def test_a_change_that_is_rolled_back_tells_nobody(world: World) -> None:
    with receiving() as backend:
        world.add(world.oem, backend.url, "root.cert.added")
        with pytest.raises(Conflict):
            _write_and_fail(world)
        assert world.run() == 0
        assert backend.got == []


def test_the_log_is_paged_and_forgets_after_a_month(world: World) -> None:
    with receiving() as backend:
        shown = world.add(world.oem, backend.url, "root.cert.added")
        for number in range(5):
            world.happen("root.cert.added", "", number)
        world.run()
    first = events.deliveries(world.deployment, world.oem, shown.webhook.webhook_id, limit=2)
    rest = events.deliveries(
        world.deployment, world.oem, shown.webhook.webhook_id, before=first[-1].delivery_id
    )
    assert len({d.delivery_id for d in (*first, *rest)}) == 5
    world.later(dt.timedelta(days=30)).run()
    assert len(world.log(world.oem, shown)) == 5
    world.later(dt.timedelta(days=31)).run()
    assert world.log(world.oem, shown) == []


def test_the_key_of_the_secrets_is_rotated_and_no_delivery_is_refused(world: World) -> None:
    """The owner reads the next secret while both sign, and knows it before it signs alone."""
    with receiving() as backend:
        before = world.add(world.oem, backend.url, "oem.contract.created")
        assert before.next_secret is None
        rotate.webhooks(world.deployment, ADMIN)
        between = events.webhook(world.deployment, world.oem, before.webhook.webhook_id)
        assert between.secret == before.secret
        assert between.next_secret not in (None, between.secret)
        world.happen("oem.contract.created", "WPN")
        world.run()
        rotate.webhooks(world.deployment, ADMIN)
        after = events.webhook(world.deployment, world.oem, before.webhook.webhook_id)
        assert (after.secret, after.next_secret) == (between.next_secret, None)
        world.happen("oem.contract.created", "WPN", 2)
        world.run()
    (first, first_body), (second, second_body) = backend.got
    assert first["X-Operator-Signature"] == _signed(before.secret, first_body)
    assert first[delivery.NEXT_SIGNATURE] == _signed(str(between.next_secret), first_body)
    assert second["X-Operator-Signature"] == _signed(after.secret, second_body)
    assert delivery.NEXT_SIGNATURE not in second


def _signed(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_the_rehearsal_names_whose_webhooks_need_the_next_secret(world: World) -> None:
    shown = world.add(world.oem, "https://127.0.0.1/hook", "oem.contract.created")
    plan = rotate.webhooks(world.deployment, ADMIN, dry_run=True)
    assert [shown.client.client_id in effect.who for effect in plan.effects] == [True]
    with pytest.raises(Conflict) as early:
        rotate.webhooks(world.deployment, ADMIN, Step.SWITCH)
    assert early.value.code == "not_prepared"
    rotate.webhooks(world.deployment, ADMIN, Step.PREPARE)
    with pytest.raises(Conflict) as twice:
        rotate.webhooks(world.deployment, ADMIN, Step.PREPARE)
    assert twice.value.code == "rotation_underway"
