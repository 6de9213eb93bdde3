"""The usual decision, held to the questions: whatever the evidence says, the same verdict."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.model import (
    EMAID_TOKEN_TYPE,
    Accepted,
    CertificateStatus,
    ContractCheck,
    ContractState,
    DecisionPolicy,
    Domain,
    Evidence,
    Rejected,
    StaleRule,
    Status,
    StatusRule,
)
from pki.pkix.certificate import Certificate, load
from pki.pkix.suites import Suite
from pki.validate.decide import decided
from pki.validate.presented import LEAVES, Presented
from tests.builders import CONTRACT_USAGE, NOW, YEAR, Spec, chain, make
from tests.validate.worlds import POLICY, World, trust_in, world_of

DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True)
class Question:
    """Everything but the leaf that a decision looks at."""

    evidence: Evidence
    check: ContractCheck
    policy: DecisionPolicy
    now: dt.datetime

    def both(self, world: World, leaf: Certificate) -> list[Accepted | Rejected]:
        """Decide the quick way and the long way."""
        return [
            world.decide(
                each, evidence=self.evidence, check=self.check, policy=self.policy, now=self.now
            )
            for each in (leaf, load(leaf.der))
        ]


def _foreign(status: Status, until: dt.timedelta) -> CertificateStatus:
    return CertificateStatus(
        status=status, source="foreign", as_of=NOW - DAY, next_update=NOW + until
    )


Change = Callable[[Question, Certificate], Question]


def _status(place: int, status: CertificateStatus | None) -> Change:
    """Say something else of one certificate of the path."""

    def change(question: Question, leaf: Certificate) -> Question:
        told = dict(question.evidence.statuses)
        name = (*world_of(leaf.suite or Suite.P256).presented(leaf), _root(leaf))[place].fingerprint
        told.pop(name, None)
        if status is not None:
            told[name] = status
        return replace(question, evidence=replace(question.evidence, statuses=told))

    return change


def _root(leaf: Certificate) -> Certificate:
    return world_of(leaf.suite or Suite.P256).made.root.certificate


def _contract(**changes: Any) -> Change:
    """Say something else of the contract."""

    def change(question: Question, _: Certificate) -> Question:
        found = question.evidence.contract
        if found.contract is None:
            return question
        if "blocked" in changes:
            changes["blocked"] = found.contract.identifiers
        told = replace(found, contract=replace(found.contract, **changes))
        return replace(question, evidence=replace(question.evidence, contract=told))

    return change


def _without(**nothing: Any) -> Change:
    def change(question: Question, _: Certificate) -> Question:
        told = replace(question.evidence.contract, **nothing)
        return replace(question, evidence=replace(question.evidence, contract=told))

    return change


def _token(write: Callable[[str], str], kind: str = EMAID_TOKEN_TYPE) -> Change:
    def change(question: Question, leaf: Certificate) -> Question:
        token = write(leaf.common_names[0])
        return replace(question, check=replace(question.check, token=token, token_type=kind))

    return change


def _policy(policy: DecisionPolicy) -> Change:
    return lambda question, _: replace(question, policy=policy)


def _at(now: dt.datetime) -> Change:
    return lambda question, _: replace(question, now=now)


_SECOND: Final = dt.timedelta(seconds=1)
_BOTH: Final = (Domain.MO, Domain.V2G)
CHANGES: Final[tuple[Change, ...]] = (
    *(_status(place, None) for place in range(4)),
    *(_status(place, _foreign(Status.REVOKED, DAY)) for place in range(4)),
    *(_status(place, _foreign(Status.GOOD, DAY)) for place in range(4)),
    *(_status(place, _foreign(Status.GOOD, -_SECOND)) for place in range(4)),
    *(_status(place, _foreign(Status.GOOD, dt.timedelta(0))) for place in range(4)),
    *(_status(place, _foreign(Status.UNKNOWN, DAY)) for place in range(4)),
    _status(0, CertificateStatus(status=Status.NOT_ASKED, source="none", as_of=NOW)),
    *(_contract(state=state) for state in ContractState),
    _contract(valid_until=NOW),
    _contract(valid_until=NOW + DAY),
    _contract(valid_from=NOW + DAY),
    _contract(blocked=()),
    _without(contract=None),
    _without(account=None),
    _without(contract=None, account=None),
    _token(str),
    _token(str.lower),
    _token(lambda text: f"{text[:2]}-{text[2:5]}-{text[5:]}"),
    _token(lambda text: f"{text[:-1]}9"),
    _token(lambda text: f"{text[:-1]}9", "Local"),
    _token(lambda _: ""),
    *(_policy(DecisionPolicy(status=dict.fromkeys(_BOTH, rule))) for rule in StatusRule),
    *(_policy(DecisionPolicy(stale=dict.fromkeys(_BOTH, rule))) for rule in StaleRule),
    _policy(DecisionPolicy(version=2)),
    _policy(DecisionPolicy(ask_contract=False)),
    _policy(DecisionPolicy(strict_check_digit=True)),
    *(_at(NOW + sign * YEAR + more) for sign in (-1, 1) for more in (-_SECOND, 0 * DAY, _SECOND)),
    *(_at(NOW + YEAR - days * DAY) for days in (22, 21, 20, 14, 13)),
)
"""Each makes the usual question another one, and with it the verdict or what it says."""


def _usual_question(suite: Suite) -> Question:
    world, leaf = world_of(suite), _leaf_of(suite)
    return Question(world.evidence(leaf), world.check(leaf), POLICY, NOW)


@cache
def _leaf_of(suite: Suite) -> Certificate:
    return world_of(suite).quick_leaf()


@pytest.mark.parametrize("suite", list(Suite))
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=2, max_size=3))
def test_whatever_changes_gets_the_verdict_of_the_questions(
    suite: Suite, changes: list[Change]
) -> None:
    _assert_alike(suite, *changes)


@pytest.mark.parametrize("suite", list(Suite))
def test_whatever_one_thing_changes_gets_the_verdict_of_the_questions(suite: Suite) -> None:
    for change in CHANGES:
        _assert_alike(suite, change)


def _assert_alike(suite: Suite, *changes: Change) -> None:
    leaf, question = _leaf_of(suite), _usual_question(suite)
    for change in changes:
        question = change(question, leaf)
    quick, slow = question.both(world_of(suite), leaf)
    assert quick == slow
    assert type(quick) is type(slow)


def test_a_leaf_that_outlives_its_issuer_ends_with_it() -> None:
    world = world_of(Suite.P256)
    world.quick_leaf()
    leaf = LEAVES.read(world.leaf(not_after=NOW + 3 * YEAR))
    assert leaf.shape is not None
    late = NOW + 2 * YEAR
    verdict = world.decide(leaf, now=late)
    assert isinstance(verdict, Rejected)
    assert verdict == world.decide(load(leaf.der), now=late)


def test_a_certificate_that_is_not_valid_yet_or_any_more_is_left_to_the_questions() -> None:
    world = world_of(Suite.P256)
    world.quick_leaf()
    for dates in ({"not_before": NOW + DAY}, {"not_after": NOW - DAY}):
        leaf = LEAVES.read(world.leaf(**dates))
        assert leaf.shape is not None
        assert _usually(world, leaf) is None
        assert world.decide(leaf) == world.decide(load(leaf.der))


def _usually(
    world: World, leaf: Certificate, token: str | None = None
) -> Accepted | Rejected | None:
    chain = Presented(certificates=world.presented(leaf))
    check = world.check(leaf, token)
    verdict, way = decided(chain, check, world.evidence(leaf), world.trust, POLICY, NOW)
    return verdict if way is not None else None


@pytest.mark.parametrize("suite", list(Suite))
def test_the_second_leaf_of_a_shape_is_decided_without_the_questions(suite: Suite) -> None:
    name = "DEMOAC00000007" if suite is Suite.P256 else "DEMOAC00000007X"
    made = chain(suite=suite, leaf={"common_name": name})
    world = World(made, trust_in(made), world_of(suite).good)
    assert isinstance(world.decide(load(world.leaf())), Accepted)
    leaf = LEAVES.read(world.leaf())
    assert _usually(world, leaf) == world.decide(load(leaf.der))


@pytest.mark.parametrize("suite", list(Suite))
def test_the_third_leaf_of_a_shape_is_decided_without_the_questions(suite: Suite) -> None:
    world = world_of(suite)
    leaf = world.quick_leaf()
    assert _usually(world, leaf) == world.decide(load(leaf.der))
    token = leaf.common_names[0]
    world.decide(leaf, check=world.check(leaf, token))
    answers = {
        c.question: c.answer for c in world.decide(leaf, check=world.check(leaf, token)).checks
    }
    assert _usually(world, leaf, token) is not None
    assert answers["emaid"] == "yes"


def test_a_signature_of_somebody_else_is_left_to_the_questions() -> None:
    world = world_of(Suite.P256)
    other = make(Spec(common_name="MO Sub-CA 2"), world.made.sub_cas[1])
    world.quick_leaf()
    spec = Spec(
        common_name="DEMOAC00000007",
        ca=False,
        key_usage=CONTRACT_USAGE,
        authority_key_id=world.issuer.certificate.key_id,
    )
    leaf = LEAVES.read(make(spec, other).der)
    assert leaf.shape is not None
    assert _usually(world, leaf) is None


def test_the_size_of_each_leaf_is_looked_at() -> None:
    """It varies within a shape, by the length of serial and signature."""
    world = world_of(Suite.P256)
    usually = len(world.leaf(serial=1, domain_component="x" * 300))
    wide = {"domain_component": "x" * (300 + 792 - usually)}
    for serial in (1, 2, 3):
        assert _notes(world.decide(LEAVES.read(world.leaf(serial=serial, **wide)))) == ()
    leaf = LEAVES.read(world.leaf(serial=1 << 158, **wide))
    assert leaf.shape is not None
    assert len(leaf.der) > 800
    verdict = world.decide(leaf)
    assert len(_notes(verdict)) == 1
    assert verdict == world.decide(load(leaf.der))


def _notes(verdict: Accepted | Rejected) -> tuple[str, ...]:
    return tuple(check.detail for check in verdict.checks if check.answer == "note")
