"""The paths that decide answer alike, whichever adapter serves them, one by one or many at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import validator_for

from pki import clients, contracts
from pki.issue import IssueRequest, issue
from pki.model import ContractState, Role
from pki.pkix.pem import encode
from pki.pkix.profiles import Kind
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened
from web import ocpp
from web.app import create_app, decisions_of
from web.asgi import Application
from web.decisions import LIMITS, V1, _is_plain
from web.hot import HotRequest
from web.metrics import Metrics

OCPP = "/ocpp/2.1/Authorize"


@dataclass(frozen=True)
class World:
    services: Services
    flask: Flask
    asgi: Application
    token: str
    chain: tuple[bytes, ...]

    def headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/json",
            "x-request-id": "same",
        }

    def both(
        self, path: str, body: bytes, **headers: str
    ) -> tuple[tuple[int, Any, dict[str, str]], tuple[int, Any, dict[str, str]]]:
        sent = {n: v for n, v in (self.headers() | headers).items() if v}
        return self._by_flask(path, body, sent), asyncio.run(self._by_asgi(path, body, sent))

    def _by_flask(
        self, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        answer = self.flask.test_client().post(path, data=body, headers=headers)
        return answer.status_code, _told(answer.data), _same(dict(answer.headers))

    async def _by_asgi(
        self, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, Any, dict[str, str]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [
                *((n.encode(), v.encode()) for n, v in headers.items()),
                (b"content-length", str(len(body)).encode()),
            ],
        }
        await self.asgi(scope, receive, send)
        start, *rest = sent
        pairs = {n.decode(): v.decode() for n, v in start["headers"]}
        return start["status"], _told(b"".join(m["body"] for m in rest)), _same(pairs)


def _told(data: bytes) -> Any:
    """Return an answer without what is new in every answer."""
    body = json.loads(data)

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {n: plain(v) for n, v in value.items() if n not in _NEW}
        return [plain(v) for v in value] if isinstance(value, list) else value

    return plain(body)


_NEW = ("decisionId", "decidedAt", "asOf", "reference", "at")


def _same(headers: dict[str, str]) -> dict[str, str]:
    left_out = ("date", "x-authorization-reference")
    return {n.lower(): v for n, v in headers.items() if n.lower() not in left_out}


@pytest.fixture
def world(small_home: Path) -> Iterator[World]:
    with opened(small_home) as services:
        request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
        chain = issue(services.deployment, ADMIN, request).chain
        _, token = clients.add(services.deployment, ADMIN, Role.CPO, ("DECPA",))
        asgi = Application(services)
        yield World(services, create_app(services), asgi, token, chain)
        asgi.stop()


def _v1(world: World, **more: Any) -> bytes:
    pem = "".join(encode(der) for der in world.chain)
    return json.dumps({"certificateChain": pem, "emaid": EMAID} | more).encode()


def _authorize(world: World, **more: Any) -> bytes:
    pem = "".join(encode(der) for der in world.chain)
    token = {"idToken": EMAID, "type": "eMAID"}
    return json.dumps({"idToken": token, "certificate": pem} | more).encode()


def test_good_input_is_answered_alike(world: World) -> None:
    for path, body in ((V1, _v1(world)), (OCPP, _authorize(world))):
        by_flask, by_asgi = world.both(path, body)
        assert by_flask == by_asgi
        assert by_flask[0] == 200
    assert by_flask[1]["certificateStatus"] == "Accepted"


def test_bad_input_is_answered_alike(world: World) -> None:
    for path, body in (
        (V1, b"{"),
        (V1, b"[]"),
        (V1, b"{}"),
        (V1, _v1(world, odd=1)),
        (V1, _v1(world, emaid="DEMOAC99999999")),
        (V1, _v1(world, certificateChain="garbage")),
        (V1, _v1(world, certificateChain=[])),
        (V1, b" " * (LIMITS[V1] + 1)),
        (OCPP, _authorize(world, certificate="x" * 20000)),
        (OCPP, _authorize(world, idToken={"idToken": EMAID})),
        (OCPP, b" " * (LIMITS[OCPP] + 1)),
    ):
        by_flask, by_asgi = world.both(path, body)
        assert by_flask == by_asgi


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer pnc_unknown"},
        {"authorization": "Basic eDp5"},
        {"content_type": ""},
        {"content-type": "text/plain"},
        {"content-encoding": "gzip"},
        {"x-evse-id": "ü"},
    ],
    ids=str,
)
def test_odd_headers_are_answered_alike(world: World, headers: dict[str, str]) -> None:
    for path, body in ((V1, _v1(world)), (OCPP, _authorize(world))):
        by_flask, by_asgi = world.both(path, body, **headers)
        assert by_flask == by_asgi


def test_a_change_is_seen_by_the_next_request(world: World) -> None:
    body = _v1(world)
    assert world.both(V1, body)[1][1]["accepted"] is True
    contracts.set_state(world.services.deployment, ADMIN, EMAID, ContractState.BLOCKED)
    by_flask, by_asgi = world.both(V1, body)
    assert by_flask == by_asgi
    assert by_asgi[1]["fault"] == "contract_blocked"


def test_a_caller_that_was_removed_is_refused_at_once(world: World) -> None:
    body = _v1(world)
    assert world.both(V1, body)[1][0] == 200
    for client in clients.registered(world.services.deployment, ADMIN):
        if client.disabled_at is None:
            clients.disable(world.services.deployment, ADMIN, client.client_id)
    assert [answer[0] for answer in world.both(V1, body)] == [401, 401]


def test_without_a_database_nobody_is_accepted(world: World) -> None:
    body = _v1(world)
    assert world.both(V1, body)[1][0] == 200
    home = world.services.settings.home
    (home / "pnc.db").rename(home / "away")
    by_flask, by_asgi = world.both(V1, body)
    assert by_flask[0] == by_asgi[0] == 503


def test_many_at_once_get_what_each_would_get_alone(world: World) -> None:
    decisions = decisions_of(world.services, Metrics())
    bodies = [_v1(world), b"{", _v1(world, emaid="DEMOAC99999999"), b"{}", _v1(world)]
    requests = [
        HotRequest(method="POST", raw_path=V1, headers=world.headers(), body=body)
        for body in bodies
    ]
    answers = [answer and _told(answer.octets) for answer in decisions.many(requests)]
    alone = [one and _told(one.octets) for r in requests for one in decisions.many([r])]
    assert answers == alone
    assert [answer and answer["accepted"] for answer in answers] == [True, None, False, None, True]


_texts = st.text(max_size=300) | st.sampled_from(["eMAID", "ISO14443", "DEMOAC00000001"])
_values = st.none() | st.integers() | _texts | st.dictionaries(_texts, _texts, max_size=3)


@given(
    version=st.sampled_from(list(ocpp.VERSIONS)),
    token=st.dictionaries(st.sampled_from(["idToken", "type", "additionalInfo"]), _values),
    body=st.dictionaries(st.sampled_from(["certificate", "customData", "odd"]), _values),
)
def test_what_is_taken_for_plain_is_valid_against_the_schema(
    version: str, token: dict[str, Any], body: dict[str, Any]
) -> None:
    whole = {**body, "idToken": token}
    if _is_plain(version, whole):
        schema = ocpp.schema(version, "AuthorizeRequest")
        assert validator_for(schema)(schema).is_valid(whole)
