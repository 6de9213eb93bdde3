"""
The leaves of our provisioning service: made, chosen, and the only code that signs with them.

Their keys are delegated ones. Each signature is told of by the audit entry of the bundle that it
went into (I1).
"""

from __future__ import annotations

import datetime as dt
from typing import Final, TypeVar

from pki import access, audit
from pki.errors import Conflict, NotFound, Unavailable
from pki.ids import Fingerprint
from pki.issue import carry_out, chain_of, own_leaf
from pki.model import CpsSigner, Issuer, IssuerState, Principal
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Deployment, Signer, Transaction
from pki.v2g.messages import Message
from pki.v2g.signature import sign

M = TypeVar("M", bound=Message)

RENEWAL: Final = dt.timedelta(days=30)
"""A CPS leaf that ends sooner is replaced, and what it signed is signed anew."""


def make(
    deployment: Deployment,
    principal: Principal,
    *,
    issuer: str | None = None,
    suite: Suite = Suite.P256,
) -> CpsSigner:
    """
    Make a key and certify it as leaf of the provisioning service.

    Args:
        issuer: name of a CPS sub-CA 2; default the newest active one of the suite.

    Raises:
        NotFound: `issuer_unknown`.
        PolicyViolation: `issuer_expired`, `lint_failed`.
        Conflict: `cps_exists`: another process made one of the same number.
        Unavailable: store or key out of reach.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        chosen = _issuer(tx, issuer, suite)
        label = _label(chosen, tx.pools.signers())
    key = _key(deployment, label, chosen.suite)
    common_name = f"CPS {label.removeprefix('cps.')}"
    order = own_leaf(deployment, Kind.CPS, chosen, key.public_key, common_name)
    record = carry_out(deployment, principal, order)
    with deployment.store.write() as tx:
        root = _root(tx, chosen)
        signer = CpsSigner(
            fingerprint=record.fingerprint,
            key_label=label,
            suite=record.suite,
            chain=chain_of(tx, record),
            root=Fingerprint.of(root.certificate),
            root_der=root.certificate,
            not_before=record.not_before,
            not_after=record.not_after,
            created_at=deployment.clock.now(),
        )
        tx.pools.add_signer(signer)
        audit.note(
            tx,
            signer.created_at,
            principal.name,
            "cps.add",
            signer.fingerprint.value,
            {"root": signer.root.value},
        )
    return signer


def _issuer(tx: Transaction, name: str | None, suite: Suite) -> Issuer:
    fitting = [
        i
        for i in tx.issuers.all()
        if i.state is IssuerState.ACTIVE
        and i.kind is Kind.CPS_SUB_CA2
        and (i.name == name if name else i.suite is suite)
    ]
    if not fitting:
        raise NotFound(
            "issuer_unknown",
            f"There is no active CPS sub-CA 2 {name or 'for ' + suite.value}.",
            hint="`pnc issuer list` shows the issuers.",
        )
    return max(fitting, key=lambda i: (i.created_at, i.generation))


def _label(issuer: Issuer, signers: list[CpsSigner]) -> str:
    begin = f"cps.{issuer.issuer_id}."
    return begin + str(sum(s.key_label.startswith(begin) for s in signers) + 1)


def _root(tx: Transaction, issuer: Issuer) -> Issuer:
    while issuer.parent_id is not None:
        parent = tx.issuers.get(issuer.parent_id)
        if parent is None:
            raise Unavailable("store_unavailable", f"The issuer {issuer.parent_id} is missing.")
        issuer = parent
    return issuer


def _key(deployment: Deployment, label: str, suite: Suite) -> Signer:
    """Make the key, or take the one that an interrupted run left behind."""
    try:
        return deployment.keys.create(label, suite)
    except Conflict:
        return deployment.keys.signer(label)


def usable(tx: Transaction, now: dt.datetime) -> list[CpsSigner]:
    """Return the leaves in date whose chain is not revoked, newest first."""
    return [
        signer
        for signer in tx.pools.signers()
        if signer.not_before <= now < signer.not_after and not _revoked(tx, signer)
    ]


def _revoked(tx: Transaction, signer: CpsSigner) -> bool:
    records = tx.certificates.by_fingerprints([Fingerprint.of(der) for der in signer.chain])
    keys = [(record.issuer_id, record.serial) for record in records.values()]
    return bool(tx.certificates.revocations(keys))


def choose(
    tx: Transaction,
    suite: Suite,
    now: dt.datetime,
    *,
    root: Fingerprint | None = None,
    held: tuple[str, ...] = (),
) -> CpsSigner:
    """
    Return the leaf that shall sign.

    Args:
        root: V2G root that its chain must end at.
        held: key identifiers (hex) of the roots that the car is known to hold; one of them is
            preferred.

    Raises:
        NotFound: `cps_unknown`.
    """
    fitting = [s for s in usable(tx, now) if s.suite is suite and root in (None, s.root)]
    if not fitting:
        raise NotFound(
            "cps_unknown",
            f"The provisioning service has no {suite.value} certificate "
            + (f"under the V2G root {root}." if root else "that is in date."),
            hint="`pnc cps list` shows them, `pnc cps add` makes one.",
        )
    known = [s for s in fitting if _key_id(s) in held]
    return (known or fitting)[0]


def _key_id(signer: CpsSigner) -> str:
    return (load(signer.root_der).key_id or b"").hex().upper()


def require_key(deployment: Deployment, signer: CpsSigner) -> None:
    """Return if the key is there. Raises Unavailable (`key_missing`, `key_unavailable`)."""
    deployment.keys.signer(signer.key_label)


def signed(deployment: Deployment, signer: CpsSigner, message: M) -> M:
    """
    Return the message with the service's signature.

    Raises:
        Unavailable: `key_missing`, `key_unavailable`.
    """
    key = deployment.keys.signer(signer.key_label)
    return sign(message, key.public_key, key.sign)
