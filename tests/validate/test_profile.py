"""What the contract profile reports instead of refusing, and how many CAs it allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pki.ids import Edition
from pki.model import Accepted, Fault, Rejected
from pki.pkix.suites import Suite
from pki.validate.profile import MAX_SIZE, leaf_fault
from tests.builders import EMAID, Chain, Spec, chain, make
from tests.conformance import makers
from tests.validate.test_decide import Scene, _contract


def _scene(built: Chain, suite: Suite) -> Scene:
    return Scene(chain=built, contract=_contract(edition=suite.edition))


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("place", ["leaf", "lowest", "highest"])
def test_a_certificate_over_the_size_of_its_edition_is_reported_and_not_refused(
    suite: Suite, place: str
) -> None:
    """[V2G2-010], [V2G20-1234]."""
    limit = MAX_SIZE[suite.edition]
    large: dict[str, Any] = {place: {"domain_component": "x" * limit}}
    verdict = _scene(chain(suite=suite, **large), suite).decide()
    assert isinstance(verdict, Accepted)
    notes = [c.detail for c in verdict.checks if c.answer == "note"]
    assert len(notes) == (1 if place == "leaf" else 2)  # its name stands in what it issued, too
    assert all(note.endswith(f"octets, more than {limit}") for note in notes)
    plain = _scene(chain(suite=suite), suite).decide()
    assert not [c for c in plain.checks if c.answer == "note"]


@pytest.mark.parametrize("suite", list(Suite))
def test_a_cross_certificate_comes_on_top_of_two_sub_cas_in_iso20_only(suite: Suite) -> None:
    """[V2G2-009], [V2G20-1005]: four below the root if one is a cross certificate."""
    built = chain(suite=suite)
    other = make(Spec(common_name="V2G Root", suite=suite))
    cross = make(Spec(common_name="MO Root", suite=suite, key=built.root.key), other)
    verdict = _scene(replace(built, sub_cas=(*built.sub_cas, cross), root=other), suite).decide()
    if suite.edition is Edition.ISO20:
        assert isinstance(verdict, Accepted)
        assert len(verdict.path) == 5
    else:
        assert isinstance(verdict, Rejected)
        assert verdict.fault is Fault.PROFILE


def test_a_third_sub_ca_is_no_cross_certificate_in_iso20() -> None:
    verdict = _scene(chain(suite=Suite.P521, sub_cas=3), Suite.P521).decide()
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.PROFILE


@pytest.mark.parametrize(("oid", "fault"), [("2.5.29.35", None), ("1.2.3.4", "not in the profile")])
def test_ca_false_written_out_lets_no_other_extension_into_iso20(
    oid: str, fault: str | None
) -> None:
    """[V2G20-2323]: the one deviation that is read is none of the extensions beside it."""
    key = ec.generate_private_key(ec.SECP521R1())
    written_out = x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\x30\x03\x01\x01\x00")
    beside = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x30\x00")
    extra = ((written_out, True), (makers.usage("digital_signature"), True), (beside, False))
    made = makers.leaf(
        EMAID, makers.ca("CA", key=key), extra=extra, key=key, key_ids=False
    ).certificate
    assert made.deviations
    assert (leaf_fault(made) or "").endswith(fault or "")
    assert bool(leaf_fault(made)) == bool(fault)
