"""A strict reader of OCSP answers (RFC 6960 4.2.1): structure only, nothing is believed yet."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pki.errors import BadInput
from pki.pkix.der import SEQUENCE, DerError, Element, children, element_at, oid_text
from pki.pkix.path.signatures import Signed

MAX_ANSWER_SIZE: Final = 256 * 1024
"""Octets; an answer about one certificate, with its signer's, has about 2,000."""

_BOOLEAN: Final = 0x01
_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_OCTET_STRING: Final = 0x04
_OID: Final = 0x06
_ENUMERATED: Final = 0x0A
_GENERALIZED_TIME: Final = 0x18
_TAG_0: Final = 0xA0
_TAG_1: Final = 0xA1
_TAG_2: Final = 0xA2
_GOOD: Final = 0x80
_UNKNOWN: Final = 0x82
_CRITICAL: Final = {b"\xff": True, b"\x00": False}
_BASIC: Final = "1.3.6.1.5.5.7.48.1.1"
_NONCE: Final = "1.3.6.1.5.5.7.48.1.2"
_ERRORS: Final = {
    1: "malformedRequest",
    2: "internalError",
    3: "tryLater",
    5: "sigRequired",
    6: "unauthorized",
}
_REASONS: Final = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}
_TIME: Final = re.compile(rb"[0-9]{14}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """
    What an answer says about one CertID.

    Attributes:
        status: `good`, `revoked` or `unknown`.
        serial: value octets of the INTEGER, as they stand.
        critical: dotted identifiers of critical extensions.
    """

    hash_algorithm: str
    name_hash: bytes
    key_hash: bytes
    serial: bytes
    status: str
    this_update: dt.datetime
    next_update: dt.datetime | None
    revoked_at: dt.datetime | None
    reason: str | None
    critical: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful basic answer; either `responder_name` (DER) or `responder_key` is there."""

    responder_name: bytes | None
    responder_key: bytes | None
    produced_at: dt.datetime
    singles: tuple[Single, ...]
    critical: frozenset[str]
    nonce: bytes | None
    certificates: tuple[bytes, ...] = field(repr=False)
    signature: Signed = field(repr=False)


def read_answer(der: bytes) -> Answer:
    """
    Take an OCSP answer apart.

    Raises:
        BadInput: `ocsp_unreadable`; `ocsp_error` where the responder answered with an error.
    """
    if len(der) > MAX_ANSWER_SIZE:
        raise _unreadable(f"it has {len(der)} octets, more than {MAX_ANSWER_SIZE}")
    try:
        return _basic(_successful(_Cursor.whole(der)))
    except (ValueError, LookupError) as error:
        why = str(error) if isinstance(error, DerError) else type(error).__name__
        raise _unreadable(why) from error


def _unreadable(why: str) -> BadInput:
    return BadInput("ocsp_unreadable", f"The OCSP answer cannot be read: {why}.")


class _Cursor:
    """The elements inside one constructed element, taken in order and completely."""

    def __init__(self, data: bytes, parent: Element) -> None:
        self._data = data
        self._items: Iterator[Element] = children(data, parent)
        self._next = next(self._items, None)

    @classmethod
    def whole(cls, data: bytes) -> _Cursor:
        """Open the one SEQUENCE that fills the data."""
        outer = element_at(data, 0, len(data))
        if outer.tag != SEQUENCE or outer.end != len(data):
            raise DerError("it is not one SEQUENCE")
        return cls(data, outer)

    @property
    def tag(self) -> int | None:
        """The tag of the next element, or None at the end."""
        return None if self._next is None else self._next.tag

    def element(self, tag: int) -> Element:
        """Take the next element, which must have this tag."""
        found = self._next
        if found is None or found.tag != tag:
            raise DerError(f"tag {tag:#04x} is missing")
        self._next = next(self._items, None)
        return found

    def value(self, tag: int) -> bytes:
        """Take the value octets of the next element."""
        found = self.element(tag)
        return self._data[found.body : found.end]

    def raw(self, tag: int) -> bytes:
        """Take the next element as it stands."""
        found = self.element(tag)
        return self._data[found.start : found.end]

    def open(self, tag: int) -> _Cursor:
        """Go inside the next element."""
        return _Cursor(self._data, self.element(tag))

    def only(self, outer: int, tag: int) -> bytes:
        """Take the value of the one element inside the next element (an EXPLICIT tag)."""
        inner = self.open(outer)
        value = inner.value(tag)
        inner.end()
        return value

    def end(self) -> None:
        """Insist that nothing follows."""
        if self._next is not None:
            raise DerError("something follows the last element")


# ----------------------------------------------------------------------


def _successful(cursor: _Cursor) -> _Cursor:
    status = _enumerated(cursor.value(_ENUMERATED))
    if status != 0:
        cursor.end()
        name = _ERRORS.get(status, f"status {status}")
        raise BadInput("ocsp_error", f"The responder answered {name}.")
    explicit = cursor.open(_TAG_0)
    cursor.end()
    inner = explicit.open(SEQUENCE)
    explicit.end()
    if oid_text(inner.value(_OID)) != _BASIC:
        raise DerError("it is no basic answer")
    body = inner.value(_OCTET_STRING)
    inner.end()
    return _Cursor.whole(body)


def _basic(cursor: _Cursor) -> Answer:
    tbs = cursor.raw(SEQUENCE)
    algorithm = _algorithm(cursor.open(SEQUENCE))
    bits = cursor.value(_BIT_STRING)
    if bits[:1] != b"\x00":
        raise DerError("the signature does not end at an octet")
    certificates = _certificates(cursor)
    cursor.end()
    return _data(tbs, certificates, Signed(data=tbs, signature=bits[1:], algorithm=algorithm))


def _data(tbs: bytes, certificates: tuple[bytes, ...], signature: Signed) -> Answer:
    cursor = _Cursor.whole(tbs)
    if cursor.tag == _TAG_0 and cursor.only(_TAG_0, _INTEGER) != b"\x00":
        raise DerError("its version is not 1")
    name = key = None
    if cursor.tag == _TAG_1:
        explicit = cursor.open(_TAG_1)
        name = explicit.raw(SEQUENCE)
        explicit.end()
    else:
        key = cursor.only(_TAG_2, _OCTET_STRING)
    produced_at = _time(cursor.value(_GENERALIZED_TIME))
    responses = cursor.open(SEQUENCE)
    singles = []
    while responses.tag is not None:
        singles.append(_single(responses.open(SEQUENCE)))
    extensions = _extensions(cursor)
    cursor.end()
    return Answer(
        responder_name=name,
        responder_key=key,
        produced_at=produced_at,
        singles=tuple(singles),
        critical=frozenset(oid for oid, (critical, _) in extensions.items() if critical),
        nonce=_nonce(extensions),
        certificates=certificates,
        signature=signature,
    )


def _single(cursor: _Cursor) -> Single:
    cert_id = cursor.open(SEQUENCE)
    algorithm = _algorithm(cert_id.open(SEQUENCE))
    name_hash, key_hash = cert_id.value(_OCTET_STRING), cert_id.value(_OCTET_STRING)
    serial = cert_id.value(_INTEGER)
    cert_id.end()
    status, revoked_at, reason = _status(cursor)
    this_update = _time(cursor.value(_GENERALIZED_TIME))
    next_update = None
    if cursor.tag == _TAG_0:
        next_update = _time(cursor.only(_TAG_0, _GENERALIZED_TIME))
    extensions = _extensions(cursor)
    cursor.end()
    return Single(
        hash_algorithm=algorithm,
        name_hash=name_hash,
        key_hash=key_hash,
        serial=serial,
        status=status,
        this_update=this_update,
        next_update=next_update,
        revoked_at=revoked_at,
        reason=reason,
        critical=frozenset(oid for oid, (critical, _) in extensions.items() if critical),
    )


def _status(cursor: _Cursor) -> tuple[str, dt.datetime | None, str | None]:
    """Read CertStatus: NULL for good and unknown, time and reason for revoked."""
    if cursor.tag != _TAG_1:
        status = "good" if cursor.tag == _GOOD else "unknown"
        if cursor.value(_GOOD if cursor.tag == _GOOD else _UNKNOWN):
            raise DerError("a NULL with content")
        return status, None, None
    info = cursor.open(_TAG_1)
    revoked_at = _time(info.value(_GENERALIZED_TIME))
    reason = None
    if info.tag == _TAG_0:
        code = _enumerated(info.only(_TAG_0, _ENUMERATED))
        reason = _REASONS.get(code, f"reason {code}")
    info.end()
    return "revoked", revoked_at, reason


def _certificates(cursor: _Cursor) -> tuple[bytes, ...]:
    if cursor.tag != _TAG_0:
        return ()
    explicit = cursor.open(_TAG_0)
    listed = explicit.open(SEQUENCE)
    explicit.end()
    found = []
    while listed.tag is not None:
        found.append(listed.raw(SEQUENCE))
    return tuple(found)


def _extensions(cursor: _Cursor) -> dict[str, tuple[bool, bytes]]:
    """Read `[1] Extensions`, if there: identifier to criticality and value."""
    if cursor.tag != _TAG_1:
        return {}
    explicit = cursor.open(_TAG_1)
    listed = explicit.open(SEQUENCE)
    explicit.end()
    found: dict[str, tuple[bool, bytes]] = {}
    while listed.tag is not None:
        extension = listed.open(SEQUENCE)
        oid = oid_text(extension.value(_OID))
        critical = extension.tag == _BOOLEAN and _CRITICAL[extension.value(_BOOLEAN)]
        value = extension.value(_OCTET_STRING)
        extension.end()
        if oid in found:
            raise DerError(f"the extension {oid} is there twice")
        found[oid] = critical, value
    return found


def _nonce(extensions: dict[str, tuple[bool, bytes]]) -> bytes | None:
    if _NONCE not in extensions:
        return None
    _, value = extensions[_NONCE]
    inner = element_at(value, 0, len(value))
    return value[inner.body :] if inner.tag == _OCTET_STRING else value


def _algorithm(cursor: _Cursor) -> str:
    """Read an AlgorithmIdentifier; its parameters carry nothing for what is understood here."""
    return oid_text(cursor.value(_OID))


def _enumerated(body: bytes) -> int:
    if len(body) != 1:
        raise DerError("an enumerated value of more than one octet")
    return body[0]


def _time(body: bytes) -> dt.datetime:
    if not _TIME.fullmatch(body):
        raise DerError("a time is not written as RFC 5280 asks")
    return dt.datetime.strptime(body.decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)
