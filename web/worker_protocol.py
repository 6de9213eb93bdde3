"""
HTTP/1.1 for a worker: uvicorn's protocol with limits, and hot paths answered where it was parsed.

uvicorn itself bounds neither the head of a request nor the time in which a request must arrive, nor
how many requests come in one piece, nor how slowly an answer is taken; a public responder must. A
request that `Application.quick` answers costs no task, which saves two thirds; one whose head was
read before (`web.hot_heads`) is not even parsed, which halves the rest. A request for a decision or
a certificate waits for its group without a task (`web.worker_waiting`). Any other takes uvicorn's
way into the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from web import issuing
from web.bridge import headers_of
from web.decision_heads import DecisionHeads
from web.decisions import LIMITS
from web.hot import HotRequest, HotResponse
from web.hot_heads import END, Heads
from web.logs import ERRORS
from web.parsing import MAX_BODY, MAX_DISCARDED
from web.status import MAX_OCSP_BODY
from web.worker_timed import Timed
from web.worker_waiting import Done, Waiting, Written

MAX_LINE: Final = 8190
"""Octets of a path with its query; base64 of a long OCSP request stands in it (RFC 6960 A.1)."""

MAX_FIELDS: Final = 64
MAX_FIELD: Final = 8190
"""Octets of name and value."""

MAX_HEAD: Final = 32 * 1024
"""Octets of a head that comes in many pieces, besides the first."""

MAX_PIPELINED: Final = 64
"""Requests that may come in one piece, or wait for the one before them."""

_QUICK_METHODS: Final = {b"GET": "GET", b"POST": "POST"}
_GROUPED: Final = {
    issuing.PATH.encode(): MAX_BODY,
    **{path.encode(): most for path, most in LIMITS.items()},
}

_NO_HEADS: Final = DecisionHeads()


class _Refused(Exception):
    """The request is not to be read any further."""

    def __init__(self, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(status)
        self.status = status


class Protocol(Timed):
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
        self._decide: Callable[[HotRequest, Done], None] | None
        self._decide = getattr(self.app, "decide", None)
        self._asked_heads: DecisionHeads = getattr(self.app, "decision_heads", _NO_HEADS)
        self._asked: Waiting | None = None  # waits since what was just fed
        self._learnt: HotRequest | None = None  # answered out of what was just fed
        self._closing = False
        self._body: bytearray | None = None  # of a request that may get a quick answer
        self._most = 0  # octets that it may have
        self._octets = 0  # of the pieces with the head so far
        self._begun = 0
        self._discarded = 0

    def shutdown(self) -> None:
        """Close; a request that has arrived but for its body gets its answer first."""
        self._closing = True
        if self._body is None:
            super().shutdown()

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
        if at >= 0 and (self._learnt is not None or self._asked is not None):
            self._learn(data, end)

    def _learn(self, data: bytes, end: int) -> None:
        """Keep the head of a request that came whole, alone and for a connection that is kept."""
        answered, asked = self._learnt, self._asked
        self._learnt = self._asked = None
        if self._begun != 1 or self._arriving:
            return
        # the body was what stands behind its head, octet for octet
        if answered is not None and self._heads is not None and answered.body == data[end:]:
            self._heads.learn(data[:end], answered)
        if asked is not None and asked.keep_alive and asked.request.body == data[end:]:
            asked.head = data[:end]

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
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            raise _Refused(HTTPStatus.NOT_IMPLEMENTED)  # the parser takes gzip for plain octets
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Wait for the body where the answer may be quick, else ask the app."""
        self._in_head = False
        if len(self.headers) > MAX_FIELDS or (self._octets > MAX_FIELD and self._has_long_field()):
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._most = self._quick_limit() if self._may_be_quick() else 0
        if self._most:
            self._body = bytearray()
        else:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; throw away, within bounds, what nobody wants."""
        if self._body is not None:
            self._body += body
            if len(self._body) > self._most:
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
        body = self._body
        if body is not None and not (
            self._ask(body) if self.url in _GROUPED else self._answer(body)
        ):
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
            return self._ask_known(data, end)
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
            (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and self.parser.get_method() in _QUICK_METHODS
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
        )

    def _quick_limit(self) -> int:
        """Return how many octets the body of a quick request may have; 0: it is not quick."""
        if self.url.startswith(b"/ocsp"):
            return MAX_OCSP_BODY if self._quick is not None and b"#" not in self.url else 0
        if self._decide is None or self.parser.get_method() != b"POST" or self._is_full():
            return 0
        return _GROUPED.get(self.url, 0)

    def _is_full(self) -> bool:
        """Tell whether there are so many connections that uvicorn says 503."""
        return self.limit_concurrency is not None and (
            len(self.connections) >= self.limit_concurrency
        )

    def _request(self, body: bytearray) -> HotRequest:
        return HotRequest(
            method=_QUICK_METHODS[self.parser.get_method()],
            raw_path=self.url.partition(b"?")[0].decode("latin-1"),
            headers=_headers(self.headers),
            body=bytes(body),
        )

    def _answer(self, body: bytearray) -> bool:
        """Tell whether the request got its answer."""
        request = self._request(body)
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

    # --- answering later -----------------------------------------------------------------------

    def _ask(self, body: bytearray) -> bool:
        """Have a decision made, or a certificate; tell whether somebody makes it."""
        keep_alive = self.parser.should_keep_alive() and not self._closing
        self._asked = self._wait(self._request(body), keep_alive=keep_alive)
        return self._asked is not None

    def _ask_known(self, data: bytes, end: int) -> bool:
        """Tell whether the request in `data`, whose head was read before, waits for a decision."""
        request = self._asked_heads.find(data, end)
        if request is None or self._is_full():
            return False
        self._since = self._heard
        return self._wait(request, keep_alive=True) is not None

    def _wait(self, request: HotRequest, *, keep_alive: bool) -> Waiting | None:
        if self._decide is None:
            return None
        waiting = Waiting(self, request, keep_alive=keep_alive)
        self.cycle = waiting  # type: ignore[assignment]  # it has what is looked at
        self._decide(request, waiting.done)
        return waiting

    def finish(self, waiting: Waiting, answer: Written) -> None:
        """Write the answer to a request that waited, and go on with what came behind it."""
        if waiting.head:
            self._asked_heads.learn(waiting.head, waiting.request)
        keep_alive = waiting.keep_alive and not self._closing
        status, fields, body = answer
        self._write_fields(status, fields, body, keep_alive=keep_alive)
        if not keep_alive:
            self.transport.close()
        if self.pipeline or self.flow.read_paused:
            self.on_response_complete()
        else:  # without uvicorn's timer for each answer; `_look` watches
            self.server_state.total_requests += 1
            self._since = self.loop.time()

    def begin(self, waiting: Waiting, cycle: RequestResponseCycle) -> None:
        """Have the app answer a request that waited."""
        current: object = self.cycle
        if current is waiting:  # else another request came behind it
            self.cycle = cycle
        self._start_asgi_task(cycle, self.app.explain)

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
