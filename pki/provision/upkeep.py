"""
Periodic work of the provisioning service: new leaves in time, and bundles signed anew with them.

A bundle outlives the leaf that signed it. What is signed anew is the same contract under the same
envelope; the contract's key is neither needed nor known.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import Final

from pki import audit
from pki.errors import NotFound
from pki.model import Bundle, CpsSigner, IssuerState, Principal, Role
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction
from pki.provision import response, signers
from pki.provision.signers import RENEWAL
from pki.v2g import messages

ACTOR: Final = Principal(name="jobs", role=Role.ADMIN)
_BATCH: Final = 100
_SECONDS: Final = 20.0


def equip(deployment: Deployment, principal: Principal) -> list[CpsSigner]:
    """Make a leaf for every active CPS sub-CA 2 that never had one."""
    with deployment.store.read() as tx:
        used = {signer.key_label.rpartition(".")[0] for signer in tx.pools.signers()}
        waiting = [
            issuer
            for issuer in tx.issuers.all()
            if issuer.state is IssuerState.ACTIVE
            and issuer.kind is Kind.CPS_SUB_CA2
            and f"cps.{issuer.issuer_id}" not in used
        ]
    return [
        signers.make(deployment, principal, issuer=issuer.name, suite=issuer.suite)
        for issuer in waiting
    ]


def keep(deployment: Deployment) -> int:
    """Make leaves that are due and sign bundles anew; return how many bundles were."""
    equip(deployment, ACTOR)
    _make_due(deployment)
    return sign_anew(deployment)


def _make_due(deployment: Deployment) -> None:
    """Replace leaves whose CA has none that lasts beyond the time of renewal."""
    soon = deployment.clock.now() + RENEWAL
    with deployment.store.read() as tx:
        lasting = {
            _issuer_id(s) for s in signers.usable(tx, deployment.clock.now()) if s.not_after > soon
        }
        due = {_issuer_id(s) for s in tx.pools.signers()} - lasting
        issuers = [
            i for i in tx.issuers.all() if i.issuer_id in due and i.state is IssuerState.ACTIVE
        ]
    for issuer in issuers:
        signers.make(deployment, ACTOR, issuer=issuer.name, suite=issuer.suite)


def _issuer_id(signer: CpsSigner) -> str:
    return signer.key_label.removeprefix("cps.").rpartition(".")[0]


def sign_anew(deployment: Deployment) -> int:
    """Sign bundles anew whose leaf ends soon or can no longer be used; bounded in time."""
    begun = time.monotonic()
    done = 0
    for old in _ending(deployment):
        while time.monotonic() - begun < _SECONDS:
            count = _batch(deployment, old)
            done += count
            if count < _BATCH:
                break
    return done


def _ending(deployment: Deployment) -> list[CpsSigner]:
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        good = {s.fingerprint for s in signers.usable(tx, now) if s.not_after > now + RENEWAL}
        return [s for s in tx.pools.signers() if s.fingerprint not in good]


def sign_over(deployment: Deployment, old: CpsSigner, newer: CpsSigner) -> int:
    """Sign every bundle of a leaf with another of the same root; return how many there were."""
    done = 0
    while count := _batch(deployment, old, newer):
        done += count
    return done


def _newer(tx: Transaction, old: CpsSigner, now: dt.datetime) -> CpsSigner | None:
    """Return the leaf to use in place of one, or None where none is better."""
    try:
        newer = signers.choose(tx, old.suite, now, root=old.root)
    except NotFound:
        return None
    if newer.fingerprint == old.fingerprint:
        return None
    usable = any(s.fingerprint == old.fingerprint for s in signers.usable(tx, now))
    # one that was revoked is replaced by whatever there is, also by one that ends with it
    return newer if newer.not_after > old.not_after or not usable else None


def _batch(deployment: Deployment, old: CpsSigner, newer: CpsSigner | None = None) -> int:
    """Sign some bundles of a leaf anew; 0 where its root has no newer leaf."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        newer = newer or _newer(tx, old, now)
        if newer is None:
            return 0
        bundles = tx.pools.bundles_signed_by(old.fingerprint, _BATCH)
        for bundle in bundles:
            tx.pools.put_bundle(_signed(deployment, newer, bundle))
        if bundles:
            audit.note(
                tx,
                now,
                ACTOR.name,
                "bundle.sign",
                newer.fingerprint.value,
                {"instead": old.fingerprint.value, "bundles": len(bundles)},
            )
    return len(bundles)


def _signed(deployment: Deployment, signer: CpsSigner, bundle: Bundle) -> Bundle:
    held = response.read(bundle.message, bundle.emaid.edition)
    fresh = response.unsigned(response.contents_of(held), signer.chain)
    message = messages.encode(signers.signed(deployment, signer, fresh))
    update = b""
    if bundle.update_message:
        old = response.read_update(bundle.update_message)
        chain = replace(
            old.provisioning_chain,
            certificate=signer.chain[0],
            sub_certificates=signer.chain[1:],
        )
        anew = signers.signed(deployment, signer, replace(old, provisioning_chain=chain))
        update = messages.encode(anew)
    return replace(bundle, message=message, update_message=update, cps=signer.fingerprint)
