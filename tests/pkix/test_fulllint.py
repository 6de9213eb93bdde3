"""The full lint with its waivers."""

from __future__ import annotations

import pytest

from pki.errors import BadInput
from pki.pkix.fulllint import WaiverError, full_lint, read_waivers, unwaived, waivers
from pki.pkix.profiles import Profile
from pki.pkix.suites import Suite
from tests.pkix.lint_makers import (
    AKI,
    CONTRACT,
    KU,
    SECC,
    having,
    turned,
    usage,
    with_facts,
)
from tests.pkix.samples import (
    CRL_URL,
    certificate,
    every_shape,
    shape_id,
    with_extension,
    without_extension,
)


@pytest.mark.parametrize(("profile", "suite"), every_shape(), ids=shape_id)
def test_full_lint_finds_exactly_what_is_waived(profile: Profile, suite: Suite) -> None:
    der = certificate(profile, suite)
    waived = {waiver.code for waiver in waivers().values() if waiver.covers(profile, suite)}
    assert set(full_lint(der)) == waived
    assert unwaived(der, profile) == ()


def test_every_waiver_covers_a_certificate_that_we_issue() -> None:
    for waiver in waivers().values():
        assert any(waiver.covers(profile, suite) for profile, suite in every_shape()), waiver.code


def test_full_lint_has_nothing_to_say_of_a_crl_address() -> None:
    assert unwaived(with_facts(crl_url=CRL_URL), CONTRACT) == ()


def test_full_lint_finds_planted_defects() -> None:
    broken = turned(KU)
    broken = with_extension(
        without_extension(broken, AKI), "2.5.29.30", b"\x30\x06\xa0\x04\x30\x02\x82\x00"
    )
    found = unwaived(broken, CONTRACT)
    assert "pkix.key_usage_extension_not_critical" in found
    assert "pkix.authority_key_identifier_extension_absent" in found


def test_a_waiver_does_not_cover_other_kinds() -> None:
    secc = having(usage("digital_signature", "key_encipherment"), profile=SECC, critical=True)
    assert unwaived(secc, SECC) == ("pkix.key_usage_value_prohibited_for_ec",)


def test_full_lint_refuses_what_is_no_certificate() -> None:
    with pytest.raises(BadInput) as error:
        full_lint(b"\x30\x00")
    assert error.value.code == "unreadable"


WAIVER = '[[waiver]]\ncode = "a"\nkinds = ["secc"]\nclause = "b"\nwhy = "c"\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "waiver = 3",
        "not toml",
        WAIVER + WAIVER,
        WAIVER + 'colour = "red"',
        WAIVER.replace('why = "c"', ""),
        WAIVER.replace('"c"', '" "'),
        WAIVER.replace('"secc"', '"toaster"'),
        WAIVER.replace('["secc"]', "[]"),
        WAIVER + 'suites = ["rsa"]',
        WAIVER + 'suites = "p256"',
    ],
)
def test_refuses_a_waiver_file_that_is_wrong(text: str) -> None:
    with pytest.raises(WaiverError):
        read_waivers(text)


def test_reads_a_waiver_for_all_suites() -> None:
    assert read_waivers(WAIVER)["a"].suites == set(Suite)
