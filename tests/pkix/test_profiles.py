"""Profiles: the values that ISO 15118 fixes, and a file that is read strictly."""

from __future__ import annotations

from importlib import resources

import pytest

from pki.errors import NotFound
from pki.ids import Edition
from pki.pkix.profiles import FIELDS, Kind, Profile, ProfileError, all_profiles, find, read
from pki.pkix.suites import Suite

SUB_CA1 = (Kind.CPO_SUB_CA1, Kind.MO_SUB_CA1, Kind.OEM_SUB_CA1, Kind.CPS_SUB_CA1)
SUB_CA2 = (
    Kind.CPO_SUB_CA2,
    Kind.MO_SUB_CA2,
    Kind.OEM_SUB_CA2,
    Kind.CPS_SUB_CA2,
    Kind.TLS_SUB_CA,
)
ROOTS = (Kind.V2G_ROOT, Kind.MO_ROOT, Kind.OEM_ROOT, Kind.PE_ROOT, Kind.TLS_ROOT)
TLS = (Kind.TLS_ROOT, Kind.TLS_SUB_CA, Kind.STATION, Kind.CSMS)
CAS = (*ROOTS, *SUB_CA1, *SUB_CA2)
DOMAIN_COMPONENTS = {
    Kind.V2G_ROOT: "V2G",
    Kind.MO_ROOT: "MO",
    Kind.OEM_ROOT: "OEM",
    Kind.PE_ROOT: None,
    Kind.CPO_SUB_CA1: "V2G",
    Kind.CPO_SUB_CA2: "V2G",
    Kind.MO_SUB_CA1: "MO",
    Kind.MO_SUB_CA2: "MO",
    Kind.OEM_SUB_CA1: "OEM",
    Kind.OEM_SUB_CA2: "OEM",
    Kind.CPS_SUB_CA1: "CPS",
    Kind.CPS_SUB_CA2: "CPS",
    Kind.SECC: "CPO",
    Kind.PE_SECC: "CPO",
    Kind.CONTRACT: None,
    Kind.OEM: "OEM",
    Kind.CPS: "CPS",
    Kind.VEHICLE: "OEM",
    Kind.OCSP: None,
    **dict.fromkeys(TLS),
}
TEXT = resources.files("pki.pkix").joinpath("profiles.toml").read_text(encoding="utf-8")


def profile_id(value: object) -> str:
    return value.profile_id if isinstance(value, Profile) else str(value)


every_profile = pytest.mark.parametrize("profile", all_profiles(), ids=profile_id)


def test_there_is_one_profile_per_kind_and_edition_but_no_vehicle_in_iso2_nor_tls_in_iso20() -> (
    None
):
    expected = {(kind, edition) for kind in Kind for edition in Edition}
    expected -= {(Kind.VEHICLE, Edition.ISO2), *((kind, Edition.ISO20) for kind in TLS)}
    assert {(p.kind, p.edition) for p in all_profiles()} == expected
    assert len({p.profile_id for p in all_profiles()}) == len(all_profiles()) == len(expected)


def test_a_vehicle_of_iso2_is_not_found() -> None:
    with pytest.raises(NotFound) as error:
        find(Kind.VEHICLE, Edition.ISO2)
    assert error.value.code == "profile_unknown"


@every_profile
def test_is_found_by_kind_and_edition(profile: Profile) -> None:
    assert find(profile.kind, profile.edition) is profile
    assert profile.profile_id == f"{profile.kind.value}.{profile.edition.value}"


@every_profile
def test_edition_fixes_suites_and_size(profile: Profile) -> None:
    if profile.edition is Edition.ISO2:
        assert (profile.suites, profile.max_size) == ((Suite.P256,), 800)
    else:
        assert (profile.suites, profile.max_size) == ((Suite.P521, Suite.ED448), 1600)


@every_profile
def test_every_field_has_its_evidence(profile: Profile) -> None:
    assert tuple(profile.evidence) == FIELDS
    assert all(
        tag.rstrip()[-3:] in {"[V]", "[2]", "[1]", "[T]", "[U]"}
        for tag in profile.evidence.values()
    )


@every_profile
def test_only_cas_may_sign_certificates(profile: Profile) -> None:
    assert profile.ca == (profile.kind in CAS)
    assert ("key_cert_sign" in profile.key_usage) == profile.ca
    assert ("crl_sign" in profile.key_usage) == profile.ca


@every_profile
def test_path_length_is_one_above_and_zero_below(profile: Profile) -> None:
    expected = dict.fromkeys(SUB_CA1, 1) | dict.fromkeys(SUB_CA2, 0)
    assert profile.path_length == expected.get(profile.kind)


@every_profile
def test_domain_component_names_the_role(profile: Profile) -> None:
    assert profile.domain_component == DOMAIN_COMPONENTS[profile.kind]


@every_profile
def test_status_is_asked_of_all_but_roots_responders_and_private_environments(
    profile: Profile,
) -> None:
    without = {*ROOTS, Kind.OCSP, Kind.PE_SECC}
    assert profile.ocsp_url == (profile.kind not in without)
    assert profile.no_check == (profile.kind is Kind.OCSP)
    assert bool(profile.extended_key_usage) == (
        profile.kind in (Kind.OCSP, Kind.STATION, Kind.CSMS)
    )


@every_profile
def test_issuers_are_cas_that_leave_room(profile: Profile) -> None:
    assert profile.self_signed == (profile.kind in ROOTS)
    for kind in profile.issued_by:
        issuer = find(kind, profile.edition)
        assert issuer.ca
        if profile.ca and issuer.path_length is not None:
            assert (profile.path_length or 0) < issuer.path_length


@every_profile
def test_no_public_root_issues_a_leaf_but_its_responder(profile: Profile) -> None:
    if not profile.ca and profile.kind not in (Kind.OCSP, Kind.PE_SECC):
        assert not set(profile.issued_by) & set(ROOTS)


@every_profile
def test_no_purpose_of_station_tls_stands_in_a_certificate_of_iso15118(profile: Profile) -> None:
    assert profile.server_name == (profile.kind is Kind.CSMS)
    assert profile.own_key == (profile.kind in (Kind.STATION, Kind.CSMS))
    below = {Kind.TLS_ROOT, Kind.TLS_SUB_CA}
    if profile.kind is not Kind.OCSP:
        assert bool(set(profile.issued_by) & below) == (profile.kind in set(TLS) - {Kind.TLS_ROOT})


@every_profile
def test_only_contracts_of_iso20_have_short_key_ids(profile: Profile) -> None:
    assert profile.short_key_id == (profile.profile_id == "contract.20")


@pytest.mark.parametrize("edition", Edition)
def test_contract_has_the_key_usage_of_real_ones_and_no_country(edition: Edition) -> None:
    contract = find(Kind.CONTRACT, edition)
    assert contract.key_usage == (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "key_agreement",
    )
    assert not contract.country
    assert contract.common_name == "emaid"
    assert contract.validity_days == 730


def test_provisioning_certificate_receives_ecdh() -> None:
    assert "key_agreement" in find(Kind.OEM, Edition.ISO2).key_usage
    assert "key_agreement" in find(Kind.OEM, Edition.ISO20).key_usage


def test_mo_sub_ca2_also_signs_tariffs() -> None:
    usage = find(Kind.MO_SUB_CA2, Edition.ISO2).key_usage
    assert {"digital_signature", "content_commitment"} < set(usage)


def test_a_v2g_root_lives_40_and_25_years() -> None:
    assert find(Kind.V2G_ROOT, Edition.ISO2).validity_days == 14610
    assert find(Kind.V2G_ROOT, Edition.ISO20).validity_days == 9131


def test_reads_its_own_file_to_the_same_profiles() -> None:
    assert read(TEXT) == all_profiles()


EVIDENCE = ', by = "[V2G2-010] [V]" }'


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("max_size = { is = 800", "max_size = { ", "Expected|Invalid|Unclosed|expected"),
        ("is = 800", "value = 800", "unknown in edition.2.max_size: value"),
        (EVIDENCE, " }", "evidence|edition.2.max_size.by"),
        (EVIDENCE, ', by = "  " }', "edition.2.max_size needs both a value and its evidence"),
        (EVIDENCE, ", by = 10 }", "edition.2.max_size.by must be a string"),
        ('max_size = { is = 800, by = "[V2G2-010] [V]" }', "", "v2g_root.2.max_size is missing"),
        ('max_size = { is = 800, by = "[V2G2-010] [V]" }', "max_size = 800", "lacks a table"),
        ("max_size = { is = 800", "color = { is = 800", "unknown in edition.2: color"),
        ("is = 800", 'is = "800"', "v2g_root.2.max_size must be a number"),
        ("is = 800", "is = true", "v2g_root.2.max_size must be a number"),
        ("is = 800", "is = -1", "v2g_root.2.max_size must be a number"),
        ("ca = { is = true", "ca = { is = 1", "v2g_root.2.ca must be true or false"),
        ('is = ["p256"]', 'is = ["rsa"]', "v2g_root.2.suites: 'rsa'"),
        ('is = ["p256"]', 'is = ["p521"]', "belongs to the other edition"),
        ('is = ["p256"]', 'is = ["p256", "p256"]', "names something twice"),
        ('is = ["p256"]', 'is = "p256"', "v2g_root.2.suites must be a list"),
        ('is = ["p256"]', "is = [256]", "v2g_root.2.suites must be a string"),
        ('is = ["p256"]', "is = []", "must not be empty"),
        ('is = ["key_cert_sign", "crl_sign"]', 'is = ["sign"]', "'sign' is no key usage"),
        ('is = ["key_cert_sign", "crl_sign"]', 'is = ["crl_sign"]', "go together"),
        ('["1.3.6.1.5.5.7.3.9"]', '["ocsp"]', "ocsp.2.extended_key_usage"),
        ('is = "V2G", by', "is = 2, by", "v2g_root.2.domain_component must be a string"),
        ('is = "emaid"', 'is = "email"', "contract.2.common_name must be one of emaid"),
        ('path_length = { is = "none", by = "RFC', 'path_length = { is = 0, by = "RFC', "needs ca"),
        ('issued_by = { is = ["pe_root"]', 'issued_by = { is = ["root"]', "pe_secc.2.issued_by"),
        ("[kind.oem]", "[kind.car]", "unknown in kind: car"),
        ("[kind.oem.edition.20]", "[kind.oem.edition.3]", "unknown in kind.oem.edition: 3"),
        ("[shape.leaf.edition.20]", "[shapes.leaf.edition.20]", "unknown in the file: shapes"),
        ('shape = "root"', 'shape = "tree"', "shape lacks a table tree"),
        ('shape = "root"', "", "kind.v2g_root.shape must be a string"),
        ('editions = ["20"]', 'editions = ["3"]', "kind.vehicle.editions"),
        ('editions = ["20"]', "editions = []", "no profile for vehicle"),
    ],
)
def test_refuses_a_file_that_is_wrong_and_says_where(old: str, new: str, complaint: str) -> None:
    assert old in TEXT
    with pytest.raises(ProfileError, match=complaint):
        read(TEXT.replace(old, new, 1))
