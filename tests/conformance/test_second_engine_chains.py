"""
Both second engines beside ours on contract chains that hypothesis makes, with any defects at once.

A chain gets overrides of its builder's keywords at any of its four places. Where an engine answers
otherwise, one of the named differences must explain it; each of those has an example that still
shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import event, given, reject, settings
from hypothesis import strategies as st

from pki.pkix.generic import Demands, validate
from pki.pkix.path import Path
from pki.pkix.suites import Suite, generate
from tests.builders import CA_USAGE, CONTRACT_USAGE, NOW, YEAR, Chain, chain
from tests.conformance.second_engines import ENGINES, Question

PLACES = ("leaf", "lowest", "highest", "root")
KEYS = {suite: [generate(suite) for _ in PLACES] for suite in Suite}
ODD_KEYS = {
    "rsa2048": rsa.generate_private_key(65537, 2048),
    "rsa1024": rsa.generate_private_key(65537, 1024),  # noqa: S505 - to be refused
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p224": ec.generate_private_key(ec.SECP224R1()),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
}


@dataclass(frozen=True)
class Made:
    """What was asked of the builder; keys of other kinds by name, so that it can be printed."""

    suite: Suite = Suite.P256
    sub_cas: int = 2
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def chain(self) -> Chain:
        keys = dict(zip(PLACES, KEYS[self.suite], strict=True))
        parts: dict[str, Any] = {
            place: {"key": keys[place], **self.parts.get(place, {})} for place in PLACES
        }
        for part in parts.values():
            part["key"] = ODD_KEYS.get(part["key"], part["key"])
        if self.sub_cas == 1:
            parts["highest"] = {}  # the one sub-CA is the lowest as well
        return chain(suite=self.suite, sub_cas=self.sub_cas, **parts)

    def says(self, name: str, *places: str) -> list[Any]:
        """Return the values of an override at the places that there are."""
        here = [p for p in places or PLACES if p != "highest" or self.sub_cas > 1]
        here = [p for p in here if p != "lowest" or self.sub_cas > 0]
        return [self.parts[p][name] for p in here if name in self.parts.get(p, {})]


OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "common_name": st.sampled_from(["DEMOAC12345678", "Same", "x"]),
        "common_names": st.sampled_from([("A", "B"), ()]),
        "domain_component": st.sampled_from(["CPO", "MO"]),
        "ca": st.sampled_from([True, False, None]),
        "path_length": st.integers(0, 2),
        "key_usage": st.sampled_from(
            [CA_USAGE, CONTRACT_USAGE, ("crl_sign",), (*CA_USAGE, *CONTRACT_USAGE), None]
        ),
        "extended_key_usage": st.sampled_from([("1.3.6.1.5.5.7.3.9",), ("1.3.6.1.5.5.7.3.1",)]),
        "not_before": st.sampled_from([NOW, NOW + YEAR / 2, NOW - 2 * YEAR]),
        "not_after": st.sampled_from([NOW, NOW + 2 * YEAR]),
        "key": st.sampled_from(sorted(ODD_KEYS)),
        "authority_key_id": st.just(b"another"),
        "digest": st.sampled_from([hashes.SHA224(), hashes.SHA384(), hashes.SHA512()]),
        "critical_unknown": st.just(value=True),
        "serial": st.sampled_from([1, 2**158 + 1]),
    },
)
FEW = st.lists(
    st.tuples(st.sampled_from(PLACES), OVERRIDES), max_size=2, unique_by=lambda pair: pair[0]
)
MADE = st.builds(
    Made,
    suite=st.sampled_from(Suite),
    sub_cas=st.integers(0, 3),
    parts=FEW.map(dict),
)


@dataclass(frozen=True)
class Difference:
    """
    A named difference.

    Attributes:
        other: what the other engine answers; ours is the opposite.
        applies: whether this chain can show it.
        example: a chain that shows it.
    """

    engine: str
    reason: str
    other: bool
    applies: Callable[[Made], bool]
    example: Made


def _has_ed448(made: Made) -> bool:
    return made.suite is Suite.ED448


WEAK_CURVES = {"p224", "secp256k1"}
WEAK_KEYS = {*WEAK_CURVES, "rsa1024"}
ANCHOR = ("ca", "path_length", "key_usage", "not_before", "not_after", "critical_unknown")

DIFFERENCES = [
    Difference(
        "cryptography", "the engine has no Ed448, which ISO 15118-20 uses [V2G20-2319]",
        other=False, applies=_has_ed448, example=Made(suite=Suite.ED448),
    ),
    Difference(
        "cryptography", "a CA needs a keyUsage there; RFC 5280 6.1.4 (n) asks one that is there",
        other=False, applies=lambda m: None in m.says("key_usage", "lowest", "highest", "root"),
        example=Made(parts={"lowest": {"key_usage": None}}),
    ),
    Difference(
        "cryptography", "key identifiers that contradict each other refuse here, as in OpenSSL",
        other=True, applies=lambda m: bool(m.says("authority_key_id")),
        example=Made(parts={"lowest": {"authority_key_id": b"another"}}),
    ),
    Difference(
        "pyhanko", "OpenSSL 4 forgives that to a leaf with its issuer's own serial number",
        other=False, applies=lambda m: bool(m.says("authority_key_id")) and bool(m.says("serial")),
        example=Made(sub_cas=0, parts={
            "root": {"serial": 1}, "leaf": {"serial": 1, "authority_key_id": b"another"}
        }),
    ),
    Difference(
        "cryptography", "the engine asks nothing of the key of a leaf (permit_all)",
        other=True, applies=lambda m: bool(WEAK_KEYS & {*m.says("key", "leaf")}),
        example=Made(parts={"leaf": {"key": "p224"}}),
    ),
    Difference(
        "pyhanko", "the engine asks nothing of curves, and of the key of a leaf nothing at all",
        other=True,
        applies=lambda m: bool(
            WEAK_KEYS & {*m.says("key", "leaf")} or WEAK_CURVES & {*m.says("key")}
        ),
        example=Made(parts={"lowest": {"key": "secp256k1"}}),
    ),
    Difference(
        "pyhanko", "the engine does not apply validity and extensions of the anchor (RFC 5280 6.1)",
        other=True, applies=lambda m: any(m.says(name, "root") for name in ANCHOR),
        example=Made(parts={"root": {"ca": False}}),
    ),
]  # fmt: skip


def _ours(built: Chain) -> bool:
    pool = tuple(made.certificate for made in built.sub_cas)
    anchors = (built.root.certificate,)
    found = validate(built.leaf.certificate, pool, anchors, at=NOW, demands=Demands())
    return isinstance(found, Path)


def _others(built: Chain) -> dict[str, bool]:
    question = Question(
        leaf=built.leaf.der,
        intermediates=[made.der for made in built.sub_cas],
        anchors=[built.root.der],
        at=NOW,
    )
    return {name: asked(question) for name, asked in ENGINES.items()}


def _explained(made: Made, engine: str, *, other: bool) -> list[Difference]:
    return [d for d in DIFFERENCES if d.engine == engine and d.other is other and d.applies(made)]


@settings(max_examples=200)
@given(made=MADE)
def test_the_engines_agree_or_a_named_difference_explains_it(made: Made) -> None:
    try:
        built = made.chain()
    except ValueError:  # an end before its beginning, or a digest for a key that takes none
        reject()
    ours = _ours(built)
    event(f"accepted: {ours}")
    for engine, other in _others(built).items():
        assert other == ours or _explained(made, engine, other=other), (engine, ours)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: f"{d.engine}: {d.reason}")
def test_every_named_difference_is_still_seen(difference: Difference) -> None:
    assert difference.applies(difference.example)
    built = difference.example.chain()
    others = _others(built)
    assert others[difference.engine] is difference.other is not _ours(built)


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_good_chain_of_any_suite_is_accepted_by_all_that_know_it(
    suite: Suite, count: int
) -> None:
    built = Made(suite=suite, sub_cas=count).chain()
    assert _ours(built)
    assert _others(built) == {"cryptography": suite is not Suite.ED448, "pyhanko": True}
