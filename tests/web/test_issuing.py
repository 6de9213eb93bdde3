"""Certificates asked for at once over the ASGI app: answered as Flask answers, issued once each."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pki import audit, lookup
from pki.services import Services
from tests.web.calling import Caller, csr
from tests.web.conftest import ADMIN, installation
from tests.web.live import Answer, Ask, by_asgi, by_flask, serving_here
from web.asgi import Application

KEYS = {
    "certificateChain",
    "commonName",
    "edition",
    "fingerprint",
    "ignored",
    "issuedAt",
    "issuer",
    "kind",
    "notAfter",
    "notBefore",
    "owner",
    "serialNumber",
    "subject",
    "suite",
}


@pytest.fixture
def app(running: Services) -> Application:
    return Application(running)


def _ask(caller: Caller, body: Any, role: str = "emsp") -> Ask:
    return Ask(
        method="POST",
        target="/v1/certificates",
        headers=(
            ("Authorization", f"Bearer {caller.tokens[role]}"),
            ("Content-Type", "application/json"),
        ),
        body=json.dumps(body).encode(),
    )


async def _together(app: Application, asks: list[Ask]) -> list[Answer]:
    return await asyncio.gather(*(by_asgi(app, ask) for ask in asks))


def _contract(number: int) -> dict[str, str]:
    return {"profile": "contract", "csr": csr(f"DEMOAC{number:08d}")}


def test_requests_at_once_are_each_answered_and_issued_once(
    app: Application, running: Services, caller: Caller
) -> None:
    asks = [_ask(caller, _contract(number)) for number in range(12)]
    answers = asyncio.run(_together(app, asks))
    app.stop()
    assert [status for status, _, _ in answers] == [201] * 12
    for number, (_, headers, body) in enumerate(answers):
        told = json.loads(body)
        assert told.keys() == KEYS
        assert told["commonName"] == f"DEMOAC{number:08d}"
        assert headers["location"] == f"/v1/certificates/{told['fingerprint']}"
        assert headers["cache-control"] == "no-store"
    kept = lookup.search(running.deployment, ADMIN, owner="DEMOA")
    assert len(kept) == 12
    assert [r.problem for r in audit.verify(running.deployment.store) if r.problem] == []


@pytest.mark.parametrize(
    ("body", "role"),
    [
        ({"profile": "contract", "csr": "nonsense"}, "emsp"),
        ({"profile": "contract"}, "emsp"),
        ({"profile": "contract", "csr": csr("DEOTHC00000001")}, "emsp"),
        ({"profile": "secc", "csr": csr("DE*ABC*E1")}, "emsp"),
        ({"profile": "secc", "csr": csr("DE*ZZZ*E1")}, "admin"),
        ([], "emsp"),
    ],
)
def test_what_is_refused_among_others_is_told_as_flask_tells_it(
    app: Application, caller: Caller, body: Any, role: str
) -> None:
    bad = _ask(caller, body, role)
    answers = asyncio.run(_together(app, [_ask(caller, _contract(1)), bad]))
    app.stop()
    (good, _, _), (status, headers, told) = answers
    assert good == 201
    expected_status, expected_headers, expected = by_flask(caller.app, bad)
    assert (status, headers["content-type"]) == (expected_status, expected_headers["content-type"])
    assert {**json.loads(told), "requestId": ""} == {**json.loads(expected), "requestId": ""}


def test_a_key_that_is_out_of_reach_is_told_and_nothing_tried_again(
    app: Application, running: Services, caller: Caller, home: Path
) -> None:
    for key in (home / "keys").glob("mo2-*.pem"):
        key.unlink()
    (answer,) = asyncio.run(_together(app, [_ask(caller, _contract(1))]))
    app.stop()
    assert answer[0] == 503
    assert json.loads(answer[2])["code"] == "key_missing"
    assert len(lookup.intents(running.deployment, ADMIN)) == 1  # one, not two


def test_our_worker_answers_as_the_app_does(
    app: Application, running: Services, caller: Caller
) -> None:
    with serving_here(app) as live:
        status, headers, body = live.ask(_ask(caller, _contract(1)))
        again = live.ask(_ask(caller, _contract(2)))  # behind a head that is known
        refused = live.ask(_ask(caller, {"profile": "contract", "csr": "nonsense"}))
    assert status == 201
    assert headers["location"] == f"/v1/certificates/{json.loads(body)['fingerprint']}"
    assert (again[0], again[1].keys()) == (201, headers.keys())
    assert (refused[0], json.loads(refused[2])["code"]) == (400, "csr_unreadable")
    assert len(lookup.search(running.deployment, ADMIN, owner="DEMOA")) == 2


def test_what_failed_in_our_worker_is_told_and_nothing_tried_again(
    app: Application, running: Services, caller: Caller, home: Path
) -> None:
    for key in (home / "keys").glob("mo2-*.pem"):
        key.unlink()
    with serving_here(app) as live:
        status, _, body = live.ask(_ask(caller, _contract(1)))
    assert (status, json.loads(body)["code"]) == (503, "key_missing")
    assert len(lookup.intents(running.deployment, ADMIN)) == 1  # one, not two


def test_one_client_is_told_when_to_come_back_whichever_way_it_asked(
    home: Path, caller: Caller
) -> None:
    (home / "pnc.toml").write_text("[enrol]\ncertificates_per_minute = 3\n", "utf-8")
    limited = installation(home)
    app = Application(limited)
    keyed = _ask(caller, _contract(4))
    keyed = replace(keyed, headers=(*keyed.headers, ("Idempotency-Key", "k1")))
    with serving_here(app) as live:
        asks = [_ask(caller, _contract(number)) for number in range(2)]
        told = [live.ask(ask) for ask in (*asks, keyed, _ask(caller, _contract(3)), keyed)]
        other = live.ask(_ask(caller, {"profile": "secc", "csr": csr("DECPAE1")}, "cpo"))
    kept = len(lookup.search(limited.deployment, ADMIN, owner="DEMOA"))
    limited.close()
    assert [status for status, _, _ in told] == [201, 201, 201, 429, 429]
    assert (other[0], kept) == (201, 3)
    for _, headers, body in told[3:]:
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["code"] == "rate_limited"
        assert "enrol.certificates_per_minute" in json.loads(body)["hint"]
        assert 1 <= int(headers["retry-after"]) <= 20
    assert "429" in caller.api()["paths"]["/v1/certificates"]["post"]["responses"]


def test_what_is_refused_for_another_reason_counts_once(home: Path, caller: Caller) -> None:
    (home / "pnc.toml").write_text("[enrol]\ncertificates_per_minute = 2\n", "utf-8")
    limited = installation(home)
    app = Application(limited)
    asks: list[Any] = [[], _contract(1), _contract(2)]
    with serving_here(app) as live:
        told = [live.ask(_ask(caller, each))[0] for each in asks]
    limited.close()
    assert told == [400, 201, 429]


def test_an_operator_may_lift_the_limit(home: Path, caller: Caller) -> None:
    (home / "pnc.toml").write_text("[enrol]\ncertificates_per_minute = 0\n", "utf-8")
    limited = installation(home)
    app = Application(limited)
    asks = [_ask(caller, _contract(number)) for number in range(4)]
    answers = asyncio.run(_together(app, asks))
    app.stop()
    limited.close()
    assert [status for status, _, _ in answers] == [201] * 4
