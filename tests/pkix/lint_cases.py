"""Good and bad samples of the rules in `pki.pkix.lint_rules`."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.ids import Edition
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import Suite
from tests.pkix.lint_makers import (
    CN,
    CPS,
    DAY,
    DC,
    EMAID,
    ORG,
    OU,
    P256_SHA256,
    P256_SHA256_NULL,
    P256_SHA384,
    ROOT,
    SECC,
    SKI_RULE,
    SUB_CA2,
    TWO_YEARS,
    C,
    Case,
    O,
    compressed,
    good,
    named,
    of_size,
    retagged,
    shortened,
    timed,
    with_facts,
    with_key,
    with_point,
    with_serial,
)
from tests.pkix.samples import (
    ISSUER,
    KEY,
    NOW,
    SERIAL_NUMBER,
    SUBJECT,
    VERSION,
    certificate,
    pieces,
    public_key,
    with_algorithms,
    with_field,
)

BAD = [
    Case("v2g2_010_size", "801_octets", lambda: of_size(801)),
    Case("v2g2_884_version", "v2", lambda: with_field(good(), VERSION, b"\xa0\x03\x02\x01\x01")),
    Case("v2g2_884_version", "v1", lambda: with_field(good(), VERSION)),
    Case("rfc5280_4_1_2_2_serial", "zero", lambda: with_serial(0)),
    Case("rfc5280_4_1_2_2_serial", "negative", lambda: with_serial(-(1 << 100))),
    Case("rfc5280_4_1_2_2_serial", "21_octets", lambda: with_serial(1 << 159)),
    Case("rfc5280_4_1_2_2_serial", "63_bits", lambda: with_serial((1 << 63) - 1)),
    Case(
        "rfc5280_4_1_2_2_serial",
        "not_minimal",
        lambda: with_field(good(), SERIAL_NUMBER, b"\x02\x0a\x00" + b"\x7f" * 9),
    ),
    Case(
        "v2g2_006_signature_algorithm",
        "sha384",
        lambda: with_algorithms(good(), inner=P256_SHA384, outer=P256_SHA384),
    ),
    Case(
        "v2g2_006_signature_algorithm",
        "null_parameters",
        lambda: with_algorithms(good(), inner=P256_SHA256_NULL, outer=P256_SHA256_NULL),
    ),
    Case(
        "v2g2_006_signature_algorithm",
        "root_with_another_suite",
        lambda: with_algorithms(
            certificate(find(Kind.V2G_ROOT, Edition.ISO20), Suite.P521),
            inner=b"\x30\x05\x06\x03\x2b\x65\x71",
            outer=b"\x30\x05\x06\x03\x2b\x65\x71",
        ),
        profile=find(Kind.V2G_ROOT, Edition.ISO20),
    ),
    Case(
        "rfc5280_4_1_1_2_signature_algorithm",
        "outer_differs",
        lambda: with_algorithms(good(), inner=P256_SHA256, outer=P256_SHA384),
    ),
    Case(
        "rfc5280_4_1_2_8_unique_identifiers",
        "issuer_unique_id",
        lambda: with_field(good(), KEY, pieces(pieces(good())[0])[KEY], b"\x81\x02\x00\x01"),
    ),
    Case(
        "v2g2_007_key",
        "p224",
        lambda: with_key(ec.generate_private_key(ec.SECP224R1()).public_key()),
        also=SKI_RULE,
    ),
    Case(
        "v2g2_007_key",
        "p521_in_iso2",
        lambda: with_key(public_key(Suite.P521, "holder")),
        also=SKI_RULE,
    ),
    Case(
        "v2g2_007_key",
        "rsa",
        lambda: with_key(rsa.generate_private_key(65537, 2048).public_key()),
        also=SKI_RULE,
    ),
    Case(
        "v2g2_007_key",
        "point_not_on_the_curve",
        lambda: with_point(b"\x04" + bytes(64)),
        also=SKI_RULE,
    ),
    Case(
        "rfc5480_2_named_curve",
        "compressed_point",
        lambda: with_point(compressed()),
        also=SKI_RULE,
    ),
    Case("v2g2_108_common_name", "none", lambda: named(ORG)),
    Case("v2g2_108_common_name", "two", lambda: named(EMAID, EMAID, ORG)),
    Case("v2g2_108_common_name", "no_emaid", lambda: named((CN, "Alice"), ORG)),
    Case("v2g2_108_common_name", "lower_case", lambda: named((CN, EMAID[1].lower()), ORG)),
    Case("v2g2_annex_f_organization", "none", lambda: named(EMAID)),
    Case("v2g2_annex_f_organization", "two", lambda: named(EMAID, ORG, ORG)),
    Case("v2g2_annex_f_organization", "65_characters", lambda: named(EMAID, (O, "x" * 65))),
    Case("v2g2_annex_f_organization", "line_feed", lambda: named(EMAID, (O, "Test\nOperator"))),
    Case("v2g2_annex_f_country", "on_a_contract", lambda: named(EMAID, ORG, (C, "DE"))),
    Case(
        "v2g2_annex_f_country",
        "cps_without",
        lambda: named((CN, "CPS"), ORG, (DC, "CPS"), profile=CPS),
        profile=CPS,
    ),
    Case(
        "v2g2_annex_f_country",
        "lower_case",
        lambda: named((CN, "CPS"), ORG, (C, "de"), (DC, "CPS"), profile=CPS),
        profile=CPS,
    ),
    Case("v2g2_925_domain_component", "on_a_contract", lambda: named(EMAID, ORG, (DC, "MO"))),
    Case(
        "v2g2_925_domain_component",
        "secc_as_oem",
        lambda: named((CN, "DE*ABC*E45B"), ORG, (C, "DE"), (DC, "OEM"), profile=SECC),
        profile=SECC,
    ),
    Case(
        "v2g2_925_domain_component",
        "secc_without",
        lambda: named((CN, "DE*ABC*E45B"), ORG, (C, "DE"), profile=SECC),
        profile=SECC,
    ),
    Case("v2g20_2588_other_attribute", "ou", lambda: named(EMAID, ORG, (OU, "Fleet"))),
    Case(
        "v2g20_2588_other_attribute",
        "two_in_one_rdn",
        lambda: with_field(
            good(),
            SUBJECT,
            x509.Name(
                [
                    x509.RelativeDistinguishedName(
                        [x509.NameAttribute(*EMAID), x509.NameAttribute(*ORG)]
                    )
                ]
            ).public_bytes(),
        ),
    ),
    Case("rfc5280_4_1_2_4_string_type", "teletex_cn", lambda: retagged("2.5.4.3", 0x14)),
    Case("rfc5280_4_1_2_4_string_type", "ia5_organization", lambda: retagged("2.5.4.10", 0x16)),
    Case(
        "rfc5280_4_1_2_4_string_type",
        "utf8_country",
        lambda: retagged("2.5.4.6", 0x0C, SECC),
        profile=SECC,
    ),
    Case(
        "rfc5280_4_1_2_4_string_type",
        "utf8_domain_component",
        lambda: retagged("0.9.2342.19200300.100.1.25", 0x0C, SECC),
        profile=SECC,
    ),
    Case(
        "rfc5280_4_1_2_4_string_type",
        "printable_string_with_a_star",
        lambda: retagged("2.5.4.3", 0x13, SECC),
        profile=SECC,
    ),
    Case(
        "rfc5280_4_1_2_4_issuer",
        "other_name",
        lambda: with_field(good(), ISSUER, pieces(pieces(good(SUB_CA2))[0])[SUBJECT]),
    ),
    Case(
        "rfc5280_4_1_2_4_issuer",
        "root_by_another",
        lambda: with_field(good(ROOT), ISSUER, pieces(pieces(good(SUB_CA2))[0])[SUBJECT]),
        profile=ROOT,
    ),
    Case(
        "rfc5280_4_1_2_5_time",
        "generalized_before_2050",
        lambda: timed((0x18, "20261201000000Z"), None),
    ),
    Case("rfc5280_4_1_2_5_time", "no_seconds", lambda: timed((0x17, "2612010000Z"), None)),
    Case("rfc5280_4_1_2_5_time", "offset", lambda: timed((0x17, "261201000000+0100"), None)),
    Case("rfc5280_4_1_2_5_time", "impossible", lambda: timed((0x17, "260230000000Z"), None)),
    Case("rfc5280_4_1_2_5_time", "fraction", lambda: timed(None, (0x18, "20281130000000.5Z"))),
    Case("rfc5280_4_1_2_5_time", "no_time_at_all", lambda: timed((0x16, "261201000000Z"), None)),
    Case(
        "rfc5280_4_1_2_5_validity",
        "ends_before_it_begins",
        lambda: timed((0x17, "270101000000Z"), (0x17, "261231235959Z")),
    ),
    Case(
        "rfc5280_4_1_2_5_validity",
        "a_second_too_long",
        lambda: with_facts(begin=NOW, end=TWO_YEARS),
    ),
    Case(
        "rfc5280_6_1_3_begins_within_issuer",
        "a_second_early",
        lambda: with_facts(begin=NOW - dt.timedelta(seconds=1), end=NOW + DAY),
    ),
    Case(
        "i5_outlives_issuer",
        "by_a_second",
        lambda: with_facts(end=NOW + DAY),
        issuer=lambda issuer: shortened(issuer, NOW + DAY - dt.timedelta(seconds=1)),
    ),
]

GOOD = [
    Case("v2g2_010_size", "800_octets", lambda: of_size(800)),
    Case("v2g2_884_version", "v3", good),
    Case("rfc5280_4_1_2_2_serial", "64_bits", lambda: with_serial(1 << 63)),
    Case("rfc5280_4_1_2_2_serial", "20_octets", lambda: with_serial((1 << 159) - 1)),
    Case("v2g2_006_signature_algorithm", "sha256", good),
    Case("rfc5280_4_1_1_2_signature_algorithm", "same", good),
    Case("rfc5280_4_1_2_8_unique_identifiers", "none", good),
    Case("v2g2_007_key", "p256", good),
    Case("rfc5480_2_named_curve", "uncompressed", good),
    Case("v2g2_108_common_name", "without_check_digit", lambda: named((CN, EMAID[1][:14]), ORG)),
    Case("v2g2_annex_f_organization", "64_characters", lambda: named(EMAID, (O, "ü" * 64))),
    Case("v2g2_annex_f_country", "secc", lambda: good(SECC), profile=SECC),
    Case("v2g2_annex_f_country", "none_on_contracts", good),
    Case("v2g2_925_domain_component", "secc", lambda: good(SECC), profile=SECC),
    Case("v2g20_2588_other_attribute", "other_order", lambda: named(ORG, EMAID)),
    Case("rfc5280_4_1_2_4_string_type", "printable_cn", lambda: retagged("2.5.4.3", 0x13)),
    Case("rfc5280_4_1_2_4_issuer", "as_its_certificate", good),
    Case("rfc5280_4_1_2_4_issuer", "root_itself", lambda: good(ROOT), profile=ROOT),
    Case("rfc5280_4_1_2_5_time", "generalized_from_2050", lambda: good(ROOT), profile=ROOT),
    Case(
        "rfc5280_4_1_2_5_validity",
        "to_the_second",
        lambda: with_facts(end=TWO_YEARS - dt.timedelta(seconds=1)),
    ),
    Case("rfc5280_6_1_3_begins_within_issuer", "together", lambda: with_facts(begin=NOW)),
    Case(
        "i5_outlives_issuer",
        "ends_together",
        lambda: with_facts(end=NOW + DAY),
        issuer=lambda issuer: shortened(issuer, NOW + DAY),
    ),
]
