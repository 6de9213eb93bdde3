"""Certificates are built from the profile and the facts, and from nothing else."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import PolicyViolation
from pki.ids import Edition
from pki.pkix import build
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.subject import GivenSubject
from pki.pkix.suites import Suite, verifies
from tests.pkix.samples import (
    CRL_URL,
    NOW,
    OCSP_URL,
    certificate,
    every_shape,
    facts_of,
    public_key,
    shape_id,
    signed,
)

CONTRACT = find(Kind.CONTRACT, Edition.ISO2)
SECC = find(Kind.SECC, Edition.ISO2)
ROOT = find(Kind.V2G_ROOT, Edition.ISO2)
FACTS = facts_of(CONTRACT, Suite.P256)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Other")])
ONE_OF_EACH_SUITE = [
    (CONTRACT, Suite.P256),
    (find(Kind.CONTRACT, Edition.ISO20), Suite.P521),
    (find(Kind.CONTRACT, Edition.ISO20), Suite.ED448),
]


def expected_extensions(profile: Profile) -> dict[str, bool]:
    """Return extension classes with their criticality."""
    found = {"BasicConstraints": True, "KeyUsage": True, "SubjectKeyIdentifier": False}
    found["AuthorityKeyIdentifier"] = False
    if profile.ocsp_url:
        found["AuthorityInformationAccess"] = False
    if profile.kind is Kind.OCSP:
        found["OCSPNoCheck"] = False
    if profile.kind in (Kind.OCSP, Kind.STATION, Kind.CSMS):
        found["ExtendedKeyUsage"] = False
    if profile.kind is Kind.CSMS:
        found["SubjectAlternativeName"] = False
    return found


@pytest.mark.parametrize(("profile", "suite"), every_shape(), ids=shape_id)
def test_has_exactly_the_extensions_of_the_profile(profile: Profile, suite: Suite) -> None:
    parsed = x509.load_der_x509_certificate(certificate(profile, suite))
    found = {type(e.value).__name__: e.critical for e in parsed.extensions}
    wanted = expected_extensions(profile)
    if build.needs_alternate_key(profile, suite):
        wanted["UnrecognizedExtension"] = False  # the X448 key
    assert found == wanted


@pytest.mark.parametrize(("profile", "suite"), every_shape(), ids=shape_id)
def test_constraints_and_size_are_those_of_the_profile(profile: Profile, suite: Suite) -> None:
    der = certificate(profile, suite)
    extensions = x509.load_der_x509_certificate(der).extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (constraints.ca, constraints.path_length) == (profile.ca, profile.path_length)
    assert usage.key_cert_sign == profile.ca
    assert usage.digital_signature == ("digital_signature" in profile.key_usage)
    assert len(der) <= profile.max_size


@pytest.mark.parametrize(("profile", "suite"), every_shape(), ids=shape_id)
def test_takes_the_facts_over(profile: Profile, suite: Suite) -> None:
    facts = facts_of(profile, suite)
    parsed = x509.load_der_x509_certificate(signed(profile, suite, facts))
    assert parsed.version is x509.Version.v3
    assert parsed.serial_number == facts.serial
    assert (parsed.subject, parsed.issuer) == (facts.subject, facts.issuer)
    assert parsed.not_valid_before_utc == facts.not_before
    assert parsed.not_valid_after_utc == facts.not_after
    assert parsed.public_key() == facts.public_key


def test_names_one_ocsp_and_if_asked_one_crl_address() -> None:
    der = signed(CONTRACT, Suite.P256, replace(FACTS, crl_url=CRL_URL))
    extensions = x509.load_der_x509_certificate(der).extensions
    (access,) = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access.access_method == AuthorityInformationAccessOID.OCSP
    assert access.access_location.value == OCSP_URL
    (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name is not None
    assert [name.value for name in point.full_name] == [CRL_URL]


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, ocsp_url=None),
        replace(FACTS, ocsp_url=""),
        replace(FACTS, public_key=public_key(Suite.P521, "holder")),
        replace(FACTS, public_key=ec.generate_private_key(ec.SECP384R1()).public_key()),
        replace(FACTS, issuer_key_id=None),
        replace(FACTS, issuer_key_id=b""),
        replace(FACTS, not_before=NOW.replace(tzinfo=None)),
        replace(FACTS, not_after=FACTS.not_after.replace(tzinfo=None)),
        replace(FACTS, not_after=FACTS.not_after.replace(microsecond=1)),
        replace(FACTS, not_after=NOW),
        replace(FACTS, not_after=NOW - dt.timedelta(days=1)),
        replace(FACTS, serial=0),
        replace(FACTS, serial=-1),
        replace(FACTS, serial=1 << 159),
    ],
    ids=lambda _facts: "contract",
)
def test_refuses_facts_that_contradict_the_contract_profile(facts: build.Facts) -> None:
    with pytest.raises(PolicyViolation) as error:
        build.builder(CONTRACT, facts)
    assert error.value.code == "profile_contradicted"


ROOT_FACTS = facts_of(ROOT, Suite.P256)


@pytest.mark.parametrize(
    "facts",
    [
        replace(ROOT_FACTS, ocsp_url=OCSP_URL),
        replace(ROOT_FACTS, crl_url=CRL_URL),
        replace(ROOT_FACTS, issuer_key_id=bytes(20)),
        replace(ROOT_FACTS, issuer=NAME),
    ],
    ids=lambda _facts: "root",
)
def test_refuses_facts_that_contradict_the_root_profile(facts: build.Facts) -> None:
    with pytest.raises(PolicyViolation) as error:
        build.builder(ROOT, facts)
    assert error.value.code == "profile_contradicted"


def test_contradiction_says_what_is_wrong() -> None:
    with pytest.raises(PolicyViolation, match=r"contract\.2: it needs an OCSP address"):
        build.builder(CONTRACT, replace(FACTS, ocsp_url=None))


# --- subject -------------------------------------------------------------------------------------


def subject(profile: Profile, organization: str = "Test", country: str | None = "DE") -> str:
    name = build.subject_name(
        profile, common_name="DE8AAC1A2B3C4D5", organization=organization, country=country
    )
    return ",".join(f"{a.rfc4514_attribute_name}={a.value!s}" for a in name)


def test_subject_of_a_contract_is_cn_and_o() -> None:
    assert subject(CONTRACT) == "CN=DE8AAC1A2B3C4D5,O=Test"


def test_subject_of_a_secc_has_country_and_role() -> None:
    assert subject(find(Kind.SECC, Edition.ISO2)) == "CN=DE8AAC1A2B3C4D5,O=Test,C=DE,DC=CPO"


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=64),
    st.sampled_from([CONTRACT, SECC]),
)
def test_a_subject_is_written_as_its_name_is(text: str, profile: Profile) -> None:
    try:
        found = build.subject(profile, common_name=text, organization=text, country="DE")
    except PolicyViolation:
        return
    assert found.text == found.name.rfc4514_string()
    given = GivenSubject(found.name)
    assert (given.text, len(given.others)) == (found.text, len(found.others))


def test_strings_are_of_the_types_that_rfc5280_asks_for() -> None:
    name = build.subject_name(
        find(Kind.SECC, Edition.ISO2), common_name="A", organization="B", country="DE"
    )
    der = name.public_bytes()
    assert bytes.fromhex("0603550403") + b"\x0c\x01A" in der
    assert bytes.fromhex("060355040a") + b"\x0c\x01B" in der
    assert bytes.fromhex("0603550406") + b"\x13\x02DE" in der
    assert bytes.fromhex("060a0992268993f22c640119") + b"\x16\x03CPO" in der


@pytest.mark.parametrize("organization", ["", "x" * 65, "ü" * 33, "a\nb", "a\0b", " a", "a\u202eb"])
def test_refuses_an_organization_that_cannot_be_shown(organization: str) -> None:
    with pytest.raises(PolicyViolation) as error:
        subject(CONTRACT, organization)
    assert error.value.code == "subject_invalid"


@pytest.mark.parametrize("country", [None, "", "D", "DEU", "de", "D1", "ÄÖ"])
def test_refuses_a_country_that_is_not_two_letters(country: str | None) -> None:
    with pytest.raises(PolicyViolation) as error:
        subject(find(Kind.SECC, Edition.ISO2), country=country)
    assert error.value.code == "subject_invalid"


def test_keeps_an_organization_in_its_own_script() -> None:
    assert subject(CONTRACT, "Müller Ladesäulen").endswith("O=Müller Ladesäulen")


# --- key ids and assembly ------------------------------------------------------------------------


@pytest.mark.parametrize("suite", Suite)
def test_short_key_id_is_a_nibble_and_the_low_60_bits_of_the_long_one(suite: Suite) -> None:
    key = public_key(suite, "holder")
    long, short = build.key_id(key, short=False), build.key_id(key, short=True)
    assert (len(long), len(short)) == (20, 8)
    assert long == x509.SubjectKeyIdentifier.from_public_key(key).digest
    assert short[0] >> 4 == 0b0100
    assert int.from_bytes(short) & (1 << 60) - 1 == int.from_bytes(long) & (1 << 60) - 1


@pytest.mark.parametrize(("profile", "suite"), ONE_OF_EACH_SUITE, ids=shape_id)
def test_assembles_the_very_bytes_of_a_signed_twin(profile: Profile, suite: Suite) -> None:
    der = certificate(profile, suite)
    twin = x509.load_der_x509_certificate(der)
    assert build.assemble(twin.tbs_certificate_bytes, suite, twin.signature) == der
    issuer = public_key(suite, "issuer")
    assert verifies(issuer, twin.signature, twin.tbs_certificate_bytes)


def test_two_twins_differ_in_their_signature_only() -> None:
    one = x509.load_der_x509_certificate(signed(CONTRACT, Suite.P256, FACTS))
    other = x509.load_der_x509_certificate(signed(CONTRACT, Suite.P256, FACTS))
    assert one.tbs_certificate_bytes == other.tbs_certificate_bytes
    assert one.signature != other.signature
