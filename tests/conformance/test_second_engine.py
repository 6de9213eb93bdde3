"""A second engine beside ours: the verifier of `cryptography`, on generated contract chains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import (
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from pki.pkix.generic import Demands, validate
from pki.pkix.path import Path
from pki.pkix.suites import Suite
from tests.builders import CONTRACT_USAGE, NOW, YEAR, Chain, Made, Spec, chain, make


@dataclass(frozen=True)
class Case:
    name: str
    good: bool
    overrides: dict[str, Any]


CASES = [
    Case("good", True, {}),
    Case("one sub-CA", True, {"sub_cas": 1}),
    Case("no sub-CA", True, {"sub_cas": 0}),
    Case("four sub-CAs", True, {"sub_cas": 4}),
    Case("leaf without keyUsage", True, {"leaf": {"key_usage": None}}),
    Case("leaf without basicConstraints", True, {"leaf": {"ca": None}}),
    Case("a large serial", True, {"leaf": {"serial": 2**158 + 1}}),
    Case("expired leaf", False, {"leaf": {"not_after": NOW - YEAR / 2}}),
    Case("leaf not yet valid", False, {"leaf": {"not_before": NOW + YEAR / 2}}),
    Case("expired sub-CA", False, {"lowest": {"not_after": NOW - YEAR / 2}}),
    Case("expired root", False, {"root": {"not_after": NOW - YEAR / 2}}),
    Case("sub-CA without keyCertSign", False, {"lowest": {"key_usage": ("crl_sign",)}}),
    Case("sub-CA with cA FALSE", False, {"lowest": {"ca": False}}),
    Case("sub-CA without basicConstraints", False, {"lowest": {"ca": None}}),
    Case("leaf as issuer", False, {"lowest": {"ca": False, "key_usage": CONTRACT_USAGE}}),
    Case("path length exceeded", False, {"highest": {"path_length": 0}}),
    Case("path length of the root exceeded", False, {"root": {"path_length": 1}}),
    Case("unknown critical extension", False, {"leaf": {"critical_unknown": True}}),
    Case("unknown critical extension of a sub-CA", False, {"lowest": {"critical_unknown": True}}),
    Case("SHA-224", False, {"lowest": {"digest": hashes.SHA224()}}),
    Case("RSA of 2048 bits", True,
         {"lowest": {"key": rsa.generate_private_key(65537, 2048), "digest": hashes.SHA256()}}),
    Case("leaf that is a CA", True, {"leaf": {"ca": True, "key_usage": ("key_cert_sign",)}}),
    Case("wrong key identifier", False, {"lowest": {"authority_key_id": b"another"}}),
    Case("sub-CA signed by the root with SHA-384", True, {"highest": {"digest": hashes.SHA384()}}),
]  # fmt: skip

KEY_ID = "OpenSSL insists that key identifiers agree (RFC 5280 4.2.1.1); the other ignores them"
ED448 = "the other engine has no Ed448, which ISO 15118-20 uses [V2G20-2319]"
EXPLAINED: dict[tuple[str, Suite], str] = {
    ("wrong key identifier", Suite.P256): KEY_ID,
    ("wrong key identifier", Suite.P521): KEY_ID,
    **{(case.name, Suite.ED448): ED448 for case in CASES if case.good},
}
"""Where the other engine answers otherwise, and why."""


def _other_engine(built: Chain, anchor: Made) -> bool:
    verifier = (
        PolicyBuilder()
        .store(Store([anchor.certificate.x509]))
        .time(NOW)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
        )
        .build_client_verifier()
    )
    try:
        verifier.verify(
            built.leaf.certificate.x509, [made.certificate.x509 for made in built.sub_cas]
        )
    except VerificationError:
        return False
    return True


def _ours(built: Chain, anchor: Made) -> bool:
    pool = tuple(made.certificate for made in built.sub_cas)
    anchors = (anchor.certificate,)
    found = validate(built.leaf.certificate, pool, anchors, at=NOW, demands=Demands())
    return isinstance(found, Path)


def _possible(case: Case, suite: Suite) -> bool:
    """Ed448 hashes by itself, so no digest can be chosen."""
    chosen = any("digest" in part for part in case.overrides.values() if isinstance(part, dict))
    return suite is not Suite.ED448 or not chosen


PAIRS = [
    pytest.param(case, suite, id=f"{case.name}-{suite}")
    for case in CASES
    for suite in Suite
    if _possible(case, suite)
]


@pytest.mark.parametrize(("case", "suite"), PAIRS)
def test_both_engines_agree_or_the_difference_is_explained(case: Case, suite: Suite) -> None:
    built = chain(suite=suite, **case.overrides)
    ours, other = _ours(built, built.root), _other_engine(built, built.root)
    assert ours is case.good
    assert (ours != other) is ((case.name, suite) in EXPLAINED)


@pytest.mark.parametrize("suite", [Suite.P256, Suite.P521])
def test_both_engines_refuse_a_twin_of_the_root(suite: Suite) -> None:
    built, twin = chain(suite=suite), chain(suite=suite)
    assert not _ours(built, twin.root)
    assert not _other_engine(built, twin.root)


@pytest.mark.parametrize("suite", [Suite.P256, Suite.P521])
def test_both_engines_find_the_real_issuer_beside_a_twin(suite: Suite) -> None:
    built = chain(suite=suite)
    twin = make(Spec(common_name="MO Sub-CA 2", path_length=0, suite=suite), built.root)
    both = Chain(leaf=built.leaf, sub_cas=(twin, *built.sub_cas), root=built.root)
    assert _ours(both, built.root)
    assert _other_engine(both, built.root)
