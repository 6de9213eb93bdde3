"""uvicorn's protocol for HTTP/1.1, and how long a caller may take: uvicorn bounds none of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from pki.clock import SystemClock
from web.bridge import PEER
from web.hot import date, lines

HEAD_SECONDS: Final = 10.0
"""From the first octet of a request to the end of its header fields."""

STALL_SECONDS: Final = 10.0
"""Without an octet of a body arriving, or of an answer being taken."""

WHOLE_SECONDS: Final = 60.0
"""From the first octet of a request to its last."""

_LOOK: Final = 1.0
_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "request_malformed",
    HTTPStatus.REQUEST_TIMEOUT: "request_too_slow",
    HTTPStatus.REQUEST_URI_TOO_LONG: "path_too_long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "headers_too_long",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal",
    HTTPStatus.NOT_IMPLEMENTED: "transfer_coding_unsupported",
}


class Timed(HttpToolsProtocol):
    """
    One connection, watched.

    Attributes:
        _arriving: a request began and did not end.
        _in_head: its header fields did not end.
        _handed_over: it is the app's.
        _since: when the connection became idle, or the request began to arrive.
        _heard: when octets came last.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._arriving = False
        self._in_head = False
        self._handed_over = False
        # the last: when the caller stopped to take its answer
        self._since = self._heard = self._paused = self.loop.time()

    # --- connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        """Watch the new connection; over TLS, keep whose it is."""
        super().connection_made(transport)
        spoken = transport.get_extra_info("ssl_object")
        if spoken is not None:
            self.app_state = {**self.app_state, PEER: spoken.getpeercert(binary_form=True)}
        self._timer = self.loop.call_later(_LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Read no more from a caller who does not take what it asked for."""
        self._paused = self.loop.time()
        super().pause_writing()
        if not self._working():
            self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        super().resume_writing()
        if not self._working():
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Count idle time from here."""
        self._since = self.loop.time()
        super().on_response_complete()

    def _working(self) -> bool:
        """Tell whether the app owes an answer."""
        return self.cycle is not None and not self.cycle.response_complete

    # --- time and refusal ----------------------------------------------------------------------

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        now = self.loop.time()
        self._timer = self.loop.call_later(_LOOK, self._look)
        if self.flow.write_paused:
            if now - self._paused > STALL_SECONDS:
                self.transport.abort()
        elif self._arriving:
            if self._is_late(now):
                self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        elif not self._working() and now - self._since > self.timeout_keep_alive:
            self.transport.close()

    def _is_late(self, now: float) -> bool:
        """Tell whether the caller takes too long; while we do not read, it is not the caller."""
        if self.flow.read_paused:
            return False
        if self._in_head:
            return now - self._since > HEAD_SECONDS
        return now - self._heard > STALL_SECONDS or now - self._since > WHOLE_SECONDS

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why, unless an answer is under way, and close."""
        if self.transport.is_closing():
            return
        if self._working() and not self._handed_over:
            self.cycle.keep_alive = False  # the request before this one gets its answer
            self.flow.pause_reading()
            return
        if not (self._handed_over and self.cycle.response_started):
            problem = {
                "type": f"urn:pnc:problem:{_CODES[status]}",
                "title": status.phrase,
                "status": status.value,
                "code": _CODES[status],
            }
            headers = {"Content-Type": "application/problem+json"}
            self._write(status, headers, orjson.dumps(problem), keep_alive=False)
        self.transport.close()

    def _write(
        self, status: int, headers: Mapping[str, str], body: bytes, *, keep_alive: bool
    ) -> None:
        self._write_fields(status, lines(headers), body, keep_alive=keep_alive)

    def _write_fields(self, status: int, fields: bytes, body: bytes, *, keep_alive: bool) -> None:
        length = b"" if status == HTTPStatus.NOT_MODIFIED else b"content-length: %d\r\n" % len(body)
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        now = b"date: %b\r\n" % date(SystemClock().now())
        self.transport.write(b"".join((STATUS_LINE[status], now, fields, length, end, body)))
