"""A head that was read before: what follows it is answered as if it had been read again."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from pki.services import Services
from tests.status import hosts
from tests.web import asking
from tests.web.authority import Authority
from tests.web.live import Ask, serving_here
from tests.web.worker_running import Running, posted, running_on
from web import hot_heads
from web.app import create_app
from web.asgi import Application
from web.hot import HotRequest
from web.worker import Worker
from web.worker_protocol import Protocol

PASSING = re.compile(rb"(?i)(?:x-request-id: [0-9a-f]+|date: [^\r]+)\r\n")


@dataclass
class Wire(asyncio.Transport):
    """What a connection would send, and whether it was closed."""

    sent: list[bytes] = field(default_factory=list)
    closed: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(PASSING.sub(b"", bytes(data)))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@pytest.fixture(scope="module")
def running(
    authority_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("heads") / "home"
    with running_on(Path(shutil.copytree(authority_template, home))) as found:
        yield found


def fed(app: Application, pieces: Sequence[bytes], *, knows: bool) -> tuple[bytes, bool]:
    """Return what is sent at once for pieces as they come, and whether that ends it."""

    async def feed() -> tuple[bytes, bool]:
        config = Config(app, **Worker.CONFIG_KWARGS, log_config=None)
        config.load()
        protocol, wire = Protocol(config, ServerState(), {}), Wire()
        if not knows:
            protocol._heads = None
        protocol.connection_made(wire)
        for piece in pieces:
            if not wire.closed:
                protocol.data_received(piece)
        found = b"".join(wire.sent), wire.closed
        wire.closed = True
        for task in protocol.tasks:
            task.cancel()
        protocol.connection_lost(None)
        return found

    return asyncio.run(feed())


def taught(running: Running, *asks: Ask) -> Application:
    """Return an app that has read these requests before."""
    app = Application(running.services)
    running.services.answers.respond(running.leaf.request)  # so that it is in memory
    for ask in asks:
        for _ in range(2):
            fed(app, [ask.octets()], knows=True)
    return app


def known(app: Application, ask: Ask) -> bool:
    octets = ask.octets()
    return app.heads.find(octets, octets.index(b"\r\n\r\n") + 4) is not None


def test_a_head_is_known_once_its_request_was_answered_from_memory(running: Running) -> None:
    asks = (running.quick, running.posted)
    app = taught(running, *asks)
    assert [known(app, ask) for ask in asks] == [True, True]
    for ask in asks:
        assert fed(app, [ask.octets()], knows=True) == fed(app, [ask.octets()], knows=False)
        sent, closed = fed(app, [ask.octets()] * 3, knows=True)
        assert (sent.count(b"HTTP/1.1 200 OK"), closed) == (3, False)


def test_one_head_of_a_post_serves_every_body_of_its_length(running: Running) -> None:
    leaf = running.issue()
    app = taught(running, running.posted)
    other = posted(leaf)
    assert len(other.body or b"") == len(running.posted.body or b"")
    assert (
        running.services.answers.respond(leaf.request).der
        in fed(app, [other.octets()], knows=True)[0]
    )
    garbage = Ask(
        method="POST", target="/ocsp", headers=other.headers, body=bytes(len(leaf.request))
    )
    assert fed(app, [garbage.octets()], knows=True)[0].endswith(bytes.fromhex("30030a0101"))


@pytest.mark.parametrize(
    "more",
    [
        ("If-None-Match", '"x"'),
        ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("X-Request-Id", "abc"),
        ("Connection", "close"),
        ("Upgrade", "websocket"),
        ("Expect", "100-continue"),
        ("X-Long", "x" * 800),
    ],
    ids=lambda more: more[0],
)
def test_a_head_that_means_more_than_its_path_is_read_every_time(
    running: Running, more: tuple[str, str]
) -> None:
    for ask in (running.quick, running.posted):
        particular = Ask(
            method=ask.method, target=ask.target, headers=(*ask.headers, more), body=ask.body
        )
        app = taught(running, particular)
        assert not known(app, particular)


def test_what_is_refused_is_not_kept(running: Running) -> None:
    wrong = Ask(method="POST", target="/ocsp", headers=(("Content-Type", "text/plain"),), body=b"x")
    odd = Ask(target="/ocsp/x")
    assert [known(taught(running, ask), ask) for ask in (wrong, odd)] == [False, False]


def test_the_number_of_heads_is_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_heads, "_KEPT", 3)
    app = taught(running)
    request = HotRequest(method="POST", raw_path="/ocsp")
    for number in range(9):
        app.heads.learn(b"%d\r\n\r\n" % number, request)
    found = [app.heads.find(b"%d\r\n\r\n" % number, 5) is not None for number in range(9)]
    assert found == [False] * 6 + [True] * 3


def test_i4_a_revocation_is_in_the_next_answer_behind_a_known_head(running: Running) -> None:
    leaf = running.issue()
    nonced = asking.request(leaf.cert_id(), more=(asking.nonce(bytes(range(16))),))
    path = f"/ocsp/{asking.in_path(leaf.request)}"
    asks = (posted(leaf), Ask(target=path), Ask(method="POST", target="/ocsp", body=nonced))
    for der in (leaf.request, nonced):
        running.services.answers.respond(der)
    app = taught(running, *asks)
    assert [known(app, ask) for ask in asks] == [True, True, True]
    Authority(running.services, create_app(running.services)).revoke(leaf)
    for ask in asks:
        sent, _ = fed(app, [ask.octets()], knows=True)
        if sent:  # what must be read from the store is not given at once
            assert asking.read(sent.partition(b"\r\n\r\n")[2]).status == "revoked"
    for der in (leaf.request, nonced):
        running.services.answers.respond(der)
    for ask in asks:
        sent, _ = fed(app, [ask.octets()], knows=True)
        assert asking.read(sent.partition(b"\r\n\r\n")[2]).status == "revoked"


@settings(max_examples=150)
@given(data=st.data())
def test_any_octets_in_any_pieces_are_answered_as_if_nothing_was_known(
    running: Running, taught_app: Application, data: st.DataObject
) -> None:
    whole = [running.quick.octets(), running.posted.octets()]
    heads = [octets[: octets.index(b"\r\n\r\n") + 4] for octets in whole]
    part = st.one_of(
        st.sampled_from(whole),
        st.sampled_from(heads),
        st.sampled_from([b"\r\n", b"\r\n\r\n", b"\n", b"x", b"GET / HTTP/1.1\r\n\r\n"]),
        st.sampled_from(whole).flatmap(
            lambda octets: st.integers(0, len(octets)).map(lambda cut: octets[cut:])
        ),
    )
    octets = b"".join(data.draw(st.lists(part, min_size=1, max_size=5)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    pieces = [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True) if a < b]
    assert fed(taught_app, pieces, knows=True) == fed(taught_app, pieces, knows=False)


@pytest.fixture(scope="module")
def taught_app(running: Running) -> Application:
    app = taught(running, running.quick, running.posted)
    assert known(app, running.quick)
    assert known(app, running.posted)
    return app


def test_nothing_was_modified_after_the_date_of_its_answer(small: Services) -> None:
    """RFC 9110 8.8.2.1; a date that is renewed once a second would lag behind."""
    until = time.monotonic() + 1.2
    with serving_here(Application(small)) as live:
        while time.monotonic() < until:
            record = hosts.issued(small)
            der = hosts.request_about(hosts.issuer_of(small), record.serial.as_int)
            for _ in range(4):  # signed, from memory, behind a known head
                headers = live.ask(Ask(target=f"/ocsp/{asking.in_path(der)}"))[1]
                modified = parsedate_to_datetime(headers["last-modified"])
                assert modified <= parsedate_to_datetime(headers["date"])
