"""
HTTP/1.1 for a worker: uvicorn's protocol with limits, and OCSP answered where it was parsed.

uvicorn itself bounds neither the head of a request nor the time in which a request must arrive, nor
how many requests come in one piece, nor how slowly an answer is taken; a public responder must. A
request that `Application.quick` answers costs no task, which saves two thirds; one whose head was
read before (`web.hot_heads`) is not even parsed, which halves the rest. Any other takes uvicorn's
way into the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from pki.clock import SystemClock
from web.bridge import headers_of
from web.hot import HotRequest, HotResponse, date, lines
from web.hot_heads import END, Heads
from web.logs import ERRORS
from web.parsing import MAX_DISCARDED
from web.status import MAX_OCSP_BODY

MAX_LINE: Final = 8190
"""Octets of a path with its query; base64 of a long OCSP request stands in it (RFC 6960 A.1)."""

MAX_FIELDS: Final = 64
MAX_FIELD: Final = 8190
"""Octets of name and value."""

MAX_HEAD: Final = 32 * 1024
"""Octets of a head that comes in many pieces, besides the first."""

MAX_PIPELINED: Final = 64
"""Requests that may come in one piece, or wait for the one before them."""

HEAD_SECONDS: Final = 10.0
"""From the first octet of a request to the end of its header fields."""

STALL_SECONDS: Final = 10.0
"""Without an octet of a body arriving, or of an answer being taken."""

WHOLE_SECONDS: Final = 60.0
"""From the first octet of a request to its last."""

_LOOK: Final = 1.0
_QUICK_METHODS: Final = {b"GET": "GET", b"POST": "POST"}
_CODES: Final = {
    HTTPStatus.BAD_REQUEST: "request_malformed",
    HTTPStatus.REQUEST_TIMEOUT: "request_too_slow",
    HTTPStatus.REQUEST_URI_TOO_LONG: "path_too_long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "headers_too_long",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal",
}


class _Refused(Exception):
    """The request is not to be read any further."""

    def __init__(self, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(status)
        self.status = status


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._quick: Callable[[HotRequest], HotResponse | None] | None
        self._quick = getattr(self.app, "quick", None)
        self._heads: Heads | None = getattr(self.app, "heads", None)
        self._learnt: HotRequest | None = None  # answered out of what was just fed
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._arriving = False  # a request began and did not end
        self._in_head = False
        self._handed_over = False  # the arriving request is the app's
        self._body: bytearray | None = None  # of a request that may get a quick answer
        self._octets = 0  # of the pieces with the head so far
        self._begun = 0
        self._discarded = 0
        # since when the connection is idle or the request arrives; when octets came last; when the
        # caller stopped to take its answer
        self._since = self._heard = self._paused = self.loop.time()

    # --- connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's
        """Watch the new connection."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(_LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close; a request that has arrived but for its body gets its answer first."""
        self._closing = True
        if self._body is None:
            super().shutdown()

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

    # --- reading -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Answer what came, or parse it."""
        self._heard = self.loop.time()
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        at = data.find(END) if self._may_be_known() else -1
        end = at + len(END)
        if at >= 0 and self._answer_known(data, end):
            return
        self._parse(data)
        if at >= 0 and self._learnt is not None and self._heads is not None:
            # whole, alone and kept alive; the body was what stands behind its head, octet for octet
            if self._begun == 1 and not self._arriving and self._learnt.body == data[end:]:
                self._heads.learn(data[:end], self._learnt)
            self._learnt = None

    def _parse(self, data: bytes) -> None:
        self._begun = 0
        within_head = self._in_head
        self._octets = self._octets + len(data) if within_head else len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # the offer is declined; what follows may be anything
        except httptools.HttpParserCallbackError as error:
            self._refuse(_status_of(error))
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            if self._in_head and within_head and self._octets > MAX_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request; the scope is made where the app is asked."""
        self._begun += 1
        if self._begun > MAX_PIPELINED or len(self.pipeline) >= MAX_PIPELINED:
            raise _Refused
        if self.transport.is_closing():
            raise _Refused
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._arriving = self._in_head = True
        self._handed_over = False
        self._body = None
        self._discarded = 0
        self._since = self._heard

    def on_url(self, url: bytes) -> None:
        """Take a piece of the path."""
        self.url += url
        if len(self.url) > MAX_LINE:
            raise _Refused(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        name = name.lower()
        if name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Wait for the body where the answer may be quick, else ask the app."""
        self._in_head = False
        if len(self.headers) > MAX_FIELDS or (self._octets > MAX_FIELD and self._has_long_field()):
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if self._may_be_quick():
            self._body = bytearray()
        else:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; throw away, within bounds, what nobody wants."""
        if self._body is not None:
            self._body += body
            if len(self._body) > MAX_OCSP_BODY:
                self._hand_over()
            return
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > MAX_DISCARDED:
                raise _Refused
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer, or let the app know that the body is complete."""
        self._since = self._heard
        if self._body is not None and not self._answer(self._body):
            self._hand_over()
        if self._handed_over:
            super().on_message_complete()
        self._arriving = self._handed_over = False
        self._body = None

    def _has_long_field(self) -> bool:
        return any(len(name) + len(value) > MAX_FIELD for name, value in self.headers)

    # --- heads that were read before -----------------------------------------------------------

    def _may_be_known(self) -> bool:
        """Tell whether what comes is the beginning of a message, and nothing is owed."""
        return (
            self._heads is not None
            and not self._arriving
            and not self._closing
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.read_paused
            and not self.transport.is_closing()
        )

    def _answer_known(self, data: bytes, end: int) -> bool:
        """Tell whether the request in `data`, whose head was read before, got its answer."""
        head = self._heads.find(data, end) if self._heads else None
        if head is None or self._heads is None:
            return False
        octets = self._heads.answer(head, data[end:])
        if octets is None:
            return False
        self._since = self._heard
        self.transport.write(octets)
        self.server_state.total_requests += 1
        return True

    # --- answering -----------------------------------------------------------------------------

    def _may_be_quick(self) -> bool:
        return (
            self._quick is not None
            and self.url.startswith(b"/ocsp")
            and b"#" not in self.url
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and self.parser.get_method() in _QUICK_METHODS
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
        )

    def _answer(self, body: bytearray) -> bool:
        """Tell whether the request got its answer."""
        request = HotRequest(
            method=_QUICK_METHODS[self.parser.get_method()],
            raw_path=self.url.partition(b"?")[0].decode("latin-1"),
            headers=_headers(self.headers),
            body=bytes(body),
        )
        answer = self._quick(request) if self._quick else None
        if answer is None or not isinstance(answer.body, bytes):
            return False
        keep_alive = self.parser.should_keep_alive() and not self._closing
        self._write(answer.status, answer.headers, answer.body, keep_alive=keep_alive)
        self.server_state.total_requests += 1
        if not keep_alive:
            self.transport.close()
        elif answer.status == HTTPStatus.OK:
            self._learnt = request
        return True

    def _hand_over(self) -> None:
        """Start the app on the request that was parsed so far."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        body, self._body = self._body, None
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        try:
            super().on_headers_complete()
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError) as error:
            raise _Refused from error
        self._handed_over = True
        if self._closing:
            self.cycle.keep_alive = False
        if body:
            super().on_body(bytes(body))

    def _write(
        self, status: int, headers: Mapping[str, str], body: bytes, *, keep_alive: bool
    ) -> None:
        length = b"" if status == HTTPStatus.NOT_MODIFIED else b"content-length: %d\r\n" % len(body)
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        now = b"date: %b\r\n" % date(SystemClock().now())
        parts = (STATUS_LINE[status], now, lines(headers), length, end, body)
        self.transport.write(b"".join(parts))


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return what `headers_of` does, quickly where no field came twice."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    return headers if len(headers) == len(pairs) else headers_of(pairs)


def _status_of(error: httptools.HttpParserCallbackError) -> HTTPStatus:
    """Return what to tell of an exception inside a callback: a refusal, or a fault of ours."""
    cause = error.__context__
    if isinstance(cause, _Refused):
        return cause.status
    ERRORS.error("unexpected", exc_info=cause)
    return HTTPStatus.INTERNAL_SERVER_ERROR
