"""
CAs: a next generation of the same name and subject, made under the newest generation above it.

Both generations are active between switch and close, so that an order that was placed with the old
one can still be carried out: no request fails for a rotation. What the old one issued stays good,
and the old one answers for it, until the last of it has ended.
"""

from __future__ import annotations

import datetime as dt
import json

from cryptography import x509
from cryptography.x509.oid import NameOID

from pki import access, audit, gate, hierarchy
from pki.clock import format_time
from pki.errors import Conflict, NotFound
from pki.hierarchy import IssuerPlan
from pki.ids import quote
from pki.model import ChangeKind, Issuer, IssuerState, Principal
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction
from pki.provision import upkeep
from pki.rotate import cross
from pki.rotate.lines import GRACE, Line, close_from, fact, line, needing, number
from pki.rotate.rehearsal import effects
from pki.rotate.values import Rotation, Step


def prepare(deployment: Deployment, principal: Principal, name: str) -> Rotation:
    """
    Make the next generation with its responder; CRL and certificate are published from then on.

    For a root: it becomes a trust anchor, and the root before it vouches for its key. What an
    interrupted run made is taken up.

    Raises:
        NotFound: `issuer_unknown`.
        Conflict: `rotation_underway`: the one before is not closed; `issuer_not_active`.
        PolicyViolation: `lint_failed`, `issuer_expired`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        found = line(tx, name)
        _refuse(found, Step.CLOSE)
        wanted = plan_of(tx, found.newest)
    act = {"name": name, "newest": found.newest.issuer_id}
    gate.enter(deployment, principal, "rotate.prepare", act)
    made = hierarchy.next_generation(deployment, principal, wanted, number(found))
    if made.parent_id is None and found.active:
        cross.certify(deployment, principal, by=found.active[-1], subject=made)
    return Rotation(
        key=f"ca {name}",
        step=Step.PREPARE,
        old=found.newest.issuer_id,
        new=made.issuer_id,
        following=Step.SWITCH,
    )


def plan_of(tx: Transaction, issuer: Issuer) -> IssuerPlan:
    """Return the plan that an issuer could have been made from."""
    parent = tx.issuers.get(issuer.parent_id) if issuer.parent_id else None
    subject = load(issuer.certificate).x509.subject
    return IssuerPlan(
        name=issuer.name,
        kind=issuer.kind,
        suite=issuer.suite,
        parent=parent.name if parent else None,
        common_name=_attribute(subject, NameOID.COMMON_NAME),
        organization=_attribute(subject, NameOID.ORGANIZATION_NAME),
        country=_attribute(subject, NameOID.COUNTRY_NAME),
        responder=any(r.issuer_id == issuer.issuer_id for r in tx.status.responders()),
        crl_url=issuer.crl_url,
        crl_shards=issuer.crl_shards,
    )


def _attribute(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    return str(subject.get_attributes_for_oid(oid)[0].value)


def _refuse(found: Line, step: Step) -> None:
    if found.step is step:
        raise Conflict(
            "rotation_underway",
            f"The rotation of {found.name} is at the step {step.value}.",
            hint=f"`pnc rotate ca {found.name}` shows it, with --yes it takes the step.",
        )


def switch(deployment: Deployment, principal: Principal, name: str) -> Rotation:
    """
    Issue from the prepared generation from now on; the old one finishes what it began.

    Raises:
        NotFound: `issuer_unknown`.
        Conflict: `not_prepared`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        prepared = _prepared(line(tx, name))
    act = {"name": name, "prepared": prepared.issuer_id}
    gate.enter(deployment, principal, "rotate.switch", act)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        found = line(tx, name)
        new = _prepared(found)
        told = {"generation": new.generation, "at": format_time(now)}
        tx.put_setting(fact(name), json.dumps(told))
        _move(tx, new, IssuerState.ACTIVE, now, principal)
    if new.kind is Kind.CPS_SUB_CA2:
        upkeep.equip(deployment, principal)  # the job would do it within the hour
    for old in found.active if new.parent_id is None else ():
        cross.certify(deployment, principal, by=new, subject=old)
    return Rotation(
        key=f"ca {name}",
        step=Step.SWITCH,
        old=found.active[-1].issuer_id if found.active else None,
        new=new.issuer_id,
        following=Step.CLOSE,
        wait_until=now + GRACE,
    )


def _prepared(found: Line) -> Issuer:
    if found.prepared is None:
        raise Conflict(
            "not_prepared",
            f"No next generation of {found.name} is prepared.",
            hint=f"`pnc rotate ca {found.name} --step prepare --yes` makes it.",
        )
    return found.prepared


def close(
    deployment: Deployment, principal: Principal, name: str, *, grace: dt.timedelta = GRACE
) -> Rotation:
    """
    Let the old generations sign status only.

    Raises:
        NotFound: `issuer_unknown`.
        Conflict: `not_switched`; `rotation_too_early`: something may be under way.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        found = line(tx, name)
        if found.step is not Step.CLOSE:
            raise Conflict("not_switched", f"Only one generation of {name} issues.")
        _refuse_early(tx, found, now, grace)
        for issuer in found.active[:-1]:
            _move(tx, issuer, IssuerState.STATUS_ONLY, now, principal)
    return Rotation(
        key=f"ca {name}",
        step=Step.CLOSE,
        old=found.active[0].issuer_id,
        new=found.active[-1].issuer_id,
        following=Step.RETIRE,
    )


def _refuse_early(tx: Transaction, found: Line, now: dt.datetime, grace: dt.timedelta) -> None:
    until = close_from(found, grace)
    old = {issuer.issuer_id for issuer in found.active[:-1]}
    busy = any(
        intent.issuer_id in old and intent.created_at + grace > now
        for intent in tx.intents.unfinished()
    )
    if busy or (until is not None and now < until):
        raise Conflict(
            "rotation_too_early",
            f"The generation before the last of {found.name} may still be at work.",
            hint=f"Try again after {format_time(until or now + grace)}; the job `rotation` does "
            "so by itself.",
        )


def retire(
    deployment: Deployment,
    principal: Principal,
    issuer_id: str,
    *,
    abandon: bool = False,
) -> Rotation:
    """
    Let an old generation sign nothing any more, not even status.

    Args:
        abandon: although certificates of it live; nobody is told their status from then on.

    Raises:
        NotFound: `issuer_unknown`.
        Conflict: `issuer_active`, `issuer_needed`: certificates of it live.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    if abandon:
        gate.enter(deployment, principal, "rotate.abandon", {"issuer": issuer_id})
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        issuer = tx.issuers.get(issuer_id)
        if issuer is None:
            raise NotFound("issuer_unknown", f"There is no issuer {quote(issuer_id)}.")
        if issuer.state is not IssuerState.STATUS_ONLY:
            raise Conflict("issuer_active", f"{issuer_id} is {issuer.state.value}.")
        living = needing(issuer, tx.certificates.living(issuer_id, now))
        if living and not abandon:
            last = max(each.last for each in living)
            raise Conflict(
                "issuer_needed",
                f"{sum(each.count for each in living)} certificates of {issuer_id} live until "
                f"{last:%Y-%m-%d}.",
            )
        _move(tx, issuer, IssuerState.RETIRED, now, principal)
    return Rotation(
        key=f"ca {issuer.name}",
        step=Step.RETIRE,
        old=issuer_id,
        new=None,
        effects=effects(issuer, living) if living else (),
    )


def _move(
    tx: Transaction, issuer: Issuer, state: IssuerState, at: dt.datetime, by: Principal
) -> None:
    tx.issuers.set_state(issuer.issuer_id, state)
    audit.record(
        tx,
        chain=issuer.issuer_id,
        at=at,
        actor=by.name,
        action="issuer.set",
        subject=issuer.issuer_id,
        details={"before": issuer.state.value, "after": state.value},
    )
    for kind in (ChangeKind.ISSUERS, ChangeKind.TRUST):
        tx.status.add_change(kind, issuer.issuer_id, None, at)


def settle(deployment: Deployment, principal: Principal) -> int:
    """Close and retire whatever is due; return how many generations moved."""
    with deployment.store.read() as tx:
        issuers = tx.issuers.all()
    names = {issuer.name for issuer in issuers if issuer.certificate}
    return sum(_settle(deployment, principal, name) for name in sorted(names))


def _settle(deployment: Deployment, principal: Principal, name: str) -> int:
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        found = line(tx, name)
        over = [
            issuer.issuer_id
            for issuer in found.ending
            if not needing(issuer, tx.certificates.living(issuer.issuer_id, now))
        ]
    for issuer_id in over:
        retire(deployment, principal, issuer_id)
    if found.step is not Step.CLOSE:
        return len(over)
    try:
        close(deployment, principal, name)
    except Conflict:  # too early, or another runner was faster
        return len(over)
    return len(over) + 1
