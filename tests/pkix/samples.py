"""Certificates of every profile, signed with throw-away keys, and ways to break them."""

from __future__ import annotations

import datetime as dt
from functools import cache

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448

from pki.pkix import build
from pki.pkix.der import SEQUENCE, children, element_at, encode
from pki.pkix.lint import IssuerFacts
from pki.pkix.profiles import Profile, all_profiles, find
from pki.pkix.suites import PrivateKey, PublicKey, Suite, generate

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
SERIAL = 0x40_0000_0000_0000_0000_0000_0000_0000_07
OCSP_URL = "http://pki.example/ocsp"
CRL_URL = "http://pki.example/crl/mo-sub-ca2"

COMMON_NAMES = {
    "emaid": "DE8AAC1A2B3C4D5",
    "secc_id": "DE*ABC*E45B*78C",
    "pcid": "WP0ZZZ99ZTS392124",
    "evcc_id": "WP0V0123456789ABCDE",
    "name": "Test CA 1",
    "station": "SN-0042.A",
    "host": "csms.example.com",
}


def every_shape() -> list[tuple[Profile, Suite]]:
    """Return each profile with each of its suites."""
    return [(profile, suite) for profile in all_profiles() for suite in profile.suites]


def shape_id(value: object) -> str:
    return value.profile_id if isinstance(value, Profile) else str(value)


X448 = x448.X448PrivateKey.generate().public_key()


@cache
def key(suite: Suite, holder: str) -> PrivateKey:  # noqa: ARG001 - the cache tells holders apart
    """Return the key of a holder; the same one each time."""
    return generate(suite)


def public_key(suite: Suite, holder: str) -> PublicKey:
    return key(suite, holder).public_key()


def issuer_of(profile: Profile, suite: Suite) -> IssuerFacts | None:
    """Return an issuer that suits the profile; None for roots."""
    if profile.self_signed:
        return None
    parent = find(profile.issued_by[0], profile.edition)
    return IssuerFacts(
        subject=_issuer_name(profile).public_bytes(),
        key_id=build.key_id(public_key(suite, "issuer"), short=parent.short_key_id),
        not_before=NOW,
        not_after=NOW + dt.timedelta(days=parent.validity_days),
        path_length=parent.path_length,
        suite=suite,
    )


def facts_of(profile: Profile, suite: Suite) -> build.Facts:
    """Return facts that fit the profile, its longest validity included."""
    issuer = issuer_of(profile, suite)
    holder = public_key(suite, "holder")
    subject = build.subject_name(
        profile,
        common_name=COMMON_NAMES[profile.common_name],
        organization="Test Operator",
        country="DE",
    )
    end = NOW + dt.timedelta(days=profile.validity_days) - dt.timedelta(seconds=1)
    parent = subject if issuer is None else _issuer_name(profile)
    return build.Facts(
        serial=SERIAL,
        subject=subject,
        issuer=parent,
        public_key=holder,
        issuer_key_id=None if issuer is None else issuer.key_id,
        not_before=NOW,
        not_after=end if issuer is None else min(end, issuer.not_after),
        ocsp_url=OCSP_URL if profile.ocsp_url else None,
        crl_url=None,
        alternate_key=X448 if build.needs_alternate_key(profile, suite) else None,
    )


def _issuer_name(profile: Profile) -> x509.Name:
    parent = find(profile.issued_by[0], profile.edition)
    return build.subject_name(
        parent, common_name="Test Issuer", organization="Test Operator", country="DE"
    )


def signed(profile: Profile, suite: Suite, facts: build.Facts) -> bytes:
    """Sign with the issuer's key, a root with its own."""
    signer = key(suite, "holder" if profile.self_signed else "issuer")
    return build.encoded(build.builder(profile, facts).sign(signer, suite.hash))


@cache
def certificate(profile: Profile, suite: Suite) -> bytes:
    """Return the DER of a good certificate of the profile."""
    return signed(profile, suite, facts_of(profile, suite))


# --- surgery: what no builder would make; the signature does not fit then, which no lint asks

VERSION, SERIAL_NUMBER, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = range(8)


def pieces(data: bytes) -> list[bytes]:
    """Return the encoded elements inside one constructed element."""
    outer = element_at(data, 0, len(data))
    return [data[element.start : element.end] for element in children(data, outer)]


def sequence(*parts: bytes) -> bytes:
    return encode(SEQUENCE, b"".join(parts))


def oid(dotted: str) -> bytes:
    return bytes(core.ObjectIdentifier(dotted).dump())


def with_field(der: bytes, field: int, *new: bytes) -> bytes:
    """Replace one field of the TBSCertificate by any number of others."""
    tbs, algorithm, signature = pieces(der)
    fields = pieces(tbs)
    return sequence(sequence(*fields[:field], *new, *fields[field + 1 :]), algorithm, signature)


def with_algorithms(der: bytes, *, inner: bytes, outer: bytes) -> bytes:
    tbs, _, signature = pieces(with_field(der, ALGORITHM, inner))
    return sequence(tbs, outer, signature)


def with_extensions(der: bytes, extensions: list[bytes]) -> bytes:
    return with_field(der, EXTENSIONS, encode(0xA3, sequence(*extensions)))


def extensions_of(der: bytes) -> list[bytes]:
    (block,) = pieces(pieces(pieces(der)[0])[EXTENSIONS])
    return pieces(block)


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = b"\x01\x01\xff" if critical else b""
    return sequence(oid(dotted), flag, encode(0x04, value))


def without_extension(der: bytes, dotted: str) -> bytes:
    kept = [e for e in extensions_of(der) if pieces(e)[0] != oid(dotted)]
    return with_extensions(der, kept)


def with_extension(der: bytes, dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """Put an extension in place of those of its type."""
    kept = extensions_of(without_extension(der, dotted))
    return with_extensions(der, [*kept, extension(dotted, value, critical=critical)])
