"""How long a caller of our worker may take."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web import asking
from tests.web.live import Talk, serving_here
from tests.web.worker_running import LIVE, Running, posted, problem, running_on
from web import worker_timed
from web.asgi import THREADS

WAITS = 0.3  # seconds, in place of the ten of real life


@pytest.fixture(scope="module")
def running(
    authority_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("worker") / "home"
    with running_on(Path(shutil.copytree(authority_template, home))) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "STALL_SECONDS", "WHOLE_SECONDS"):
        monkeypatch.setattr(worker_timed, name, WAITS)
    monkeypatch.setattr(worker_timed, "_LOOK", 0.05)


@pytest.mark.parametrize(
    "begun",
    [
        b"G",
        b"GET /ocsp HTTP/1.1\r\nHost: x\r\nA",
        b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        b"POST /v1/certificates HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    ],
)
@pytest.mark.usefixtures("impatient")
def test_who_stops_in_the_middle_is_told_so_and_closed(running: Running, begun: bytes) -> None:
    with running.live.connect() as connection:
        connection.sendall(begun)
        assert problem(connection.answer()) == (408, "request_too_slow")
        assert connection.is_closed()
    assert running.serves()


def trickle(connection: Talk) -> None:
    for _ in range(500):
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /ocsp HTTP/1.1\r\nA: ",
        b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        b"POST /v1/certificates HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
    ],
)
@pytest.mark.usefixtures("impatient")
def test_who_trickles_is_closed_all_the_same(running: Running, begun: bytes) -> None:
    started = time.monotonic()
    with running.live.connect() as connection:
        connection.sendall(begun)
        with pytest.raises(ConnectionError):
            trickle(connection)
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("impatient")
def test_who_sends_nothing_is_closed_without_a_word(running: Running) -> None:
    with running.live.connect() as connection:
        assert connection.read(1) == b""
    with running.live.connect() as connection:
        connection.sendall(running.quick.octets())
        connection.answer()
        assert connection.read(1) == b""


async def long_answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than any socket buffers."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.usefixtures("impatient")
def test_who_does_not_take_the_answer_is_cut_off() -> None:
    with serving_here(long_answer) as live, live.connect() as connection:
        connection.sendall(LIVE.octets())
        time.sleep(5 * WAITS)
        assert not live.server.server_state.connections
        assert connection.is_closed()


@pytest.mark.usefixtures("impatient")
def test_time_that_we_take_is_not_the_callers(running: Running) -> None:
    store = running.services.deployment.store
    octets = posted(running.issue()).octets()
    with running.live.connect() as connection:
        with store.write():  # the first answer to a question is stored, and waits for this
            connection.sendall(octets)
            time.sleep(5 * WAITS)
        status, _, body = connection.answer()
    assert (status, asking.read(body).status) == (200, "good")


def test_what_waits_for_the_database_holds_up_no_answer_from_memory(running: Running) -> None:
    waiting = [posted(running.issue()) for _ in range(2 * THREADS)]
    connections = [running.live.connect() for _ in waiting]
    with running.services.deployment.store.write():
        for ask, connection in zip(waiting, connections, strict=True):
            connection.sendall(ask.octets())
        time.sleep(0.1)
        begun = time.monotonic()
        for _ in range(20):
            assert running.live.ask(running.quick)[0] == 200
            assert running.live.ask(running.posted)[0] == 200
        assert time.monotonic() - begun < 1
    for connection in connections:
        with connection:
            assert connection.answer()[0] == 200
