"""
Leaves that are written by filling in: what one profile, issuer and shape share stands already.

A template is made of the twin that passed the full lint. Serial, times, CN, key and key identifier
are open, each as long as in the twin, so that a filled template has the twin's structure to the
octet. Filling and comparing are two pieces of code: what was filled in is not asked to compare.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from pki.pkix.der import DerError, Element, children, element_at
from pki.pkix.leaf_cut import KEYS
from pki.pkix.lint_rules import COMMON_NAME
from pki.pkix.lint_view import (
    GENERALIZED_TIME,
    UTC_TIME,
    Attribute,
    Extension,
    Time,
    View,
    content,
    dotted,
    read_time,
)
from pki.pkix.lint_view import OID as OID_TAG
from pki.pkix.suites import Suite

_SUBJECT_KEY_ID: Final = "2.5.29.14"
_UTC_YEARS: Final = range(1950, 2050)

Span = tuple[int, int]
"""Where something begins and ends in the to-be-signed octets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """
    What differs between leaves of one shape, as it is encoded.

    Attributes:
        serial: content of the INTEGER.
        times: notBefore and notAfter, tags and lengths included.
        name: content of the CN.
        spki: SubjectPublicKeyInfo.
        key_id: content of the subjectKeyIdentifier.
    """

    serial: bytes
    times: bytes
    name: bytes
    spki: bytes
    key_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    The to-be-signed octets of a linted twin, and where its open parts lie.

    Attributes:
        model: the twin, taken apart.
        spans: of serial, times, CN, key and key identifier, in this order.
        fixed: what stands before, between and behind them.
        subject: where the whole subject lies.
        name_at, key_id_at: RDN of the CN, extension of the key identifier.
    """

    model: View
    spans: tuple[Span, Span, Span, Span, Span]
    fixed: tuple[bytes, ...]
    subject: Span
    name_at: int
    key_id_at: int

    def fill(self, filling: Filling) -> bytes:
        """
        Return to-be-signed octets.

        Raises:
            ValueError: a part is not as long as in the twin.
        """
        parts = (filling.serial, filling.times, filling.name, filling.spki, filling.key_id)
        for part, (begin, end) in zip(parts, self.spans, strict=True):
            if len(part) != end - begin:
                raise ValueError("a part has another length than the template leaves open")
        a, b, c, d, e, f = self.fixed
        return b"".join(
            (a, parts[0], b, parts[1], c, parts[2], d, parts[3], e, parts[4], f)
        )  # fmt: skip

    def view(self, tbs: bytes, der: bytes, suite: Suite, canonical: bytes) -> View | None:
        """
        Return what the lints look at, or None where an octet differs that is not open.

        Args:
            tbs: to-be-signed octets.
            der: the certificate around them.
            suite: of the key, which begins as keys of this suite do.
            canonical: its one encoding; a lint holds the octets against it.
        """
        if not self._alike(tbs):
            return None
        model = self.model
        serial, times, name, spki, key_id = (tbs[begin:end] for begin, end in self.spans)
        begin, end = _times(times)
        (known,) = model.rdns[self.name_at]
        text = Attribute(known.oid, known.tag, name.decode())
        old = model.extensions[self.key_id_at]
        own = Extension(old.oid, old.critical, old.value[: -len(key_id)] + key_id)
        return View(
            der=der,
            profile=model.profile,
            issuer_facts=model.issuer_facts,
            version=model.version,
            serial=serial,
            signature=model.signature,
            outer_signature=model.outer_signature,
            issuer=model.issuer,
            subject=tbs[self.subject[0] : self.subject[1]],
            rdns=(*model.rdns[: self.name_at], (text,), *model.rdns[self.name_at + 1 :]),
            not_before=begin,
            not_after=end,
            spki=spki,
            suite=suite if spki.startswith(KEYS[suite][0]) else None,
            canonical=canonical,
            trailing=model.trailing,
            extensions=(
                *model.extensions[: self.key_id_at],
                own,
                *model.extensions[self.key_id_at + 1 :],
            ),
        )

    def _alike(self, tbs: bytes) -> bool:
        """Tell whether every octet that is not open is the twin's."""
        at = 0
        for (begin, end), fixed in zip((*self.spans, (0, 0)), self.fixed, strict=True):
            if not tbs.startswith(fixed, at):
                return False
            at += len(fixed) + end - begin
        return at == len(tbs)


@lru_cache(maxsize=1024)
def _times(octets: bytes) -> tuple[Time, Time]:
    first = element_at(octets, 0, len(octets))
    second = element_at(octets, first.end, len(octets))
    return read_time(octets, first), read_time(octets, second)


@lru_cache(maxsize=1024)
def encoded_time(time: dt.datetime) -> bytes:
    """Return UTCTime before 2050, GeneralizedTime from then on (RFC 5280 4.1.2.5)."""
    if time.year in _UTC_YEARS:
        return bytes((UTC_TIME, 13)) + f"{time:%y%m%d%H%M%SZ}".encode()
    return bytes((GENERALIZED_TIME, 15)) + f"{time:%Y%m%d%H%M%SZ}".encode()


def template_of(tbs: bytes, twin: View) -> Template:
    """
    Return the template of a twin.

    Raises:
        DerError: it has not one CN and one subjectKeyIdentifier.
    """
    outer = element_at(tbs, 0, len(tbs))
    _version, serial, _algorithm, _issuer, validity, subject, spki, extensions = children(
        tbs, outer
    )
    name_at, name = _common_name(tbs, subject)
    key_id_at, key_id = _key_id(tbs, extensions)
    spans = (
        (serial.body, serial.end),
        (validity.body, validity.end),
        name,
        (spki.start, spki.end),
        key_id,
    )
    edges = [0, *(edge for span in spans for edge in span), len(tbs)]
    fixed = tuple(tbs[begin:end] for begin, end in list(pairwise(edges))[::2])
    return Template(
        model=twin,
        spans=spans,
        fixed=fixed,
        subject=(subject.start, subject.end),
        name_at=name_at,
        key_id_at=key_id_at,
    )


def _common_name(tbs: bytes, subject: Element) -> tuple[int, Span]:
    found = [
        (at, (value.body, value.end))
        for at, rdn in enumerate(children(tbs, subject))
        for attribute in children(tbs, rdn)
        for oid, value in (tuple(children(tbs, attribute)),)
        if dotted(content(tbs, oid, OID_TAG)) == COMMON_NAME
    ]
    if len(found) != 1:
        raise DerError("not one common name")
    return found[0]


def _key_id(tbs: bytes, block: Element) -> tuple[int, Span]:
    (extensions,) = children(tbs, block)
    found = []
    for at, extension in enumerate(children(tbs, extensions)):
        oid, *_, value = children(tbs, extension)
        if dotted(content(tbs, oid, OID_TAG)) == _SUBJECT_KEY_ID:
            inner = element_at(tbs, value.body, value.end)
            found.append((at, (inner.body, inner.end)))
    if len(found) != 1:
        raise DerError("not one subjectKeyIdentifier")
    return found[0]
