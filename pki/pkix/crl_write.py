"""
Full CRLs of version 2, written as a stream (RFC 5280 5).

cryptography's builder takes 9 s for 100,000 entries and keeps them all. Here an entry is a few
octets: they go to a scratch file, then behind the header once their length is known. A shard is
a CRL whose critical issuingDistributionPoint holds the URL that its certificates name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from pki.clock import UTC
from pki.pkix.der import SEQUENCE, encode
from pki.pkix.status_der import (
    ALGORITHM,
    BIT_STRING,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    REASON_CODES,
    TAGGED,
    Octets,
    crl_time,
    head,
    number_octets,
)
from pki.pkix.suites import Suite

V2: Final = bytes.fromhex("020101")
URI: Final = 0x86
KEY_ID: Final = 0x80
REASON: Final = bytes.fromhex("300c300a0603551d1504030a01")
"""crlEntryExtensions with a reasonCode, but for its last octet, the reason."""
OID_NUMBER: Final = bytes.fromhex("551d14")
OID_AUTHORITY_KEY: Final = bytes.fromhex("551d23")
OID_DISTRIBUTION_POINT: Final = bytes.fromhex("551d1c")
CRITICAL: Final = {OID_NUMBER: False, OID_AUTHORITY_KEY: False, OID_DISTRIBUTION_POINT: True}
"""The extensions that we write, and whether they are critical (RFC 5280 5.2)."""

_TAILS: Final[dict[str | None, bytes]] = {
    None: b"",
    **{name: REASON + bytes((code,)) if code else b"" for name, code in REASON_CODES.items()},
}
"""crlEntryExtensions by reason; there are none for `unspecified`."""
_SHORT: Final = 0x80
_MAX_NUMBER: Final = 1 << 159
_SIGN: Final = 0x80
_USUAL: Final = 32
"""Hexadecimal digits of the serials that we issue."""
_DAY: Final = 86_400
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SERIAL_OCTETS: Final = 80
"""So that an entry always has a short length; ours have 16."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlFacts:
    """
    Everything in a CRL but its entries.

    Attributes:
        issuer: DER Name of the CA.
        authority_key_id: SKI of the CA.
        number: cRLNumber, at most 20 octets, which never goes back.
        distribution_point: URL of a shard; None for the only CRL of its issuer.
    """

    issuer: bytes
    suite: Suite
    authority_key_id: bytes
    number: int
    this_update: dt.datetime
    next_update: dt.datetime
    distribution_point: str | None = None


def entry(serial: int, revoked_at: dt.datetime, reason: str | None) -> bytes:
    """
    Return the DER of one revoked certificate, without a reason for `unspecified` (RFC 5280 5.3.1).

    Raises:
        ValueError: a serial that is not positive, a time that is naive or not in whole seconds, an
            unknown reason, or removeFromCRL, which a full CRL never has.
    """
    if serial <= 0:
        raise ValueError("a serial that is not positive")
    size = serial.bit_length() // 8 + 1
    tail = crl_time(revoked_at) + _tail(reason)
    whole = 2 + size + len(tail)
    if whole < _SHORT:
        return bytes((SEQUENCE, whole, INTEGER, size)) + serial.to_bytes(size) + tail
    return encode(SEQUENCE, encode(INTEGER, serial.to_bytes(size)) + tail)


class EntryWriter:
    """
    Writes very many entries, as `entry` writes each, in a quarter of its time.

    Days and seconds that were written once are kept, some mebibytes at the most.
    """

    __slots__ = ("_days", "_openings", "_seconds")

    def __init__(self) -> None:
        self._days = _Days()
        self._seconds = _Seconds()
        self._openings = _Openings()

    def written(self, rows: Iterable[tuple[str, str, int, int]]) -> bytes:
        """
        Return the DER of one entry for each row.

        Args:
            rows: serial in hexadecimal without leading zeros, reason, seconds since 1970, and one
                value that does not matter.

        Raises:
            ValueError: a serial that is not hexadecimal or too long.
            LookupError: an unknown reason, no serial.
        """
        days, seconds, openings = self._days, self._seconds, self._openings
        pieces: list[bytes] = []
        for text, reason, at, _ in rows:
            usual = len(text) == _USUAL and text < "8"  # needs no octet in front
            serial = bytes.fromhex(text) if usual else _serial(text)
            tail = days[at // _DAY] + seconds[at % _DAY] + _TAILS[reason]
            pieces += openings[len(serial) << 8 | len(tail)], serial, tail
        return b"".join(pieces)


def _serial(text: str) -> bytes:
    octets = bytes.fromhex(text if len(text) % 2 == 0 else "0" + text)
    return b"\0" + octets if octets[0] & _SIGN else octets


class _Days(dict[int, bytes]):
    """Tag, length and date of a time, by the day since 1970."""

    def __missing__(self, day: int) -> bytes:
        made = crl_time(_EPOCH + dt.timedelta(days=day)).removesuffix(b"000000Z")
        self[day] = made
        return made


class _Seconds(dict[int, bytes]):
    """Hour, minute, second and zone of a time, by the second of its day."""

    def __missing__(self, second: int) -> bytes:
        made = self[second] = b"%02d%02d%02dZ" % (second // 3600, second // 60 % 60, second % 60)
        return made


class _Openings(dict[int, bytes]):
    """What comes before a serial, by 256 times its size and the size of what follows."""

    def __missing__(self, sizes: int) -> bytes:
        serial, tail = sizes >> 8, sizes & 0xFF
        if serial > _MOST_SERIAL_OCTETS:
            raise ValueError("a serial that is too long")
        made = self[sizes] = bytes((SEQUENCE, 2 + serial + tail, INTEGER, serial))
        return made


def _tail(reason: str | None) -> bytes:
    extension = _TAILS.get(reason)
    if extension is None:
        raise ValueError(f"{reason!r} is no reason to revoke")
    return extension


def spool(out: BinaryIO, entries: Iterable[bytes]) -> int:
    """Write entries one behind the other, in bounded memory; return how many octets they have."""
    return sum(map(out.write, entries))


def chunks(source: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of a file, a mebibyte at a time."""
    while chunk := source.read(_CHUNK):
        yield chunk


def write_tbs(
    out: BinaryIO, facts: CrlFacts, *, entries: Iterable[bytes], entries_length: int
) -> int:
    """
    Write the DER TBSCertList to be signed; return its length.

    Args:
        entries: the octets of all entries in pieces, which need not end where an entry does.
        entries_length: octets in all; with 0 the list is left out, as RFC 5280 5.1.2.6 demands.

    Raises:
        ValueError: contradictory or unfit facts; pieces that are not of that length, in which case
            `out` is spoilt.
    """
    before = _before_entries(facts)
    opening = head(SEQUENCE, entries_length) if entries_length else b""
    after = _crl_extensions(facts)
    size = len(before) + len(opening) + entries_length + len(after)
    whole = head(SEQUENCE, size)
    out.write(whole + before + opening)
    written = 0
    for piece in entries:
        out.write(piece)
        written += len(piece)
    if written != entries_length:
        raise ValueError(f"entries of {written} octets in place of {entries_length}")
    out.write(after)
    return len(whole) + size


def build_tbs(
    out: BinaryIO, facts: CrlFacts, *, entries: Iterable[bytes], scratch: BinaryIO
) -> int:
    """
    Write the TBSCertList of `entries` as `write_tbs` does, in constant memory.

    `scratch` is an empty file, open for writing and reading, which holds the entries meanwhile.
    """
    length = spool(scratch, entries)
    scratch.seek(0)
    return write_tbs(out, facts, entries=chunks(scratch), entries_length=length)


def assemble_crl(out: BinaryIO, tbs: Octets, suite: Suite, signature: bytes) -> int:
    """Write the DER CertificateList around signed bytes, return its length; nothing is verified."""
    tail = ALGORITHM[suite] + encode(BIT_STRING, b"\0" + signature)
    opening = head(SEQUENCE, len(tbs) + len(tail))
    out.write(opening)
    out.write(tbs)
    out.write(tail)
    return len(opening) + len(tbs) + len(tail)


def _before_entries(facts: CrlFacts) -> bytes:
    # the times first, since naive and aware ones cannot be compared
    times = crl_time(facts.this_update) + crl_time(facts.next_update)
    if facts.this_update >= facts.next_update:
        raise ValueError("a CRL that ends before it begins")
    return b"".join((V2, ALGORITHM[facts.suite], facts.issuer, times))


def _crl_extensions(facts: CrlFacts) -> bytes:
    if not 0 <= facts.number < _MAX_NUMBER:
        raise ValueError("a CRL number has at most 20 octets and is not negative")
    key_id = encode(SEQUENCE, encode(KEY_ID, facts.authority_key_id))
    found = _extension(OID_AUTHORITY_KEY, key_id)
    found += _extension(OID_NUMBER, encode(INTEGER, number_octets(facts.number)))
    if facts.distribution_point is not None:
        url = encode(URI, facts.distribution_point.encode("ascii"))
        found += _extension(
            OID_DISTRIBUTION_POINT, encode(SEQUENCE, encode(TAGGED, encode(TAGGED, url)))
        )
    return encode(TAGGED, encode(SEQUENCE, found))


def _extension(oid: bytes, value: bytes) -> bytes:
    flag = b"\x01\x01\xff" if CRITICAL[oid] else b""
    return encode(SEQUENCE, encode(OBJECT_IDENTIFIER, oid) + flag + encode(OCTET_STRING, value))
