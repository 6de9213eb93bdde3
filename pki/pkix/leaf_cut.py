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
_HEAD: Final = struct.Struct(">2sH2sH6sBB")
"""Both outer lengths, version, tag and length of the serial, its first octet."""
_LONG_SEQUENCE: Final = bytes.fromhex("3082")
_VERSION_AND_INTEGER: Final = bytes.fromhex("a00302010202")
_SERIAL: Final = _HEAD.size - 1
_TBS: Final = 4
_SHORTEST: Final = 256
"""Octets of a to-be-signed part whose length takes two."""
VALIDITY: Final = bytes.fromhex("301e170d")
UTC_TIME: Final = bytes.fromhex("170d")
_SEQUENCE: Final = 0x30
_BIT_STRING: Final = 0x03
_EXTENSIONS: Final = 0xA3
_MAX_SERIAL: Final = 20
DATES: Final = 32
"""Octets of a validity of two UTCTimes."""
_LONG: Final = 0x80
_Z: Final = 0x5A


@dataclass(frozen=True, slots=True)
class Curve:
    """y² = x³ - 3x + b modulo p, coordinates of `size` octets."""

    p: int
    b: int
    size: int

    def holds(self, point: bytes) -> bool:
        """Tell whether two coordinates are those of a point."""
        x = int.from_bytes(point[: self.size])
        y = int.from_bytes(point[self.size :])
        on = ((x * x - 3) * x + self.b - y * y) % self.p == 0
        return on and x < self.p and y < self.p


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

    Raises:
        Unusual, IndexError: not the usual form.
    """
    if len(der) < _SHORTEST:
        raise Unusual
    outer, whole, inner, signed, version, size, first = _HEAD.unpack_from(der)
    if outer != _LONG_SEQUENCE or inner != _LONG_SEQUENCE or version != _VERSION_AND_INTEGER:
        raise Unusual
    if whole + _TBS != len(der) or whole > MAX_CERTIFICATE_SIZE - _TBS or signed < _SHORTEST:
        raise Unusual
    if not 1 <= size <= _MAX_SERIAL or first >= _LONG:
        raise Unusual
    if first == 0 and (size == 1 or der[_SERIAL + 1] < _LONG):
        raise Unusual
    return _SERIAL + size, 2 * _TBS + signed


def cut_leaf(der: bytes) -> Cut:
    """
    Find the parts of a certificate of the usual form.

    Raises:
        Unusual, ValueError, IndexError: it has another form.
    """
    at, tbs_end = head_of(der)
    issuer = _sequence(der, at)[1]
    validity = _sequence(der, issuer)[1]
    if not der.startswith(VALIDITY, validity) or not der.startswith(UTC_TIME, validity + 17):
        raise Unusual
    subject = validity + DATES
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


def tbs_of(der: bytes, end: int) -> bytes:
    """Return the to-be-signed part, whose end is known."""
    return der[_TBS:end]


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
    """Return the value of the BIT STRING that ends a certificate. Raises as `cut_leaf`."""
    body, end = value_of(der, at)
    if der[at] != _BIT_STRING or end != len(der) or der[body] != 0:
        raise Unusual
    return der[body + 1 : end]


def time_of(text: bytes) -> dt.datetime:
    """Read the value of a UTCTime (RFC 5280 4.1.2.5.1). Raises ValueError."""
    if not text[:12].isdigit() or text[12] != _Z:
        raise Unusual
    digits = text.decode()
    century = "20" if digits < "5" else "19"
    return dt.datetime.fromisoformat(f"{century}{digits[:6]}T{digits[6:]}")
