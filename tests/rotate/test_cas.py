"""Rotation of CAs: nothing stops, old and new validate, and each generation does its part."""

from __future__ import annotations

import datetime as dt

import pytest

from pki import audit, lookup, rotate
from pki.errors import Conflict, NotFound, PkiError
from pki.ids import Fingerprint
from pki.issue import Issued, IssueRequest, issue
from pki.model import Accepted, ContractCheck, Issuer, IssuerState, Principal, Reason, Role
from pki.pkix import fulllint, lint
from pki.pkix import path as paths
from pki.pkix.certificate import Certificate, load
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.rotate import Step
from pki.rotate.cross import certify, profile_of
from pki.services import Services
from pki.status import StatusPolicy, crls
from pki.validate import validate
from tests.homes import ADMIN, EMAID
from tests.status import hosts

NO_GRACE = dt.timedelta(0)


def _issued(services: Services, emaid: str = EMAID) -> Issued:
    return issue(services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=emaid))


def _good(services: Services, issued: Issued) -> bool:
    decision = validate(services.deployment, ADMIN, ContractCheck(chain=issued.chain))
    accepted = isinstance(decision.verdict, Accepted)
    return accepted and hosts.ask(services, issued.record) == hosts.GOOD


def _issuer(services: Services, issuer_id: str) -> Issuer:
    return hosts.issuer_of(services, issuer_id)


def _rotated(services: Services, name: str) -> None:
    rotate.prepare(services.deployment, ADMIN, name)
    rotate.switch(services.deployment, ADMIN, name)
    rotate.close(services.deployment, ADMIN, name, grace=NO_GRACE)


def _intact(services: Services) -> bool:
    return not any(report.problem for report in audit.verify(services.deployment.store))


def test_a_rotation_goes_through_its_steps_and_both_generations_stay_good(small: Services) -> None:
    deployment = small.deployment
    before = _issued(small)
    assert rotate.plan(deployment, ADMIN, "mo2-2").step is Step.PREPARE
    made = rotate.prepare(deployment, ADMIN, "mo2-2")
    assert (made.old, made.new) == ("mo2-2.g1", "mo2-2.g2")
    assert _issuer(small, "mo2-2.g2").state is IssuerState.STATUS_ONLY
    assert _issued(small).record.issuer_id == "mo2-2.g1"
    rotate.switch(deployment, ADMIN, "mo2-2")
    after = _issued(small)
    assert after.record.issuer_id == "mo2-2.g2"
    assert _issuer(small, "mo2-2.g1").state is IssuerState.ACTIVE  # finishes what it began
    rotate.close(deployment, ADMIN, "mo2-2", grace=NO_GRACE)
    assert _issuer(small, "mo2-2.g1").state is IssuerState.STATUS_ONLY
    assert _good(small, before)
    assert _good(small, after)
    assert rotate.plan(deployment, ADMIN, "mo2-2").step is Step.PREPARE
    assert _intact(small)


def test_generations_share_name_and_subject_and_have_keys_of_their_own(small: Services) -> None:
    rotate.prepare(small.deployment, ADMIN, "mo2-2")
    old, new = (load(_issuer(small, f"mo2-2.g{n}").certificate) for n in (1, 2))
    assert old.subject == new.subject
    assert old.spki != new.spki
    assert old.key_id != new.key_id


def test_a_prepared_generation_answers_for_itself_and_publishes_its_crl(small: Services) -> None:
    rotate.prepare(small.deployment, ADMIN, "mo2-2")
    assert crls.publish_due(small.deployment, ADMIN, StatusPolicy()) > 0
    record = crls.current(small.deployment, "mo2-2.g2", 0)
    assert record.issuer_id == "mo2-2.g2"
    assert any(r.issuer_id == "mo2-2.g2" for r in hosts.responders_of(small))


def test_steps_out_of_order_are_refused_and_change_nothing(small: Services) -> None:
    deployment = small.deployment
    for step in (rotate.switch, rotate.close):
        with pytest.raises(Conflict) as caught:
            step(deployment, ADMIN, "mo2-2")
        assert caught.value.code in {"not_prepared", "not_switched"}
    rotate.prepare(deployment, ADMIN, "mo2-2")
    rotate.switch(deployment, ADMIN, "mo2-2")
    with pytest.raises(Conflict) as early:
        rotate.close(deployment, ADMIN, "mo2-2")
    assert early.value.code == "rotation_too_early"
    with pytest.raises(Conflict) as second:
        rotate.prepare(deployment, ADMIN, "mo2-2")
    assert second.value.code == "rotation_underway"
    with pytest.raises(Conflict) as needed:
        rotate.retire(deployment, ADMIN, "mo2-2.g2")
    assert needed.value.code == "issuer_active"
    with pytest.raises(NotFound):
        rotate.plan(deployment, ADMIN, "nobody")


def test_preparing_twice_makes_one_generation(small: Services) -> None:
    first, second = (rotate.prepare(small.deployment, ADMIN, "mo2-2") for _ in range(2))
    assert first.new == second.new == "mo2-2.g2"
    assert sum(i.name == "mo2-2" for i in lookup.issuers(small.deployment)) == 2


def test_only_an_administrator_rotates(small: Services) -> None:
    emsp = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
    for verb in (rotate.plan, rotate.prepare, rotate.switch, rotate.close, rotate.retire):
        with pytest.raises(PkiError) as caught:
            verb(small.deployment, emsp, "mo2-2")
        assert caught.value.code == "role_not_allowed"


def test_a_generation_that_was_revoked_is_replaced_at_once(small: Services) -> None:
    issuer = load(_issuer(small, "mo2-2.g1").certificate)
    revoke(small.deployment, ADMIN, issuer.fingerprint.value, Reason.CA_COMPROMISE)
    with pytest.raises(NotFound):
        _issued(small)
    rotate.prepare(small.deployment, ADMIN, "mo2-2")
    rotate.switch(small.deployment, ADMIN, "mo2-2")
    assert _good(small, _issued(small))


def test_the_job_closes_after_the_grace_and_retires_when_the_last_certificate_is_gone(
    small_home: object,
) -> None:
    from pathlib import Path  # noqa: PLC0415

    from tests.homes import opened  # noqa: PLC0415

    assert isinstance(small_home, Path)
    clock = hosts.MovableClock()
    with opened(small_home, clock=clock) as services:
        issued = _issued(services)
        rotate.prepare(services.deployment, ADMIN, "mo2-2")
        rotate.switch(services.deployment, ADMIN, "mo2-2")
        assert rotate.settle(services.deployment, ADMIN) == 0
        clock.at += rotate.GRACE
        assert rotate.settle(services.deployment, ADMIN) == 1
        assert _issuer(services, "mo2-2.g1").state is IssuerState.STATUS_ONLY
        assert rotate.settle(services.deployment, ADMIN) == 0
        clock.at = issued.record.not_after + dt.timedelta(seconds=1)
        assert rotate.settle(services.deployment, ADMIN) == 1
        assert _issuer(services, "mo2-2.g1").state is IssuerState.RETIRED
        assert _issuer(services, "mo2-2.g2").state is IssuerState.ACTIVE


def test_a_prepared_generation_is_not_retired_for_having_no_certificates(small: Services) -> None:
    rotate.prepare(small.deployment, ADMIN, "mo2-2")
    assert rotate.settle(small.deployment, ADMIN) == 0
    assert rotate.plan(small.deployment, ADMIN, "mo2-2").step is Step.SWITCH


def test_the_rehearsal_says_who_keeps_what_until_when(small: Services) -> None:
    issued = _issued(small)
    effects = rotate.plan(small.deployment, ADMIN, "mo2-2").effects
    kept = [e for e in effects if e.who == "DEMOA"]
    assert [(e.count, e.at) for e in kept] == [(1, issued.record.not_after)]
    above = rotate.plan(small.deployment, ADMIN, "mo1-2").effects
    assert [e.at for e in above if e.who == "CA mo2-2.g1"] == [
        load(_issuer(small, "mo2-2.g1").certificate).not_after
    ]


def test_a_rotated_ca_does_not_push_aside_another_that_is_newer(small: Services) -> None:
    from dataclasses import replace  # noqa: PLC0415

    from pki import hierarchy  # noqa: PLC0415
    from tests.homes import demo_plans  # noqa: PLC0415

    (plan,) = demo_plans("mo2-2")
    other = replace(plan, name="second-2", common_name="Second MO Sub-CA 2")
    hierarchy.create(small.deployment, ADMIN, [other])
    chosen = _issued(small).record.issuer_id
    assert chosen == "second-2.g1"
    _rotated(small, "mo2-2")
    assert _issued(small).record.issuer_id == chosen


# --- roots ---------------------------------------------------------------------------------------


def _path(leaf: Issued, pool: list[Certificate], anchor: Issuer) -> paths.Path | paths.NoPath:
    others = [load(der) for der in leaf.chain[1:]] + pool
    return paths.find(load(leaf.chain[0]), tuple(others), (load(anchor.certificate),))


def _cross(services: Services) -> list[Certificate]:
    with services.deployment.store.read() as tx:
        return [load(cross.der) for cross in tx.pools.cross_certificates()]


def test_cross_signed_and_rolled_over_roots_validate_in_both_directions(small: Services) -> None:
    old_leaf = _issued(small)
    for name in ("mo-2", "mo1-2", "mo2-2"):
        _rotated(small, name)
    new_leaf = _issued(small)
    old, new = _issuer(small, "mo-2.g1"), _issuer(small, "mo-2.g2")
    cross = _cross(small)
    assert len(cross) == 2
    assert isinstance(_path(old_leaf, [], old), paths.Path)
    assert isinstance(_path(new_leaf, [], new), paths.Path)
    assert isinstance(_path(new_leaf, cross, old), paths.Path)  # who never heard of the new root
    assert isinstance(_path(old_leaf, cross, new), paths.Path)  # who forgot the old one
    assert not isinstance(_path(new_leaf, [], old), paths.Path)
    assert not isinstance(_path(old_leaf, [], new), paths.Path)
    assert _good(small, old_leaf)
    assert _good(small, new_leaf)
    assert _intact(small)


def test_a_cross_certificate_is_a_roots_that_ends_with_the_first_of_both(small: Services) -> None:
    _rotated(small, "mo-2")
    old, new = (load(_issuer(small, f"mo-2.g{n}").certificate) for n in (1, 2))
    assert len(_cross(small)) == 2
    for certified, signer in ((new, old), (old, new)):
        (der,) = [cross for cross in _cross(small) if cross.spki == certified.spki]
        assert der.subject == certified.subject
        assert der.issuer == signer.subject
        assert der.not_after == min(old.not_after, new.not_after)
        profile = profile_of(_issuer(small, "mo-2.g1"))
        assert der.basic_constraints == certified.basic_constraints
        assert fulllint.unwaived(der.der, profile) == ()
        facts = lint.IssuerFacts(
            subject=signer.subject,
            key_id=signer.key_id,
            not_before=signer.not_before,
            not_after=signer.not_after,
            path_length=None,
            suite=_issuer(small, "mo-2.g1").suite,
        )
        assert lint.lint(der.der, profile, facts) == ()


def test_a_new_root_is_trusted_and_vouched_for_before_it_issues(small: Services) -> None:
    made = rotate.prepare(small.deployment, ADMIN, "mo-2")
    new = _issuer(small, str(made.new))
    with small.deployment.store.read() as tx:
        assert Fingerprint.of(new.certificate) in {a.fingerprint for a in tx.trust.anchors()}
        (cross,) = tx.pools.cross_certificates()
    assert cross.certified == Fingerprint.of(new.certificate)
    assert new.state is IssuerState.STATUS_ONLY


def test_roots_vouch_only_for_roots_of_their_kind(full: Services) -> None:
    pairs = (("mo-2.g1", "v2g-2.g1"), ("v2g-2.g1", "cpo1-2.g1"), ("mo-2.g1", "mo-2.g1"))
    for by, subject in pairs:
        with pytest.raises(PkiError) as caught:
            certify(full.deployment, ADMIN, by=_issuer(full, by), subject=_issuer(full, subject))
        assert caught.value.code == "cross_certificate_foreign"
