"""
Certificates made from a profile and the facts of one order; nothing else decides what is in them.

Everything here is pure; who may sign what is asked elsewhere.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from pki.errors import PolicyViolation
from pki.pkix import alternate
from pki.pkix.der import SEQUENCE, encode
from pki.pkix.profiles import KEY_USAGES, Profile
from pki.pkix.subject import Shared, Subject, shared
from pki.pkix.suites import KEY_BITS, PublicKey, Suite, suite_of

MAX_ATTRIBUTE: Final = 64
"""Characters; ub-common-name and ub-organization-name of RFC 5280 appendix A."""

_COUNTRY: Final = re.compile("[A-Z]{2}")
_MAX_SERIAL_BITS: Final = 159
_BIT_STRING: Final = 0x03
_SHORT_KEY_ID_OCTETS: Final = 8
ALGORITHMS: Final = {
    Suite.P256: bytes.fromhex("300a06082a8648ce3d040302"),
    Suite.P521: bytes.fromhex("300a06082a8648ce3d040304"),
    Suite.ED448: bytes.fromhex("300506032b6571"),
}
"""AlgorithmIdentifiers, parameters absent (RFC 5758 3.2, RFC 8410 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What the profile leaves open.

    Attributes:
        issuer_key_id: SKI of the issuer; None for a certificate that signs itself.
        not_before, not_after: aware, whole seconds; both ends belong to the validity.
        ocsp_url: exactly where the profile has one.
        crl_url: None, unless certificates of this issuer shall name its CRL.
        alternate_key: X448 key beside an Ed448 one, exactly where the profile has it.
    """

    serial: int
    subject: x509.Name
    issuer: x509.Name
    public_key: PublicKey
    issuer_key_id: bytes | None
    not_before: dt.datetime
    not_after: dt.datetime
    ocsp_url: str | None
    crl_url: str | None
    alternate_key: x448.X448PublicKey | None = None


def needs_alternate_key(profile: Profile, suite: Suite | None) -> bool:
    """Tell whether a certificate with a key of this suite carries an X448 key as well."""
    return profile.alternate_key and suite is Suite.ED448


def subject_name(
    profile: Profile, *, common_name: str, organization: str, country: str | None
) -> x509.Name:
    """Return the name of `subject`, and raise as it does."""
    return subject(
        profile, common_name=common_name, organization=organization, country=country
    ).name


def subject(
    profile: Profile, *, common_name: str, organization: str, country: str | None
) -> Subject:
    """
    Return the subject: CN, O and, where the profile has them, C and DC, each an RDN of its own.

    The country has two letters and is not used where the profile has no C.

    Raises:
        PolicyViolation: `subject_invalid`, for an empty, overlong or unprintable value, or a
            missing country.
    """
    country = _country(country) if profile.country else None
    others = _others(organization, country, profile.domain_component)
    return Subject(_attribute("common name", common_name), others)


@lru_cache(maxsize=1024)
def _others(organization: str, country: str | None, domain_component: str | None) -> Shared:
    """Return what stands behind the CN, which many leaves share."""
    values = [
        (NameOID.ORGANIZATION_NAME, _attribute("organization", organization)),
        (NameOID.COUNTRY_NAME, country),
        (NameOID.DOMAIN_COMPONENT, domain_component),
    ]
    return shared(*((oid, value) for oid, value in values if value is not None))


def builder(profile: Profile, facts: Facts) -> x509.CertificateBuilder:
    """
    Return a builder with every field and exactly the extensions of the profile, ready to sign.

    Raises:
        PolicyViolation: `profile_contradicted`, where the facts do not fit the profile.
    """
    _refuse_contradictions(profile, facts)
    started = (
        x509.CertificateBuilder()
        .serial_number(facts.serial)
        .subject_name(facts.subject)
        .issuer_name(facts.issuer)
        .public_key(facts.public_key)
        .not_valid_before(facts.not_before)
        .not_valid_after(facts.not_after)
    )
    for extension, critical in _extensions(profile, facts):
        started = started.add_extension(extension, critical=critical)
    return started


def key_id(public_key: PublicKey, *, short: bool) -> bytes:
    """Return the SKI of RFC 5280 4.2.1.2: 20 octets (method 1) or, if `short`, 8 (method 2)."""
    return key_id_of(spki(public_key), short=short)


def key_id_of(octets: bytes, *, short: bool) -> bytes:
    """Return what `key_id` does, for a key that is written as `spki` writes it."""
    bits = octets[KEY_BITS[len(octets)] :]
    digest = hashlib.sha1(bits, usedforsecurity=False).digest()
    if not short:
        return digest
    tail = digest[-_SHORT_KEY_ID_OCTETS:]
    return bytes((0x40 | tail[0] & 0x0F,)) + tail[1:]


def spki(public_key: PublicKey) -> bytes:
    """Return the DER SubjectPublicKeyInfo: named curve, uncompressed point."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def encoded(certificate: x509.Certificate) -> bytes:
    """Return the DER of a certificate."""
    return certificate.public_bytes(Encoding.DER)


def assemble(tbs: bytes, suite: Suite, signature: bytes) -> bytes:
    """Return the DER Certificate of RFC 5280 4.1 around signed bytes; nothing is verified."""
    return encode(SEQUENCE, tbs + ALGORITHMS[suite] + encode(_BIT_STRING, b"\0" + signature))


def _attribute(what: str, value: str) -> str:
    printable = 1 <= len(value) <= MAX_ATTRIBUTE and value.isprintable() and value == value.strip()
    if not printable or len(value.encode()) > MAX_ATTRIBUTE:  # cryptography counts octets
        raise _subject_invalid(
            f"The {what} must be 1 to {MAX_ATTRIBUTE} printable characters, and as many octets."
        )
    return value


def _country(value: str | None) -> str:
    if value is None or not _COUNTRY.fullmatch(value):
        raise _subject_invalid("The profile needs a country of two upper-case letters.")
    return value


def _subject_invalid(message: str) -> PolicyViolation:
    return PolicyViolation("subject_invalid", message)


def _refuse_contradictions(profile: Profile, facts: Facts) -> None:
    times = (facts.not_before, facts.not_after)
    wrong = {
        "its key is of no suite of the profile": suite_of(facts.public_key) not in profile.suites,
        "it needs an OCSP address": profile.ocsp_url and not facts.ocsp_url,
        "it has no OCSP address": not profile.ocsp_url and facts.ocsp_url is not None,
        "it has no CRL address": not profile.ocsp_url and facts.crl_url is not None,
        "an X448 key stands beside Ed448 keys of provisioning certificates, nowhere else": (
            needs_alternate_key(profile, suite_of(facts.public_key))
            is (facts.alternate_key is None)
        ),
        "a root signs itself": profile.self_signed
        and (facts.issuer_key_id is not None or facts.issuer != facts.subject),
        "it needs its issuer's key id": not profile.self_signed and not facts.issuer_key_id,
        "times must be aware and in whole seconds": any(map(_unfit, times)),
        "serials are positive and below 160 bits": not 0 < facts.serial < 1 << _MAX_SERIAL_BITS,
    }
    # only now, since naive and aware times cannot be compared
    wrong["it ends before it begins"] = not any(wrong.values()) and times[0] >= times[1]
    for message, applies in wrong.items():
        if applies:
            raise PolicyViolation("profile_contradicted", f"{profile.profile_id}: {message}.")


def _unfit(time: dt.datetime) -> bool:
    return time.tzinfo is None or time.microsecond != 0


def _extensions(profile: Profile, facts: Facts) -> list[tuple[x509.ExtensionType, bool]]:
    """Return extension and criticality in a fixed order; [V2G20-2323] allows no others."""
    subject_key_id = key_id(facts.public_key, short=profile.short_key_id)
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=profile.ca, path_length=profile.path_length), True),
        (_key_usage(profile), True),
        (x509.SubjectKeyIdentifier(subject_key_id), False),
        (x509.AuthorityKeyIdentifier(facts.issuer_key_id or subject_key_id, None, None), False),
    ]
    if profile.extended_key_usage:
        usages = [x509.ObjectIdentifier(oid) for oid in profile.extended_key_usage]
        found.append((x509.ExtendedKeyUsage(usages), False))
    if profile.server_name:
        found.append((_server_name(facts.subject), False))
    if facts.ocsp_url is not None:
        found.append((_authority_information(facts.ocsp_url), False))
    if facts.crl_url is not None:
        found.append((_distribution_point(facts.crl_url), False))
    if profile.no_check:
        found.append((x509.OCSPNoCheck(), False))
    if facts.alternate_key is not None:
        found.append((alternate.extension(facts.alternate_key), False))
    return found


def _key_usage(profile: Profile) -> x509.KeyUsage:
    # keywords, not order: this API has nine booleans
    return x509.KeyUsage(**{bit: bit in profile.key_usage for bit in KEY_USAGES})


def _server_name(subject: x509.Name) -> x509.SubjectAlternativeName:
    (name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return x509.SubjectAlternativeName([x509.DNSName(str(name.value))])


def _authority_information(url: str) -> x509.AuthorityInformationAccess:
    access = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url)
    )
    return x509.AuthorityInformationAccess([access])


def _distribution_point(url: str) -> x509.CRLDistributionPoints:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point])
