"""
Heads of requests that were read before: what follows them is answered without reading them again.

Callers send the same octets again and again up to the request itself. A head whose every octet was
read before by the parser, at the beginning of a message, means the same now; so its method, path
and fields are not looked at again. Only heads are kept whose answer depends on nothing but path and
body.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pki.status import Reply
from web import hot_routes
from web.app import HEADERS
from web.hot import HotRequest, date, lines
from web.hot_watch import HotWatch
from web.status import StatusPages

_OPENING: Final = b"HTTP/1.1 200 OK\r\n"
END: Final = b"\r\n\r\n"
"""Stands behind a head and belongs to it."""

_KEPT: Final = 4096
_LONGEST: Final = 768
"""Octets of a head that is kept."""
_PARTICULAR: Final = (
    *("if-none-match", "if-modified-since"),  # the answer depends on them
    "x-request-id",  # another one each time
    *("transfer-encoding", "expect", "upgrade"),  # there is more to read than a body
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    What a head says.

    Attributes:
        length: octets of the body that belongs to it.
        der: the OCSP request in the path of a GET; empty for a POST, whose body it is.
    """

    method: str
    raw_path: str
    length: int
    der: bytes


class Heads:
    """The heads of one process; used by its event loop alone."""

    def __init__(self, pages: StatusPages, watch: HotWatch) -> None:
        self._pages = pages
        self._watch = watch
        self._kept: dict[bytes, Head] = {}
        self._fields: dict[bytes, bytes] = {}
        self._second: dt.datetime | None = None

    def find(self, data: bytes, end: int) -> Head | None:
        """Return the head that ends at `end` if it is all there is before the body of a request."""
        head = self._kept.get(data[:end])
        return head if head is not None and head.length == len(data) - end else None

    def learn(self, head: bytes, request: HotRequest) -> None:
        """Keep the head of a request that the parser read and that was answered from memory."""
        if len(head) > _LONGEST or any(name in request.headers for name in _PARTICULAR):
            return
        der = b"" if request.method == "POST" else self._pages.request_in(request)
        if not der and request.method != "POST":
            return
        while len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[head] = Head(
            method=request.method, raw_path=request.raw_path, length=len(request.body), der=der
        )

    def answer(self, head: Head, body: bytes) -> bytes | None:
        """Return the octets of what `Application.quick` would have answered, or None."""
        now = self._pages.deployment.clock.now()
        reply = self._pages.answers.in_memory(head.der or body, now)
        if reply is None:
            return None
        fields = self._fields_of(head, reply, now)
        identifier = self._watch.seen(head.method, head.raw_path, HTTPStatus.OK, hot_routes.OCSP)
        size = b"\r\ncontent-length: %d\r\n\r\n" % len(reply.der)
        parts = (_OPENING, fields, b"X-Request-Id: ", identifier.encode(), size, reply.der)
        return b"".join(parts)

    def _fields_of(self, head: Head, reply: Reply, now: dt.datetime) -> bytes:
        """Return the fields of an answer, the same in all of one second."""
        if now != self._second:
            self._second = now
            self._fields.clear()
        key = b"" if head.method == "POST" or reply.next_update is None else reply.der
        found = self._fields.get(key)
        if found is None:
            found = b"date: %b\r\n" % date(now) + lines(
                HEADERS | self._pages.headers_of(head.method, reply, now)
            )
            self._fields[key] = found
        return found
