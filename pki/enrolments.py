"""Enrolments that wait: list, accept, reject; what came over OCPP is issued when accepted."""

from __future__ import annotations

import json
from dataclasses import replace

from pki import access
from pki.enrol import consent
from pki.errors import Conflict, NotFound, PkiError
from pki.ids import SerialNumber, quote
from pki.model import Enrolment, EnrolmentState, HashData, Principal
from pki.ports import Deployment, Transaction
from pki.stations import signing


def waiting(
    deployment: Deployment,
    principal: Principal,
    *,
    state: EnrolmentState | None = EnrolmentState.WAITING,
    after: str | None = None,
    limit: int = 100,
) -> list[Enrolment]:
    """Return a page of requests, oldest first; an operator sees its own."""
    access.require(principal, access.Action.READ_ENROLMENTS)
    owners = access.visible_owners(principal)
    with deployment.store.read() as tx:
        return tx.entities.enrolments(owners, state, after or "", limit)


def accept(deployment: Deployment, principal: Principal, enrolment_id: str) -> Enrolment:
    """
    Let a certificate be made of a request: when it comes again or, of a station, now.

    Raises:
        NotAllowed: `role_not_allowed`.
        NotFound: `enrolment_unknown`. Conflict: `enrolment_decided`.
        PkiError: what `pki.issue.issue` raises for a station; the request waits on.
    """
    accepted = _decide(deployment, principal, enrolment_id, EnrolmentState.ACCEPTED, None)
    if accepted.station is None:
        return accepted
    asked = _sign_request(accepted)
    asker = Principal(
        name=accepted.requested_by,
        role=access.OWNER_ROLE[accepted.kind],
        parties=(accepted.owner,),
    )
    try:
        message = signing.certify(deployment, asker, asked, consented=True)
    except PkiError:
        again = replace(accepted, state=EnrolmentState.WAITING, decided_at=None, decided_by=None)
        with deployment.store.write() as tx:
            tx.entities.move_enrolment(again, EnrolmentState.ACCEPTED)
        raise
    issued = replace(accepted, state=EnrolmentState.ISSUED, certificate=message.certificate)
    with deployment.store.write() as tx:
        tx.entities.move_enrolment(issued, EnrolmentState.ACCEPTED)
    return issued


def reject(
    deployment: Deployment, principal: Principal, enrolment_id: str, reason: str
) -> Enrolment:
    """Refuse a request for good. Raises as `accept`."""
    return _decide(deployment, principal, enrolment_id, EnrolmentState.REJECTED, reason)


def _decide(
    deployment: Deployment,
    principal: Principal,
    enrolment_id: str,
    state: EnrolmentState,
    reason: str | None,
) -> Enrolment:
    access.require(principal, access.Action.ACCEPT_ENROLMENTS)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        found = _found(tx, enrolment_id)
        decided = consent.decide(tx, principal, found, state, now, reason)
        if decided is None:
            raise Conflict(
                "enrolment_decided", f"This request waits no more; it is {found.state.value}."
            )
    return decided


def _found(tx: Transaction, enrolment_id: str) -> Enrolment:
    found = tx.entities.enrolment(enrolment_id)
    if found is None:
        raise NotFound(
            "enrolment_unknown",
            f"There is no request {quote(enrolment_id)}.",
            hint="`pnc enrolment list` shows what waits.",
        )
    return found


def _sign_request(enrolment: Enrolment) -> signing.SignRequest:
    told = json.loads(enrolment.station or "{}")
    root = told["root"]
    return signing.SignRequest(
        version=told["version"],
        station_id=told["station"],
        request=enrolment.request,
        use=told["use"],
        request_id=told["requestId"],
        root=HashData(
            algorithm=root["algorithm"],
            issuer_name_hash=bytes.fromhex(root["nameHash"]),
            issuer_key_hash=bytes.fromhex(root["keyHash"]),
            serial=SerialNumber.parse(root["serial"]),
        )
        if root
        else None,
    )
