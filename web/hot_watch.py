"""
What `web.app` does around every request, for hot paths: id, headers, count, a line of log.

A line of log costs more than an answer from memory, and so does a counter in a file. Such answers
are therefore counted here and handed on once a second, without their time, and one of `SAMPLE` is
logged. What is refused goes through Flask and has its line always.
"""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus
from typing import Final

from web import logs, parsing
from web.app import HEADERS
from web.hot import HotRequest, HotResponse, lines
from web.metrics import Metrics

SAMPLE: Final = 1000
"""Of so many answers, the first is logged."""

_EVERY: Final = 1.0
"""Seconds until `/metrics` knows."""
_ENTITY: Final = ("Content-Type", "Last-Modified")
_MAX_PATH: Final = 200
_FIXED: Final = lines(HEADERS)
_ID_OCTETS: Final = 8
_IDS: Final = 256


class HotWatch:
    """The watch of one process; used by its event loop alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counts: dict[tuple[str, str, int], int] = {}
        self._answers = 0
        self._ids: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand on the counts once a second from now on."""
        self._hand_on()
        self._timer = loop.call_later(_EVERY, self.start, loop)

    def stop(self) -> None:
        """Hand on the last counts."""
        if self._timer is not None:
            self._timer.cancel()
        self._hand_on()

    def from_memory(self, request: HotRequest, answer: HotResponse, route: str) -> HotResponse:
        """Finish an answer that took no wait."""
        self._count(route, request.method, answer.status)
        return self._finished(request, answer, 0.0)

    def written(self, request: HotRequest, answer: HotResponse, route: str) -> bytes:
        """Return the header fields of an answer that `from_memory` would have finished."""
        self._count(route, request.method, answer.status)
        identifier = self._identifier(request)
        self._sample(request.method, request.raw_path, identifier, answer.status, 0.0)
        last = b"X-Request-Id: %b\r\n" % identifier.encode()
        return b"".join((_FIXED, lines(answer.headers), last))

    def seen(self, method: str, raw_path: str, status: int, route: str) -> str:
        """Count, and now and then log, an answer from memory; return its identifier, a new one."""
        self._count(route, method, status)
        identifier = self._new_id()
        self._sample(method, raw_path, identifier, status, 0.0)
        return identifier

    def _count(self, route: str, method: str, status: int) -> None:
        key = (route, method, status)
        self._counts[key] = self._counts.get(key, 0) + 1

    def _sample(
        self, method: str, raw_path: str, identifier: str, status: int, seconds: float
    ) -> None:
        if self._answers % SAMPLE == 0:
            _log(method, raw_path, identifier, status, seconds)
        self._answers += 1

    def waited(
        self, request: HotRequest, answer: HotResponse, route: str, seconds: float
    ) -> HotResponse:
        """Finish an answer that took a thread."""
        self._metrics.request(route, request.method, answer.status, seconds)
        return self._finished(request, answer, seconds)

    def _finished(self, request: HotRequest, answer: HotResponse, seconds: float) -> HotResponse:
        """Return the answer with the headers that every answer has."""
        identifier = self._identifier(request)
        self._sample(request.method, request.raw_path, identifier, answer.status, seconds)
        headers = {**HEADERS, **answer.headers, "X-Request-Id": identifier}
        if answer.status == HTTPStatus.NOT_MODIFIED:
            for name in _ENTITY:  # RFC 9110 15.4.5; werkzeug leaves them out too
                headers.pop(name, None)
        return HotResponse(status=answer.status, headers=headers, body=answer.body)

    def _identifier(self, request: HotRequest) -> str:
        given = request.headers.get("x-request-id")
        return (given and parsing.fit_request_id(given)) or self._new_id()

    def _new_id(self) -> str:
        """Return 64 random bits; the system is asked for many at a time."""
        if not self._ids:
            octets = secrets.token_hex(_ID_OCTETS * _IDS)
            size = 2 * _ID_OCTETS
            self._ids = [octets[at : at + size] for at in range(0, len(octets), size)]
        return self._ids.pop()

    def _hand_on(self) -> None:
        counts, self._counts = self._counts, {}
        for (route, method, status), count in counts.items():
            self._metrics.counted(route, method, status, count)


def _log(method: str, raw_path: str, identifier: str, status: int, seconds: float) -> None:
    fields = {
        "requestId": identifier,
        "client": None,
        "method": method,
        "path": raw_path[:_MAX_PATH],
        "status": status,
        "ms": round(1000 * seconds, 2),
        "sample": SAMPLE,
    }
    logs.REQUESTS.info("request", extra={"fields": fields})
