"""How OCPI writes times, case-insensitive text and the token of an Authorization header."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from typing import Final

from pki.errors import BadInput
from pki.ids import quote

UTC: Final = dt.UTC
MAX_TIME: Final = 25
"""Characters of a DateTime."""

MAX_TOKEN: Final = 64
"""Characters of a credentials token."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?", re.ASCII)
_TOKEN: Final = re.compile(rf"[!-~]{{1,{MAX_TOKEN}}}")
_MAX_HEADER: Final = 400


def parse_time(text: str, field: str = "timestamp") -> dt.datetime:
    """
    Read a DateTime: RFC 3339 in UTC, with `Z` or with no zone at all, which means UTC as well.

    Fractions are kept to the microsecond. An explicit offset is refused, `+00:00` included.

    Raises:
        BadInput: `ocpi_invalid_time`.
    """
    if len(text) <= MAX_TIME and _TIME.fullmatch(text):
        whole, _, fraction = text.removesuffix("Z").partition(".")
        try:
            value = dt.datetime.fromisoformat(whole).replace(tzinfo=UTC)
        except ValueError:
            pass
        else:
            return value.replace(microsecond=int(fraction[:6].ljust(6, "0") or 0))
    raise BadInput(
        "ocpi_invalid_time",
        f"{field} is {quote(text)}, not a time in UTC of at most {MAX_TIME} characters.",
        hint="Write it as 2026-12-01T00:00:00Z, without an offset.",
        data={"field": field},
    )


def format_time(value: dt.datetime) -> str:
    """Write a time with `Z`; milliseconds only where there are any, so that 25 characters do."""
    utc = value.astimezone(UTC)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S")
    millis = utc.microsecond // 1000
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


def fold(text: str) -> str:
    """Return the form in which two CiStrings are compared."""
    return text.upper()


def encode_token(token: str, *, raw: bool = False) -> str:
    """Return an Authorization header: base64 as 2.2.1 has it, or raw as old peers expect it."""
    shown = token if raw else base64.b64encode(token.encode()).decode()
    return f"Token {shown}"


def tokens_of(header: str) -> tuple[str, ...]:
    """
    Return what an Authorization header may mean: decoded first, then as it stands.

    Deployed peers send tokens raw; others decode to a token and a newline, as the samples of the
    specification do, so white space behind a decoded token is cut off. Nothing is returned where
    the header is of another scheme.
    """
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() != "token" or not value or len(value) > _MAX_HEADER:
        return ()
    found = [_decoded(value), value if _TOKEN.fullmatch(value) else None]
    return tuple(dict.fromkeys(text for text in found if text))


def _decoded(value: str) -> str | None:
    padded = value + "=" * (-len(value) % 4)
    try:
        text = base64.b64decode(padded, validate=True).decode("utf-8").strip()
    except (binascii.Error, ValueError):
        return None
    return text if _TOKEN.fullmatch(text) else None


def checked_token(text: str, field: str = "token") -> str:
    """
    Return a credentials token: at most 64 printable ASCII characters without blanks.

    Raises:
        BadInput: `ocpi_invalid_token`; the token is not repeated.
    """
    if not _TOKEN.fullmatch(text):
        raise BadInput(
            "ocpi_invalid_token",
            f"{field} is no credentials token of 1 to {MAX_TOKEN} printable ASCII characters.",
            data={"field": field},
        )
    return text
