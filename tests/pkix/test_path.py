"""What `pki.pkix.path` accepts, and the fault that it names otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from pki.pkix.path import NoPath, Path, PathFault, find
from pki.pkix.suites import Suite
from tests.builders import CONTRACT_USAGE, Chain, Made, Spec, chain, make


def _find(built: Chain, *others: Made, anchors: tuple[Made, ...] | None = None) -> Path | NoPath:
    pool = tuple(made.certificate for made in (*built.sub_cas, *others))
    trusted = (built.root,) if anchors is None else anchors
    return find(built.leaf.certificate, pool, tuple(made.certificate for made in trusted))


def _names(found: Path | NoPath) -> list[str]:
    assert isinstance(found, Path), found
    return [certificate.common_names[0] for certificate in found.certificates]


def _fault(found: Path | NoPath) -> PathFault:
    assert isinstance(found, NoPath), found
    return found.fault


@pytest.mark.parametrize("suite", list(Suite))
def test_a_chain_of_every_suite_leads_to_its_root(suite: Suite) -> None:
    assert _names(_find(chain(suite=suite))) == [
        "DEMOAC12345678",
        "MO Sub-CA 2",
        "MO Sub-CA 1",
        "MO Root",
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_any_number_of_sub_cas_below_the_bound_is_a_path(count: int) -> None:
    assert len(_names(_find(chain(sub_cas=count)))) == count + 2


def test_sub_cas_are_found_in_any_order() -> None:
    built = chain()
    pool = tuple(made.certificate for made in reversed(built.sub_cas))
    assert isinstance(find(built.leaf.certificate, pool, (built.root.certificate,)), Path)


def test_a_sub_ca_may_be_the_anchor() -> None:
    built = chain()
    assert _names(_find(built, anchors=(built.sub_cas[0],))) == ["DEMOAC12345678", "MO Sub-CA 2"]


def test_a_presented_root_is_no_hindrance() -> None:
    built = chain()
    assert len(_names(_find(built, built.root))) == 4


def test_an_expired_chain_is_a_path_since_dates_are_asked_later() -> None:
    old = Spec().not_before
    found = _find(chain(leaf={"not_after": old + (Spec().not_after - old) / 100}))
    assert isinstance(found, Path)


@dataclass(frozen=True)
class Case:
    name: str
    fault: PathFault
    overrides: dict[str, Any]


CASES = [
    Case("sub_ca_without_key_cert_sign", PathFault.ISSUER_NOT_CA,
         {"lowest": {"key_usage": ("digital_signature", "crl_sign")}}),
    Case("sub_ca_with_ca_false_but_key_cert_sign", PathFault.ISSUER_NOT_CA,
         {"lowest": {"ca": False}}),
    Case("leaf_issued_by_a_leaf", PathFault.ISSUER_IS_LEAF,
         {"lowest": {"ca": False, "key_usage": CONTRACT_USAGE}}),
    Case("leaf_issued_by_a_certificate_without_basic_constraints", PathFault.ISSUER_IS_LEAF,
         {"lowest": {"ca": None, "key_usage": None}}),
    Case("path_length_exceeded", PathFault.PATH_LENGTH, {"highest": {"path_length": 0}}),
    Case("root_path_length_exceeded", PathFault.PATH_LENGTH, {"root": {"path_length": 1}}),
    Case("unknown_critical_extension", PathFault.PROFILE, {"leaf": {"critical_unknown": True}}),
    Case("anchor_that_is_no_ca", PathFault.ISSUER_NOT_CA, {"root": {"ca": False}}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refuses(case: Case) -> None:
    assert _fault(_find(chain(**case.overrides))) is case.fault


def test_refuses_a_chain_without_its_sub_ca_and_names_where_it_breaks() -> None:
    built = chain()
    found = find(built.leaf.certificate, (), (built.root.certificate,))
    assert _fault(found) is PathFault.NO_PATH
    assert isinstance(found, NoPath)
    assert found.certificate == built.leaf.certificate


def test_refuses_without_anchors() -> None:
    assert _fault(_find(chain(), anchors=())) is PathFault.NO_PATH


def test_refuses_the_twin_of_a_sub_ca_with_the_same_names() -> None:
    real = chain()
    twin = make(Spec(common_name="MO Sub-CA 2", path_length=0), _self_made(real.sub_cas[1]))
    leaf = make(Spec(common_name="DEMOAC12345678", ca=False, key_usage=CONTRACT_USAGE), twin)
    pool = (twin.certificate, real.sub_cas[1].certificate)
    found = find(leaf.certificate, pool, (real.root.certificate,))
    assert _fault(found) is PathFault.SIGNATURE_INVALID


def test_refuses_the_twin_of_a_whole_tree() -> None:
    real, twin = chain(), chain()
    found = _find(twin, anchors=(real.root,))
    assert _fault(found) is PathFault.SIGNATURE_INVALID


def test_refuses_a_twin_that_copies_the_key_identifiers() -> None:
    real = chain()
    twin = chain(highest={"authority_key_id": real.root.certificate.key_id})
    assert _fault(_find(twin, anchors=(real.root,))) is PathFault.SIGNATURE_INVALID


def test_finds_the_real_issuer_beside_its_twins() -> None:
    built = chain()
    twins = [make(Spec(common_name="MO Sub-CA 2", path_length=0), built.root) for _ in range(5)]
    found = find(
        built.leaf.certificate,
        tuple(made.certificate for made in (*twins, *built.sub_cas)),
        (built.root.certificate,),
    )
    assert len(_names(found)) == 4


def test_leaves_foreign_key_types_to_the_profile_question() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    built = chain(lowest={"key": key, "digest": hashes.SHA256()})
    found = _find(built)
    assert isinstance(found, Path)
    assert built.sub_cas[0].certificate.suite is None


def test_loops_end() -> None:
    one = make(Spec(common_name="A"))
    other = make(Spec(common_name="B"), one)
    back = make(Spec(common_name="A", key=one.key), other)
    leaf = make(Spec(common_name="leaf", ca=False, key_usage=CONTRACT_USAGE), back)
    stranger = make(Spec(common_name="Root"))
    pool = (back.certificate, other.certificate)
    assert isinstance(find(leaf.certificate, pool, (stranger.certificate,)), NoPath)


def _self_made(like: Made) -> Made:
    return make(Spec(common_name=like.certificate.common_names[0], path_length=1))
