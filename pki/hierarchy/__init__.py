"""
CA hierarchies from one reviewed TOML file.

Every certificate goes through the same two phases as a leaf, and its twin through the full lint. A
run that was interrupted goes on where it stopped: what exists is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from pki import access, gate, trust
from pki.errors import Conflict, Unavailable
from pki.hierarchy.plans import IssuerPlan, read, read_document
from pki.issue import Order, carry_out, lint_fully, validity_end
from pki.model import Anchor, Domain, Issuer, IssuerState, Principal
from pki.pkix import build
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import PublicKey, Suite, generate
from pki.ports import Deployment, Signer
from pki.status import responders

ROOT_DOMAINS: Final[Mapping[Kind, Domain]] = {
    Kind.V2G_ROOT: Domain.V2G,
    Kind.MO_ROOT: Domain.MO,
    Kind.OEM_ROOT: Domain.OEM,
    Kind.PE_ROOT: Domain.PE,
}
"""Roots that a contract decision may end at; that of station TLS is none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `create` did with one CA of the plan."""

    issuer: Issuer
    existed: bool


def create(
    deployment: Deployment,
    principal: Principal,
    plans: list[IssuerPlan],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Made]:
    """
    Make every CA of the plan that does not exist yet, its responder and, for roots, its trust
    anchor.

    Args:
        progress: told the name of each CA when it is done.

    Raises:
        PolicyViolation: `lint_failed` before anything of that CA is signed.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    if not all(_exists(deployment, plan) for plan in plans):
        wanted = {"plans": [asdict(plan) for plan in plans]}
        gate.enter(deployment, principal, "hierarchy.create", wanted)
    made = []
    for plan in plans:
        made.append(_create_one(deployment, principal, plan))
        progress(plan.name)
    return made


def _exists(deployment: Deployment, plan: IssuerPlan) -> bool:
    with deployment.store.read() as tx:
        found = tx.issuers.get(_id(plan, 1))
    return found is not None and found.state is not IssuerState.PENDING


def _create_one(deployment: Deployment, principal: Principal, plan: IssuerPlan) -> Made:
    existed = _exists(deployment, plan)
    with deployment.store.read() as tx:
        parent = tx.issuers.active(plan.parent) if plan.parent else None
    if not existed:
        _refuse_parent(plan, parent)
        _make_ca(deployment, principal, plan, parent)
    return Made(issuer=_equip(deployment, principal, plan, _id(plan, 1)), existed=existed)


def next_generation(
    deployment: Deployment, principal: Principal, plan: IssuerPlan, generation: int
) -> Issuer:
    """
    Make a further generation of a CA, which signs status only until `pki.rotate` switches to it.

    What an interrupted run made is taken up.

    Raises:
        Conflict: `issuer_not_active`: the CA above it.
        PolicyViolation: `issuer_expired`, `lint_failed`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    issuer_id = _id(plan, generation)
    with deployment.store.read() as tx:
        existing = tx.issuers.get(issuer_id)
        parent = tx.issuers.active(plan.parent) if plan.parent else None
    if existing is None or existing.state is IssuerState.PENDING:
        _refuse_parent(plan, parent)
        _make_ca(deployment, principal, plan, parent, generation)
    return _equip(deployment, principal, plan, issuer_id)


def _id(plan: IssuerPlan, generation: int) -> str:
    return f"{plan.name}.g{generation}"


def _refuse_parent(plan: IssuerPlan, parent: Issuer | None) -> None:
    if plan.parent and parent is None:
        raise Conflict(
            "issuer_not_active",
            f"{plan.name} needs the issuer {plan.parent}, which is not active.",
            hint="`pnc issuer list` shows the states.",
        )
    if parent is not None and parent.offline:
        raise Conflict(
            "issuer_offline",
            f"The key of {parent.issuer_id} is not here; {plan.name} is signed where it is.",
            hint="`pnc ceremony request` makes the file that travels there.",
        )


def _equip(
    deployment: Deployment, principal: Principal, plan: IssuerPlan, issuer_id: str
) -> Issuer:
    """Give a CA its trust anchor and its responder, where it has none, and return it."""
    issuer = _stored(deployment, issuer_id)
    if plan.kind in ROOT_DOMAINS:
        _trust_root(deployment, principal, issuer)
    if plan.responder:
        _make_responder(deployment, principal, issuer)
    return issuer


def _stored(deployment: Deployment, issuer_id: str) -> Issuer:
    with deployment.store.read() as tx:
        issuer = tx.issuers.get(issuer_id)
    if issuer is None:
        raise Unavailable("store_unavailable", f"The issuer {issuer_id} was not kept.")
    return issuer


def _make_ca(
    deployment: Deployment,
    principal: Principal,
    plan: IssuerPlan,
    parent: Issuer | None,
    generation: int = 1,
) -> None:
    issuer_id = _id(plan, generation)
    signer = key_for(deployment, issuer_id, plan.suite)
    issuer = Issuer(
        issuer_id=issuer_id,
        name=plan.name,
        generation=generation,
        kind=plan.kind,
        edition=plan.suite.edition,
        suite=plan.suite,
        state=IssuerState.PENDING,
        certificate=b"",
        parent_id=parent.issuer_id if parent else None,
        key_label=issuer_id,
        owner="",
        demo=deployment.demo,
        created_at=deployment.clock.now(),
        crl_url=plan.crl_url,
        crl_shards=plan.crl_shards,
    )
    order = order_for(deployment, plan, parent or issuer, signer.public_key)
    order = replace(
        order, new_issuer=issuer if parent is not None else None, prepared=generation > 1
    )
    lint_fully(deployment, order)
    carry_out(deployment, principal, order)


def key_for(deployment: Deployment, label: str, suite: Suite) -> Signer:
    """Make the key, or take the one that an interrupted run left behind uncertified."""
    try:
        return deployment.keys.create(label, suite)
    except Conflict:
        return deployment.keys.signer(label)


def order_for(
    deployment: Deployment,
    plan: IssuerPlan,
    issuer: Issuer,
    public_key: PublicKey,
) -> Order:
    """Return the order for the certificate of a CA, from now to as long as it may be."""
    profile = find(plan.kind, plan.suite.edition)
    certificate = load(issuer.certificate) if issuer.certificate else None
    now = deployment.clock.now()
    return Order(
        profile=profile,
        issuer=issuer,
        issuer_certificate=certificate,
        spki=build.spki(public_key),
        suite=plan.suite,
        subject=build.subject(
            profile,
            common_name=plan.common_name,
            organization=plan.organization,
            country=plan.country,
        ),
        common_name=plan.common_name,
        owner="",
        not_before=now,
        not_after=validity_end(profile, certificate, now, None),
    )


def _trust_root(deployment: Deployment, principal: Principal, issuer: Issuer) -> None:
    certificate = load(issuer.certificate)
    anchor = Anchor(
        fingerprint=certificate.fingerprint,
        domain=ROOT_DOMAINS[issuer.kind],
        der=certificate.der,
        added_at=deployment.clock.now(),
        added_by=principal.name,
    )
    with deployment.store.write() as tx:
        # an anchor that an administrator removed stays removed
        if not tx.trust.was_anchor(anchor.fingerprint, anchor.domain):
            trust.put(tx, anchor, certificate)


def _make_responder(deployment: Deployment, principal: Principal, issuer: Issuer) -> None:
    """Certify a delegated OCSP signer unless the CA has one."""
    with deployment.store.read() as tx:
        if any(r.issuer_id == issuer.issuer_id for r in tx.status.responders()):
            return
    public_key = generate(issuer.suite).public_key()
    lint_fully(deployment, responders.order(deployment, issuer, public_key))
    responders.make(deployment, principal, issuer)


__all__ = [
    "ROOT_DOMAINS",
    "IssuerPlan",
    "Made",
    "create",
    "key_for",
    "lint_fully",
    "next_generation",
    "order_for",
    "read",
    "read_document",
]
