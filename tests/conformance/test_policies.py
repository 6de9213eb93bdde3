"""Certificate policies and their mappings (RFC 5280 6.1, RFC 9618)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from asn1crypto import core
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pki.pkix.der import SEQUENCE, encode
from pki.pkix.path import ANY_POLICY, NoPath, Path, PolicyInputs, Rules, find
from tests.conformance.makers import Extensions, Held, ca, leaf

ONE, TWO = "1.3.6.1.4.1.1", "1.3.6.1.4.1.2"
THREE = "1.3.6.1.4.1.3"
_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")


def _oid(text: str) -> bytes:
    return bytes(core.ObjectIdentifier(text).dump())


def _maps(*pairs: tuple[str, str]) -> Extensions:
    body = b"".join(encode(SEQUENCE, _oid(one) + _oid(other)) for one, other in pairs)
    return ((x509.UnrecognizedExtension(_MAPPINGS, encode(SEQUENCE, body)), True),)


def _no_maps(skip: int) -> Extensions:
    return ((x509.PolicyConstraints(None, skip), True),)


def _policies(*oids: str) -> Extensions:
    if not oids:
        return ()
    infos = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    return ((x509.CertificatePolicies(infos), False),)


def _explicit(skip: int) -> Extensions:
    return ((x509.PolicyConstraints(skip, None), True),)


def _inhibit(skip: int) -> Extensions:
    return ((x509.InhibitAnyPolicy(skip), True),)


def _good(*parts: Extensions, **inputs: Any) -> bool:
    """Ask a path of root, CAs and leaf that carry these extensions, root first."""
    held = ca("CA 0", extra=parts[0])
    root, below = held, []
    for depth, extra in enumerate(parts[1:-1], start=1):
        held = ca(f"CA {depth}", held, extra=extra)
        below.append(held.certificate)
    end = leaf("Leaf", held, extra=parts[-1])
    rules = Rules(policies=PolicyInputs(**inputs))
    found = find(end.certificate, tuple(below), (root.certificate,), rules)
    assert isinstance(found, Path) or "polic" in found.detail
    return isinstance(found, Path)


NONE: Extensions = ()
ASK: dict[str, Any] = {"require_explicit": True}
TABLE: list[tuple[str, bool, tuple[Extensions, ...], dict[str, Any]]] = [
    ("nobody asks", True, (NONE, NONE, NONE), {}),
    ("different policies and nobody asks", True, (NONE, _policies(ONE), _policies(TWO)), {}),
    ("asked and none", False, (NONE, NONE, NONE), ASK),
    ("asked and the same everywhere", True, (NONE, _policies(ONE), _policies(ONE)), ASK),
    ("asked and different", False, (NONE, _policies(ONE), _policies(TWO)), ASK),
    ("asked and none in the leaf", False, (NONE, _policies(ONE), NONE), ASK),
    ("any in the CA", True, (NONE, _policies(ANY_POLICY), _policies(ONE)), ASK),
    ("any in the leaf", True, (NONE, _policies(ONE), _policies(ANY_POLICY)), ASK),
    ("any in the CA, inhibited from the start", False,
     (NONE, _policies(ANY_POLICY), _policies(ONE)), {**ASK, "inhibit_any": True}),
    ("any in the leaf, inhibited by the CA", False,
     (NONE, (*_policies(ONE), *_inhibit(0)), _policies(ANY_POLICY)), ASK),
    ("any in the leaf, inhibited one later", True,
     (NONE, (*_policies(ONE), *_inhibit(1)), _policies(ANY_POLICY)), ASK),
    ("inhibition counted down", False,
     (NONE, (*_policies(ONE), *_inhibit(1)), _policies(ONE), _policies(ANY_POLICY)), ASK),
    ("asked for another policy", False, (NONE, _policies(ONE), _policies(ONE)),
     {**ASK, "acceptable": frozenset((TWO,))}),
    ("asked for this policy", True, (NONE, _policies(ONE), _policies(ONE)),
     {**ASK, "acceptable": frozenset((ONE, TWO))}),
    ("asked for a policy, and any all over", True,
     (NONE, _policies(ANY_POLICY), _policies(ANY_POLICY)),
     {**ASK, "acceptable": frozenset((TWO,))}),
    ("asked for nothing acceptable", False, (NONE, _policies(ONE), _policies(ONE)),
     {**ASK, "acceptable": frozenset()}),
    ("demanded by the CA at once", False, (NONE, _explicit(0), NONE), {}),
    ("demanded by the CA and met", True,
     (NONE, (*_policies(ONE), *_explicit(0)), _policies(ONE)), {}),
    ("demanded beyond the end of the path", True, (NONE, _explicit(2), NONE), {}),
    ("demanded after one, which the leaf is", False, (NONE, _explicit(1), NONE), {}),
    ("demanded after one, counted down by a CA", False,
     (NONE, _explicit(1), _policies(ONE), NONE), {}),
    ("demanded by the leaf itself", False, (NONE, NONE, _explicit(0)), {}),
    ("demanded by the leaf itself and met", True,
     (NONE, _policies(ONE), (*_policies(ONE), *_explicit(0))), {}),
    ("demanded by the anchor", False, (_explicit(0), NONE, NONE), {}),
    ("demanded by the anchor, far off", True, (_explicit(3), NONE, NONE), {}),
    ("policies of the anchor bind", False, (_policies(TWO), _policies(ONE), _policies(ONE)), ASK),
    ("no policies of the anchor bind nothing", True, (NONE, _policies(ONE), _policies(ONE)), ASK),
    ("mapped to what the leaf names", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), _policies(TWO)), ASK),
    ("mapped away from what the leaf names", False,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), _policies(ONE)), ASK),
    ("mapped from what the CA does not name", False,
     (NONE, (*_policies(ONE), *_maps((THREE, TWO))), _policies(TWO)), ASK),
    ("mapped below any", True,
     (NONE, (*_policies(ANY_POLICY), *_maps((ONE, TWO))), _policies(TWO)), ASK),
    ("mapped twice", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), (*_policies(TWO), *_maps((TWO, THREE))),
      _policies(THREE)), ASK),
    ("mapped to two, of which the leaf names one", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO), (ONE, THREE))), _policies(THREE)), ASK),
    ("mapped to two, and the leaf may be any", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO), (ONE, THREE))), _policies(ANY_POLICY)), ASK),
    ("the user asks in the words of the first CA", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), _policies(TWO)),
     {**ASK, "acceptable": frozenset((ONE,))}),
    ("the user asks in the words of the leaf", False,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), _policies(TWO)),
     {**ASK, "acceptable": frozenset((TWO,))}),
    ("the user asks for what a mapping below any begins with", True,
     (NONE, (*_policies(ANY_POLICY), *_maps((ONE, TWO))), _policies(TWO)),
     {**ASK, "acceptable": frozenset((ONE,))}),
    ("the user asks for what a mapping below any ends with", False,
     (NONE, (*_policies(ANY_POLICY), *_maps((ONE, TWO))), _policies(TWO)),
     {**ASK, "acceptable": frozenset((TWO,))}),
    ("mapping inhibited from the start", False,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), _policies(TWO)),
     {**ASK, "inhibit_mapping": True}),
    ("an inhibited mapping takes the policy away", False,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), _policies(ONE)),
     {**ASK, "inhibit_mapping": True}),
    ("an inhibited mapping leaves the other policies", True,
     (NONE, (*_policies(ONE, THREE), *_maps((ONE, TWO))), _policies(THREE)),
     {**ASK, "inhibit_mapping": True}),
    ("mapping inhibited by the CA above", False,
     (NONE, (*_policies(ONE), *_no_maps(0)), (*_policies(ONE), *_maps((ONE, TWO))),
      _policies(TWO)), ASK),
    ("mapping inhibited one later", True,
     (NONE, (*_policies(ONE), *_no_maps(1)), (*_policies(ONE), *_maps((ONE, TWO))),
      _policies(TWO)), ASK),
    ("a CA that maps is itself not bound by its inhibition", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO)), *_no_maps(0)), _policies(TWO)), ASK),
    ("mapping to any, though nobody asks", False,
     (NONE, (*_policies(ONE), *_maps((ONE, ANY_POLICY))), NONE), {}),
    ("mapping from any, though nobody asks", False,
     (NONE, (*_policies(ONE), *_maps((ANY_POLICY, ONE))), NONE), {}),
    ("mapping that comes to nothing, and nobody asks", True,
     (NONE, (*_policies(ONE), *_maps((ONE, TWO))), NONE), {}),
    ("mapping by the leaf says nothing", True,
     (NONE, _policies(ONE), (*_policies(ONE), *_maps((ONE, TWO)))), ASK),
    ("mapping by the anchor", True,
     ((*_policies(ONE), *_maps((ONE, TWO))), _policies(TWO), _policies(TWO)), ASK),
]  # fmt: skip


@pytest.mark.parametrize(("what", "good", "parts", "inputs"), TABLE, ids=[row[0] for row in TABLE])
def test_a_path_meets_its_policy_demands(
    what: str,
    good: bool,  # noqa: FBT001 - a table
    parts: tuple[Extensions, ...],
    inputs: dict[str, Any],
) -> None:
    assert _good(*parts, **inputs) is good, what


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x30\x00",
        b"\x05\x00",
        b"\x30\x02\x30\x00",
        encode(SEQUENCE, encode(SEQUENCE, _oid(ONE))),
        encode(SEQUENCE, encode(SEQUENCE, _oid(ONE) * 3)),
        encode(SEQUENCE, encode(0x31, _oid(ONE) * 2)),
        encode(SEQUENCE, encode(SEQUENCE, b"\x06\x00\x06\x00")),
        encode(SEQUENCE, encode(SEQUENCE, _oid(ONE) + b"\x06\x02\x2a\x80")),
        encode(SEQUENCE, encode(SEQUENCE, _oid(ONE) + b"\x06\x03\x2a\x80\x01")),
        encode(SEQUENCE, encode(SEQUENCE, _oid(ONE) + encode(6, b"\xff" * 9000 + b"\x01"))),
        encode(SEQUENCE, encode(SEQUENCE, _oid(ONE) * 2)) + b"\x00",
    ],
)
def test_mappings_that_cannot_be_read_refuse(value: bytes) -> None:
    extra: Extensions = ((x509.UnrecognizedExtension(_MAPPINGS, value), True),)
    assert not _good(NONE, (*_policies(ONE), *extra), _policies(ONE))


@pytest.mark.parametrize("place", range(3))
def test_a_policy_that_is_named_twice_refuses(place: int) -> None:
    """RFC 5280 4.2.1.4, also where nobody asks for policies."""
    parts = [_policies(ONE, TWO)] * 3
    assert _good(*parts)
    parts[place] = _policies(ONE, TWO, ONE)
    assert not _good(*parts)


def test_policies_that_would_make_a_tree_explode_cost_next_to_nothing() -> None:
    """RFC 9618 1.3: every policy is mapped to every other one, at each of eight CAs."""
    names = [f"1.3.6.1.4.1.{number}" for number in range(20)]
    all_to_all = _maps(*((one, other) for one in names for other in names))
    part = (*_policies(*names), *all_to_all)
    begun = time.monotonic()
    assert _good(NONE, *[part] * 8, _policies(names[7]), **ASK)
    assert not _good(NONE, *[part] * 8, _policies("1.3.6.1.4.1.99"), **ASK)
    assert time.monotonic() - begun < 60  # 20^8 nodes would never end


def test_a_self_issued_ca_may_use_any_policy_and_counts_nothing() -> None:
    root = ca("Root")
    inhibits = ca("CA", root, extra=(*_policies(ONE), *_inhibit(0), *_explicit(1)))
    itself = ca("CA", inhibits, extra=_policies(ANY_POLICY))
    end = leaf("Leaf", itself, extra=_policies(ONE))
    pool = (inhibits.certificate, itself.certificate)
    found = find(end.certificate, pool, (root.certificate,), Rules(policies=PolicyInputs(**ASK)))
    assert isinstance(found, Path)


_TREE = st.lists(st.frozensets(st.sampled_from([ONE, TWO, ANY_POLICY])), min_size=2, max_size=2)


@given(named=_TREE, wanted=st.sampled_from([ONE, TWO]))
def test_an_accepted_policy_is_named_by_every_certificate_or_by_any(
    named: list[frozenset[str]], wanted: str
) -> None:
    root, middle, end = _KEPT
    parts = [_with(held, names) for held, names in zip((middle, end), named, strict=True)]
    good = all(wanted in names or ANY_POLICY in names for names in named)
    rules = Rules(policies=PolicyInputs(acceptable=frozenset((wanted,)), require_explicit=True))
    found = find(parts[1].certificate, (parts[0].certificate,), (root.certificate,), rules)
    assert isinstance(found, Path if good else NoPath)


def _kept() -> tuple[Held, Held, Held]:
    root = ca("Root")
    middle = ca("Sub", root)
    return root, middle, leaf("Leaf", middle)


_KEPT = _kept()
_MADE: dict[tuple[Held, frozenset[str]], Held] = {}


def _with(held: Held, names: frozenset[str]) -> Held:
    """Re-issue a certificate of the kept chain with these policies."""
    root, middle, _ = _KEPT
    key = (held, names)
    if key not in _MADE:
        extra = _policies(*sorted(names))
        _MADE[key] = (
            ca("Sub", root, extra=extra, key=middle.key)
            if held is middle
            else leaf("Leaf", middle, extra=extra)
        )
    return _MADE[key]
