"""Status for those who ask by OCPP hash data instead of OCSP; never fetches what a peer names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pki import access
from pki.model import ForeignCrl, ForeignStatus, HashData, Principal, SourceKind
from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.pkix.ocsp_ask import request_for, status_in
from pki.ports import Deployment, Transaction
from pki.status.answers import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    What is known of one certificate.

    Attributes:
        response: DER OCSPResponse, or None where only a foreign CRL is known.
        status: `good`, `revoked` or `unknown`.
    """

    response: bytes | None
    status: str
    next_update: dt.datetime | None


def certificate_status(
    deployment: Deployment, answers: Answers, principal: Principal, item: HashData | None
) -> Told | None:
    """
    Return our signed answer about a certificate of ours, or fetched evidence about a foreign one.

    None for an issuer that nobody configured, for evidence past its nextUpdate, for hash data that
    name nothing, and while no answer can be given.

    Raises:
        NotAllowed: `role_not_allowed`.
        Unavailable: the store is out of reach.
    """
    access.require(principal, access.Action.AUTHORIZE)
    if item is None:
        return None
    request = request_for(
        item.algorithm.lower(), item.issuer_name_hash, item.issuer_key_hash, item.serial.as_int
    )
    response = answers.respond(request).der
    known = status_in(response)
    if known is not None:
        return Told(response=response, status=known[0], next_update=known[1])
    with deployment.store.read() as tx:
        return _foreign(tx, item, deployment.clock.now())


def _foreign(tx: Transaction, item: HashData, now: dt.datetime) -> Told | None:
    wanted = (item.issuer_name_hash, item.issuer_key_hash)
    for source in tx.evidence.sources():
        if issuer_hashes(load(source.issuer), item.algorithm.lower()) == wanted:
            statuses = tx.evidence.statuses(source.issuer_hash, item.serial.value)
            return _freshest(statuses, tx.evidence.crl(source.issuer_hash), now)
    return None


def _freshest(
    statuses: list[ForeignStatus], crl: ForeignCrl | None, now: dt.datetime
) -> Told | None:
    """Prefer what a responder signed about this very certificate; *revoked* before *good*."""
    fresh = [status for status in statuses if status.next_update > now]
    fresh.sort(key=lambda status: (not status.revoked, status.origin is SourceKind.CRL))
    if fresh:
        first = fresh[0]
        word = "revoked" if first.revoked else "good"
        return Told(response=first.response, status=word, next_update=first.next_update)
    if crl is not None and crl.next_update > now:
        return Told(response=None, status="good", next_update=crl.next_update)
    return None
