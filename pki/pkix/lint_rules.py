"""Lint rules about the certificate as a whole, its key, names and times; ids carry the clause."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Final

from pki.errors import BadInput
from pki.pkix import build
from pki.pkix.csr import check_common_name
from pki.pkix.lint_view import (
    GENERALIZED_TIME,
    IA5_STRING,
    PRINTABLE_STRING,
    UTC_TIME,
    UTF8_STRING,
    Time,
    View,
    rule,
)
from pki.pkix.suites import Suite

COMMON_NAME: Final = "2.5.4.3"
COUNTRY: Final = "2.5.4.6"
ORGANIZATION: Final = "2.5.4.10"
DOMAIN_COMPONENT: Final = "0.9.2342.19200300.100.1.25"

_PRINTABLE: Final = re.compile("[A-Za-z0-9 '()+,./:=?-]*")
_COUNTRY: Final = re.compile("[A-Z]{2}")
_VERSION_3: Final = 3
_SERIAL_OCTETS: Final = 20
_SERIAL_BITS: Final = 64
_FIRST_GENERALIZED_YEAR: Final = 2050

_SUITES: Final = {
    bytes.fromhex("300a06082a8648ce3d040302"): Suite.P256,
    bytes.fromhex("300a06082a8648ce3d040304"): Suite.P521,
    bytes.fromhex("300506032b6571"): Suite.ED448,
}
"""Suites by their AlgorithmIdentifier, parameters absent (RFC 5758 3.2, RFC 8410 3)."""

_STRINGS: Final = {
    COMMON_NAME: {UTF8_STRING, PRINTABLE_STRING},
    ORGANIZATION: {UTF8_STRING, PRINTABLE_STRING},
    COUNTRY: {PRINTABLE_STRING},
    DOMAIN_COMPONENT: {IA5_STRING},
}


# --- the certificate as a whole ------------------------------------------------------------------


@rule("v2g2_010_size", clause="[V2G2-010], [V2G20-1234]", varies=True)
def size(view: View) -> Iterator[str]:
    """The DER is not larger than the XSD allows."""
    if len(view.der) > view.profile.max_size:
        yield f"it has {len(view.der)} octets, more than {view.profile.max_size}"


@rule("v2g2_884_version", clause="[V2G2-884]")
def version(view: View) -> Iterator[str]:
    """X.509 v3."""
    if view.version != _VERSION_3:
        yield f"it is version {view.version}, not 3"


@rule("rfc5280_4_1_2_2_serial", clause="RFC 5280 4.1.2.2", varies=True)
def serial(view: View) -> Iterator[str]:
    """Positive, minimal, at most 20 octets, and long enough to be unpredictable."""
    octets = view.serial
    number = int.from_bytes(octets, signed=True)
    if number <= 0:
        yield "the serial number is not positive"
    elif number.bit_length() // 8 + 1 != len(octets) or len(octets) > _SERIAL_OCTETS:
        yield f"the serial number takes {len(octets)} octets"
    elif number.bit_length() < _SERIAL_BITS:
        yield f"the serial number has {number.bit_length()} bits, fewer than {_SERIAL_BITS}"


@rule("v2g2_006_signature_algorithm", clause="[V2G2-006], [V2G20-2674], [V2G20-2319]")
def signature_algorithm(view: View) -> Iterator[str]:
    """The algorithm is that of the issuer's suite, parameters absent."""
    suites: Sequence[Suite | None] = view.profile.suites
    if view.issuer_facts is not None:
        suites = [view.issuer_facts.suite]
    elif view.profile.self_signed:
        suites = [view.suite]
    if _SUITES.get(view.signature) not in suites:
        yield "it is signed with another algorithm than its issuer's suite has"


@rule("rfc5280_4_1_1_2_signature_algorithm", clause="RFC 5280 4.1.1.2")
def same_algorithm(view: View) -> Iterator[str]:
    """The signed and the unsigned AlgorithmIdentifier are the same."""
    if view.signature != view.outer_signature:
        yield "the signature algorithms inside and outside differ"


@rule("rfc5280_4_1_2_8_unique_identifiers", clause="RFC 5280 4.1.2.8")
def unique_identifiers(view: View) -> Iterator[str]:
    """Nothing stands between key and extensions."""
    if view.trailing:
        yield "it has unique identifiers"


# --- the key -------------------------------------------------------------------------------------


@rule("v2g2_007_key", clause="[V2G2-007], [V2G20-2675], [V2G20-2319]", varies=True)
def key(view: View) -> Iterator[str]:
    """The key is of a suite of the profile."""
    if view.suite not in view.profile.suites:
        yield f"the key is none of {', '.join(view.profile.suites)}"


@rule("rfc5480_2_named_curve", clause="RFC 5480 2.1.1, 2.2; RFC 8410 4", varies=True)
def named_curve(view: View) -> Iterator[str]:
    """The key has its one canonical encoding: named curve, uncompressed point."""
    if view.canonical is not None and view.canonical != view.spki:
        yield "the key is not written as a named curve with an uncompressed point"


# --- names ---------------------------------------------------------------------------------------


@rule("v2g2_108_common_name", clause="[V2G2-108], [V2G2-933]", varies=True)
def common_name(view: View) -> Iterator[str]:
    """Exactly one CN, in the pattern of the profile and as we write it."""
    found = view.attributes(COMMON_NAME)
    if len(found) != 1:
        yield f"the subject has {len(found)} common names"
        return
    try:
        written = check_common_name(view.profile, found[0].value)
    except BadInput as error:
        yield f"the common name is refused: {error.code}"
        return
    if written != found[0].value:
        yield f"the common name should be written {written}"


@rule("v2g2_annex_f_organization", clause="tables F.1 to F.6; RFC 5280 appendix A")
def organization(view: View) -> Iterator[str]:
    """Exactly one O of 1 to 64 printable characters."""
    found = view.attributes(ORGANIZATION)
    if len(found) != 1:
        yield f"the subject has {len(found)} organizations"
    elif not (1 <= len(found[0].value) <= build.MAX_ATTRIBUTE and found[0].value.isprintable()):
        yield "the organization is empty, too long or not printable"


@rule("v2g2_annex_f_country", clause="tables F.1 to F.6; [V2G20-2588]; ISO 3166-1")
def country(view: View) -> Iterator[str]:
    """One C of two upper-case letters where the profile has one, else none."""
    found = view.attributes(COUNTRY)
    if len(found) != int(view.profile.country):
        yield f"the subject has {len(found)} countries"
    elif found and not _COUNTRY.fullmatch(found[0].value):
        yield "the country is not two upper-case letters"


@rule("v2g2_925_domain_component", clause="[V2G2-925], [V2G20-1001]")
def domain_component(view: View) -> Iterator[str]:
    """The DC of the profile, or none."""
    found = [attribute.value for attribute in view.attributes(DOMAIN_COMPONENT)]
    wanted = view.profile.domain_component
    if found != ([] if wanted is None else [wanted]):
        yield f"the domain component is {', '.join(found) or 'absent'}, not {wanted or 'absent'}"


@rule("v2g20_2588_other_attribute", clause="[V2G20-2588], [V2G20-2589]; tables F.1 to F.6")
def other_attribute(view: View) -> Iterator[str]:
    """CN, O, C and DC only, each an RDN of its own."""
    for rdn in view.rdns:
        if len(rdn) != 1:
            yield f"an RDN has {len(rdn)} attributes"
    for attribute in (a for rdn in view.rdns for a in rdn):
        if attribute.oid not in _STRINGS:
            yield f"the subject has the attribute {attribute.oid}"


@rule("rfc5280_4_1_2_4_string_type", clause="RFC 5280 4.1.2.4, appendix A", varies=True)
def string_type(view: View) -> Iterator[str]:
    """UTF8String or PrintableString; PrintableString for C, IA5String for DC."""
    for attribute in (a for rdn in view.rdns for a in rdn):
        if attribute.tag not in _STRINGS.get(attribute.oid, {attribute.tag}):
            yield f"the attribute {attribute.oid} has the string type {attribute.tag:#04x}"
        elif attribute.tag == PRINTABLE_STRING and not _PRINTABLE.fullmatch(attribute.value):
            yield f"the attribute {attribute.oid} is no PrintableString"


@rule("rfc5280_4_1_2_4_issuer", clause="RFC 5280 4.1.2.4, 6.1.3 (a)(4)")
def issuer_name(view: View) -> Iterator[str]:
    """The issuer is named with the very octets of its own subject."""
    facts = view.issuer_facts
    wanted = facts.subject if facts else view.subject
    if (facts or view.profile.self_signed) and view.issuer != wanted:
        yield "the issuer is not named as its own certificate names it"


# --- times ---------------------------------------------------------------------------------------


@rule("rfc5280_4_1_2_5_time", clause="RFC 5280 4.1.2.5", varies=True)
def time_form(view: View) -> Iterator[str]:
    """UTCTime before 2050, GeneralizedTime from then on; seconds, no fractions, Z."""
    for name, time in (("notBefore", view.not_before), ("notAfter", view.not_after)):
        if not _well_formed(time):
            yield f"{name} is not in the form that its year demands"


def _well_formed(time: Time) -> bool:
    if time.at is None:
        return False
    return time.tag == (GENERALIZED_TIME if time.at.year >= _FIRST_GENERALIZED_YEAR else UTC_TIME)


@rule("rfc5280_4_1_2_5_validity", clause="RFC 5280 4.1.2.5; [V2G2-011]", varies=True)
def validity(view: View) -> Iterator[str]:
    """It begins before it ends, and is not longer than the profile allows."""
    begin, end = view.not_before.at, view.not_after.at
    if begin is None or end is None:
        return
    if begin >= end:
        yield "it ends before it begins"
    elif end - begin >= dt.timedelta(days=view.profile.validity_days):
        yield f"it is valid for more than {view.profile.validity_days} days"


@rule("rfc5280_6_1_3_begins_within_issuer", clause="RFC 5280 6.1.3 (a)(2)", varies=True)
def begins_within_issuer(view: View) -> Iterator[str]:
    """It does not begin before its issuer."""
    begin, issuer = view.not_before.at, view.issuer_facts
    if begin and issuer and begin < issuer.not_before:
        yield "it begins before its issuer"


@rule("i5_outlives_issuer", clause="I5; [V2G20-1853]", varies=True)
def outlives_issuer(view: View) -> Iterator[str]:
    """It does not outlive its issuer."""
    end, issuer = view.not_after.at, view.issuer_facts
    if end and issuer and end > issuer.not_after:
        yield "it outlives its issuer"
