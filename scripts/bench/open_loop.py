"""
Load in open loop: requests leave when they are due, whether or not earlier ones were answered.

Latency counts from the moment at which a request was due, so that whatever waits for a server that
is behind shows, in its own queue or in ours (a closed loop would ask less instead).
"""

from __future__ import annotations

import math
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from scripts.bench.load import Measured
from scripts.bench.processes import Server

_BUSY: Final = 16
_FEW: Final = 500
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


@dataclass(frozen=True, slots=True)
class Half:
    """What was asked, the answers a second in a closed loop, and latency at half of them."""

    what: str
    most: float
    measured: Measured


@dataclass(slots=True)
class _Connection:
    """A kept connection, and the request on it."""

    socket: socket.socket
    due: float = 0.0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    received: bytearray = field(default_factory=bytearray)


def run(
    server: Server, requests: Sequence[bytes], rate: float, count: int, connections: int = 64
) -> Measured:
    """
    Ask `count` times, `rate` times a second and evenly, each of the requests in turn.

    A request that finds every connection taken waits for one, and its waiting counts.

    Args:
        rate: `math.inf` keeps every connection busy, which is a closed loop.
    """
    loop = _Loop(server.port, connections)
    before, begun = server.cpu(), time.perf_counter()
    loop.ask(requests, rate, count)
    whole, spent = time.perf_counter() - begun, server.cpu() - before
    loop.close()
    waited = sorted(loop.waited)

    def at(share: float) -> float:
        return 1000 * waited[min(len(waited) - 1, int(len(waited) * share))]

    return Measured(
        answers=len(waited),
        per_second=len(waited) / whole,
        cpu=spent / len(waited) * 1e6,
        bad=loop.bad,
        p50=at(0.5),
        p95=at(0.95),
        p99=at(0.99),
    )


def at_half(server: Server, requests: Sequence[bytes], seconds: float) -> Iterator[Half]:
    """
    Find what the server can do, and ask half of that: of unseen requests, then of known ones.

    Args:
        requests: none of which was asked before.
    """
    third = len(requests) // 3
    most = run(server, requests[:third], math.inf, third, _BUSY).per_second
    count = min(len(requests) - third, int(most / 2 * seconds))
    yield Half("unseen", most, run(server, requests[third:], most / 2, count))
    known = requests[: min(third, _FEW)]
    most = run(server, known, math.inf, 4 * len(known), _BUSY).per_second
    yield Half("known", most, run(server, known, most / 2, int(most / 2 * seconds)))


class _Loop:
    def __init__(self, port: int, connections: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._idle: deque[_Connection] = deque()
        self.waited: list[float] = []
        self.bad = 0
        for _ in range(connections):
            made = socket.create_connection(("127.0.0.1", port), timeout=30)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setblocking(False)
            connection = _Connection(made)
            self._selector.register(made, selectors.EVENT_READ, connection)
            self._idle.append(connection)

    def ask(self, requests: Sequence[bytes], rate: float, count: int) -> None:
        """Send `count` requests on schedule; return when all are answered."""
        begun = time.perf_counter() + 0.01
        sent = 0
        while len(self.waited) < count:
            now = time.perf_counter()
            while sent < count and self._idle and begun + sent / rate <= now:
                self._send(
                    self._idle.popleft(), requests[sent % len(requests)], begun + sent / rate
                )
                sent += 1
            until = begun + sent / rate - now if sent < count and self._idle else math.inf
            self._hear(None if until is math.inf else max(0.0, until))

    def close(self) -> None:
        """Close every connection."""
        for key in tuple(self._selector.get_map().values()):
            key.data.socket.close()
        self._selector.close()

    def _send(self, connection: _Connection, request: bytes, due: float) -> None:
        connection.due = due
        connection.unsent = memoryview(request)
        connection.received = bytearray()
        self._go_on(connection)

    def _go_on(self, connection: _Connection) -> None:
        """Send what the socket takes; the rest when it takes more."""
        try:
            sent = connection.socket.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        connection.unsent = connection.unsent[sent:]
        events = selectors.EVENT_READ
        if connection.unsent:
            events |= selectors.EVENT_WRITE
        self._selector.modify(connection.socket, events, connection)

    def _hear(self, timeout: float | None) -> None:
        for key, events in self._selector.select(timeout):
            connection: _Connection = key.data
            if events & selectors.EVENT_WRITE and connection.unsent:
                self._go_on(connection)
            if events & selectors.EVENT_READ:
                self._read(connection)

    def _read(self, connection: _Connection) -> None:
        try:
            more = connection.socket.recv(65536)
        except BlockingIOError:
            return
        if not more:
            raise SystemExit("the server closed a connection")
        connection.received += more
        head = connection.received.find(b"\r\n\r\n")
        length = _LENGTH.search(connection.received, 0, head + 2) if head >= 0 else None
        if length is None or len(connection.received) < head + 4 + int(length[1]):
            return
        self.waited.append(time.perf_counter() - connection.due)
        self.bad += connection.received[9:12] != b"200"
        self._idle.append(connection)
