"""
What OCSP and CRLs share: lean reading of DER, times, reasons and signature algorithms.

`pki.pkix.der` slices certificates in small objects; here two integers an element are enough, which
matters for requests answered in microseconds and for CRLs of a million entries.
"""

from __future__ import annotations

import datetime as dt
import mmap
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from pki.clock import UTC
from pki.pkix.der import SEQUENCE, DerError
from pki.pkix.suites import Suite

Octets = bytes | bytearray | memoryview | mmap.mmap
"""What can be read in place."""

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_IDENTIFIER: Final = 0x06
ENUMERATED: Final = 0x0A
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
TAGGED: Final = 0xA0
"""Context-specific and constructed; the number is added."""

ALGORITHM: Final[Mapping[Suite, bytes]] = MappingProxyType(
    {
        Suite.P256: bytes.fromhex("300a06082a8648ce3d040302"),
        Suite.P521: bytes.fromhex("300a06082a8648ce3d040304"),
        Suite.ED448: bytes.fromhex("300506032b6571"),
    }
)
"""AlgorithmIdentifiers of signatures, parameters absent (RFC 5758 3.2, RFC 8410 3)."""

REASON_CODES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
)
"""CRLReason of RFC 5280 5.3.1 without removeFromCRL, which belongs to delta CRLs only."""

_LONG_FORM: Final = 0x80
_MAX_LENGTH_OCTETS: Final = 4
_OCTET: Final = 0xFF
_TWO_OCTETS: Final = 0xFFFF
_HIGH_TAG: Final = 0x1F
_TRUE: Final = 0xFF
_FIRST_GENERALIZED: Final = 2050
_FIRST_UTC: Final = 1950
_OID: Final = re.compile(rb"(?:[\x00-\x7f]|[\x81-\xff][\x80-\xff]*[\x00-\x7f])+")
_DIGITS: Final = re.compile(rb"[0-9]{12}(?:[0-9]{2})?Z")
_TWO: Final = tuple(b"%02d" % number for number in range(100))


# --- reading -------------------------------------------------------------------------------------


def opened(data: Octets, at: int, limit: int, tag: int) -> tuple[int, int]:
    """
    Return where the value of the element at `at`, which must bear `tag`, begins and ends.

    Raises:
        DerError: another tag, an indefinite or non-minimal length, a value beyond `limit`.
    """
    if at + 2 > limit:
        raise DerError("truncated")
    if data[at] != tag:
        raise DerError(f"tag {data[at]:#04x} in place of {tag:#04x}")
    body, size = at + 2, data[at + 1]
    if size >= _LONG_FORM:
        body, size = _long(data, body, size - _LONG_FORM, limit)
    if body + size > limit:
        raise DerError("runs over its container")
    return body, body + size


def filled(data: Octets, at: int, limit: int, tag: int) -> int:
    """Return where the value of the element at `at` begins, which must end at `limit` exactly."""
    body, end = opened(data, at, limit, tag)
    if end != limit:
        raise DerError("octets left over")
    return body


def skipped(data: Octets, at: int, limit: int) -> int:
    """Return where the element at `at` ends, whatever it is; nothing inside it is looked at."""
    if at >= limit:
        raise DerError("truncated")
    if data[at] & _HIGH_TAG == _HIGH_TAG:
        raise DerError("high tag number")
    return opened(data, at, limit, data[at])[1]


def integer(data: Octets, at: int, limit: int, tag: int = INTEGER) -> tuple[int, int]:
    """Return the number at `at` and where it ends; its encoding must be minimal."""
    body, end = opened(data, at, limit, tag)
    if body == end:
        raise DerError("empty number")
    if end - body > 1 and data[body] == (0 if data[body + 1] < _LONG_FORM else _TRUE):
        raise DerError("number not minimal")
    return int.from_bytes(data[body:end], signed=True), end


def extensions(
    data: Octets, at: int, limit: int, tag: int
) -> Iterator[tuple[bytes, bool, int, int]]:
    """
    Yield object identifier, criticality, begin and end of the value of each extension.

    The Extensions stand in the explicit `tag` at `at`, which ends at `limit`. `critical` FALSE may
    be written out, which is not DER but common.

    Raises:
        DerError: no extension, one of them twice, or another shape.
    """
    at = filled(data, filled(data, at, limit, tag), limit, SEQUENCE)
    if at == limit:
        raise DerError("extensions without an element")
    seen: set[bytes] = set()
    while at < limit:
        body, end = opened(data, at, limit, SEQUENCE)
        oid, body = object_identifier(data, body, end)
        critical, body = _critical(data, body, end)
        if oid in seen:
            raise DerError("an extension twice")
        seen.add(oid)
        yield oid, critical, filled(data, body, end, OCTET_STRING), end
        at = end


def object_identifier(data: Octets, at: int, limit: int) -> tuple[bytes, int]:
    """Return the value octets of the object identifier at `at` and where it ends."""
    body, end = opened(data, at, limit, OBJECT_IDENTIFIER)
    oid = bytes(data[body:end])
    if not _OID.fullmatch(oid):
        raise DerError("object identifier")
    return oid, end


def time_at(data: Octets, at: int, limit: int) -> tuple[dt.datetime, int]:
    """Return the UTCTime or GeneralizedTime of RFC 5280 4.1.2.5 at `at` and where it ends."""
    tag = data[at] if at < limit else 0
    body, end = opened(data, at, limit, UTC_TIME if tag == UTC_TIME else GENERALIZED_TIME)
    text = bytes(data[body:end])
    if not _DIGITS.fullmatch(text) or (len(text) == len("YYMMDDHHMMSSZ")) != (tag == UTC_TIME):
        raise DerError("time")
    if tag == UTC_TIME:
        text = (b"19" if text >= b"50" else b"20") + text
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
    try:
        return dt.datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC), end
    except ValueError as error:
        raise DerError("no such time") from error


def _long(data: Octets, body: int, count: int, limit: int) -> tuple[int, int]:
    if not 1 <= count <= _MAX_LENGTH_OCTETS or body + count > limit:
        raise DerError("length form")
    size = int.from_bytes(data[body : body + count])
    if size < _LONG_FORM or data[body] == 0:
        raise DerError("length not minimal")
    return body + count, size


def _critical(data: Octets, at: int, limit: int) -> tuple[bool, int]:
    if at >= limit or data[at] != BOOLEAN:
        return False, at
    body, end = opened(data, at, limit, BOOLEAN)
    if end - body != 1 or data[body] not in (0, _TRUE):
        raise DerError("boolean")
    return data[body] == _TRUE, end


# --- writing -------------------------------------------------------------------------------------


def head(tag: int, size: int) -> bytes:
    """Return tag and minimal length of a value of `size` octets."""
    if size < _LONG_FORM:
        return bytes((tag, size))
    if size <= _TWO_OCTETS:  # what nearly every answer takes, at a third of the general form's cost
        return bytes((tag, 0x82, size >> 8, size & 0xFF) if size > _OCTET else (tag, 0x81, size))
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(octets))) + octets


def number_octets(number: int) -> bytes:
    """Return the shortest two's complement of a number: the value of an INTEGER."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return number.to_bytes(size, signed=True)


@lru_cache(maxsize=4096)
def generalized_time(time: dt.datetime) -> bytes:
    """
    Return a GeneralizedTime in UTC with whole seconds (RFC 6960 4.2.2.1, RFC 5280 4.1.2.5.2).

    Kept, since the answers of one second share all their times.

    Raises:
        ValueError: a naive time, or parts of a second.
    """
    time = _whole_utc(time)
    return _digits(b"\x18\x0f" + _TWO[time.year // 100], time, time.year)


def crl_time(time: dt.datetime) -> bytes:
    """
    Return a UTCTime up to 2049 and a GeneralizedTime from 2050 (RFC 5280 5.1.2.4 to 5.1.2.6).

    Raises:
        ValueError: a naive time, or parts of a second.
    """
    if time.tzinfo is not UTC or time.microsecond:
        time = _whole_utc(time)
    year = time.year
    if _FIRST_UTC <= year < _FIRST_GENERALIZED:
        return _digits(b"\x17\x0d", time, year)
    return generalized_time(time)


def _whole_utc(time: dt.datetime) -> dt.datetime:
    if time.tzinfo is not UTC:
        if time.tzinfo is None:
            raise ValueError("a time without its zone")
        time = time.astimezone(UTC)
    if time.microsecond:
        raise ValueError("a time with parts of a second")
    return time


def _digits(opening: bytes, time: dt.datetime, year: int) -> bytes:
    """Append YYMMDDHHMMSSZ, joined from a table, which takes a quarter of strftime's time."""
    return b"".join(
        (
            opening,
            _TWO[year % 100],
            _TWO[time.month],
            _TWO[time.day],
            _TWO[time.hour],
            _TWO[time.minute],
            _TWO[time.second],
            b"Z",
        )
    )
