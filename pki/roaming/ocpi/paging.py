"""
Pages: `date_from` inclusive, `date_to` exclusive, `offset` and `limit`, oldest first.

Behind the `Link` that we hand out is the key of the last object of a page, so that the last page
costs what the first costs. A client that counts `offset` by itself, without following the link, is
served as well.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

from pki.errors import BadInput
from pki.roaming.ocpi.text import format_time, parse_time

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
_MAX_OFFSET: Final = 10**9
_LATEST: Final = 250_000 * 10**12  # microseconds; before the last year that a time can have
_MOST: Final = 1 << 62
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_LINK: Final = re.compile(r'<([^<>]{1,2000})>\s*;[^,]*\brel\s*=\s*"?next"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """
    Where a page begins: behind this object.

    Attributes:
        updated: `last_updated` of the object, in microseconds since 1970.
        key: the object's key in the store.
        total: objects of the whole pull, counted on its first page.
    """

    updated: int
    key: str
    total: int

    def write(self) -> str:
        """Return the cursor for an address."""
        text = json.dumps([self.updated, self.key, self.total], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `write` wrote. Raises BadInput (`ocpi_invalid_value`)."""
        try:
            padded = text + "=" * (-len(text) % 4)
            updated, key, total = json.loads(base64.urlsafe_b64decode(padded))
        except (binascii.Error, ValueError, TypeError) as error:
            raise _invalid("after", "a cursor of ours") from error
        if type(updated) is not int or type(key) is not str or type(total) is not int:
            raise _invalid("after", "a cursor of ours")
        if not 0 <= updated < _LATEST or not 0 <= total < _MOST:
            raise _invalid("after", "a cursor of ours")
        return cls(updated=updated, key=key, total=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which page is asked for."""

    date_from: dt.datetime | None = None
    date_to: dt.datetime | None = None
    offset: int = 0
    limit: int = DEFAULT_LIMIT
    after: Cursor | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """
        Read the parameters; a limit above ours is cut to ours, unknown ones are ignored.

        Raises:
            BadInput: `ocpi_invalid_value`, `ocpi_invalid_time`.
        """
        after = query.get("after")
        return cls(
            date_from=_time(query, "date_from"),
            date_to=_time(query, "date_to"),
            offset=_number(query, "offset", 0, 0, _MAX_OFFSET),
            limit=min(_number(query, "limit", DEFAULT_LIMIT, 1, _MAX_OFFSET), MAX_LIMIT),
            after=Cursor.read(after) if after else None,
        )

    def next(self, shown: int, after: Cursor) -> PageRequest:
        """Return the request for the following page, behind the last of `shown` objects."""
        return replace(self, offset=self.offset + shown, after=after)

    def query(self) -> str:
        """Return the parameters as they stand in an address, filters repeated."""
        values: dict[str, str | int] = {}
        if self.date_from is not None:
            values["date_from"] = format_time(self.date_from)
        if self.date_to is not None:
            values["date_to"] = format_time(self.date_to)
        values |= {"offset": self.offset, "limit": self.limit}
        if self.after is not None:
            values["after"] = self.after.write()
        return urlencode(values)


def page_headers(url: str, total: int, following: PageRequest | None) -> dict[str, str]:
    """Return the headers of a page; `Link` is absent on the last one."""
    headers = {"X-Total-Count": str(total), "X-Limit": str(MAX_LIMIT)}
    if following is not None:
        headers["Link"] = f'<{url}?{following.query()}>; rel="next"'
    return headers


def next_link(header: str | None) -> str | None:
    """Return the address of the next page from a partner's `Link`, or None."""
    found = _LINK.search(header or "")
    return found[1] if found else None


def next_of(url: str, link: str) -> str:
    """
    Return the address of a next page, which must lead back to where this one came from.

    A partner's `Link` may not send our token to another host.

    Raises:
        BadInput: `ocpi_foreign_link`.
    """
    here, there = urlsplit(url), urlsplit(link)
    if (here.scheme, here.netloc.lower()) != (there.scheme, there.netloc.lower()):
        raise BadInput("ocpi_foreign_link", "The partner's next page lies on another host.")
    return link


def _time(query: Mapping[str, str], name: str) -> dt.datetime | None:
    text = query.get(name)
    return parse_time(text, name) if text else None


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return default
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise _invalid(name, f"a number from {low} to {high}")
    return int(text)


def _invalid(name: str, wanted: str) -> BadInput:
    return BadInput("ocpi_invalid_value", f"{name} is not {wanted}.", data={"field": name})
