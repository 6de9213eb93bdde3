"""
Where the parts of a certificate of the usual form lie (RFC 5280 4.1), found by DER lengths alone.

It cuts and judges nothing; whatever is unusual is left to `pki.pkix.certificate.load`.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
from dataclasses import dataclass
from typing import Final

from pki.pkix.certificate import MAX_CERTIFICATE_SIZE
from pki.pkix.suites import Suite

_CN: Final = bytes.fromhex("0603550403")
_CN_TAGS: Final = (0x0C, 0x13)  # UTF8String, PrintableString
PLAIN: Final = re.compile(rb"[A-Za-z0-9-]{1,64}")
_KEY_ID: Final = bytes.fromhex("0603551d0e041604" + "14")
KEY_ID_SIZE: Final = 20
_HEAD: Final = struct.Struct(">2s2x2sH6sBB")
"""Two SEQUENCEs, the inner one's length; version, the serial's tag, length and first octet."""
_LONG_SEQUENCE: Final = bytes.fromhex("3082")
_VERSION_AND_INTEGER: Final = bytes.fromhex("a00302010202")
_SERIAL: Final = _HEAD.size - 1
TBS: Final = 4
"""Where the to-be-signed part begins."""
VALIDITY: Final = bytes.fromhex("301e170d")
_UTC_TIME: Final = bytes.fromhex("170d")
_SEQUENCE: Final = 0x30
_BIT_STRING: Final = 0x03
_EXTENSIONS: Final = 0xA3
_MAX_SERIAL: Final = 20
DATES: Final = 32
"""Octets of a validity of two UTCTimes."""
DIGITS: Final = 12
"""Of a UTCTime, before its Z."""
BETWEEN_DATES: Final = b"Z" + _UTC_TIME
_LONG: Final = 0x80
_FIRST_YEAR: Final = 2000
_FIRST_YEAR_OF_1900S: Final = 2050
"""Two digits of a year from 50 on are those of the last century."""


@dataclass(frozen=True, slots=True)
class Curve:
    """y² = x³ - 3x + b modulo p, coordinates of `size` octets."""

    p: int
    b: int
    size: int

    def holds(self, first: bytes, second: bytes) -> bool:
        """Tell whether two coordinates are those of a point."""
        x, y, p = _number(first), _number(second), self.p
        return ((x * x - 3) * x + self.b - y * y) % p == 0 and x < p and y < p


_number: Final = int.from_bytes


_P256: Final = Curve(
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    size=32,
)
_P521: Final = Curve(
    p=2**521 - 1,
    b=int(
        "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd"
        "3bb1bf073573df883d2c34f1ef451fd46b503f00",
        16,
    ),
    size=66,
)
"""FIPS 186-4 D.1.2.3 and D.1.2.5."""

KEYS: Final[dict[Suite, tuple[bytes, int, Curve | None]]] = {
    Suite.P256: (
        bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"),
        64,
        _P256,
    ),
    Suite.P521: (bytes.fromhex("30819b301006072a8648ce3d020106052b810400230381860004"), 132, _P521),
    Suite.ED448: (bytes.fromhex("3043300506032b6571033a00"), 57, None),
}
"""The one encoding of a key of each suite: what stands before it, its size, its curve."""


def suite_of_spki(spki: bytes) -> Suite | None:
    """Return the suite of a key in its one encoding, or None where it is not written so."""
    for suite, (head, size, _) in KEYS.items():
        if len(spki) == len(head) + size and spki.startswith(head):
            return suite
    return None


class Unusual(Exception):
    """Not to be read by cutting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """
    Where the parts of a leaf lie that differ from leaf to leaf.

    Attributes:
        algorithm: where the fixed octets behind the serial begin; other places count from there.
        name, name_end: value of the common name.
        point, point_end: the public key.
        key_id: value of the subjectKeyIdentifier, of 20 octets.
        end: of the to-be-signed part.
        head: octets of the signature algorithm.
    """

    algorithm: int
    validity: int
    name: int
    name_end: int
    spki: int
    point: int
    point_end: int
    key_id: int
    end: int
    head: int
    suite: Suite


def head_of(der: bytes) -> tuple[int, int]:
    """
    Return where the serial ends and where the to-be-signed part ends.

    Lengths are those of a certificate only if the strict parser accepts the octets.

    Raises:
        Unusual, struct.error: not the usual form.
    """
    outer, inner, signed, version, size, first = _HEAD.unpack_from(der)
    if outer != _LONG_SEQUENCE or inner != _LONG_SEQUENCE or version != _VERSION_AND_INTEGER:
        raise Unusual
    if size > _MAX_SERIAL or first >= _LONG or (first == 0 and size == 1):
        raise Unusual
    if len(der) > MAX_CERTIFICATE_SIZE:
        raise Unusual
    return _SERIAL + size, 2 * TBS + signed


def cut_leaf(der: bytes) -> Cut:
    """
    Find the parts of a certificate of the usual form.

    Raises:
        Unusual, ValueError, IndexError: it has another form.
    """
    at, tbs_end = head_of(der)
    issuer = _sequence(der, at)[1]
    validity = _sequence(der, issuer)[1]
    subject = validity + DATES
    if not der.startswith(VALIDITY, validity) or not der.startswith(_UTC_TIME, validity + 17):
        raise Unusual
    spki = _sequence(der, subject)[1]
    name, name_end = _common_name(der, subject, spki)
    extensions = _sequence(der, spki)[1]
    suite, point = _point(der, spki, extensions)
    return Cut(
        algorithm=at,
        validity=validity - at,
        name=name - at,
        name_end=name_end - at,
        spki=spki - at,
        point=point - at,
        point_end=extensions - at,
        key_id=_key_id(der, extensions, tbs_end) - at,
        end=tbs_end - at,
        head=issuer - at,
        suite=suite,
    )


def serial_of(der: bytes, end: int) -> int:
    """Return the serial, whose end is known."""
    return int.from_bytes(der[_SERIAL:end])


def _sequence(der: bytes, at: int) -> tuple[int, int]:
    """Return where the value of a SEQUENCE begins and ends; DER lengths only."""
    if der[at] != _SEQUENCE:
        raise Unusual
    return value_of(der, at)


def value_of(der: bytes, at: int) -> tuple[int, int]:
    """Return where the value of an element begins and ends. Raises as `cut_leaf`."""
    size = der[at + 1]
    if size < _LONG:
        return at + 2, at + 2 + size
    if size == _LONG + 1 and der[at + 2] >= _LONG:
        return at + 3, at + 3 + der[at + 2]
    if size == _LONG + 2 and der[at + 2]:
        return at + 4, at + 4 + (der[at + 2] << 8 | der[at + 3])
    raise Unusual


def _common_name(der: bytes, subject: int, end: int) -> tuple[int, int]:
    """Find the value of the only CN, of letters, digits and hyphens."""
    found = der.find(_CN, subject, end)
    if found < 0 or der.find(_CN, found + 1, end) >= 0 or der[found + 5] not in _CN_TAGS:
        raise Unusual
    name = found + 7
    name_end = name + der[found + 6]
    if name_end > end or not PLAIN.fullmatch(der, name, name_end):
        raise Unusual
    return name, name_end


def _point(der: bytes, spki: int, end: int) -> tuple[Suite, int]:
    """Find the key, of one of our suites."""
    for suite, (head, size, _) in KEYS.items():
        if der.startswith(head, spki) and spki + len(head) + size == end:
            return suite, spki + len(head)
    raise Unusual


def _key_id(der: bytes, extensions: int, end: int) -> int:
    """Find the value of the only subjectKeyIdentifier; nowhere may its head come twice."""
    found = der.find(_KEY_ID, extensions, end)
    if found < 0 or der.find(_KEY_ID, found + 1, end) >= 0 or der[extensions] != _EXTENSIONS:
        raise Unusual
    before = found + len(_KEY_ID)
    if value_of(der, extensions)[1] != end or before + KEY_ID_SIZE > end:
        raise Unusual
    return before


def signature_of(der: bytes, at: int) -> bytes:
    """
    Return the value of the BIT STRING that ends a certificate, which the strict parser accepted.

    Raises:
        Unusual: it is no row of octets.
    """
    size = der[at + 1]
    body = at + 2 if size < _LONG else at + 2 + (size & ~_LONG)
    if der[body]:
        raise Unusual
    return der[body + 1 :]


def time_of(digits: bytes) -> dt.datetime:
    """
    Read a UTCTime without its Z (RFC 5280 4.1.2.5.1).

    Raises:
        ValueError: there is no such time; the strict parser has refused that.
    """
    century = "20" if digits < b"5" else "19"
    text = digits.decode()
    return dt.datetime.fromisoformat(f"{century}{text[:6]}T{text[6:]}Z")


def digits_of(moment: dt.datetime) -> bytes | None:
    """
    Return a time such that it compares with the digits of UTCTimes before 2050 as the times do.

    None for a time that is not of those years.
    """
    utc = moment.astimezone(dt.UTC)
    if not _FIRST_YEAR <= utc.year < _FIRST_YEAR_OF_1900S:
        return None
    digits = f"{utc:%y%m%d%H%M%S}".encode()
    return digits + b"." if utc.microsecond else digits  # behind its second, before the next
