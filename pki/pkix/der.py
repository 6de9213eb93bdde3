"""A strict reader of DER tags and lengths, enough to slice certificates (X.690)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE = 0x30
MAX_OID = 128
"""Octets of an object identifier; RFC 5280 appendix B asks for twenty arcs of 28 bits."""
OID_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")
_EXPLICIT_CA_FALSE = bytes.fromhex("040530030101" + "00")
_EMPTY_SEQUENCE = bytes.fromhex("04023000")
_LONG_FORM = 0x80
_HIGH_TAG = 0x1F
_BIT_STRING = 0x03
_VERSION = 0xA0  # [0] EXPLICIT
_VERSION_3 = bytes.fromhex("020102")
_EXTENSIONS = 0xA3  # [3] EXPLICIT
_MAX_LENGTH_OCTETS = 3
_MORE = 0x80
_TOP_ARC = 40


class DerError(ValueError):
    """The bytes are not DER at this place."""


_MOST_WORDS = 200


def why(error: Exception) -> str:
    """Say in printable ASCII what a parser did not like."""
    if isinstance(error, DerError):
        return str(error)
    words = str(error).encode("unicode_escape").decode()[:_MOST_WORDS]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@dataclass(frozen=True, slots=True)
class Element:
    """One tag-length-value; `start` and `end` bound all of it, `body` begins the value."""

    tag: int
    start: int
    body: int
    end: int


def element_at(data: bytes, start: int, limit: int) -> Element:
    """
    Read the element that begins at `start` and must end at or before `limit`.

    Raises:
        DerError: high tag numbers, indefinite or non-minimal lengths, values that run over.
    """
    if start + 2 > limit:
        raise DerError("truncated")
    tag, first = data[start], data[start + 1]
    if tag & _HIGH_TAG == _HIGH_TAG:
        raise DerError("high tag number")
    body, length = start + 2, first
    if first >= _LONG_FORM:
        count = first - _LONG_FORM
        if not 1 <= count <= _MAX_LENGTH_OCTETS or body + count > limit:
            raise DerError("length form")
        length = int.from_bytes(data[body : body + count])
        if length < _LONG_FORM or (count > 1 and data[body] == 0):
            raise DerError("length not minimal")
        body += count
    if body + length > limit:
        raise DerError("runs over its container")
    return Element(tag, start, body, body + length)


def children(data: bytes, parent: Element) -> Iterator[Element]:
    """Yield the elements inside a constructed element, exactly filling it."""
    at = parent.body
    while at < parent.end:
        child = element_at(data, at, parent.end)
        yield child
        at = child.end


def oid_text(body: bytes) -> str:
    """
    Return the dotted form of an OBJECT IDENTIFIER's value.

    Raises:
        DerError: it breaks off, is padded (X.690 8.19.2), or longer than MAX_OID octets.
    """
    if len(body) > MAX_OID:
        raise DerError("an object identifier is too long")
    arcs: list[int] = []
    value = 0
    for octet in body:
        if value == 0 and octet == _MORE:
            raise DerError("an object identifier is padded")
        value = value << 7 | octet & ~_MORE
        if not octet & _MORE:
            arcs.append(value)
            value = 0
    if not body or body[-1] & _MORE:
        raise DerError("an object identifier breaks off")
    first = min(arcs[0] // _TOP_ARC, 2)
    return ".".join(map(str, (first, arcs[0] - _TOP_ARC * first, *arcs[1:])))


def encode(tag: int, body: bytes) -> bytes:
    """Return tag, minimal length and body."""
    size = len(body)
    if size < _LONG_FORM:
        return bytes((tag, size)) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM | len(octets))) + octets + body


@dataclass(frozen=True, slots=True)
class CertificateSlices:
    """Byte-exact parts of a certificate (RFC 5280 4.1)."""

    tbs: bytes
    issuer: bytes
    subject: bytes
    spki: bytes


def slice_certificate(der: bytes) -> CertificateSlices:
    """
    Cut a certificate into its parts.

    Raises:
        DerError: not the outer shape of a certificate, octets follow it, its two signature
            algorithms differ (RFC 5280 4.1.1.2), or it has extensions without being version 3
            (4.1.2.9).
    """
    outer = element_at(der, 0, len(der))
    if outer.tag != SEQUENCE or outer.end != len(der):
        raise DerError("not one SEQUENCE")
    parts = list(children(der, outer))
    if len(parts) != 3:  # noqa: PLR2004 - what is signed, algorithm, signature
        raise DerError("not three parts")
    tbs, algorithm, signature = parts
    require_octets(der, signature)
    fields = list(children(der, tbs))
    version = b""
    if fields and fields[0].tag == _VERSION:
        version = der[fields[0].body : fields[0].end]
        fields = fields[1:]
    if len(fields) < 6:  # noqa: PLR2004 - serial, algorithm, issuer, validity, subject, key
        raise DerError("fields missing")
    if der[fields[1].start : fields[1].end] != der[algorithm.start : algorithm.end]:
        raise DerError("two signature algorithms that differ")
    issuer, subject, spki = fields[2], fields[4], fields[5]
    if fields[-1].tag == _EXTENSIONS:
        require_elements(der, fields[-1])
        if version != _VERSION_3:
            raise DerError("extensions without version 3")
    return CertificateSlices(
        tbs=der[tbs.start : tbs.end],
        issuer=der[issuer.start : issuer.end],
        subject=der[subject.start : subject.end],
        spki=der[spki.start : spki.end],
    )


def extension_value(tbs: bytes, oid: str) -> bytes | None:
    """Return the octets of an extension of a certificate's to-be-signed part. Raises DerError."""
    *_, block = children(tbs, element_at(tbs, 0, len(tbs)))
    if block.tag != _EXTENSIONS:
        return None
    for extension in children(tbs, element_at(tbs, block.body, block.end)):
        kind, *_, value = children(tbs, extension)
        if oid_text(tbs[kind.body : kind.end]) == oid:
            return tbs[value.body : value.end]
    return None


def require_octets(der: bytes, signature: Element) -> None:
    """Insist that a signature ends at an octet. Raises DerError."""
    if signature.tag != _BIT_STRING or der[signature.body : signature.body + 1] != b"\0":
        raise DerError("the signature is no row of octets")


def require_elements(der: bytes, extensions: Element) -> None:
    """Insist that there is an extension where there may be some. Raises DerError."""
    block = element_at(der, extensions.body, extensions.end)
    if block.body == block.end:
        raise DerError("extensions without an element")


def without_explicit_ca_false(der: bytes) -> bytes | None:
    """
    Return the certificate with `BasicConstraints { cA FALSE }` re-encoded as DER wants it, or None.

    Real contract leaves write the default value explicitly (`30 03 01 01 00`). The result serves
    only to read the extensions with the strict parser; its signature no longer fits.
    """
    outer = element_at(der, 0, len(der))
    parts = list(children(der, outer))
    fields = list(children(der, parts[0]))
    if not fields or fields[-1].tag != _EXTENSIONS:
        return None
    block = element_at(der, fields[-1].body, fields[-1].end)
    repaired = [
        _repaired(der[extension.start : extension.end]) for extension in children(der, block)
    ]
    if not any(changed for _, changed in repaired):
        return None
    extensions = encode(_EXTENSIONS, encode(SEQUENCE, b"".join(body for body, _ in repaired)))
    tbs = encode(SEQUENCE, der[parts[0].body : fields[-1].start] + extensions)
    return encode(SEQUENCE, tbs + der[parts[0].end : outer.end])


def _repaired(extension: bytes) -> tuple[bytes, bool]:
    whole = element_at(extension, 0, len(extension))
    body = extension[whole.body : whole.end]
    if not (body.startswith(OID_BASIC_CONSTRAINTS) and body.endswith(_EXPLICIT_CA_FALSE)):
        return extension, False
    return encode(SEQUENCE, body.removesuffix(_EXPLICIT_CA_FALSE) + _EMPTY_SEQUENCE), True
