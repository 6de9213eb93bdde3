"""
Load over HTTP on the loopback interface: `wrk` where connections may be kept, else one by one.

Every request is prepared octet by octet beforehand, so that the client costs little; its cost is
not counted anyway.
"""

from __future__ import annotations

import json
import math
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.bench.processes import Server

TYPE: Final = "application/ocsp-request"
_LUA: Final = r"""
local reqs, n, i = {}, 0, 0
local f = io.open(os.getenv("LOAD_FILE"), "rb")
while true do
  local size = f:read("*l"); if not size then break end
  n = n + 1; reqs[n] = f:read(tonumber(size)); f:read(1)
end
f:close()
function request() i = i % n + 1; return reqs[i] end
function done(s, l, r)
  io.write(string.format('\nJSON{"requests":%d,"us":%d,"bad":%d,"p50":%d,"p95":%d,"p99":%d}\n',
    s.requests, s.duration, s.errors.status + s.errors.connect + s.errors.read + s.errors.write
    + s.errors.timeout, l:percentile(50), l:percentile(95), l:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    What a load found out.

    Attributes:
        cpu: microseconds of the server's processes for each answer.
        p50, p95, p99: milliseconds from question to answer.
    """

    answers: int
    per_second: float
    cpu: float
    bad: int
    p50: float
    p95: float
    p99: float


def post(path: str, body: bytes) -> bytes:
    """Return a POST of an OCSP request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """Return a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def has_wrk() -> bool:
    """Tell whether the load generator is installed (Debian: wrk)."""
    return shutil.which("wrk") is not None


def by_wrk(
    server: Server, requests: Sequence[bytes], seconds: int, connections: int = 16
) -> Measured:
    """Ask again and again over kept connections."""
    with tempfile.TemporaryDirectory() as name:
        script, data = Path(name) / "load.lua", Path(name) / "requests"
        script.write_text(_LUA, "utf-8")
        data.write_bytes(b"".join(b"%d\n%s\n" % (len(r), r) for r in requests))
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s"]
        before = server.cpu()
        done = subprocess.run(  # noqa: S603 - the words are ours
            [*words, "-s", str(script), f"http://127.0.0.1:{server.port}/"],
            capture_output=True,
            text=True,
            env={**os.environ, "LOAD_FILE": str(data)},
            check=False,
        )
        spent = server.cpu() - before
    told = re.search(r"JSON(\{.*\})", done.stdout)
    if told is None:
        raise SystemExit(done.stdout + done.stderr)
    found = json.loads(told[1])
    answers = max(1, found["requests"])
    return Measured(
        answers=found["requests"],
        per_second=answers / (found["us"] / 1e6),
        cpu=spent / answers * 1e6,
        bad=found["bad"],
        p50=found["p50"] / 1000,
        p95=found["p95"] / 1000,
        p99=found["p99"] / 1000,
    )


def each_once(server: Server, requests: Sequence[bytes], connections: int) -> Measured:
    """Ask each once, over some kept connections at a time."""
    waiting, bad = list(reversed(requests)), 0
    begun_at: dict[socket.socket, float] = {}
    pieces: dict[socket.socket, bytes] = {}
    waited: list[float] = []
    before, begun = server.cpu(), time.perf_counter()
    with selectors.DefaultSelector() as selector:

        def send(connection: socket.socket) -> None:
            if not waiting:
                selector.unregister(connection)
                connection.close()
                return
            begun_at[connection], pieces[connection] = time.perf_counter(), b""
            connection.sendall(waiting.pop())

        for _ in range(min(connections, len(requests))):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            selector.register(connection, selectors.EVENT_READ)
            send(connection)
        while selector.get_map():
            for key, _ in selector.select():
                ready = key.fileobj
                if not isinstance(ready, socket.socket):
                    continue
                pieces[ready] += (more := ready.recv(65536))
                if not more or _is_whole(pieces[ready]):
                    waited.append(time.perf_counter() - begun_at[ready])
                    bad += pieces[ready][9:12] != b"200"
                    send(ready)
    whole, spent = time.perf_counter() - begun, server.cpu() - before
    return _measured(waited, whole, spent, bad)


def _is_whole(octets: bytes) -> bool:
    head = octets.find(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", octets[:head]) if head >= 0 else None
    return length is not None and len(octets) >= head + 4 + int(length[1])


def one_by_one(
    server: Server, requests: Sequence[bytes], *, seconds: float | None = None, kept: bool = True
) -> Measured:
    """
    Ask each once, or in turn for some seconds.

    Args:
        kept: over one connection; else a new one each time, as `openssl ocsp` wants it.
    """
    waited: list[float] = []
    bad = 0
    before, begun = server.cpu(), time.perf_counter()
    end = begun + (seconds if seconds is not None else math.inf)
    asker = _Asker(server.port, kept=kept)
    while (now := time.perf_counter()) < end:
        bad += asker.ask(requests[len(waited) % len(requests)])[9:12] != b"200"
        waited.append(time.perf_counter() - now)
        if seconds is None and len(waited) == len(requests):
            break
    whole, spent = time.perf_counter() - begun, server.cpu() - before
    asker.close()
    return _measured(waited, whole, spent, bad)


def _measured(waited: list[float], whole: float, spent: float, bad: int) -> Measured:
    waited.sort()

    def at(share: float) -> float:
        return 1000 * waited[min(len(waited) - 1, int(len(waited) * share))]

    return Measured(
        answers=len(waited),
        per_second=len(waited) / whole,
        cpu=spent / len(waited) * 1e6,
        bad=bad,
        p50=at(0.5),
        p95=at(0.95),
        p99=at(0.99),
    )


def check(server: Server, request: bytes, *, kept: bool = True) -> None:
    """Refuse to measure a server that does not answer *successful* (RFC 6960 4.2.1)."""
    asker = _Asker(server.port, kept=kept)
    answer = asker.ask(request)
    asker.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if head[9:12] != b"200" or b"\x0a\x01\x00" not in body[:20]:
        raise SystemExit(f"no answer to {request[:200]!r}: {answer[:300]!r}")


class _Asker:
    def __init__(self, port: int, *, kept: bool) -> None:
        self._port = port
        self._kept = kept
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self._socket.sendall(request)
        answer = self._read(self._socket)
        if not self._kept:
            self.close()
        return answer

    def _read(self, connection: socket.socket) -> bytes:
        octets = b""
        whole = 1 << 62
        while len(octets) < whole and (more := connection.recv(65536)):
            octets += more
            head = octets.find(b"\r\n\r\n")
            if head >= 0 and (length := re.search(rb"(?i)content-length: *(\d+)", octets[:head])):
                whole = head + 4 + int(length[1])
        return octets

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
