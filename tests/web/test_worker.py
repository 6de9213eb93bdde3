"""What a connection to our worker may and may not do."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.live import Ask
from tests.web.worker_running import LIVE, Running, posted, problem, running_on
from web import worker_protocol
from web.worker_protocol import MAX_FIELD, MAX_FIELDS, MAX_HEAD, MAX_LINE, MAX_PIPELINED


@pytest.fixture(scope="module")
def running(
    authority_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("worker") / "home"
    with running_on(Path(shutil.copytree(authority_template, home))) as found:
        yield found


# --- answers -------------------------------------------------------------------------------------


def test_answers_are_dated_and_do_not_name_the_server(running: Running) -> None:
    for ask in (LIVE, running.quick, running.posted):
        headers = running.live.ask(ask)[1]
        assert "date" in headers
        assert "server" not in headers
        assert headers["x-content-type-options"] == "nosniff"


def test_questions_on_one_connection_are_answered_in_order(running: Running) -> None:
    asked = [running.quick, LIVE, running.posted, Ask(target="/nothing"), running.quick, LIVE]
    expected = [running.live.ask(ask)[0::2] for ask in asked]
    with running.live.connect() as connection:
        connection.sendall(b"".join(ask.octets() for ask in asked))
        answers = [connection.answer() for _ in asked]
    for (status, body), answer in zip(expected, answers, strict=True):
        assert answer[0] == status
        assert answer[2] == body or status == 404


def test_octets_may_come_one_by_one(running: Running) -> None:
    for ask in (running.posted, LIVE):
        with running.live.connect() as connection:
            for octet in ask.octets():
                connection.sendall(bytes((octet,)))
            assert connection.answer()[0] == 200


@pytest.mark.parametrize("more", ["Connection: close\r\n", "Connection: Close, x\r\n"])
def test_a_connection_is_closed_when_the_caller_wants_it(running: Running, more: str) -> None:
    for ask in (LIVE, running.quick, running.posted):
        with running.live.connect() as connection:
            connection.sendall(ask.octets(more=more) if not ask.body else with_more(ask, more))
            assert connection.answer()[1]["connection"] == "close"
            assert connection.read(1) == b""


def with_more(ask: Ask, more: str) -> bytes:
    name, value = more.strip().split(": ")
    return Ask(
        method=ask.method, target=ask.target, headers=(*ask.headers, (name, value)), body=ask.body
    ).octets()


def test_nothing_is_answered_after_the_last_request(running: Running) -> None:
    for ask in (LIVE, running.quick, running.posted):
        with running.live.connect() as connection:
            connection.sendall(with_more(ask, "Connection: close\r\n") + ask.octets())
            assert connection.answer()[0] == 200
            assert connection.read(1) == b""


def test_a_caller_of_http_1_0_gets_its_answer_and_the_end(running: Running) -> None:
    for ask in (LIVE, running.quick):
        with running.live.connect() as connection:
            connection.sendall(ask.octets().replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert connection.answer()[0] == 200
            assert connection.read(1) == b""


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
@pytest.mark.parametrize("name", ["quick", "posted"])
def test_an_upgrade_is_declined(running: Running, name: str, protocol: str) -> None:
    ask = getattr(running, name)
    headers = (*ask.headers, ("Connection", "Upgrade"), ("Upgrade", protocol))
    asked = Ask(method=ask.method, target=ask.target, headers=headers, body=ask.body)
    with running.live.connect() as connection:
        connection.sendall(asked.octets() + b"\x00")
        assert connection.answer()[0] == 200
        assert connection.is_closed()
    assert running.live.ask(Ask(target=LIVE.target, headers=headers[-2:]))[0] in (200, 400)


def test_who_waits_for_100_continue_gets_it(running: Running) -> None:
    head, body = running.posted.octets().split(b"\r\n\r\n", 1)
    with running.live.connect() as connection:
        connection.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.answer()[0] == 200


# --- limits --------------------------------------------------------------------------------------


def field(size: int) -> str:
    return f"A: {'x' * (size - 1)}\r\n"


@pytest.mark.parametrize(
    ("target", "more", "refused"),
    [
        ("/ocsp/" + "A" * (MAX_LINE - 5), "", (414, "path_too_long")),
        ("/" + "A" * 100_000, "", (414, "path_too_long")),
        ("/healthz/live", field(MAX_FIELD + 1), (431, "headers_too_long")),
        ("/healthz/live", "A: b\r\n" * MAX_FIELDS, (431, "headers_too_long")),
        ("/ocsp/", "A: b\r\n" * MAX_FIELDS, (431, "headers_too_long")),
        ("/healthz/live", "no colon\r\n", (400, "request_malformed")),
        ("/healthz/live", "A : b\r\n", (400, "request_malformed")),
        ("/\x01", "", (400, "request_malformed")),
        ("/\xff", "", (400, "request_malformed")),
        ("healthz", "", (400, "request_malformed")),
    ],
)
def test_what_breaks_a_limit_is_refused(
    running: Running, target: str, more: str, refused: tuple[int, str]
) -> None:
    assert problem(running.live.send(Ask(target=target).octets(more=more))) == refused
    assert running.serves()


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("/ocsp/" + "A" * (MAX_LINE - 6), ""),
        ("/ocsp/", field(MAX_FIELD)),
        ("/ocsp/", "A: b\r\n" * (MAX_FIELDS - 1)),
    ],
)
def test_what_keeps_just_within_a_limit_is_served(running: Running, target: str, more: str) -> None:
    assert running.live.send(Ask(target=target).octets(more=more))[0] == 200


def test_a_head_without_end_is_refused(running: Running) -> None:
    with running.live.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nA: ")
        time.sleep(0.05)
        connection.sendall(b"x" * (MAX_HEAD + 1))
        assert problem(connection.answer()) == (431, "headers_too_long")


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS handshake
        b"\r\n\r\nBREW\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /ocsp HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_others_are_served(
    running: Running, octets: bytes
) -> None:
    assert problem(running.live.send(octets)) == (400, "request_malformed")
    assert running.serves()


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity, chunked"])
def test_a_transfer_coding_that_we_do_not_know_is_refused(running: Running, coding: str) -> None:
    head = f"POST /cpo/simpleenroll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n"
    answer = problem(running.live.send(head.encode() + b"1\r\nA\r\n0\r\n\r\n"))
    assert answer == (501, "transfer_coding_unsupported")
    assert running.serves()


def test_an_answer_under_way_is_finished_before_a_refusal_closes(running: Running) -> None:
    with running.live.connect() as connection:
        connection.sendall(LIVE.octets() + b"\x16\x03\x01")
        assert connection.answer()[0] == 200
        assert connection.is_closed()


@settings(max_examples=60)
@given(octets=st.binary(max_size=200) | st.text("GETPOS /ocsp:1.HT\r\n", max_size=80))
def test_no_octets_disturb_the_server(running: Running, octets: bytes | str) -> None:
    sent = octets.encode() if isinstance(octets, str) else octets
    with running.live.connect() as connection:
        connection.sendall(sent + b"\x00\r\n\r\n")
        connection.end()
        assert connection.is_closed()
    assert running.live.ask(LIVE)[0] == 200


@pytest.mark.parametrize("ask", ["quick", "live"])
def test_requests_in_one_piece_are_bounded(running: Running, ask: str) -> None:
    octets = (running.quick if ask == "quick" else LIVE).octets()
    with running.live.connect() as connection:
        connection.sendall(octets * MAX_PIPELINED)
        answers = [connection.answer() for _ in range(MAX_PIPELINED)]
        assert {answer[0] for answer in answers} == {200}
    with running.live.connect() as connection:
        connection.sendall(octets * (4 * MAX_PIPELINED))
        assert connection.is_closed()
    assert running.serves()


def test_a_body_that_nobody_wants_is_thrown_away_and_the_connection_kept(running: Running) -> None:
    with running.live.connect() as connection:
        for size in (100_000, 3_000_000):
            posted = Ask(method="POST", target="/ocsp", body=bytes(size))
            connection.sendall(posted.octets())
            assert connection.answer()[0] == 413
        connection.sendall(running.posted.octets())
        assert connection.answer()[0] == 200


def test_a_body_without_end_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_protocol, "MAX_DISCARDED", 500_000)
    head = b"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    with running.live.connect() as connection:
        connection.sendall(head + bytes(100_000))
        assert connection.answer()[0] == 413
        with pytest.raises(ConnectionError):
            connection.sendall(bytes(99_000_000))


# --- the end -------------------------------------------------------------------------------------


def test_at_a_stop_what_has_begun_is_answered_and_what_is_idle_closed(
    authority_home: Path,
) -> None:
    with running_on(authority_home) as running:
        octets = posted(running.issue()).octets()
        idle, begun = running.live.connect(), running.live.connect()
        with idle, begun:
            idle.sendall(octets)
            assert idle.answer()[0] == 200
            begun.sendall(octets[:-5])
            time.sleep(0.1)
            running.live.server.should_exit = True
            assert idle.is_closed()
            begun.sendall(octets[-5:])
            status, headers, _ = begun.answer()
            assert (status, headers["connection"]) == (200, "close")


def test_many_callers_at_once_are_all_answered_right(running: Running) -> None:
    wrong: list[object] = []

    def ask_again_and_again(number: int) -> None:
        asks = (running.quick, running.posted, LIVE)
        with running.live.connect() as connection:
            for turn in range(60):
                connection.sendall(asks[(number + turn) % 3].octets())
                status, headers, body = connection.answer()
                if status != 200 or int(headers["content-length"]) != len(body):
                    wrong.append((status, headers))

    threads = [threading.Thread(target=ask_again_and_again, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
