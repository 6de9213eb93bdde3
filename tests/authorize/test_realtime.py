"""The question in real time: breaker, hook over HTTP, and partners that misbehave."""

from __future__ import annotations

import ipaddress
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pki.directory import Directory
from pki.errors import NotFound, Unavailable
from pki.ids import ProviderId
from pki.keys.vault import FileVault
from pki.model import Allowed, CredentialKind, Emsp, EmspQuestion
from pki.outbound import OutboundPolicy
from pki.realtime import FAILURES, REST, RealTime, WebHook
from tests.authorize.homes import Partner

QUESTION = EmspQuestion(
    emsp="DEMOA",
    hub=None,
    kind=CredentialKind.EMAID,
    uid="DEMOAC12345678",
    presented="DE-MOA-C12345678",
    contract="DEMOAC12345678",
    cpo="DECPA",
    evse_id="DE*CPA*E1",
    station_id="cs-1",
    reference="r" * 24,
)
LOOPBACK = OutboundPolicy(allowed=(ipaddress.ip_network("127.0.0.0/8"),))


class _Emsp(BaseHTTPRequestHandler):
    """Answers what the server was told to, and keeps what it was asked."""

    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        self.server.authorized.append(self.headers.get("Authorization"))
        if self.server.silent.is_set():
            self.server.release.wait(30)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Emsp)
        self.asked: list[dict[str, object]] = []
        self.authorized: list[str | None] = []
        self.status = 200
        self.answer = b"{}"
        self.silent = threading.Event()
        self.release = threading.Event()


@pytest.fixture
def server() -> Iterator[_Server]:
    found = _Server()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.release.set()
    found.shutdown()
    thread.join()
    found.server_close()


def _hook(
    server: _Server, folder: Path, emsp: str = "DEMOA", *, token: str | None = None
) -> WebHook:
    url = f"http://127.0.0.1:{server.server_port}/ask"
    known = Emsp(provider_id=ProviderId(value="DEMOA"), party_id="DEXYZ", realtime_url=url)
    vault = FileVault(folder / "storage.key", lambda: b"")
    if token is not None:
        known = replace(known, sealed_token=vault.seal(token.encode(), known.context))
    return WebHook(lambda: Directory(emsps={emsp: known}), LOOPBACK, vault)


def test_the_hook_asks_as_citrineos_does(server: _Server, tmp_path: Path) -> None:
    told = {"allowed": "NO_CREDIT", "reason": "pay first", "authorizationReference": "x1"}
    server.answer = json.dumps({"timestamp": "2026-12-01T00:00:00Z", "data": told}).encode()
    hook = _hook(server, tmp_path)
    assert hook.reaches("DEMOA", None)
    assert hook.reaches("DEXYZ", None)
    assert not hook.reaches("FRMOB", None)
    assert not hook.reaches("DEMOA", "NLHUB")
    answer = hook.ask(QUESTION, 2.0)
    assert (answer.allowed, answer.reference, answer.info) == (
        Allowed.NO_CREDIT,
        "x1",
        "pay first",
    )
    (asked,) = server.asked
    assert (asked["idToken"], asked["idTokenType"]) == ("DE-MOA-C12345678", "eMAID")
    assert (asked["stationId"], asked["evseId"]) == ("cs-1", "DE*CPA*E1")


def test_the_hook_is_told_who_asks_where_it_wants_to_know(server: _Server, tmp_path: Path) -> None:
    server.answer = b'{"data": {"allowed": "ALLOWED"}}'
    _hook(server, tmp_path).ask(QUESTION, 2.0)
    _hook(server, tmp_path, token="s3cret/=").ask(QUESTION, 2.0)
    assert server.authorized == [None, "Bearer s3cret/="]
    (tmp_path / "storage.key").unlink()  # another key comes in its place
    lost = _hook(server, tmp_path, token="s3cret")
    (tmp_path / "storage.key").unlink()
    fresh = WebHook(lost._directory, LOOPBACK, FileVault(tmp_path / "storage.key", lambda: b""))
    with pytest.raises(Unavailable, match="decrypted"):
        fresh.ask(QUESTION, 2.0)
    assert len(server.authorized) == 2


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, b"{}"),
        (302, b"{}"),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"data": {}}'),
        (200, b'{"data": {"allowed": "YES"}}'),
        (200, b'{"data": "ALLOWED"}'),
        (200, b"[" * 50_000),
        (200, b'{"data": {"allowed": "ALLOWED"}, "x": "' + b"x" * 70_000 + b'"}'),
    ],
    ids=str,
)
def test_garbage_is_no_answer(server: _Server, tmp_path: Path, status: int, answer: bytes) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(Unavailable):
        _hook(server, tmp_path).ask(QUESTION, 2.0)


def test_a_silent_emsp_costs_no_more_than_the_budget(server: _Server, tmp_path: Path) -> None:
    server.silent.set()
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        _hook(server, tmp_path).ask(QUESTION, 0.3)
    assert time.monotonic() - begun < 20  # a hang limit, not a speed


def test_an_emsp_that_fails_is_left_alone_and_tried_again() -> None:
    now = [100.0]
    partner = Partner(answer=None)
    realtime = RealTime([partner], lambda: now[0])
    for _ in range(FAILURES):
        with pytest.raises(Unavailable, match="in time"):
            realtime.ask(QUESTION)
    with pytest.raises(Unavailable, match="left alone"):
        realtime.ask(QUESTION)
    assert len(partner.asked) == FAILURES
    now[0] += REST
    partner.answer = Allowed.ALLOWED
    assert realtime.ask(QUESTION).allowed is Allowed.ALLOWED
    assert realtime.ask(QUESTION).allowed is Allowed.ALLOWED


def test_an_unknown_token_is_an_answer_and_not_a_failure() -> None:
    partner = Partner(unknown=True)
    realtime = RealTime([partner])
    for _ in range(FAILURES + 1):
        with pytest.raises(NotFound):
            realtime.ask(QUESTION)


def test_no_way_is_a_silent_emsp() -> None:
    with pytest.raises(Unavailable, match="No way"):
        RealTime([]).ask(QUESTION)
