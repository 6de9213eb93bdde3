"""Filled templates are what a builder would have made, and whatever else differs is seen."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pki.pkix import build, lint
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import Suite, generate
from pki.pkix.template import Filling, Template, encoded_time, template_of
from tests.pkix import samples

SHAPES = [
    (profile, suite)
    for profile, suite in samples.every_shape()
    if not (build.needs_alternate_key(profile, suite) or profile.server_name)
]
NAMES = {
    "emaid": "DE8AAC9Z8Y7X6W5",
    "secc_id": "DE*ABC*E99B*00C",
    "pcid": "WP0ZZZ99ZTS999999",
    "evcc_id": "WP0V9999999999ABCDE",
    "station": "SN-0043.B",
    "name": "Test CA 2",
}


def _tbs(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).tbs_certificate_bytes


def _template(profile: Profile, suite: Suite) -> Template:
    der = samples.certificate(profile, suite)
    view = lint.take_apart(der, profile, samples.issuer_of(profile, suite))
    return template_of(_tbs(der), view)


def _filling(profile: Profile, facts: build.Facts, name: str) -> Filling:
    return Filling(
        serial=facts.serial.to_bytes(facts.serial.bit_length() // 8 + 1),
        times=encoded_time(facts.not_before) + encoded_time(facts.not_after),
        name=name.encode(),
        spki=build.spki(facts.public_key),
        key_id=build.key_id(facts.public_key, short=profile.short_key_id),
    )


@pytest.mark.parametrize(("profile", "suite"), SHAPES, ids=samples.shape_id)
def test_a_filled_template_is_what_the_builder_makes(profile: Profile, suite: Suite) -> None:
    if profile.self_signed:
        return  # its own key identifier stands in it twice
    facts = samples.facts_of(profile, suite)
    name = NAMES[profile.common_name]
    other = replace(
        facts,
        serial=facts.serial + 12345,
        public_key=generate(suite).public_key(),
        not_before=facts.not_before + dt.timedelta(hours=5),
        subject=build.subject_name(
            profile, common_name=name, organization="Test Operator", country="DE"
        ),
    )
    made = samples.signed(profile, suite, other)
    tbs = _template(profile, suite).fill(_filling(profile, other, name))
    assert tbs == _tbs(made)
    view = _template(profile, suite).view(tbs, made, suite, build.spki(other.public_key))
    assert view == lint.take_apart(made, profile, samples.issuer_of(profile, suite))
    assert lint.lint_varying(view) == ()


CONTRACT = find(Kind.CONTRACT, Suite.P256.edition)


def _open(template: Template, at: int) -> bool:
    return any(begin <= at < end for begin, end in template.spans)


@given(st.data())
def test_i6_no_octet_outside_the_open_parts_may_differ(data: st.DataObject) -> None:
    template = _template(CONTRACT, Suite.P256)
    der = samples.certificate(CONTRACT, Suite.P256)
    tbs = bytearray(_tbs(der))
    at = data.draw(st.integers(0, len(tbs) - 1).filter(lambda n: not _open(template, n)))
    tbs[at] ^= data.draw(st.integers(1, 255))
    holder = samples.public_key(Suite.P256, "holder")
    canonical = build.spki(holder)
    assert template.view(bytes(tbs), der, Suite.P256, canonical) is None
    assert template.view(bytes(tbs) + b"\0", der, Suite.P256, canonical) is None


@given(st.data())
def test_i6_what_is_wrong_in_an_open_part_both_lints_see(data: st.DataObject) -> None:
    """The rules that are left out see nothing that the others do not see."""
    template = _template(CONTRACT, Suite.P256)
    der = samples.certificate(CONTRACT, Suite.P256)
    tbs = bytearray(_tbs(der))
    serial, _, name, spki, key_id = template.spans
    at = data.draw(
        st.sampled_from([n for b, e in (serial, name, spki, key_id) for n in range(b, e)])
    )
    tbs[at] = data.draw(st.integers(0x20, 0x7E))
    changed = build.assemble(bytes(tbs), Suite.P256, bytes(72))
    holder = samples.public_key(Suite.P256, "holder")
    view = template.view(bytes(tbs), changed, Suite.P256, build.spki(holder))
    assert view is not None
    complete = lint.lint(changed, CONTRACT, samples.issuer_of(CONTRACT, Suite.P256))
    assert bool(lint.lint_varying(view)) == bool(complete)


def test_a_part_of_another_length_is_refused() -> None:
    facts = samples.facts_of(CONTRACT, Suite.P256)
    filling = replace(_filling(CONTRACT, facts, "DE8AAC1A2B3C4D5"), name=b"short")
    with pytest.raises(ValueError, match="length"):
        _template(CONTRACT, Suite.P256).fill(filling)
