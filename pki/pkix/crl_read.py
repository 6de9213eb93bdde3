"""CRLs in the form in which we write them, read in place and in bounded memory."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Container, Iterator
from typing import Final, NamedTuple

from pki.pkix.crl_write import (
    CRITICAL,
    KEY_ID,
    OID_AUTHORITY_KEY,
    OID_DISTRIBUTION_POINT,
    OID_NUMBER,
    REASON,
    URI,
    V2,
    CrlFacts,
)
from pki.pkix.der import SEQUENCE, DerError
from pki.pkix.status_der import (
    ALGORITHM,
    BIT_STRING,
    REASON_CODES,
    TAGGED,
    Octets,
    extensions,
    filled,
    integer,
    number_octets,
    opened,
    skipped,
    time_at,
)
from pki.pkix.suites import Suite

MAX_NAMED: Final = 20
"""Serials that `compare` names; the rest is counted."""

_TIME: Final = rb"\x17\x0d.{12}Z"
_REASON: Final = re.escape(REASON) + rb"."
_ALL_USUAL: Final = re.compile(
    rb"(?:0\x2f\x02\x10.{16}" + _TIME + _REASON + rb"|0\x21\x02\x10.{16}" + _TIME + rb")*+",
    re.DOTALL,
)
"""Entries whose serials have 16 octets, as ours have, each with a reason or without."""
_USUAL: Final = re.compile(rb"0.\x02\x10(.{16})" + _TIME + rb"(?:" + _REASON + rb")?", re.DOTALL)
"""One of them, where it is known that there are no others: an entry begins like no reason does."""
_NAMES: Final = {code: name for name, code in REASON_CODES.items()}
_SUITES: Final = {algorithm: suite for suite, algorithm in ALGORITHM.items()}


class CrlEntry(NamedTuple):
    """One revoked certificate; a tuple, since there may be a million. None is *unspecified*."""

    serial: int
    revoked_at: dt.datetime
    reason: str | None


def read_facts(crl: Octets) -> CrlFacts:
    """
    Return the facts of a CRL that we wrote; its signature is not verified.

    Raises:
        DerError: not DER, or not in the form in which we write CRLs.
    """
    return _read(crl)[0]


def number_of(crl: Octets) -> int:
    """Return the cRLNumber of a CRL that we wrote. Raises DerError."""
    return read_facts(crl).number


def read_entries(crl: Octets) -> Iterator[CrlEntry]:
    """Yield the entries of a CRL that we wrote, in order and bounded memory. Raises DerError."""
    for serial, at, end in _walk(crl):
        revoked_at, behind = time_at(crl, at, end)
        yield CrlEntry(serial, revoked_at, None if behind == end else _reason(crl, behind, end))


def compare(
    old: Octets, new: Octets, *, may_leave: Callable[[list[int]], Container[int]]
) -> tuple[str, ...]:
    """
    Return what speaks against publishing `new` after `old`, in sentences; empty is as it should be.

    Takes some 300 octets of memory for each entry.

    Args:
        old: the predecessor.
        new: under whatever signature.
        may_leave: told which serials left, returns those that may: after expiry or a recorded
            release from hold.

    Raises:
        DerError: one of them is not in the form in which we write CRLs.
    """
    problems = _contradictions(read_facts(old), read_facts(new))
    listed = _serials(bytes(new))
    present = set(listed)
    if len(present) != len(listed):
        problems.append("The new CRL lists a serial twice.")
    gone = list(map(int.from_bytes, _lost(_serials(bytes(old)), listed, present)))
    allowed = may_leave(gone) if gone else ()
    left = [serial for serial in gone if serial not in allowed]
    problems += [f"{serial:x} left without leave." for serial in left[:MAX_NAMED]]
    if len(left) > MAX_NAMED:
        problems.append(f"{len(left) - MAX_NAMED} more left without leave.")
    return tuple(problems)


def _contradictions(old: CrlFacts, new: CrlFacts) -> list[str]:
    same = (
        (old.issuer, old.authority_key_id, old.suite, old.distribution_point)
        == (new.issuer, new.authority_key_id, new.suite, new.distribution_point)
    )  # fmt: skip
    found = {
        "The new CRL has another issuer or distribution point.": not same,
        f"Number {new.number} does not follow {old.number}.": new.number <= old.number,
    }
    return [sentence for sentence, applies in found.items() if applies]


def _read(crl: Octets) -> tuple[CrlFacts, int, int]:
    """Return the facts, and where the entries begin and end."""
    tbs = filled(crl, 0, len(crl), SEQUENCE)
    at, tbs_end = opened(crl, tbs, len(crl), SEQUENCE)
    if bytes(crl[at : at + len(V2)]) != V2:
        raise DerError("not version 2")
    suite, issuer_at = _suite(crl, at + len(V2), tbs_end)
    _, issuer_end = opened(crl, issuer_at, tbs_end, SEQUENCE)
    this_update, at = time_at(crl, issuer_end, tbs_end)
    next_update, at = time_at(crl, at, tbs_end)
    entries, end = _entries(crl, at, tbs_end)
    number, key_id, url = _own_extensions(crl, end, tbs_end)
    _check_end(crl, tbs_end, suite)
    facts = CrlFacts(
        issuer=bytes(crl[issuer_at:issuer_end]),
        suite=suite,
        authority_key_id=key_id,
        number=number,
        this_update=this_update,
        next_update=next_update,
        distribution_point=url,
    )
    return facts, entries, end


def _suite(crl: Octets, at: int, limit: int) -> tuple[Suite, int]:
    end = skipped(crl, at, limit)
    suite = _SUITES.get(bytes(crl[at:end]))
    if suite is None:
        raise DerError("signature algorithm")
    return suite, end


def _entries(crl: Octets, at: int, limit: int) -> tuple[int, int]:
    if at < limit and crl[at] == SEQUENCE:
        return opened(crl, at, limit, SEQUENCE)
    return at, at


def _check_end(crl: Octets, at: int, suite: Suite) -> None:
    outer, at = _suite(crl, at, len(crl))
    if outer is not suite:
        raise DerError("two signature algorithms")
    filled(crl, at, len(crl), BIT_STRING)


def _own_extensions(crl: Octets, at: int, limit: int) -> tuple[int, bytes, str | None]:
    values: dict[bytes, bytes] = {}
    for oid, critical, body, end in extensions(crl, at, limit, TAGGED):
        if CRITICAL.get(oid) is not critical:
            raise DerError("an extension that is not ours")
        values[oid] = bytes(crl[body:end])
    if not {OID_NUMBER, OID_AUTHORITY_KEY} <= values.keys():
        raise DerError("an extension is missing")
    number, end = integer(values[OID_NUMBER], 0, len(values[OID_NUMBER]))
    if end != len(values[OID_NUMBER]):
        raise DerError("octets left over")
    key_id = _inside(values[OID_AUTHORITY_KEY], SEQUENCE, KEY_ID)
    if OID_DISTRIBUTION_POINT not in values:
        return number, key_id, None
    url = _inside(values[OID_DISTRIBUTION_POINT], SEQUENCE, TAGGED, TAGGED, URI)
    return number, key_id, url.decode("ascii", "replace")


def _inside(value: bytes, *tags: int) -> bytes:
    """Return what stands inside elements that hold nothing but the next one."""
    at = 0
    for tag in tags:
        at = filled(value, at, len(value), tag)
    return value[at:]


def _serials(crl: bytes) -> list[bytes]:
    """Return the value octets of each serial; this is where a comparison spends its time."""
    _, at, limit = _read(crl)
    if _ALL_USUAL.fullmatch(crl, at, limit):
        return _USUAL.findall(crl, at, limit)
    return [number_octets(serial) for serial, _, _ in _walk(crl)]


def _lost(old: list[bytes], new: list[bytes], present: set[bytes]) -> list[bytes]:
    """Return what is in `old` and not in `new`, whose octets are `present`."""
    rest = iter(new)
    if all(serial in rest for serial in old):  # the same order and nothing lost, as nearly always
        return []
    return [serial for serial in old if serial not in present]


def _walk(crl: Octets) -> Iterator[tuple[int, int, int]]:
    """Yield serial, where what follows it begins, and where the entry ends."""
    _, at, limit = _read(crl)
    while at < limit:
        body, end = opened(crl, at, limit, SEQUENCE)
        serial, behind = integer(crl, body, end)
        yield serial, behind, end
        at = end


def _reason(crl: Octets, at: int, limit: int) -> str:
    name = _NAMES.get(crl[limit - 1]) if bytes(crl[at : limit - 1]) == REASON else None
    if not name:
        raise DerError("an entry extension that is not ours")
    return name
