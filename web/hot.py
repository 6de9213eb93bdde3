"""
Requests without a framework: what the hot paths take and give.

A handler is a plain function of these values, so that a Flask view and a raw ASGI application call
the same one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from pki.quick import quick

_NONE: Final[Mapping[str, str]] = {}


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class HotRequest:
    """
    One HTTP request.

    Attributes:
        raw_path: as it stands in the request line, percent signs and all, without the query.
        headers: names in lower case.
        body: complete; whoever reads it stops one octet above the limit of the path.
    """

    method: str
    raw_path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class HotResponse:
    """
    One HTTP answer.

    Attributes:
        body: octets, or the file that holds them.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)
    body: bytes | Path = b""

    @property
    def octets(self) -> bytes:
        """The body of an answer that is in no file."""
        return self.body if isinstance(self.body, bytes) else self.body.read_bytes()


def lines(headers: Mapping[str, str]) -> bytes:
    """Return header fields as they are sent."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1")


@lru_cache(maxsize=4)
def date(now: dt.datetime) -> bytes:
    """
    Return the value of `Date` for an answer that begins now, in whole seconds.

    Whoever serves writes it himself, when the answer is ready: uvicorn's own date is up to a second
    old, and so earlier than the `Last-Modified` of what was signed since (RFC 9110 8.8.2.1).
    """
    return format_datetime(now, usegmt=True).encode()
