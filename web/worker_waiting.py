"""A request that waits for its answer without a task of its own, in the place of uvicorn's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from pki.errors import PkiError
from web.hot import HotRequest
from web.issuing import FAILURE

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

    from web.worker_protocol import Protocol


Written = tuple[int, bytes, bytes]
"""Status, header fields and body."""
Done = Callable[[Written | PkiError | None], None]
"""Gets an answer, or the error that somebody else is to tell; None: somebody else is to answer."""


class _Nobody:
    """Waits for no message."""

    def set(self) -> None:
        """Do nothing: the body was complete before."""


_NOBODY: Final = _Nobody()


class Waiting:
    """
    Has what uvicorn's protocol looks at in a cycle, and what is needed to begin a real one.

    Attributes:
        head: its octets, if they may be learnt; else empty.
    """

    __slots__ = (
        "_protocol",
        "disconnected",
        "head",
        "keep_alive",
        "message_event",
        "request",
        "response_complete",
        "response_started",
    )

    def __init__(self, protocol: Protocol, request: HotRequest, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.request = request
        self.keep_alive = keep_alive
        self.head = b""
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.message_event = _NOBODY

    def done(self, answer: Written | PkiError | None) -> None:
        """Hand the answer to the caller; without one, have the app answer."""
        if self._protocol.transport.is_closing():
            self.response_complete = True
        elif isinstance(answer, tuple):
            self.response_started = self.response_complete = True
            self._protocol.finish(self, answer)
        else:
            self._protocol.begin(self, self._cycle(answer))

    def _cycle(self, failure: PkiError | None) -> RequestResponseCycle:
        """Return what uvicorn would have made of this request, its body complete."""
        protocol = self._protocol
        cycle = RequestResponseCycle(
            scope=self._scope(failure),
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=self.keep_alive,
            on_response=protocol.on_response_complete,
        )
        cycle.body += self.request.body
        cycle.more_body = False
        cycle.message_event.set()
        return cycle

    def _scope(self, failure: PkiError | None) -> HTTPScope:
        protocol, request = self._protocol, self.request
        return {
            "type": "http",
            "asgi": {"version": protocol.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "server": protocol.server,
            "client": protocol.client,
            "scheme": protocol.scheme or "http",
            "root_path": protocol.root_path,
            "path": request.raw_path,
            "raw_path": request.raw_path.encode(),
            "query_string": b"",
            "headers": [
                (n.encode("latin-1"), v.encode("latin-1")) for n, v in request.headers.items()
            ],
            "state": {**protocol.app_state, FAILURE: failure},
            "extensions": {},
        }
