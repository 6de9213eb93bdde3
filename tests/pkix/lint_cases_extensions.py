"""Good and bad samples of the rules in `pki.pkix.lint_extensions`."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from pki.ids import Edition
from pki.pkix import alternate, build
from pki.pkix.lint_extensions import ALTERNATE_KEY
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import Suite
from tests.pkix.lint_makers import (
    AIA,
    AKI,
    BC,
    CONTRACT_20,
    CONTRACT_USAGE,
    EKU,
    KU,
    NO_CHECK,
    OCSP,
    PE_SECC,
    ROOT,
    SAN,
    SKI,
    SUB_CA1,
    SUB_CA2,
    Case,
    contract_issuer,
    good,
    having,
    issuing,
    points,
    turned,
    urls,
    usage,
    with_facts,
    without,
)
from tests.pkix.samples import (
    CRL_URL,
    OCSP_URL,
    X448,
    certificate,
    extensions_of,
    oid,
    public_key,
    sequence,
    with_extension,
    with_extensions,
    without_extension,
)

OEM_20 = find(Kind.OEM, Edition.ISO20)
CSMS = find(Kind.CSMS, Edition.ISO2)
STATION = find(Kind.STATION, Edition.ISO2)


def dns(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def ed448(profile: Profile) -> bytes:
    return certificate(profile, Suite.ED448)


BAD = [
    Case(
        "v2g20_2323_listed_extensions",
        "subject_alternative_name",
        lambda: having(x509.SubjectAlternativeName([x509.DNSName("car.example")])),
    ),
    Case(
        "rfc5280_4_2_duplicate_extension",
        "key_usage_twice",
        lambda: with_extensions(good(), [*extensions_of(good()), extensions_of(good())[1]]),
    ),
    Case("rfc5280_4_2_1_9_basic_constraints", "absent", lambda: without(BC)),
    Case(
        "rfc5280_4_2_1_9_basic_constraints",
        "octets_follow_the_value",
        lambda: having(b"\x30\x00\x30\x00", BC, critical=True),
        also=frozenset(["v2g2_009_path_length"]),
    ),
    Case("rfc5280_4_2_1_9_basic_constraints", "not_critical", lambda: turned(BC)),
    Case(
        "rfc5280_4_2_1_9_basic_constraints",
        "leaf_with_ca",
        lambda: having(x509.BasicConstraints(ca=True, path_length=None), critical=True),
    ),
    Case(
        "rfc5280_4_2_1_9_basic_constraints",
        "ca_without_ca",
        lambda: having(b"\x30\x03\x02\x01\x00", BC, profile=SUB_CA2, critical=True),
        profile=SUB_CA2,
    ),
    Case(
        "rfc5280_4_2_1_9_basic_constraints",
        "ca_false_written_out",
        lambda: having(b"\x30\x03\x01\x01\x00", BC, critical=True),
        also=frozenset(["v2g2_009_path_length"]),
    ),
    Case(
        "rfc5280_4_2_1_9_basic_constraints",
        "octets_follow",
        lambda: having(b"\x30\x06\x02\x01\x00\x02\x01\x00", BC, critical=True),
        also=frozenset(["v2g2_009_path_length"]),
    ),
    Case(
        "v2g2_009_path_length",
        "sub_ca2_with_one",
        lambda: having(
            x509.BasicConstraints(ca=True, path_length=1), profile=SUB_CA2, critical=True
        ),
        profile=SUB_CA2,
    ),
    Case(
        "v2g2_009_path_length",
        "root_with_one",
        lambda: having(x509.BasicConstraints(ca=True, path_length=1), profile=ROOT, critical=True),
        profile=ROOT,
    ),
    Case(
        "rfc5280_6_1_4_issuer_path_length",
        "sub_ca2_under_path_length_zero",
        lambda: good(SUB_CA2),
        profile=SUB_CA2,
        issuer=lambda issuer: replace(issuer, path_length=0),
    ),
    Case(
        "rfc5280_6_1_4_issuer_path_length",
        "sub_ca1_under_path_length_one",
        lambda: good(SUB_CA1),
        profile=SUB_CA1,
        issuer=lambda issuer: replace(issuer, path_length=1),
    ),
    Case("rfc5280_4_2_1_3_key_usage", "absent", lambda: without(KU)),
    Case(
        "rfc5280_4_2_1_3_key_usage",
        "octets_follow",
        lambda: having(b"\x03\x02\x03\xe8\x00\x00", KU, critical=True),
    ),
    Case("rfc5280_4_2_1_3_key_usage", "not_critical", lambda: turned(KU)),
    Case(
        "rfc5280_4_2_1_3_key_usage",
        "key_cert_sign",
        lambda: having(usage(*CONTRACT_USAGE, "key_cert_sign"), critical=True),
    ),
    Case(
        "rfc5280_4_2_1_3_key_usage",
        "one_bit_less",
        lambda: having(usage(*CONTRACT_USAGE[:3]), critical=True),
    ),
    Case(
        "rfc5280_4_2_1_3_key_usage",
        "ninth_bit",
        lambda: having(b"\x03\x03\x07\xe8\x80", KU, critical=True),
    ),
    Case(
        "rfc5280_4_2_1_3_key_usage",
        "unused_bits_not_cut",
        lambda: having(b"\x03\x02\x00\xe8", KU, critical=True),
    ),
    Case("rfc5280_4_2_1_3_key_usage", "empty", lambda: having(b"\x03\x01\x00", KU, critical=True)),
    Case("rfc5280_4_2_1_2_subject_key_id", "absent", lambda: without(SKI)),
    Case("rfc5280_4_2_1_2_subject_key_id", "critical", lambda: turned(SKI)),
    Case(
        "rfc5280_4_2_1_2_subject_key_id",
        "of_another_key",
        lambda: having(x509.SubjectKeyIdentifier.from_public_key(public_key(Suite.P256, "other"))),
    ),
    Case(
        "rfc5280_4_2_1_2_subject_key_id",
        "short_in_iso2",
        lambda: having(
            x509.SubjectKeyIdentifier(build.key_id(public_key(Suite.P256, "holder"), short=True))
        ),
    ),
    Case(
        "rfc5280_4_2_1_2_subject_key_id",
        "long_in_iso20",
        lambda: having(
            x509.SubjectKeyIdentifier(build.key_id(public_key(Suite.P521, "holder"), short=False)),
            profile=CONTRACT_20,
        ),
        profile=CONTRACT_20,
        suite=Suite.P521,
    ),
    Case("rfc5280_4_2_1_1_authority_key_id", "absent", lambda: without(AKI)),
    Case("rfc5280_4_2_1_1_authority_key_id", "critical", lambda: turned(AKI)),
    Case(
        "rfc5280_4_2_1_1_authority_key_id",
        "of_another_issuer",
        good,
        issuer=lambda issuer: replace(issuer, key_id=bytes(20)),
    ),
    Case(
        "rfc5280_4_2_1_1_authority_key_id",
        "with_issuer_and_serial",
        lambda: having(issuing(contract_issuer())),
    ),
    Case(
        "rfc5280_4_2_1_1_authority_key_id",
        "on_a_root",
        lambda: having(x509.AuthorityKeyIdentifier(bytes(20), None, None), profile=ROOT),
        profile=ROOT,
    ),
    Case(
        "rfc5280_4_2_1_12_extended_key_usage",
        "contract_that_signs_ocsp",
        lambda: having(x509.ExtendedKeyUsage([x509.OID_OCSP_SIGNING])),
    ),
    Case(
        "rfc5280_4_2_1_12_extended_key_usage",
        "responder_without",
        lambda: without(EKU, OCSP),
        profile=OCSP,
    ),
    Case(
        "rfc5280_4_2_1_12_extended_key_usage",
        "critical",
        lambda: turned(EKU, OCSP),
        profile=OCSP,
    ),
    Case("rfc9525_6_3_server_name", "missing", lambda: without(SAN, CSMS), profile=CSMS),
    Case("rfc9525_6_3_server_name", "critical", lambda: turned(SAN, CSMS), profile=CSMS),
    Case(
        "rfc9525_6_3_server_name",
        "another_name",
        lambda: having(dns("csms.example.org"), profile=CSMS),
        profile=CSMS,
    ),
    Case(
        "rfc9525_6_3_server_name",
        "a_second_name",
        lambda: having(dns("csms.example.com", "csms.example.org"), profile=CSMS),
        profile=CSMS,
    ),
    Case(
        "v2g20_2323_listed_extensions",
        "name_of_a_station",
        lambda: having(dns("SN-0042.A"), profile=STATION),
        profile=STATION,
    ),
    Case(
        "v2g20_2534_alternate_key",
        "missing",
        lambda: without_extension(ed448(OEM_20), ALTERNATE_KEY),
        profile=OEM_20,
        suite=Suite.ED448,
    ),
    Case(
        "v2g20_2534_alternate_key",
        "beside_p256",
        lambda: having(alternate.encoded(X448), ALTERNATE_KEY),
    ),
    Case(
        "v2g20_2534_alternate_key",
        "another_key",
        lambda: with_extension(
            ed448(OEM_20), ALTERNATE_KEY, build.spki(public_key(Suite.ED448, "holder"))
        ),
        profile=OEM_20,
        suite=Suite.ED448,
    ),
    Case(
        "v2g20_2534_alternate_key",
        "critical",
        lambda: with_extension(
            ed448(OEM_20), ALTERNATE_KEY, alternate.encoded(X448), critical=True
        ),
        profile=OEM_20,
        suite=Suite.ED448,
    ),
    Case("rfc6960_4_2_2_2_1_no_check", "on_a_contract", lambda: having(x509.OCSPNoCheck())),
    Case(
        "rfc6960_4_2_2_2_1_no_check",
        "responder_without",
        lambda: without(NO_CHECK, OCSP),
        profile=OCSP,
    ),
    Case("rfc6960_4_2_2_2_1_no_check", "critical", lambda: turned(NO_CHECK, OCSP), profile=OCSP),
    Case(
        "rfc6960_4_2_2_2_1_no_check",
        "not_null",
        lambda: having(b"\x30\x00", NO_CHECK, profile=OCSP),
        profile=OCSP,
    ),
    Case("v2g20_2590_ocsp_url", "absent", lambda: without(AIA)),
    Case("v2g20_2590_ocsp_url", "critical", lambda: turned(AIA)),
    Case(
        "v2g20_2590_ocsp_url",
        "two",
        lambda: having(urls((Access.OCSP, OCSP_URL), (Access.OCSP, OCSP_URL + "2"))),
    ),
    Case(
        "v2g20_2590_ocsp_url",
        "issuer_address",
        lambda: having(urls((Access.OCSP, OCSP_URL), (Access.CA_ISSUERS, OCSP_URL))),
    ),
    Case(
        "v2g20_2590_ocsp_url",
        "https",
        lambda: having(urls((Access.OCSP, OCSP_URL.replace("http", "https")))),
    ),
    Case(
        "v2g20_2590_ocsp_url",
        "method_without_address",
        lambda: having(sequence(sequence(oid("1.3.6.1.5.5.7.48.1"))), AIA),
    ),
    Case(
        "v2g20_2590_ocsp_url",
        "on_a_root",
        lambda: having(urls((Access.OCSP, OCSP_URL)), profile=ROOT),
        profile=ROOT,
    ),
    Case("rfc5280_4_2_1_13_crl_url", "two", lambda: having(points(CRL_URL, CRL_URL + "2"))),
    Case("rfc5280_4_2_1_13_crl_url", "critical", lambda: having(points(CRL_URL), critical=True)),
    Case("rfc5280_4_2_1_13_crl_url", "ldap", lambda: having(points("ldap://pki.example/cn=ca"))),
    Case(
        "rfc5280_4_2_1_13_crl_url",
        "with_reasons",
        lambda: having(
            x509.CRLDistributionPoints(
                [
                    x509.DistributionPoint(
                        [x509.UniformResourceIdentifier(CRL_URL)],
                        None,
                        frozenset([x509.ReasonFlags.key_compromise]),
                        None,
                    )
                ]
            )
        ),
    ),
    Case(
        "rfc5280_4_2_1_13_crl_url",
        "in_a_private_environment",
        lambda: having(points(CRL_URL), profile=PE_SECC),
        profile=PE_SECC,
    ),
]

GOOD = [
    Case("v2g20_2323_listed_extensions", "all_listed", lambda: good(OCSP), profile=OCSP),
    Case("rfc5280_4_2_duplicate_extension", "each_once", good),
    Case("rfc5280_4_2_1_9_basic_constraints", "ca", lambda: good(SUB_CA1), profile=SUB_CA1),
    Case("rfc5280_4_2_1_9_basic_constraints", "leaf", good),
    Case("v2g2_009_path_length", "zero", lambda: good(SUB_CA2), profile=SUB_CA2),
    Case("v2g2_009_path_length", "none", lambda: good(ROOT), profile=ROOT),
    Case(
        "rfc5280_6_1_4_issuer_path_length",
        "sub_ca1_under_path_length_two",
        lambda: good(SUB_CA1),
        profile=SUB_CA1,
        issuer=lambda issuer: replace(issuer, path_length=2),
    ),
    Case(
        "rfc5280_6_1_4_issuer_path_length",
        "leaf_under_path_length_zero",
        good,
        issuer=lambda issuer: replace(issuer, path_length=0),
    ),
    Case(
        "rfc5280_4_2_1_3_key_usage",
        "bits_of_real_contracts",
        lambda: having(b"\x03\x02\x03\xe8", KU, critical=True),
    ),
    Case("rfc5280_4_2_1_2_subject_key_id", "20_octets", good),
    Case(
        "rfc5280_4_2_1_2_subject_key_id",
        "8_octets",
        lambda: good(CONTRACT_20),
        profile=CONTRACT_20,
        suite=Suite.P521,
    ),
    Case("rfc5280_4_2_1_1_authority_key_id", "of_the_issuer", good),
    Case("rfc5280_4_2_1_1_authority_key_id", "not_on_a_root", lambda: good(ROOT), profile=ROOT),
    Case("rfc5280_4_2_1_12_extended_key_usage", "responder", lambda: good(OCSP), profile=OCSP),
    Case("rfc5280_4_2_1_12_extended_key_usage", "absent", good),
    Case("rfc6960_4_2_2_2_1_no_check", "responder", lambda: good(OCSP), profile=OCSP),
    Case("rfc9525_6_3_server_name", "csms", lambda: good(CSMS), profile=CSMS),
    Case("rfc9525_6_3_server_name", "none_on_a_station", lambda: good(STATION), profile=STATION),
    Case(
        "v2g20_2534_alternate_key", "x448", lambda: ed448(OEM_20), profile=OEM_20, suite=Suite.ED448
    ),
    Case("v2g20_2534_alternate_key", "none_beside_p256", good),
    Case("v2g20_2590_ocsp_url", "one", good),
    Case("v2g20_2590_ocsp_url", "none_in_private", lambda: good(PE_SECC), profile=PE_SECC),
    Case("rfc5280_4_2_1_13_crl_url", "none", good),
    Case("rfc5280_4_2_1_13_crl_url", "one", lambda: with_facts(crl_url=CRL_URL)),
]
