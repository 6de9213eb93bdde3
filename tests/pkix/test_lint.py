"""Every lint rule with its good and its bad samples, and hostile input."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.pkix.lint import READABLE, RULES, lint
from pki.pkix.lint_view import rule
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import Suite
from tests.pkix import lint_cases, lint_cases_extensions
from tests.pkix.lint_makers import (
    CONTRACT,
    SAN,
    Case,
    case_id,
    contract_issuer,
    good,
)
from tests.pkix.samples import (
    ALGORITHM,
    EXTENSIONS,
    SUBJECT,
    certificate,
    every_shape,
    issuer_of,
    oid,
    pieces,
    sequence,
    shape_id,
    with_extensions,
    with_field,
)

BAD = [*lint_cases.BAD, *lint_cases_extensions.BAD]
GOOD = [*lint_cases.GOOD, *lint_cases_extensions.GOOD]


@pytest.mark.parametrize("case", BAD, ids=case_id)
def test_bad_sample_breaks_exactly_its_rule(case: Case) -> None:
    assert case.findings() == {case.rule} | case.also


@pytest.mark.parametrize("case", GOOD, ids=case_id)
def test_good_sample_breaks_no_rule(case: Case) -> None:
    assert case.findings() == set()


def test_every_rule_has_a_good_and_a_bad_sample() -> None:
    assert {case.rule for case in BAD} == set(RULES)
    assert {case.rule for case in GOOD} == set(RULES)


def test_every_rule_cites_its_clause_and_says_what_is_wrong() -> None:
    for case in BAD:
        issuer = issuer_of(case.profile, case.suite)
        for finding in lint(case.make(), case.profile, issuer and case.issuer(issuer)):
            assert finding.clause == RULES[finding.rule].clause != ""
            assert finding.message
            assert not finding.message.endswith(".")


def test_refuses_a_second_rule_of_the_same_name() -> None:
    with pytest.raises(ValueError, match="v2g2_010_size"):
        rule("v2g2_010_size", clause="")(lambda _view: iter(()))


@pytest.mark.parametrize(("profile", "suite"), every_shape(), ids=shape_id)
def test_every_profile_passes_its_own_lints(profile: Profile, suite: Suite) -> None:
    assert lint(certificate(profile, suite), profile, issuer_of(profile, suite)) == ()


@pytest.mark.parametrize(("profile", "suite"), every_shape(), ids=shape_id)
def test_no_profile_passes_for_another_kind_with_other_rights(
    profile: Profile, suite: Suite
) -> None:
    other = find(Kind.OCSP if profile.kind is not Kind.OCSP else Kind.CONTRACT, profile.edition)
    assert lint(certificate(profile, suite), other, issuer_of(other, suite)) != ()


def test_a_certificate_without_extensions_breaks_a_rule_for_each() -> None:
    found = {finding.rule for finding in lint(with_field(good(), EXTENSIONS), CONTRACT, None)}
    assert found == {
        "rfc5280_4_2_1_9_basic_constraints",
        "rfc5280_4_2_1_3_key_usage",
        "rfc5280_4_2_1_2_subject_key_id",
        "rfc5280_4_2_1_1_authority_key_id",
        "v2g20_2590_ocsp_url",
    }


def test_judges_a_certificate_whose_issuer_is_not_known() -> None:
    assert lint(good(), CONTRACT, None) == ()


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x30\x00",
        b"\x30\x80\x00\x00",
        b"\x30" * 10_000,
        b"\x30\x80" * 10_000,
        good() + b"\0",
        good()[:-1],
        sequence(*pieces(good())[:2]),
        sequence(sequence(), *pieces(good())[1:]),
        sequence(*pieces(good())[:2], b"\x04\x01\x00"),
        with_field(good(), EXTENSIONS, b"\xa3\x00"),
        with_field(good(), EXTENSIONS, b"\xa3\x04\x30\x02\x30\x00"),
        with_extensions(good(), [sequence(oid(SAN), b"\x01\x01\x01", b"\x04\x00")]),
        with_extensions(good(), [sequence(b"\x06\x00", b"\x04\x00")]),
        with_field(good(), SUBJECT, b"\x30\x02\x30\x00"),
        with_field(good(), SUBJECT, b"\x04\x00"),
        with_field(good(), ALGORITHM),
    ],
    ids=range(18),
)
def test_what_is_no_certificate_has_one_finding(der: bytes) -> None:
    assert lint(der, CONTRACT, None) == (READABLE,)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 537), st.integers(0, 255)), min_size=1, max_size=4))
def test_answers_every_mutation_with_findings_and_never_raises(
    changes: list[tuple[int, int]],
) -> None:
    mutated = bytearray(good())
    for at, octet in changes:
        mutated[at % len(mutated)] = octet
    for finding in lint(bytes(mutated), CONTRACT, contract_issuer()):
        assert finding == READABLE or finding.rule in RULES
