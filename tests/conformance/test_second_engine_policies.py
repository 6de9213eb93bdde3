"""The policy graph beside the one of `pyhanko-certvalidator`, on paths that hypothesis makes."""

from __future__ import annotations

from cryptography import x509
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pki.pkix.certificate import Certificate
from pki.pkix.path import ANY_POLICY, Path, PolicyInputs, Rules, find
from tests.conformance.makers import NOW, Extensions, ca, leaf, new_key
from tests.conformance.second_engines import Question, pyhanko_accepts
from tests.conformance.test_policies import ONE, THREE, TWO, _maps, _policies

KEYS = [new_key() for _ in range(5)]
NAMED = st.sampled_from([ONE, TWO, THREE])
SKIP = st.none() | st.integers(0, 2)


@st.composite
def extensions(draw: st.DrawFn, *, last: bool = False) -> Extensions:
    found: list[tuple[x509.ExtensionType, bool]] = []
    named = draw(st.sets(st.sampled_from([ONE, TWO, THREE, ANY_POLICY]), max_size=3))
    found += _policies(*sorted(named))
    pairs = draw(st.lists(st.tuples(NAMED, NAMED), max_size=3))
    if pairs and not last:
        found += _maps(*pairs)
    explicit, mapping, any_policy = draw(SKIP), draw(SKIP), draw(SKIP)
    if explicit is not None or mapping is not None:
        found.append((x509.PolicyConstraints(explicit, mapping), True))
    if any_policy is not None:
        found.append((x509.InhibitAnyPolicy(any_policy), True))
    return tuple(found)


INPUTS = st.builds(
    PolicyInputs,
    acceptable=st.sampled_from(
        [frozenset((ANY_POLICY,)), frozenset((ONE,)), frozenset((ONE, TWO))]
    ),
    require_explicit=st.booleans(),
    inhibit_mapping=st.booleans(),
    inhibit_any=st.booleans(),
)
MIDDLE = st.lists(st.tuples(extensions(), st.booleans()), min_size=1, max_size=3)


@settings(max_examples=200)
@given(middle=MIDDLE, end=extensions(last=True), inputs=INPUTS)
def test_both_engines_give_one_answer_to_policies_and_mappings(
    middle: list[tuple[Extensions, bool]], end: Extensions, inputs: PolicyInputs
) -> None:
    """Where the flag of a CA says so, it has its issuer's name and is self-issued."""
    root = held = ca("CA 0", key=KEYS[0])
    pool: list[Certificate] = []
    for depth, (extra, self_issued) in enumerate(middle, start=1):
        name = pool[-1].common_names[0] if self_issued and pool else f"CA {depth}"
        held = ca(name, held, extra=extra, key=KEYS[depth])
        pool.append(held.certificate)
    target = leaf("Leaf", held, extra=end, key=KEYS[4]).certificate
    found = find(target, tuple(pool), (root.certificate,), Rules(policies=inputs))
    event(f"accepted: {isinstance(found, Path)}")
    question = Question(
        leaf=target.der,
        intermediates=[certificate.der for certificate in pool],
        anchors=[root.certificate.der],
        at=NOW,
        policies=inputs,
    )
    assert isinstance(found, Path) is pyhanko_accepts(question)
