"""Makers of certificates that keep or break one lint rule, and the cases that name the rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from pki.ids import Edition
from pki.pkix import build, lint_extensions
from pki.pkix.der import encode
from pki.pkix.lint import IssuerFacts, lint
from pki.pkix.profiles import KEY_USAGES, Kind, Profile, find
from pki.pkix.suites import PublicKey, Suite
from tests.pkix.samples import (
    KEY,
    NOW,
    SERIAL_NUMBER,
    SUBJECT,
    VALIDITY,
    certificate,
    extensions_of,
    facts_of,
    issuer_of,
    oid,
    pieces,
    public_key,
    sequence,
    signed,
    with_extension,
    with_extensions,
    with_field,
    without_extension,
)

CONTRACT = find(Kind.CONTRACT, Edition.ISO2)
CONTRACT_20 = find(Kind.CONTRACT, Edition.ISO20)
SECC = find(Kind.SECC, Edition.ISO2)
CPS = find(Kind.CPS, Edition.ISO2)
OCSP = find(Kind.OCSP, Edition.ISO2)
ROOT = find(Kind.V2G_ROOT, Edition.ISO2)
SUB_CA1 = find(Kind.MO_SUB_CA1, Edition.ISO2)
SUB_CA2 = find(Kind.MO_SUB_CA2, Edition.ISO2)
PE_SECC = find(Kind.PE_SECC, Edition.ISO2)
DAY = dt.timedelta(days=1)

P256_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
P256_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
P256_SHA256_NULL = bytes.fromhex("300c06082a8648ce3d0403020500")
SAN = "2.5.29.17"


@dataclass(frozen=True, slots=True)
class Case:
    """
    A certificate that a rule is about.

    Attributes:
        also: further rules that a bad certificate cannot help breaking.
        issuer: changes the issuer that suits the profile.
    """

    rule: str
    name: str
    make: Callable[[], bytes]
    profile: Profile = CONTRACT
    also: frozenset[str] = frozenset()
    issuer: Callable[[IssuerFacts], IssuerFacts] = lambda issuer: issuer
    suite: Suite = Suite.P256

    def findings(self) -> set[str]:
        issuer = issuer_of(self.profile, self.suite)
        changed = None if issuer is None else self.issuer(issuer)
        return {finding.rule for finding in lint(self.make(), self.profile, changed)}


def case_id(case: object) -> str:
    return f"{case.rule}-{case.name}" if isinstance(case, Case) else str(case)


# --- makers --------------------------------------------------------------------------------------


def good(profile: Profile = CONTRACT) -> bytes:
    return certificate(profile, profile.suites[0])


def of_size(size: int) -> bytes:
    """Fill the signature up, which no lint reads."""
    tbs = pieces(good())[0]
    overhead = len(build.assemble(tbs, Suite.P256, bytes(300))) - 300
    return build.assemble(tbs, Suite.P256, bytes(size - overhead))


def with_serial(number: int) -> bytes:
    return with_field(good(), SERIAL_NUMBER, bytes(core.Integer(number).dump()))


def with_facts(
    profile: Profile = CONTRACT,
    *,
    begin: dt.datetime | None = None,
    end: dt.datetime | None = None,
    ocsp_url: str | None = None,
    crl_url: str | None = None,
) -> bytes:
    facts = facts_of(profile, Suite.P256)
    changed = replace(
        facts,
        not_before=begin or facts.not_before,
        not_after=end or facts.not_after,
        ocsp_url=ocsp_url or facts.ocsp_url,
        crl_url=crl_url,
    )
    return signed(profile, Suite.P256, changed)


def with_key(key: PublicKey | rsa.RSAPublicKey) -> bytes:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return with_field(good(), KEY, spki)


def with_point(point: bytes) -> bytes:
    algorithm = pieces(build.spki(public_key(Suite.P256, "holder")))[0]
    return with_field(good(), KEY, sequence(algorithm, encode(0x03, b"\0" + point)))


def compressed() -> bytes:
    return public_key(Suite.P256, "holder").public_bytes(
        Encoding.X962, PublicFormat.CompressedPoint
    )


def without(dotted: str, profile: Profile = CONTRACT) -> bytes:
    return without_extension(good(profile), dotted)


def having(
    value: x509.ExtensionType | bytes,
    dotted: str | None = None,
    *,
    profile: Profile = CONTRACT,
    critical: bool = False,
) -> bytes:
    if isinstance(value, bytes):
        assert dotted is not None
        return with_extension(good(profile), dotted, value, critical=critical)
    return with_extension(
        good(profile), value.oid.dotted_string, value.public_bytes(), critical=critical
    )


def turned(dotted: str, profile: Profile = CONTRACT) -> bytes:
    """Turn the criticality of an extension round."""
    changed = []
    for extension in extensions_of(good(profile)):
        kind, *flag, value = pieces(extension)
        turn = b"" if flag else b"\x01\x01\xff"
        changed.append(sequence(kind, turn, value) if kind == oid(dotted) else extension)
    return with_extensions(good(profile), changed)


def named(
    *attributes: tuple[x509.ObjectIdentifier, str],
    profile: Profile = CONTRACT,
) -> bytes:
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
    return with_field(good(profile), SUBJECT, name.public_bytes())


def retagged(dotted: str, tag: int, profile: Profile = CONTRACT) -> bytes:
    """Give an attribute of the subject another string type."""
    subject = []
    for rdn in pieces(pieces(pieces(good(profile))[0])[SUBJECT]):
        (attribute,) = pieces(rdn)
        kind, value = pieces(attribute)
        changed = sequence(kind, bytes((tag,)) + value[1:]) if kind == oid(dotted) else attribute
        subject.append(encode(0x31, changed))
    return with_field(good(profile), SUBJECT, sequence(*subject))


def timed(begin: tuple[int, str] | None, end: tuple[int, str] | None) -> bytes:
    old = pieces(pieces(pieces(good())[0])[VALIDITY])
    new = [
        was if time is None else encode(time[0], time[1].encode())
        for was, time in zip(old, (begin, end), strict=True)
    ]
    return with_field(good(), VALIDITY, sequence(*new))


def urls(*found: tuple[x509.ObjectIdentifier, str]) -> x509.AuthorityInformationAccess:
    return x509.AuthorityInformationAccess(
        [x509.AccessDescription(kind, x509.UniformResourceIdentifier(url)) for kind, url in found]
    )


def points(*found: str) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints(
        [
            x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
            for url in found
        ]
    )


def usage(*bits: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in bits for name in KEY_USAGES})


def issuing(issuer: IssuerFacts) -> x509.AuthorityKeyIdentifier:
    name = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Other")]))
    return x509.AuthorityKeyIdentifier(issuer.key_id, [name], 5)


def contract_issuer() -> IssuerFacts:
    issuer = issuer_of(CONTRACT, Suite.P256)
    assert issuer is not None
    return issuer


def shortened(issuer: IssuerFacts, end: dt.datetime) -> IssuerFacts:
    return replace(issuer, not_after=end)


CN, O, C, DC, OU = (  # noqa: E741 - the names that X.500 gives them
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.COUNTRY_NAME,
    NameOID.DOMAIN_COMPONENT,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
)
EMAID = (CN, "DE8AAC1A2B3C4D5")
ORG = (O, "Test Operator")
SKI = lint_extensions.SUBJECT_KEY_ID
AKI = lint_extensions.AUTHORITY_KEY_ID
KU = lint_extensions.KEY_USAGE
BC = lint_extensions.BASIC_CONSTRAINTS
EKU = lint_extensions.EXTENDED_KEY_USAGE
AIA = lint_extensions.AUTHORITY_INFORMATION
NO_CHECK = lint_extensions.NO_CHECK
CONTRACT_USAGE = ("digital_signature", "content_commitment", "key_encipherment", "key_agreement")
SKI_RULE = frozenset(["rfc5280_4_2_1_2_subject_key_id"])
TWO_YEARS = NOW + 730 * DAY
