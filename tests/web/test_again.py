"""What is given again is what a decision made anew would say, and its receipt tells as much."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pki import agreements, authorize, clients, contracts, parties, revoke, route, trust, validate
from pki.authorize import Memory
from pki.errors import Conflict, PkiError
from pki.model import (
    ContractState,
    Domain,
    Fault,
    Principal,
    RangeKind,
    Reason,
    Role,
    Terms,
    Whitelist,
)
from pki.pkix.certificate import load
from pki.services import Services
from tests.homes import ADMIN, EMAID, MO_BRANCH, make_home
from tests.web.deciding import BEGIN, OCPP, OTHER, World, body_of, new_world, plain, reference
from web import again
from web.decisions import V1
from web.hot import HotRequest, HotResponse


@pytest.fixture
def world(small_home: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield new_world(stack, small_home)


# --- what is given again -------------------------------------------------------------------------


@pytest.mark.parametrize("path", [V1, OCPP])
def test_what_was_accepted_is_given_again_with_a_receipt_of_its_own(
    world: World, path: str
) -> None:
    request = world.request(path=path)
    answers = [world.ask(request)]
    world.clock.at += dt.timedelta(minutes=5)
    answers += [world.ask(request), world.ask(request)]
    first, *later = [world.receipt(answer) for answer in answers]
    assert first.repeats is None
    assert [found.repeats for found in later] == [first.decision_id] * 2
    assert [found.record for found in later] == [first.record] * 2
    assert len({reference(answer) for answer in answers}) == 3
    assert body_of(answers[1]) == body_of(world.anew(request)) == body_of(answers[0])


def test_a_later_answer_says_when_it_was_given(world: World) -> None:
    request = world.request()
    world.ask(request)
    world.clock.at += dt.timedelta(minutes=5)
    told, fresh = (json.loads(a.octets) for a in (world.ask(request), world.anew(request)))
    assert told["decidedAt"] == fresh["decidedAt"]
    assert told["authorisation"]["at"] == fresh["authorisation"]["at"]
    assert told["authorisation"]["reference"] == told["decisionId"]
    assert told["evidence"] == fresh["evidence"]


def test_a_short_receipt_reads_and_replays_like_a_full_one(world: World) -> None:
    request = world.request()
    world.ask(request)
    world.clock.at += dt.timedelta(minutes=5)
    short, full = world.ask(request), world.anew(request)
    deployment = world.services.deployment
    shown = [validate.find(deployment, ADMIN, reference(a)) for a in (short, full)]
    one, other = (json.loads(found.record) for found in shown)
    assert plain(one) == plain(other)
    assert one["now"] == other["now"] == one["verdict"]["decidedAt"]
    assert one["statuses"] == other["statuses"]
    again_ = validate.replay(deployment, ADMIN, reference(short))
    assert again_.same
    assert again_.recorded["decidedAt"] == other["verdict"]["decidedAt"]
    assert replace(shown[0], decision_id="", record="", repeats=None) == replace(
        shown[1], decision_id="", record=""
    )


def test_a_session_finds_the_authorisation_of_a_short_receipt(world: World) -> None:
    world.ask(world.request(path=OCPP))
    world.clock.at += dt.timedelta(minutes=5)
    answer = world.ask(world.request(path=OCPP))
    assert world.receipt(answer).repeats is not None
    found = authorize.find(world.services.deployment, ADMIN, reference(answer))
    assert found is not None
    assert (found.reference, found.at) == (reference(answer), world.clock.at)
    assert found.agreement == ("a", 1)


def test_a_full_receipt_stays_as_long_as_a_short_one_needs_it(world: World) -> None:
    request, deployment = world.request(), world.services.deployment
    full = world.ask(request)
    world.clock.at += dt.timedelta(minutes=50)
    short = world.ask(request)
    keep = dt.timedelta(days=1)
    world.clock.at += keep - dt.timedelta(minutes=10)
    assert validate.prune(deployment, keep) == 0
    assert validate.replay(deployment, ADMIN, reference(short)).same
    world.clock.at += dt.timedelta(minutes=11)
    assert validate.prune(deployment, keep) == 1
    world.clock.at += dt.timedelta(minutes=11)
    assert validate.prune(deployment, keep) == 1
    with deployment.store.read() as tx:
        assert [tx.decisions.get(reference(a)) for a in (full, short)] == [None, None]


def test_what_is_another_question_is_decided_anew(world: World) -> None:
    world.ask(world.request())
    for other in (
        world.request(**{"x-evse-id": "DE*XYZ*E1"}),
        world.request(**{"x-station-id": "cs-1"}),
        world.request(path=OCPP),
        replace(world.request(), body=world.request().body + b" "),
    ):
        assert world.receipt(world.ask(other)).repeats is None
    _, token = clients.add(world.elsewhere.deployment, ADMIN, Role.CPO, ("DECPA",))
    theirs = world.request(authorization=f"Bearer {token}")
    assert world.receipt(world.ask(theirs)).repeats is None


def _asks_as_by_all(world: World, request: HotRequest) -> bool:
    """Tell whether a body was read by what was read before, as it would have been without."""
    decisions, caller = world.decisions, Principal(name="cpo", role=Role.CPO)
    found, whole = decisions._familiar(request, caller), None
    with suppress(PkiError):
        whole = decisions._ask(request, caller)
    assert found is None or found == whole
    return found is not None


def test_an_authorize_request_in_which_only_the_leaf_is_new_asks_what_it_says(
    world: World,
) -> None:
    world.ask(world.request(path=OCPP))
    request = world.request(OTHER, OCPP, **{"x-station-id": "cs-1"})
    assert _asks_as_by_all(world, request)
    told = json.loads(request.body)
    chain, token = told["certificate"], told["idToken"]
    others: list[dict[str, Any]] = [
        {"idToken": token | {"type": "ISO14443"}},
        {"idToken": token | {"additionalInfo": []}},
        {"idToken": token | {"idToken": chain}, "certificate": "none"},
        {"certificate": chain.replace("\n", "\r\n")},
        {"certificate": "\n" * 10_000 + chain},
        {"certificate": chain.replace("-----\n", "-----\n" + "\n" * 10_000, 1)},
        {"customData": {"vendorId": "x", "more": ["a"]}},
        {"iso15118CertificateHashData": []},
    ]
    for other in others:
        _asks_as_by_all(world, replace(request, body=json.dumps(told | other).encode()))


def test_nothing_is_given_again_for_longer_than_an_hour(world: World) -> None:
    request = world.request()
    world.ask(request)
    world.clock.at += dt.timedelta(hours=1)
    assert world.receipt(world.ask(request)).repeats is None
    world.clock.at -= dt.timedelta(minutes=30)  # nor to a clock that was set back
    assert world.receipt(world.ask(request)).repeats is None


@pytest.mark.parametrize("whitelist", [Whitelist.NEVER, Whitelist.ALLOWED_OFFLINE])
def test_where_the_emsp_is_asked_nothing_is_remembered(world: World, whitelist: Whitelist) -> None:
    change = contracts.ContractChange(whitelist=whitelist)
    contracts.change(world.elsewhere.deployment, ADMIN, EMAID, change)
    for _ in range(2):
        assert world.receipt(world.ask(world.request())).repeats is None


def test_where_sessions_are_counted_nothing_is_remembered(world: World) -> None:
    terms = Terms(cpo="DECPA", emsp="DEMOA", valid_from=BEGIN, sessions=1)
    agreements.withdraw(world.elsewhere.deployment, ADMIN, "a")
    agreements.add(world.elsewhere.deployment, ADMIN, terms, agreement_id="b")
    for _ in range(2):
        assert world.receipt(world.ask(world.request())).repeats is None


def test_a_refusal_is_not_remembered(world: World) -> None:
    contracts.set_state(world.elsewhere.deployment, ADMIN, EMAID, ContractState.BLOCKED)
    for _ in range(2):
        assert world.receipt(world.ask(world.request())).repeats is None


def test_what_was_decided_while_a_change_was_told_is_not_remembered(world: World) -> None:
    memory, request = world.decisions.memory, world.request()
    world.ask(request)
    named = again.asked_by(request)
    assert named is not None
    key = named(request.body)
    found = memory.find(key, world.clock.at)
    assert found is not None
    heard = memory.heard
    contracts.set_state(world.elsewhere.deployment, ADMIN, EMAID, ContractState.BLOCKED)
    assert world.services.view.ready()
    memory.keep(key, found._replace(heard=heard))
    assert memory.find(key, world.clock.at) is None


def test_memory_is_bounded(world: World) -> None:
    memory = Memory[again.Told](world.services.view, octets=100_000)
    object.__setattr__(world.decisions, "memory", memory)
    for number in range(60):
        world.ask(world.request(**{"x-station-id": f"cs-{number}"}))
    assert 10 < len(memory) < 50


SOON = dt.timedelta(minutes=20)


def _leaf_ends(world: World) -> dt.datetime:
    return load(world.chains[EMAID][0]).not_after + dt.timedelta(seconds=1)


def _about_to_expire(world: World) -> dt.datetime:
    return load(world.chains[EMAID][0]).not_after - dt.timedelta(days=21)


def _terms(world: World, **more: dt.datetime) -> dt.datetime:
    agreements.withdraw(world.elsewhere.deployment, ADMIN, "a")
    terms = replace(Terms(cpo="DECPA", emsp="DEMOA", valid_from=BEGIN), **more)  # type: ignore[arg-type]  # dates
    agreements.add(world.elsewhere.deployment, ADMIN, terms)
    return world.clock.at + SOON


def _agreement_ends(world: World) -> dt.datetime:
    return _terms(world, valid_until=world.clock.at + SOON)


def _agreement_begins(world: World) -> dt.datetime:
    return _terms(world, valid_from=world.clock.at + SOON)


def _contract_ends(world: World) -> dt.datetime:
    change = contracts.ContractChange(valid_until=world.clock.at + SOON)
    contracts.change(world.elsewhere.deployment, ADMIN, EMAID, change)
    return world.clock.at + SOON


def _number_is_ported(world: World) -> dt.datetime:
    deployment, begin = world.elsewhere.deployment, world.clock.at + SOON
    parties.add_emsp(deployment, ADMIN, "FRMOB", "Mobilité")
    route.add(deployment, ADMIN, RangeKind.EMAID, EMAID, "FRMOB", begin=begin)
    return begin


@pytest.mark.parametrize(
    "arrange",
    [
        _leaf_ends,
        _about_to_expire,
        _agreement_ends,
        _agreement_begins,
        _contract_ends,
        _number_is_ported,
    ],
)
def test_what_time_alone_changes_is_seen_to_the_second(
    world: World, arrange: Callable[[World], dt.datetime]
) -> None:
    request, turn = world.request(), arrange(world)
    world.clock.at = turn - SOON
    world.ask(request)
    world.clock.at = turn - dt.timedelta(seconds=1)
    before = world.ask(request)
    assert world.receipt(before).repeats is not None
    assert body_of(before) == body_of(world.anew(request))
    world.clock.at = turn
    after = world.ask(request)
    assert body_of(after) == body_of(world.anew(request))
    assert body_of(after) != body_of(before)


def test_the_important_changes_are_seen_by_the_next_request(
    anywhere: Services,
) -> None:
    """On both databases: a change of another process, before any other request."""
    with ExitStack() as stack:
        home, url = anywhere.settings.home, anywhere.settings.database_url
        world = new_world(stack, home, url)
        deployment = world.elsewhere.deployment

        def fault() -> str | None:
            told = json.loads(world.ask(world.request()).octets)
            found: str | None = told["fault"] or told["authorisation"]["fault"]
            return found

        assert [fault() for _ in range(2)] == [None, None]
        assert world.receipt(world.ask(world.request())).repeats is not None
        contracts.set_state(deployment, ADMIN, EMAID, ContractState.BLOCKED)
        assert fault() == Fault.CONTRACT_BLOCKED
        contracts.set_state(deployment, ADMIN, EMAID, ContractState.ACTIVE)
        assert [fault() for _ in range(2)] == [None, None]
        agreements.withdraw(deployment, ADMIN, "a")
        assert fault() == "no_agreement"
        (anchor,) = [a for a in trust.anchors(deployment, ADMIN) if a.domain is Domain.MO]
        trust.remove(deployment, ADMIN, anchor.fingerprint, Domain.MO)
        assert fault() == Fault.NO_PATH
        trust.add(deployment, ADMIN, anchor.der, Domain.MO)
        assert [fault() for _ in range(2)] == ["no_agreement"] * 2
        serial = load(world.chains[EMAID][0]).serial_number.value
        revoke.revoke(deployment, ADMIN, serial, Reason.SUPERSEDED)
        assert fault() == Fault.REVOKED


# --- any sequence of changes ---------------------------------------------------------------------

_EMAIDS = st.sampled_from([EMAID, OTHER])
_STEPS = st.sampled_from(
    [
        dt.timedelta(seconds=1),
        dt.timedelta(minutes=20),
        dt.timedelta(hours=2),
        dt.timedelta(days=40),
        dt.timedelta(days=360),
    ]
)


class Changes(RuleBasedStateMachine):
    """Whatever changes, what is given again equals what is decided anew."""

    template: Path

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pnc-again-"))
        home = Path(shutil.copytree(self.template, self.folder / "home"))
        self.stack = ExitStack()
        self.world = new_world(self.stack, home)
        self.deployment = self.world.elsewhere.deployment
        self.names = self.asks = 0

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()
            shutil.rmtree(self.folder)

    @rule(step=_STEPS)
    def time_goes_on(self, step: dt.timedelta) -> None:
        self.world.clock.at += step

    @rule(emaid=_EMAIDS, before=st.integers(min_value=0, max_value=1))
    def the_leaf_is_about_to_end(self, emaid: str, before: int) -> None:
        end = load(self.world.chains[emaid][0]).not_after - dt.timedelta(seconds=before)
        self.world.clock.at = max(end, self.world.clock.at)

    @rule(emaid=_EMAIDS, at=st.integers(min_value=0, max_value=2))
    def revoked(self, emaid: str, at: int) -> None:
        serial = load(self.world.chains[emaid][at]).serial_number.value
        with suppress(Conflict):  # it was before
            revoke.revoke(self.deployment, ADMIN, serial, Reason.KEY_COMPROMISE)

    @rule(emaid=_EMAIDS)
    def held_and_released(self, emaid: str) -> None:
        serial = load(self.world.chains[emaid][0]).serial_number.value
        with suppress(Conflict):
            revoke.revoke(self.deployment, ADMIN, serial, Reason.CERTIFICATE_HOLD)
            self.equal()
            revoke.release(self.deployment, ADMIN, serial)

    @rule(emaid=_EMAIDS, state=st.sampled_from(ContractState))
    def state(self, emaid: str, state: ContractState) -> None:
        contracts.set_state(self.deployment, ADMIN, emaid, state)

    @rule(emaid=_EMAIDS, rule_=st.sampled_from(Whitelist), ends=st.booleans())
    def terms(self, emaid: str, rule_: Whitelist, ends: bool) -> None:  # noqa: FBT001 - drawn
        until = self.world.clock.at + dt.timedelta(minutes=20) if ends else None
        change = contracts.ContractChange(whitelist=rule_, valid_until=until)
        contracts.change(self.deployment, ADMIN, emaid, change)

    @rule(begins=st.booleans(), ends=st.booleans(), cpo=st.sampled_from(["*", "DECPA", "DEXYZ"]))
    def agreed(self, begins: bool, ends: bool, cpo: str) -> None:  # noqa: FBT001 - drawn
        now, minutes = self.world.clock.at, dt.timedelta(minutes=20)
        terms = Terms(
            cpo=cpo,
            emsp="DEMOA",
            valid_from=now + minutes if begins else now,
            valid_until=now + 2 * minutes if ends else None,
        )
        self.names += 1
        agreements.add(self.deployment, ADMIN, terms, agreement_id=f"a{self.names}")

    @rule(number=st.integers(min_value=0, max_value=3))
    def withdrawn(self, number: int) -> None:
        if number <= self.names:
            agreements.withdraw(self.deployment, ADMIN, f"a{number}" if number else "a")

    @rule(emaid=_EMAIDS, later=st.booleans())
    def ported(self, emaid: str, later: bool) -> None:  # noqa: FBT001 - drawn
        if not any(found.provider_id.value == "FRMOB" for found in self._accounts()):
            parties.add_emsp(self.deployment, ADMIN, "FRMOB", "Mobilité")
        begin = self.world.clock.at + dt.timedelta(minutes=20) if later else None
        try:
            route.add(self.deployment, ADMIN, RangeKind.EMAID, emaid, "FRMOB", begin=begin)
        except Conflict:
            return
        route.settle(self.deployment)

    def _accounts(self) -> list[Any]:
        return parties.accounts(self.deployment, ADMIN)

    @rule(back=st.booleans())
    def distrusted(self, back: bool) -> None:  # noqa: FBT001 - drawn
        for anchor in trust.anchors(self.deployment, ADMIN):
            if anchor.domain is Domain.MO:
                trust.remove(self.deployment, ADMIN, anchor.fingerprint, Domain.MO)
                self.equal()
                if back:
                    trust.add(self.deployment, ADMIN, anchor.der, Domain.MO)

    def receipt(self, answer: HotResponse) -> Any:
        return plain(json.loads(validate.find(self.deployment, ADMIN, reference(answer)).record))

    @invariant()
    def equal(self) -> None:
        if not hasattr(self, "world"):
            return
        for emaid, path in ((EMAID, V1), (OTHER, V1), (EMAID, OCPP)):
            request = self.world.request(emaid, path)
            self.asks += 1
            new = replace(request, body=request.body + b" " * self.asks)  # not to be remembered
            for each in (request, request, new):
                (found,) = self.world.decisions.many([each])
                if found is None:  # somebody must be asked, who is not asked here
                    continue
                anew = self.world.anew(each)
                assert body_of(found) == body_of(anew)
            if found is not None:
                one, other = (
                    validate.find(self.deployment, ADMIN, reference(a)) for a in (found, anew)
                )
                assert plain(json.loads(one.record)) == plain(json.loads(other.record))
        if found is not None:
            assert validate.replay(self.deployment, ADMIN, reference(found)).same


def test_what_is_given_again_equals_what_is_decided_anew(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("again") / "home"
    make_home(home, *MO_BRANCH)
    Changes.template = home
    run_state_machine_as_test(
        Changes,
        settings=settings(
            max_examples=5,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
