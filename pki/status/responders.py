"""Delegated OCSP signers: one valid one for each CA, replaced well before it expires."""

from __future__ import annotations

import datetime as dt

from cryptography.x509.oid import NameOID

from pki.errors import Conflict, PkiError
from pki.issue import Order, attribute, carry_out, own_leaf
from pki.model import ChangeKind, Issuer, IssuerState, Principal, Responder
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import PublicKey
from pki.ports import Deployment, Signer
from pki.status.policy import StatusPolicy

_MAX_COMMON_NAME = 64
_SIGNING = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))


def make(deployment: Deployment, principal: Principal, issuer: Issuer) -> Responder:
    """
    Make a key and have the CA certify it as delegated signer (RFC 6960 4.2.2.2).

    Raises:
        PolicyViolation: `issuer_expired`, `lint_failed`.
        Conflict: `responder_exists`: another runner made one of the same number.
        Unavailable: store or key out of reach.
    """
    with deployment.store.read() as tx:
        number = sum(r.issuer_id == issuer.issuer_id for r in tx.status.responders()) + 1
    label = f"ocsp.{issuer.issuer_id}.{number}"
    signer = _key(deployment, label, issuer)
    record = carry_out(deployment, principal, order(deployment, issuer, signer.public_key))
    responder = Responder(
        fingerprint=record.fingerprint,
        issuer_id=issuer.issuer_id,
        key_label=label,
        der=record.der,
        not_before=record.not_before,
        not_after=record.not_after,
    )
    with deployment.store.write() as tx:
        tx.status.add_responder(responder)
        tx.status.add_change(ChangeKind.ISSUERS, issuer.issuer_id, None, deployment.clock.now())
    return responder


def order(deployment: Deployment, issuer: Issuer, public_key: PublicKey) -> Order:
    """Return the order for a responder's certificate."""
    named = attribute(load(issuer.certificate), NameOID.COMMON_NAME)
    common_name = f"{named} OCSP"[:_MAX_COMMON_NAME]
    return own_leaf(deployment, Kind.OCSP, issuer, public_key, common_name)


def _key(deployment: Deployment, label: str, issuer: Issuer) -> Signer:
    """Make the key, or take the one that an interrupted run left behind."""
    try:
        return deployment.keys.create(label, issuer.suite)
    except Conflict:
        return deployment.keys.signer(label)


def renew(deployment: Deployment, principal: Principal, policy: StatusPolicy) -> int:
    """
    Replace every responder that soon expires or was revoked; return how many were made.

    Raises:
        PkiError: the first failure, after every other CA had its turn.
    """
    made = 0
    failure: PkiError | None = None
    for issuer in _waiting(deployment, policy):
        try:
            make(deployment, principal, issuer)
            made += 1
        except PkiError as error:
            if error.code != "responder_exists":  # another runner was as quick
                failure = failure or error
    if failure is not None:
        raise failure
    return made


def _waiting(deployment: Deployment, policy: StatusPolicy) -> list[Issuer]:
    """Return the CAs that had a responder and need a new one, which would last longer."""
    now = deployment.clock.now()
    ends: dict[str, dt.datetime] = {}
    with deployment.store.read() as tx:
        keys = {(r.issuer_id, load(r.der).serial_number): r for r in tx.status.responders()}
        revoked = tx.certificates.revocations(list(keys))
        for key, responder in keys.items():
            usable = key not in revoked and responder.not_before <= now
            end = responder.not_after if usable else now
            ends[responder.issuer_id] = max(end, ends.get(responder.issuer_id, end))
        issuers = [i for i in tx.issuers.all() if i.issuer_id in ends]
    soon = now + policy.responder_renewal
    return [
        issuer
        for issuer in issuers
        if issuer.state in _SIGNING
        and not issuer.offline
        and ends[issuer.issuer_id] < min(soon, load(issuer.certificate).not_after)
    ]
