"""Two people: what one proposes, others approve over its exact bytes, and it is done once."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import text

from pki import (
    access,
    approve,
    audit,
    ceremony,
    clients,
    emergency,
    foreign,
    gate,
    hierarchy,
    lookup,
    rotate,
    trust,
)
from pki.clock import FixedClock
from pki.errors import ApprovalNeeded, NotAllowed, PkiError
from pki.ids import Fingerprint
from pki.model import (
    Domain,
    Principal,
    ProposalState,
    Reason,
    Role,
    SourceKind,
    StaleRule,
    StatusRule,
    TrustList,
)
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Deployment
from pki.provision import rcp
from pki.revoke import release, revoke
from pki.services import Services
from pki.status import StatusPolicy
from tests.builders import Spec, make
from tests.homes import ADMIN, demo_plans
from tests.people import HOLDER, admin, controlled, proposal_id

ALICE, BOB, CAROL = admin("alice"), admin("bob"), admin("carol")
ROOT = Path(__file__).resolve().parent.parent
OTHER_ROOT = make(Spec(common_name="Another Root"))
CROSS = make(Spec(common_name="MO Root", key=OTHER_ROOT.key))


@pytest.fixture
def under(small: Services) -> Deployment:
    """The small PKI with three administrators, of whom two others must approve."""
    return controlled(small.deployment, "alice", "bob", "carol")


def _proposed(act: Callable[[], object]) -> tuple[str, bytes]:
    with pytest.raises(ApprovalNeeded) as caught:
        act()
    return proposal_id(caught.value), bytes.fromhex(str(caught.value.data["sha256"]))


def _rule(deployment: Deployment, principal: Principal = ALICE) -> tuple[str, bytes]:
    """Propose that the status of foreign contract certificates need not be known."""
    return _proposed(
        lambda: trust.set_rule(deployment, principal, Domain.MO, StatusRule.NOT_REQUIRED)
    )


def _done(deployment: Deployment) -> bool:
    return trust.rules(deployment, HOLDER)[Domain.MO] is StatusRule.NOT_REQUIRED


def _code(act: Callable[[], object]) -> str:
    with pytest.raises(PkiError) as caught:
        act()
    return caught.value.code


def _state(deployment: Deployment, found: str) -> ProposalState:
    return approve.proposal(deployment, ALICE, found).proposal.state


def test_the_last_of_two_approvals_carries_it_out(anywhere: Services) -> None:
    under = controlled(anywhere.deployment, "alice", "bob", "carol")
    found, sha256 = _rule(under)
    assert approve.accept(under, BOB, found, sha256).proposal.state is ProposalState.PENDING
    assert not _done(under)
    shown = approve.accept(under, CAROL, found, sha256)
    assert shown.proposal.state is ProposalState.DONE
    assert [each.person for each in shown.approvals] == [BOB.name, CAROL.name]
    assert _done(under)
    with under.store.read() as tx:
        told = [e for e in tx.audit.entries(audit.ADMIN) if e.subject in (found, "mo")]
    assert [(e.action, e.actor) for e in told] == [
        ("proposal.add", ALICE.name),
        ("proposal.accept", BOB.name),
        ("proposal.accept", CAROL.name),
        ("proposal.execute", CAROL.name),
        ("trust.policy", ALICE.name),
        ("proposal.end", ALICE.name),
    ]
    assert not any(report.problem for report in audit.verify(under.store))
    assert [s.proposal.proposal_id for s in approve.proposals(under, BOB)] == [found]
    assert approve.proposals(under, BOB, before=found) == []
    assert approve.proposals(under, BOB, state=ProposalState.PENDING) == []


def test_only_other_people_approve_and_each_once(under: Deployment) -> None:
    found, sha256 = _rule(under)
    assert _code(lambda: approve.accept(under, ALICE, found, sha256)) == "own_proposal"
    assert _code(lambda: approve.accept(under, HOLDER, found, sha256)) == "person_needed"
    stranger = Principal(name="admin-nobody", role=Role.ADMIN)
    assert _code(lambda: approve.accept(under, stranger, found, sha256)) == "person_needed"
    for role in set(Role) - {Role.ADMIN}:
        other = Principal(name=BOB.name, role=role)
        with pytest.raises(NotAllowed, match="role"):
            approve.accept(under, other, found, sha256)
    approve.accept(under, BOB, found, sha256)
    assert _code(lambda: approve.accept(under, BOB, found, sha256)) == "already_approved"
    assert _code(lambda: approve.run(under, BOB, found)) == "approvals_missing"
    assert not _done(under)


def test_an_approval_by_who_is_no_administrator_any_more_does_not_count(small: Services) -> None:
    under = controlled(small.deployment, "alice", "bob", "carol", "dave")
    found, sha256 = _rule(under)
    approve.accept(under, BOB, found, sha256)
    removal, seen = _proposed(lambda: clients.disable(under, ALICE, BOB.name))
    for person in (CAROL, admin("dave")):
        approve.accept(under, person, removal, seen)
    approve.accept(under, CAROL, found, sha256)
    assert not _done(under)
    approve.accept(under, admin("dave"), found, sha256)
    assert _done(under)
    assert _code(lambda: clients.disable(under, ALICE, CAROL.name)) == "approval_needed"


def test_nobody_removes_so_many_administrators_that_nothing_can_be_approved(
    under: Deployment,
) -> None:
    removal, seen = _proposed(lambda: clients.disable(under, ALICE, BOB.name))
    approve.accept(under, BOB, removal, seen)
    assert _code(lambda: approve.accept(under, CAROL, removal, seen)) == "people_needed"
    shown = approve.proposal(under, ALICE, removal).proposal
    assert (shown.state, shown.outcome) == (ProposalState.FAILED, "people_needed")


def test_one_rejection_rejects(under: Deployment) -> None:
    found, sha256 = _rule(under)
    approve.accept(under, BOB, found, sha256)
    approve.reject(under, CAROL, found)
    assert _code(lambda: approve.accept(under, CAROL, found, sha256)) == "proposal_ended"
    assert _code(lambda: approve.run(under, CAROL, found)) == "proposal_ended"
    assert not _done(under)
    again, _ = _rule(under)
    assert again != found
    assert approve.reject(under, ALICE, again).proposal.state is ProposalState.REJECTED


def test_a_proposal_ends_by_itself(under: Deployment) -> None:
    found, sha256 = _rule(under)
    approve.accept(under, BOB, found, sha256)
    late = replace(
        under, clock=FixedClock(under.clock.now() + under.approvals.lifetime + dt.timedelta(1))
    )
    assert approve.expire(under) == 0
    assert _code(lambda: approve.accept(late, CAROL, found, sha256)) == "proposal_ended"
    again, _ = _rule(late)
    assert again != found
    assert approve.expire(late) == 1
    assert _state(late, found) is ProposalState.EXPIRED
    assert not _done(under)


def test_the_same_act_is_proposed_once(under: Deployment) -> None:
    assert _rule(under) == _rule(under, BOB)


def test_an_act_is_carried_out_once_whoever_approves_at_the_same_time(anywhere: Services) -> None:
    under = controlled(anywhere.deployment, "alice", "bob", "carol", "dave")
    found, sha256 = _rule(under)
    together = threading.Barrier(3)

    def vote(person: Principal) -> None:
        together.wait()
        try:
            approve.accept(under, person, found, sha256)
        except PkiError as error:
            assert error.code == "proposal_ended"  # noqa: PT017 - on a thread

    voters = [threading.Thread(target=vote, args=(p,)) for p in (BOB, CAROL, admin("dave"))]
    for voter in voters:
        voter.start()
    for voter in voters:
        voter.join()
    assert _done(under)
    with under.store.read() as tx:
        entries = list(tx.audit.entries(audit.ADMIN))
    assert sum(entry.action == "trust.policy" for entry in entries) == 1
    assert _code(lambda: approve.run(under, BOB, found)) == "proposal_ended"


def test_what_fails_is_told_and_not_tried_again(under: Deployment) -> None:
    der = OTHER_ROOT.der
    found, sha256 = _proposed(lambda: trust.add(under, ALICE, der, Domain.V2G))
    trust.add(replace(under, approvals=type(under.approvals)()), ADMIN, der, Domain.V2G)
    approve.accept(under, BOB, found, sha256)
    assert _code(lambda: approve.accept(under, CAROL, found, sha256)) == "anchor_exists"
    shown = approve.proposal(under, ALICE, found).proposal
    assert (shown.state, shown.outcome) == (ProposalState.FAILED, "anchor_exists")
    assert _code(lambda: approve.run(under, CAROL, found)) == "proposal_ended"


def test_more_people_are_asked_where_the_setting_was_raised_meanwhile(small: Services) -> None:
    under = controlled(small.deployment, "alice", "bob", "carol", "dave")
    found, sha256 = _rule(under)
    raised = replace(under, approvals=replace(under.approvals, required=3))
    lowered = replace(under, approvals=replace(under.approvals, required=1))
    for person in (BOB, CAROL):
        approve.accept(raised, person, found, sha256)
    assert not _done(under)
    assert _code(lambda: approve.run(raised, BOB, found)) == "approvals_missing"
    approve.run(lowered, BOB, found)  # two are enough, as it was when it was proposed
    assert _done(under)


# --- I9 ------------------------------------------------------------------------------------------


def test_i9_an_approval_is_given_over_the_bytes_that_were_seen(under: Deployment) -> None:
    found, _ = _rule(under)
    other = gate.digest(gate.canonical("trust.status_rule", {"domain": "v2g"}))
    assert _code(lambda: approve.accept(under, BOB, found, other)) == "not_what_was_proposed"
    assert approve.proposal(under, BOB, found).approvals == ()


_TAMPERINGS = {
    "another act": "UPDATE proposals SET act = :act",
    "another act and hash": "UPDATE proposals SET act = :act, sha256 = :sha",
    "all of it": (
        "UPDATE proposals SET act = :act, sha256 = :sha; UPDATE approvals SET sha256 = :sha"
    ),
    "fewer approvals": "UPDATE proposals SET required = 1",
    "more time": "UPDATE proposals SET expires_at = expires_at + 1",
    "another proposer": "UPDATE proposals SET proposed_by = 'admin-carol'",
    "another entry": "UPDATE proposals SET sequence = sequence - 1",
    "an approval of nobody's": (
        "INSERT INTO approvals SELECT proposal_id, 'admin-carol', sha256, approved_at, sequence "
        "FROM approvals"
    ),
    "another's approval": "UPDATE approvals SET person = 'admin-carol'",
    "a changed entry": "UPDATE audit SET details = :details WHERE action = 'proposal.accept'",
    "a removed entry": "DELETE FROM audit WHERE action = 'proposal.accept'",
}


@pytest.mark.parametrize("change", _TAMPERINGS.values(), ids=_TAMPERINGS)
def test_i9_a_changed_proposal_is_refused(small: Services, change: str) -> None:
    under = controlled(small.deployment, "alice", "bob", "carol")
    found, sha256 = _rule(under)
    approve.accept(under, BOB, found, sha256)
    act = gate.canonical("trust.status_rule", {"domain": "v2g", "status": "not_required"})
    values = {
        "act": act,
        "sha": gate.digest(act),
        "details": f'{{"sha256":"{gate.digest(act).hex()}"}}',
    }
    with small.database._backend.engine.begin() as connection:
        for statement in change.split("; "):
            named = {k: v for k, v in values.items() if f":{k}" in statement}
            connection.execute(text(statement), named)
    for seen in (sha256, gate.digest(act)):
        with pytest.raises(PkiError) as caught:
            approve.accept(under, CAROL, found, seen)
        assert caught.value.code in ("proposal_tampered", "not_what_was_proposed")
    assert _code(lambda: approve.run(under, CAROL, found)) == "proposal_tampered"
    assert not _done(under)
    assert trust.rules(under, HOLDER)[Domain.V2G] is StatusRule.REQUIRED


def test_i9_a_verb_refuses_other_arguments_than_those_approved(under: Deployment) -> None:
    found, _ = _rule(under)
    approved = replace(ALICE, proposal=found)

    def act(domain: Domain = Domain.MO) -> None:
        trust.set_rule(under, approved, domain, StatusRule.NOT_REQUIRED)

    assert _code(act) == "not_what_was_approved"  # not carried out yet
    with under.store.write() as tx:
        tx.proposals.move(found, ProposalState.PENDING, ProposalState.RUNNING)
    assert _code(lambda: act(Domain.V2G)) == "not_what_was_approved"
    assert _code(lambda: trust.remove(under, approved, Fingerprint.of(b""))) == (
        "not_what_was_approved"
    )
    act()
    with under.store.write() as tx:
        tx.proposals.move(found, ProposalState.RUNNING, ProposalState.DONE)
    assert _code(act) == "not_what_was_approved"


# --- what needs it -------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """What the acts of consequence are tried on."""

    under: Deployment
    free: Deployment

    @property
    def ca(self) -> str:
        """Serial of a CA."""
        return lookup.search(self.under, ADMIN, kind=Kind.MO_SUB_CA1)[0].serial.value

    def root_id(self) -> str:
        """Return the id of another's root, which is in the pool."""
        rcp.add(self.free, ADMIN, OTHER_ROOT.der, Domain.V2G, confirm=OTHER_ROOT_PRINT)
        return next(r.root_id for r in rcp.roots(self.free, ADMIN) if r.domain is Domain.V2G)


OTHER_ROOT_PRINT = OTHER_ROOT.certificate.fingerprint.value


def _cross(world: World) -> bytes:
    """Return a certificate by which one foreign root vouches for another."""
    one = make(Spec(common_name="First Root"))
    certified = make(Spec(common_name="Another Root", key=OTHER_ROOT.key), one)
    for root in (one, OTHER_ROOT):
        fingerprint = root.certificate.fingerprint.value
        rcp.add(world.free, ADMIN, root.der, Domain.V2G, confirm=fingerprint)
    return certified.der


def _add_cross(world: World) -> Callable[[], object]:
    der = _cross(world)
    return lambda: rcp.add_cross_certificate(
        world.under, ALICE, der, confirm=Fingerprint.of(der).value
    )


def _remove_cross(world: World) -> Callable[[], object]:
    der = _cross(world)
    fingerprint = Fingerprint.of(der)
    rcp.add_cross_certificate(world.free, ADMIN, der, confirm=fingerprint.value)
    return lambda: rcp.remove_cross_certificate(
        world.under, ALICE, fingerprint, confirm=fingerprint.value
    )


def _release(world: World) -> Callable[[], object]:
    revoke(world.free, ADMIN, world.ca, Reason.CERTIFICATE_HOLD)
    return lambda: release(world.under, ALICE, world.ca)


def _switch(world: World) -> Callable[[], object]:
    rotate.prepare(world.free, ADMIN, "mo2-2")
    return lambda: rotate.switch(world.under, ALICE, "mo2-2")


def _abandon(world: World) -> Callable[[], object]:
    rotate.prepare(world.free, ADMIN, "mo2-2")
    rotate.switch(world.free, ADMIN, "mo2-2")
    later = replace(world.free, clock=FixedClock(world.free.clock.now() + dt.timedelta(hours=1)))
    rotate.close(later, ADMIN, "mo2-2")
    return lambda: rotate.retire(world.under, ALICE, "mo2-2.g1", abandon=True)


def _sign_request(world: World) -> Callable[[], object]:
    (plan,) = demo_plans("mo1-2")
    asked = ceremony.Request(
        plan=replace(plan, name="other-2", common_name="Another CA"),
        generation=1,
        parent="mo-2",
        ca=OTHER_ROOT.certificate.spki,
        responder=make(Spec(common_name="Another responder")).certificate.spki,
    )
    return lambda: ceremony.answer(world.under, ALICE, StatusPolicy(), asked.text())


def _accept_root(world: World) -> Callable[[], object]:
    answer, _ = ceremony.introduce(world.free, ADMIN, StatusPolicy(), "mo-2")
    return lambda: ceremony.accept(world.under, ALICE, answer.text())


def _replace_fallen(world: World) -> Callable[[], object]:
    revoke(world.free, ADMIN, world.ca, Reason.CA_COMPROMISE)
    return lambda: emergency.strike(world.under, ALICE, world.ca, Reason.CA_COMPROMISE)


def _add_source(world: World) -> Callable[[], object]:
    url = "http://crl.example/ca.crl"
    return lambda: foreign.add_source(
        world.under, ALICE, Domain.MO, SourceKind.CRL, url, OTHER_ROOT.der
    )


def _remove_source(world: World) -> Callable[[], object]:
    source = foreign.add_source(
        world.free, ADMIN, Domain.MO, SourceKind.CRL, "http://crl.example/a", OTHER_ROOT.der
    )
    return lambda: foreign.remove_source(world.under, ALICE, source.source_id)


def _remove_anchor(world: World) -> Callable[[], object]:
    trust.add(world.free, ADMIN, OTHER_ROOT.der, Domain.PE)
    return lambda: trust.remove(world.under, ALICE, OTHER_ROOT.certificate.fingerprint)


def _root(world: World, act: Callable[[str], object]) -> Callable[[], object]:
    root_id = world.root_id()
    return lambda: act(root_id)


_CONSEQUENCES: dict[str, Callable[[World], Callable[[], object]]] = {
    "hierarchy.create": lambda w: lambda: hierarchy.create(w.under, ALICE, demo_plans("oem-2")),
    "ca.revoke": lambda w: lambda: revoke(w.under, ALICE, w.ca, Reason.SUPERSEDED),
    "ca.release": _release,
    "rotate.prepare": lambda w: lambda: rotate.prepare(w.under, ALICE, "mo2-2"),
    "rotate.switch": _switch,
    "rotate.abandon": _abandon,
    "client.add": lambda w: lambda: clients.add(w.under, ALICE, Role.CPO, ("DEABC",)),
    "client.remove": lambda w: lambda: clients.disable(w.under, ALICE, admin("dave").name),
    "trust.add": lambda w: lambda: trust.add(w.under, ALICE, OTHER_ROOT.der, Domain.OEM),
    "trust.remove": _remove_anchor,
    "trust.status_rule": lambda w: (
        lambda: trust.set_rule(w.under, ALICE, Domain.OEM, StatusRule.NOT_REQUIRED)
    ),
    "trust.stale_rule": lambda w: (
        lambda: foreign.set_stale_rule(w.under, ALICE, Domain.MO, StaleRule.ACCEPT)
    ),
    "source.add": _add_source,
    "source.remove": _remove_source,
    "root.add": lambda w: (
        lambda: rcp.add(
            w.under,
            ALICE,
            OTHER_ROOT.der,
            Domain.V2G,
            confirm=OTHER_ROOT_PRINT,
            trust_lists=(next(iter(TrustList)),),
        )
    ),
    "root.remove": lambda w: _root(
        w, lambda i: rcp.remove(w.under, ALICE, i, confirm=OTHER_ROOT_PRINT)
    ),
    "root.lists": lambda w: _root(
        w,
        lambda i: rcp.set_trust_lists(
            w.under, ALICE, i, (next(iter(TrustList)),), confirm=OTHER_ROOT_PRINT
        ),
    ),
    "root.cross.add": _add_cross,
    "root.cross.remove": _remove_cross,
    "emergency.replace": _replace_fallen,
    "ceremony.run": lambda w: (
        lambda: ceremony.run(w.under, ALICE, '[[rollover]]\nissuer = "mo-2"\n')
    ),
    "ceremony.sign": _sign_request,
    "ceremony.accept": _accept_root,
}


def test_what_an_offline_ca_signed_once_it_was_approved_is_fetched_by_asking_again(
    small: Services,
) -> None:
    under = controlled(small.deployment, "alice", "bob", required=1)
    ask = _sign_request(World(under, small.deployment))
    found, sha256 = _proposed(ask)
    assert _code(ask) == "approval_needed"
    approve.accept(under, BOB, found, sha256)
    answer, transcript = cast("tuple[ceremony.Answer, ceremony.Transcript]", ask())
    assert load(answer.certificate).spki == OTHER_ROOT.certificate.spki
    assert not transcript.dry_run
    assert [s.proposal.proposal_id for s in approve.proposals(under, BOB)] == [found]


@pytest.mark.parametrize("verb", _CONSEQUENCES)
def test_every_act_of_consequence_waits_and_then_is_done(small: Services, verb: str) -> None:
    names = ("alice", "bob", "dave") if verb != "client.remove" else ("alice", "bob", "dave", "x")
    under = controlled(small.deployment, *names, required=1)
    world = World(under, small.deployment)
    act = _CONSEQUENCES[verb](world)
    with small.deployment.store.read() as tx:
        before = tx.audit.heads()
    found, sha256 = _proposed(act)
    assert approve.proposal(under, BOB, found).proposal.act.endswith(f'"verb":"{verb}"}}')
    with small.deployment.store.read() as tx:
        after = tx.audit.heads()
    assert {chain for chain in after if after[chain] != before.get(chain)} == {audit.ADMIN}
    assert approve.accept(under, BOB, found, sha256).proposal.state is ProposalState.DONE


def test_no_act_of_consequence_is_left_out_of_the_tests() -> None:
    named = {
        verb
        for path in ROOT.glob("pki/**/*.py")
        for call in re.findall(r"gate\.enter\(([^()]*(?:\([^()]*\)[^()]*)*)", path.read_text())
        for verb in re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', call)
    }
    assert named == set(approve._ACTS) == set(_CONSEQUENCES)


def test_previews_leaves_and_people_who_only_look_wait_for_nobody(under: Deployment) -> None:
    ca = lookup.search(under, ADMIN, kind=Kind.MO_SUB_CA2)[0]
    report = revoke(under, ALICE, ca.serial.value, Reason.CA_COMPROMISE, dry_run=True)
    assert report.dry_run
    responder = lookup.search(under, ADMIN, kind=Kind.OCSP)[0]
    assert not revoke(under, ALICE, responder.serial.value, Reason.SUPERSEDED).dry_run
    assert hierarchy.create(under, ALICE, demo_plans("mo-2"))[0].existed


def test_a_ca_falls_with_a_leaf_of_its_key_only_when_others_agree(under: Deployment) -> None:
    ca = lookup.search(under, ADMIN, kind=Kind.MO_SUB_CA2)[0]
    assert _code(lambda: revoke(under, ALICE, ca.serial.value, Reason.KEY_COMPROMISE)) == (
        "approval_needed"
    )
    owner = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
    assert _code(lambda: revoke(under, owner, ca.serial.value, Reason.SUPERSEDED)) == (
        "party_not_allowed"
    )


# --- beginnings ----------------------------------------------------------------------------------


def test_whoever_holds_the_home_acts_alone_until_there_are_enough_people(small: Services) -> None:
    under = controlled(small.deployment, "alice", "bob")
    trust.set_rule(under, HOLDER, Domain.PE, StatusRule.NOT_REQUIRED)
    assert _code(lambda: trust.set_rule(under, ALICE, Domain.PE, StatusRule.REQUIRED)) == (
        "approval_needed"
    )
    controlled(small.deployment, "carol")
    assert _code(lambda: trust.set_rule(under, HOLDER, Domain.PE, StatusRule.REQUIRED)) == (
        "person_needed"
    )
    raised = replace(under, approvals=replace(under.approvals, required=5))
    assert _code(lambda: trust.set_rule(raised, HOLDER, Domain.PE, StatusRule.REQUIRED)) == (
        "person_needed"
    )
    with under.store.read() as tx:
        begun = [e for e in tx.audit.entries(audit.ADMIN) if e.action == "two_people.begin"]
    assert len(begun) == 1
    assert CAROL.name in begun[0].details


def test_no_administrator_makes_the_token_of_another(under: Deployment) -> None:
    assert _code(lambda: clients.require_own_token(under)) == "token_hash_missing"
    token = clients.new_token()
    wanted = clients.new(Role.ADMIN, (), access.token_hash(token), client_id="admin-erin")
    found, sha256 = _proposed(lambda: clients.register(under, ALICE, wanted))
    assert token not in approve.proposal(under, BOB, found).proposal.act
    for person in (BOB, CAROL):
        assert _code(lambda: access.authenticate(under, token)) == "token_invalid"
        approve.accept(under, person, found, sha256)
    assert access.authenticate(under, token) == admin("erin")
