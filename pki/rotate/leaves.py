"""
Delegated keys: OCSP responders and leaves of the provisioning service.

The next one is certified and signs from its commit on; what the one before signed stays good until
that one ends. Nothing has to be switched and nobody fails.
"""

from __future__ import annotations

import datetime as dt

from pki import access
from pki.errors import NotFound
from pki.ids import quote
from pki.model import CpsSigner, Issuer, IssuerState, Principal, Responder
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction
from pki.provision import signers, upkeep
from pki.rotate.values import Effect, Rotation, Step
from pki.status import responders

_SIGNING = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))


def responder(
    deployment: Deployment, principal: Principal, name: str, *, dry_run: bool = False
) -> list[Rotation]:
    """
    Give a CA a new delegated OCSP signer, each of its generations that answers for anything.

    Args:
        name: of the CA, or the id of one generation.

    Raises:
        NotFound: `issuer_unknown`: no such CA answers by a delegated signer.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        known = tx.status.responders()
        issuers = [
            i
            for i in tx.issuers.all()
            if name in (i.name, i.issuer_id)
            and i.state in _SIGNING
            and any(r.issuer_id == i.issuer_id for r in known)
        ]
    if not issuers:
        raise NotFound("issuer_unknown", f"No issuer {quote(name)} has a delegated OCSP signer.")
    return [_responder(deployment, principal, i, known, dry_run=dry_run) for i in issuers]


def _responder(
    deployment: Deployment,
    principal: Principal,
    issuer: Issuer,
    known: list[Responder],
    *,
    dry_run: bool,
) -> Rotation:
    own = [r for r in known if r.issuer_id == issuer.issuer_id]
    last = max(own, key=lambda each: each.not_before)
    new = None if dry_run else responders.make(deployment, principal, issuer).key_label
    effect = Effect(
        step=Step.SWITCH,
        who="whoever keeps an OCSP answer",
        what=f"may use it until it ends; the certificate of {last.key_label} stays good",
        at=last.not_after,
    )
    return Rotation(
        key=f"responder {issuer.issuer_id}",
        step=Step.SWITCH,
        old=last.key_label,
        new=new or f"ocsp.{issuer.issuer_id}.{len(own) + 1}",
        effects=(effect,),
        dry_run=dry_run,
    )


def cps(
    deployment: Deployment, principal: Principal, name: str, *, dry_run: bool = False
) -> Rotation:
    """
    Give a CPS sub-CA 2 a new leaf, and sign with it what the leaves before it signed.

    Interrupted, it is called again and makes no second leaf for what is left to be signed: the job
    `cps` signs that anew as soon as the old leaf nears its end.

    Raises:
        NotFound: `issuer_unknown`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        issuer = _cps_issuer(tx, name)
        old = _leaves_of(tx, issuer, deployment.clock.now())
    made = None
    if not dry_run:
        made = signers.make(deployment, principal, issuer=name, suite=issuer.suite)
        for leaf in old:
            upkeep.sign_over(deployment, leaf, made)
    return Rotation(
        key=f"cps {name}",
        step=Step.SWITCH,
        old=old[0].key_label if old else None,
        new=made.key_label if made else None,
        effects=tuple(_leaf_effect(leaf) for leaf in old),
        dry_run=dry_run,
    )


def _cps_issuer(tx: Transaction, name: str) -> Issuer:
    found = tx.issuers.active(name)
    if found is None or found.kind is not Kind.CPS_SUB_CA2:
        raise NotFound("issuer_unknown", f"There is no active CPS sub-CA 2 {quote(name)}.")
    return found


def _leaves_of(tx: Transaction, issuer: Issuer, now: dt.datetime) -> list[CpsSigner]:
    begin = f"cps.{issuer.name}.g"
    return [s for s in signers.usable(tx, now) if s.key_label.startswith(begin)]


def _leaf_effect(leaf: CpsSigner) -> Effect:
    return Effect(
        step=Step.SWITCH,
        who="cars that fetched their contract",
        what=f"have it already; a station that holds the answer signed by {leaf.key_label} may "
        "hand it on until that leaf ends",
        at=leaf.not_after,
    )
