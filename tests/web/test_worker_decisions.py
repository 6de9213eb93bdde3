"""Decisions through our worker: they wait for their group, and are answered like any other."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import contracts
from pki.model import ContractState
from tests.homes import ADMIN, EMAID, opened
from tests.web.deciding import OCPP, OTHER, World, new_world, plain
from tests.web.live import Answer, Ask, Live, by_flask, serving_here
from tests.web.worker_running import LIVE
from web.app import create_app
from web.asgi import Application
from web.decisions import LIMITS, V1

_NEW = ("date", "x-request-id", "x-authorization-reference", "connection")


@dataclass
class Served:
    """An installation, and the worker's protocol over an application of it."""

    world: World
    app: Application
    live: Live

    def ask(self, path: str = V1, emaid: str = EMAID, **headers: str) -> Ask:
        request = self.world.request(emaid, path, **headers)
        fields = tuple((n, v) for n, v in request.headers.items() if v)
        return Ask(method="POST", target=path, headers=fields, body=request.body)

    def told(self, ask: Ask) -> Any:
        return told(self.live.ask(ask))

    def by_flask(self, ask: Ask) -> Any:
        return told(by_flask(create_app(self.world.elsewhere), ask))


def told(answer: Answer) -> Any:
    """Return an answer without what is new in each."""
    status, headers, body = answer
    kept = {n: v for n, v in headers.items() if n not in _NEW}
    return status, kept, plain(json.loads(body))


def _serving(stack: ExitStack, home: Path) -> Served:
    world = new_world(stack, home)
    app = Application(stack.enter_context(opened(home)))
    return Served(world, app, stack.enter_context(serving_here(app, timeout_keep_alive=1)))


@pytest.fixture
def served(small_home: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield _serving(stack, small_home)


@pytest.fixture(scope="module")
def shared(small_home_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For tests that change nothing."""
    home = tmp_path_factory.mktemp("decisions") / "home"
    with ExitStack() as stack:
        yield _serving(stack, Path(shutil.copytree(small_home_template, home)))


@pytest.mark.parametrize("path", list(LIMITS))
def test_each_answer_is_that_of_flask_whatever_is_remembered(shared: Served, path: str) -> None:
    ask = shared.ask(path)
    expected = shared.by_flask(ask)
    with shared.live.connect() as connection:
        for _ in range(3):  # decided, given again, its head known
            connection.sendall(ask.octets())
            assert told(connection.answer()) == expected
    assert expected[0] == 200


def test_a_head_is_known_once_a_verdict_came_back(shared: Served) -> None:
    ask = shared.ask()
    shared.live.ask(ask)
    octets = ask.octets()
    end = octets.index(b"\r\n\r\n") + 4
    found = shared.app.decision_heads.find(octets, end)
    assert found is not None
    assert found.body == ask.body
    refused = shared.ask(authorization="Bearer pnc_nobody").octets()
    shared.live.send(refused)
    end = refused.index(b"\r\n\r\n") + 4
    assert shared.app.decision_heads.find(refused, end) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer pnc_nobody"},
        {"content-type": "text/plain"},
        {"content-encoding": "gzip"},
        {"x-evse-id": "\xfc"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [V1, OCPP])
def test_refusals_are_those_of_flask(shared: Served, path: str, headers: dict[str, str]) -> None:
    ask = shared.ask(path, **headers)
    expected = shared.by_flask(ask)
    with shared.live.connect() as connection:
        for _ in range(2):
            connection.sendall(ask.octets())
            assert told(connection.answer()) == expected


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b" " * (LIMITS[V1] + 1)], ids=len)
def test_bodies_that_ask_nothing_are_refused_as_by_flask(shared: Served, body: bytes) -> None:
    asked = shared.ask()
    ask = Ask(method="POST", target=V1, headers=asked.headers, body=body)
    assert shared.told(ask) == shared.by_flask(ask)


def test_questions_of_one_connection_are_answered_in_order(shared: Served) -> None:
    asked = shared.ask()
    with_query = Ask(method="POST", target=f"{V1}?x=1", headers=asked.headers, body=asked.body)
    asks = [
        asked,
        LIVE,
        shared.ask(authorization="Bearer pnc_nobody"),
        shared.ask(OCPP, OTHER),
        shared.ask(),
        Ask(target="/nothing"),
        with_query,
    ]
    expected = [shared.told(ask) for ask in asks]
    with shared.live.connect() as connection:
        connection.sendall(b"".join(ask.octets() for ask in asks))
        assert [told(connection.answer()) for _ in asks] == expected
    assert [each[0] for each in expected] == [200, 200, 401, 200, 200, 404, 200]


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(min_value=1, max_value=4000), max_size=6))
def test_octets_in_any_pieces_are_answered_alike(shared: Served, cuts: list[int]) -> None:
    octets = shared.ask().octets() + shared.ask(OCPP).octets() + LIVE.octets()
    ends = sorted({*cuts, len(octets)})
    with shared.live.connect() as connection:
        for begin, end in zip([0, *ends], ends, strict=False):
            connection.sendall(octets[begin:end])
        assert [connection.answer()[0] for _ in range(3)] == [200] * 3


def test_a_connection_is_closed_when_the_caller_wants_it(shared: Served) -> None:
    for version, field in ((b"1.1", ("Connection", "close")), (b"1.0", ("Accept", "*/*"))):
        asked = shared.ask()
        ask = Ask(method="POST", target=V1, headers=(*asked.headers, field), body=asked.body)
        with shared.live.connect() as connection:
            connection.sendall(ask.octets().replace(b"HTTP/1.1", b"HTTP/" + version))
            status, headers, _ = connection.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert connection.is_closed()


def test_who_waits_for_100_continue_gets_it(shared: Served) -> None:
    head, body = shared.ask().octets().split(b"\r\n\r\n", 1)
    with shared.live.connect() as connection:
        connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.answer()[0] == 200


def test_who_leaves_while_it_waits_disturbs_nobody(served: Served) -> None:
    octets = served.ask().octets()
    with served.live.connect() as stays:
        with served.world.elsewhere.database.write():  # no receipt can be written meanwhile
            with served.live.connect() as leaves:
                leaves.sendall(octets)
            stays.sendall(octets)
            time.sleep(0.1)
        assert stays.answer()[0] == 200
    assert served.live.ask(LIVE)[0] == 200


def test_at_a_stop_who_waits_gets_the_answer(served: Served) -> None:
    with served.live.connect() as connection:
        with served.world.elsewhere.database.write():
            connection.sendall(served.ask().octets())
            time.sleep(0.2)
            served.live.server.should_exit = True
            time.sleep(0.2)
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert connection.is_closed()


def test_a_change_of_another_process_is_seen_by_the_next_request(served: Served) -> None:
    deployment = served.world.elsewhere.deployment
    ask = served.ask()
    with served.live.connect() as connection:
        for _ in range(3):
            for state in (ContractState.BLOCKED, ContractState.ACTIVE):
                contracts.set_state(deployment, ADMIN, EMAID, state)
                for _ in range(2):
                    connection.sendall(ask.octets())
                    accepted = json.loads(connection.answer()[2])["accepted"]
                    assert accepted is (state is ContractState.ACTIVE)
