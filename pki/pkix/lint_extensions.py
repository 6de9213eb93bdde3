"""Lint rules about extensions: exactly those of the profile, with exactly its values."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from pki.pkix.der import DerError, children, encode
from pki.pkix.lint_view import (
    BIT_STRING,
    BOOLEAN,
    INTEGER,
    NULL,
    OCTET_STRING,
    OID,
    Extension,
    View,
    content,
    dotted,
    inside,
    only,
    rule,
)
from pki.pkix.profiles import KEY_USAGES
from pki.pkix.suites import Suite

COMMON_NAME: Final = "2.5.4.3"
SUBJECT_KEY_ID: Final = "2.5.29.14"
KEY_USAGE: Final = "2.5.29.15"
BASIC_CONSTRAINTS: Final = "2.5.29.19"
CRL_POINTS: Final = "2.5.29.31"
AUTHORITY_KEY_ID: Final = "2.5.29.35"
EXTENDED_KEY_USAGE: Final = "2.5.29.37"
AUTHORITY_INFORMATION: Final = "1.3.6.1.5.5.7.1.1"
NO_CHECK: Final = "1.3.6.1.5.5.7.48.1.5"
ALTERNATE_KEY: Final = "2.5.29.72"
SUBJECT_ALT_NAME: Final = "2.5.29.17"

_OCSP: Final = "1.3.6.1.5.5.7.48.1"
_URI: Final = 0x86
_KEY_ID: Final = 0x80
_DNS_NAME: Final = 0x82
_URL: Final = re.compile(rb"http://[!-~]+")


@rule("v2g20_2323_listed_extensions", clause="[V2G20-2323], [V2G20-2686]")
def listed_extensions(view: View) -> Iterator[str]:
    """Nothing but the extensions that the profile lists."""
    allowed = {BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_KEY_ID, AUTHORITY_KEY_ID}
    # those below are asked by a rule of their own, present or not
    allowed |= {SUBJECT_ALT_NAME} if view.profile.server_name else set()
    allowed |= {EXTENDED_KEY_USAGE, AUTHORITY_INFORMATION, CRL_POINTS, NO_CHECK, ALTERNATE_KEY}
    for extension in view.extensions:
        if extension.oid not in allowed:
            yield f"the profile does not list the extension {extension.oid}"


@rule("rfc5280_4_2_duplicate_extension", clause="RFC 5280 4.2")
def duplicate_extension(view: View) -> Iterator[str]:
    """No extension twice."""
    for oid, times in Counter(extension.oid for extension in view.extensions).items():
        if times > 1:
            yield f"it has the extension {oid} {times} times"


@rule("rfc5280_4_2_1_9_basic_constraints", clause="RFC 5280 4.2.1.9; tables F.1 to F.6")
def basic_constraints(view: View) -> Iterator[str]:
    """Present, critical, and cA exactly where the profile is that of a CA."""
    extension = view.extension(BASIC_CONSTRAINTS)
    if extension is None or not extension.critical:
        yield "basicConstraints is absent or not critical"
        return
    if _basic_constraints(extension)[0] != view.profile.ca:
        yield f"cA is {'FALSE' if view.profile.ca else 'TRUE'}"


@rule("v2g2_009_path_length", clause="[V2G2-009]; tables F.1 to F.6")
def path_length(view: View) -> Iterator[str]:
    """The path length of the profile: 1 and 0 on sub-CAs, else none."""
    extension = view.extension(BASIC_CONSTRAINTS)
    if extension is None:
        return
    found = _basic_constraints(extension)[1]
    if found != view.profile.path_length:
        yield f"the path length is {_or_none(found)}, not {_or_none(view.profile.path_length)}"


def _basic_constraints(extension: Extension) -> tuple[bool, int | None]:
    elements = inside(extension.value)
    ca = bool(elements) and elements[0].tag == BOOLEAN
    if ca and content(extension.value, elements.pop(0), BOOLEAN) != b"\xff":
        raise DerError("cA is written out although it is FALSE")
    if not elements:
        return ca, None
    limit, *more = elements
    if more:
        raise DerError("octets follow")
    return ca, int.from_bytes(content(extension.value, limit, INTEGER), signed=True)


def _or_none(number: int | None) -> str:
    return "none" if number is None else str(number)


@rule("rfc5280_6_1_4_issuer_path_length", clause="RFC 5280 6.1.4 (l), (m); [V2G2-009]")
def issuer_path_length(view: View) -> Iterator[str]:
    """The issuer's own path length leaves room for this CA."""
    limit = view.issuer_facts.path_length if view.issuer_facts else None
    if not view.profile.ca or limit is None:
        return
    if limit <= (view.profile.path_length or 0):
        yield f"its issuer allows {limit} CAs below it"


@rule("rfc5280_4_2_1_3_key_usage", clause="RFC 5280 4.2.1.3; tables F.1 to F.6")
def key_usage(view: View) -> Iterator[str]:
    """Present, critical, and exactly the bits of the profile."""
    extension = view.extension(KEY_USAGE)
    if extension is None or not extension.critical:
        yield "keyUsage is absent or not critical"
        return
    bits = only(extension.value, BIT_STRING)
    found = _bits(bits)
    if found != set(view.profile.key_usage):
        yield f"keyUsage is {', '.join(sorted(found))}"


def _bits(octets: bytes) -> set[str]:
    if len(octets) < 2 or octets[0] > 7 or octets[-1] & -octets[-1] != 1 << octets[0]:  # noqa: PLR2004 - one octet counts the unused bits
        raise DerError("the named bits are not DER")
    names = [f"bit {number}" for number in range(8 * (len(octets) - 1))]
    names[: len(KEY_USAGES)] = KEY_USAGES[: len(names)]
    return {
        name for number, name in enumerate(names) if octets[1 + number // 8] & (0x80 >> number % 8)
    }


@rule("rfc5280_4_2_1_2_subject_key_id", clause="RFC 5280 4.2.1.2; [V2G20-2492]", varies=True)
def subject_key_id(view: View) -> Iterator[str]:
    """Present, not critical, computed from the key, in the length of the profile."""
    extension = view.extension(SUBJECT_KEY_ID)
    if extension is None or extension.critical:
        yield "subjectKeyIdentifier is absent or critical"
        return
    if extension.value != encode(OCTET_STRING, _key_id(view)):
        yield "subjectKeyIdentifier does not belong to the key or has another length"


def _key_id(view: View) -> bytes:
    """Return RFC 5280 4.2.1.2 method 1 or 2 over the bits of the key as they stand."""
    digest = hashlib.sha1(_key_bits(view), usedforsecurity=False).digest()
    if not view.profile.short_key_id:
        return digest
    low = int.from_bytes(digest) & (1 << 60) - 1
    return (0b0100 << 60 | low).to_bytes(8)


def _key_bits(view: View) -> bytes:
    spki = view.spki
    if spki == view.canonical:  # two elements, lengths of one octet but for the outer one of P-521
        outer = 2 + (spki[1] >> 7)
        key = outer + 2 + spki[outer + 1]
        return spki[key + 3 + (spki[key + 1] >> 7) :]
    _, bits = inside(spki)
    return content(spki, bits, BIT_STRING)[1:]


@rule("rfc5280_4_2_1_1_authority_key_id", clause="RFC 5280 4.2.1.1")
def authority_key_id(view: View) -> Iterator[str]:
    """The key identifier of the issuer and nothing else; a root's is its own."""
    extension, issuer = view.extension(AUTHORITY_KEY_ID), view.issuer_facts
    wanted = issuer.key_id if issuer else _key_id(view) if view.profile.self_signed else None
    if extension is None or extension.critical:
        yield "authorityKeyIdentifier is absent or critical"
        return
    elements = inside(extension.value)
    if [element.tag for element in elements] != [_KEY_ID]:
        yield "authorityKeyIdentifier holds more or less than a key identifier"
    elif wanted and content(extension.value, elements[0], _KEY_ID) != wanted:
        yield "authorityKeyIdentifier is not the issuer's key identifier"


@rule("rfc5280_4_2_1_12_extended_key_usage", clause="RFC 5280 4.2.1.12; tables F.1 to F.6")
def extended_key_usage(view: View) -> Iterator[str]:
    """Exactly the purposes of the profile, not critical; absent where it has none."""
    extension = view.extension(EXTENDED_KEY_USAGE)
    found: tuple[str, ...] = ()
    if extension is not None:
        value = extension.value
        found = tuple(dotted(content(value, purpose, OID)) for purpose in inside(value))
        if extension.critical:
            yield "extendedKeyUsage is critical"
    if found != view.profile.extended_key_usage:
        yield f"extendedKeyUsage is {', '.join(found) or 'absent'}"


@rule("rfc9525_6_3_server_name", clause="RFC 9525 6.3; RFC 5280 4.2.1.6; OCPP A00.FR.510")
def server_name(view: View) -> Iterator[str]:
    """The CN of a CSMS once more as the only dNSName, not critical."""
    if not view.profile.server_name:
        return
    extension = view.extension(SUBJECT_ALT_NAME)
    if extension is None or extension.critical:
        yield "subjectAltName is absent or critical"
        return
    value = extension.value
    names = [(name.tag, value[name.body : name.end]) for name in inside(value)]
    wanted = [(_DNS_NAME, a.value.encode()) for a in view.attributes(COMMON_NAME)]
    if names != wanted:
        yield "subjectAltName is not the common name as the only dNSName"


@rule("rfc6960_4_2_2_2_1_no_check", clause="RFC 6960 4.2.2.2.1")
def no_check(view: View) -> Iterator[str]:
    """id-pkix-ocsp-nocheck on responders, nowhere else; NULL, not critical."""
    extension = view.extension(NO_CHECK)
    if (extension is not None) != view.profile.no_check:
        yield "nocheck is " + ("missing" if view.profile.no_check else "for responders only")
    elif extension is not None and (only(extension.value, NULL) or extension.critical):
        yield "nocheck is critical or not NULL"


@rule("v2g20_2590_ocsp_url", clause="[V2G20-2590], [V2G20-2593], [V2G20-2599]; RFC 5280 4.2.2.1")
def ocsp_url(view: View) -> Iterator[str]:
    """One OCSP address over plain http, as RFC 5280 8 advises; none where the profile has none."""
    extension = view.extension(AUTHORITY_INFORMATION)
    if extension is None:
        if view.profile.ocsp_url:
            yield "it has no OCSP address"
        return
    if not view.profile.ocsp_url:
        yield "the profile has no OCSP address"
        return
    if extension.critical:
        yield "authorityInfoAccess is critical"
    if not _one_url(list(_descriptions(extension))):
        yield "authorityInfoAccess is not exactly one OCSP address over http"


def _descriptions(extension: Extension) -> Iterator[bytes]:
    """Yield the addresses of OCSP, and an empty one for everything else."""
    value = extension.value
    for description in inside(value):
        method, location = children(value, description)
        matches = dotted(content(value, method, OID)) == _OCSP and location.tag == _URI
        yield value[location.body : location.end] if matches else b""


def _one_url(urls: list[bytes]) -> bool:
    return len(urls) == 1 and _URL.fullmatch(urls[0]) is not None


@rule("rfc5280_4_2_1_13_crl_url", clause="RFC 5280 4.2.1.13; table F.6")
def crl_url(view: View) -> Iterator[str]:
    """At most one CRL address over plain http, not critical; none where the status is not asked."""
    extension = view.extension(CRL_POINTS)
    if extension is None:
        return
    if not view.profile.ocsp_url:
        yield "the profile has no CRL address"
        return
    if extension.critical or not _one_url(list(_points(extension))):
        yield "cRLDistributionPoints is critical or not exactly one address over http"


def _points(extension: Extension) -> Iterator[bytes]:
    """Yield the address of each point, an empty one if it is no plain URL."""
    value = extension.value
    for point in inside(value):
        names = [
            name
            for field in children(value, point)
            for full in children(value, field)
            for name in children(value, full)
        ]
        plain = [name.tag for name in names] == [_URI]
        yield value[names[0].body : names[0].end] if plain else b""


_X448_KEY: Final = bytes.fromhex("3042300506032b656f033900")
"""A SubjectPublicKeyInfo of X448 (RFC 8410) up to the 56 octets of the key."""


@rule("v2g20_2534_alternate_key", clause="[V2G20-2534]; X.509 (2019) 9.8.2")
def alternate_key(view: View) -> Iterator[str]:
    """An X448 key beside the Ed448 key of a provisioning certificate, nowhere else."""
    extension = view.extension(ALTERNATE_KEY)
    wanted = view.profile.alternate_key and view.suite is Suite.ED448
    if (extension is not None) != wanted:
        yield "the X448 key is " + ("missing" if wanted else "for Ed448 provisioning leaves only")
    elif extension is not None and (
        extension.critical
        or not extension.value.startswith(_X448_KEY)
        or len(extension.value) != len(_X448_KEY) + 56
    ):
        yield "subjectAltPublicKeyInfo is critical or no X448 key"
