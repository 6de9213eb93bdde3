"""
A certificate taken apart for the lints, and the register of lint rules.

The reader is a strict one of our own: what we issue is judged by other code than what made it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki.pkix import build
from pki.pkix.der import SEQUENCE, DerError, Element, children, element_at
from pki.pkix.profiles import Profile
from pki.pkix.suites import PublicKey, Suite, suite_of

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
SET: Final = 0x31
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18

_EXTENSION_BLOCK: Final = 0xA3
_VERSION: Final = 0xA0
_UTC_TIME: Final = re.compile(rb"([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z")
_GENERALIZED_TIME: Final = re.compile(
    rb"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})Z"
)
_PIVOT: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    A rule that a certificate breaks.

    Attributes:
        clause: where the rule comes from.
        message: what is wrong, without a full stop.
    """

    rule: str
    clause: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerFacts:
    """
    What the issuer's own certificate says.

    Attributes:
        subject: DER of its name.
        key_id: its SKI.
        path_length: None where it sets no limit.
    """

    subject: bytes
    key_id: bytes | None
    not_before: dt.datetime
    not_after: dt.datetime
    path_length: int | None
    suite: Suite


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a name; what is no UTF8String is decoded as Latin-1, `tag` tells."""

    oid: str
    tag: int
    value: str


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension; `value` is the DER inside its OCTET STRING."""

    oid: str
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class Time:
    """A time as encoded; `at` is None where it is not in the form of RFC 5280 4.1.2.5."""

    tag: int
    at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """
    The certificate and what it is judged against.

    Attributes:
        signature: inner AlgorithmIdentifier; `outer_signature` the one outside.
        rdns: the subject.
        spki: the key as it stands.
        suite, canonical: what key that is, and its one encoding; None if it is of no suite of ours.
        trailing: tags of fields between key and extensions (unique identifiers).
    """

    der: bytes
    profile: Profile
    issuer_facts: IssuerFacts | None
    version: int
    serial: bytes
    signature: bytes
    outer_signature: bytes
    issuer: bytes
    subject: bytes
    rdns: tuple[tuple[Attribute, ...], ...]
    not_before: Time
    not_after: Time
    spki: bytes
    suite: Suite | None
    canonical: bytes | None
    trailing: tuple[int, ...]
    extensions: tuple[Extension, ...]

    def extension(self, oid: str) -> Extension | None:
        """Return the first extension of that type, or None."""
        return next((e for e in self.extensions if e.oid == oid), None)

    def attributes(self, oid: str) -> list[Attribute]:
        """Return the attributes of the subject of that type."""
        return [a for rdn in self.rdns for a in rdn if a.oid == oid]


Check = Callable[[View], Iterator[str]]
"""Yields one message for everything that breaks the rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A registered rule.

    Attributes:
        varies: it looks at serial, times, CN, key, key identifier or size, in which leaves of one
            shape differ; whoever compares everything else with a linted twin may leave out the
            other rules.
    """

    rule_id: str
    clause: str
    check: Check
    varies: bool


RULES: Final[dict[str, Rule]] = {}
"""Filled while `pki.pkix.lint_rules` is imported, never changed afterwards."""


def rule(rule_id: str, *, clause: str, varies: bool = False) -> Callable[[Check], Check]:
    """Register the decorated function as the one that judges `rule_id`."""

    def register(check: Check) -> Check:
        if rule_id in RULES:
            raise ValueError(f"two lint rules are called {rule_id}")
        RULES[rule_id] = Rule(rule_id, clause, check, varies)
        return check

    return register


def take_apart(der: bytes, profile: Profile, issuer: IssuerFacts | None) -> View:
    """
    Read a certificate.

    Raises:
        ValueError: it is not DER (DerError), or not a certificate.
    """
    outer = element_at(der, 0, len(der))
    tbs, outer_algorithm, signature = _sequence(der, outer, 3)
    if outer.end != len(der) or der[signature.start] != BIT_STRING:
        raise DerError("not a certificate")
    fields = list(children(der, tbs))
    version = _version(der, fields.pop(0)) if fields and fields[0].tag == _VERSION else 1
    if len(fields) < 6:  # noqa: PLR2004 - serial, algorithm, issuer, validity, subject, key
        raise DerError("fields are missing")
    serial, algorithm, issuer_name, validity, subject, key, *rest = fields
    not_before, not_after = _sequence(der, validity, 2)
    public_key = _public_key(der[key.start : key.end])
    last = rest.pop() if rest and rest[-1].tag == _EXTENSION_BLOCK else None
    return View(
        der=der,
        profile=profile,
        issuer_facts=issuer,
        version=version,
        serial=content(der, serial, INTEGER),
        signature=der[algorithm.start : algorithm.end],
        outer_signature=der[outer_algorithm.start : outer_algorithm.end],
        issuer=der[issuer_name.start : issuer_name.end],
        subject=der[subject.start : subject.end],
        rdns=tuple(_rdn(der, rdn) for rdn in children(der, _tagged(subject, SEQUENCE))),
        not_before=read_time(der, not_before),
        not_after=read_time(der, not_after),
        spki=der[key.start : key.end],
        suite=suite_of(public_key),
        canonical=build.spki(public_key) if public_key is not None else None,
        trailing=tuple(element.tag for element in rest),
        extensions=tuple(_extensions(der, last)),
    )


def inside(value: bytes, tag: int = SEQUENCE) -> list[Element]:
    """Return the elements in the one constructed element that `value` must be (DerError)."""
    outer = element_at(value, 0, len(value))
    if outer.end != len(value):
        raise DerError("octets follow")
    return list(children(value, _tagged(outer, tag)))


def content(data: bytes, element: Element, tag: int) -> bytes:
    """Return the octets of a value that must have that tag (DerError)."""
    _tagged(element, tag)
    return data[element.body : element.end]


def only(value: bytes, tag: int) -> bytes:
    """Return the octets of the one element of that tag that `value` must be (DerError)."""
    outer = element_at(value, 0, len(value))
    if outer.end != len(value):
        raise DerError("octets follow")
    return content(value, outer, tag)


def dotted(octets: bytes) -> str:
    """Return an object identifier in dotted form (DerError)."""
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or octets[-1] & 0x80:
        raise DerError("not an object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def _tagged(element: Element, tag: int) -> Element:
    if element.tag != tag:
        raise DerError(f"tag {element.tag:#04x} in place of {tag:#04x}")
    return element


def _sequence(data: bytes, element: Element, count: int) -> list[Element]:
    parts = list(children(data, _tagged(element, SEQUENCE)))
    if len(parts) != count:
        raise DerError(f"{len(parts)} elements in place of {count}")
    return parts


def _public_key(spki: bytes) -> PublicKey | None:
    try:
        found = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(found, PublicKey) or suite_of(found) is None:
        return None
    return found


def _version(der: bytes, field: Element) -> int:
    return int.from_bytes(only(der[field.body : field.end], INTEGER)) + 1


def _rdn(der: bytes, rdn: Element) -> tuple[Attribute, ...]:
    return tuple(_attribute(der, attribute) for attribute in children(der, _tagged(rdn, SET)))


def _attribute(der: bytes, attribute: Element) -> Attribute:
    oid, value = _sequence(der, attribute, 2)
    encoding = "utf-8" if value.tag == UTF8_STRING else "latin-1"
    text = der[value.body : value.end].decode(encoding)
    return Attribute(dotted(content(der, oid, OID)), value.tag, text)


def read_time(der: bytes, field: Element) -> Time:
    """Return a time of the validity, however it is encoded."""
    form = _UTC_TIME if field.tag == UTC_TIME else _GENERALIZED_TIME
    found = form.fullmatch(der[field.body : field.end])
    if field.tag not in (UTC_TIME, GENERALIZED_TIME) or found is None:
        return Time(field.tag, None)
    year, month, day, hour, minute, second = map(int, found.groups())
    if field.tag == UTC_TIME:
        year += 2000 if year < _PIVOT else 1900
    try:
        return Time(field.tag, dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC))
    except ValueError:
        return Time(field.tag, None)


def _extensions(der: bytes, block: Element | None) -> Iterator[Extension]:
    if block is None:
        return
    (extensions,) = children(der, block)
    for extension in children(der, _tagged(extensions, SEQUENCE)):
        oid, *flags, value = children(der, _tagged(extension, SEQUENCE))
        critical = [content(der, flag, BOOLEAN) for flag in flags]
        if critical not in ([], [b"\xff"]):
            raise DerError("criticality is not DER")
        yield Extension(
            dotted(content(der, oid, OID)), bool(critical), content(der, value, OCTET_STRING)
        )
