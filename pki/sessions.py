"""
Charging sessions: begun, tied to the authorisation that let them begin, and ended.

A session is recorded whatever its authorisation says: it is what happened. Events may come twice,
late and in any order.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace

from pki import access, authorize, route
from pki.authorize import Roaming
from pki.errors import BadInput
from pki.ids import EvseId, quote
from pki.model import (
    Allowed,
    Authorisation,
    ContractCheck,
    Principal,
    Role,
    Session,
    SessionProtocol,
)
from pki.ports import Deployment, Transaction

_SKEW = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    What a station or a partner tells of a session.

    Attributes:
        external_id: the transaction id of the station; unique at the station.
        at: as the station's clock has it; a time to come is taken for now.
        reference: of an authorisation that was given before, or None.
        check: what was shown, to be authorised now where there is no reference; or None.
        ended: the session is over.
    """

    protocol: SessionProtocol = SessionProtocol.OCPP
    station_id: str
    external_id: str
    at: dt.datetime
    evse_id: str | None = None
    reference: str | None = None
    check: ContractCheck | None = None
    ended: bool = False
    energy_wh: int | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The session as it stands now, and the authorisation where one was asked for."""

    session: Session
    authorisation: Authorisation | None


def record(
    deployment: Deployment, roaming: Roaming, principal: Principal, event: Event
) -> Recorded:
    """
    Take in what is told of a session.

    Raises:
        NotAllowed: `role_not_allowed`.
        BadInput: `authorisation_unknown`: the reference names none of the caller's.
        Unavailable: the store is out of reach.
    """
    access.require(principal, access.Action.AUTHORIZE)
    now = deployment.clock.now()
    at = event.at if event.at <= now + _SKEW else now
    told = _authorisation(deployment, roaming, principal, event)
    named = told.cpo if told is not None else None
    cpo = named or _cpo(roaming, principal, event.evse_id, now)
    with deployment.store.write() as tx:
        session = tx.sessions.find(event.protocol, cpo, event.station_id, event.external_id)
        if session is None:
            session = _begun(tx, event, told, cpo, at)
        elif told is not None and session.reference is None:
            session = _tied(tx, session, told)
            tx.sessions.tie(session)
        if event.ended and session.stopped_at is None:
            session = replace(
                session,
                stopped_at=max(at, session.started_at),
                energy_wh=event.energy_wh,
                stop_reason=event.stop_reason,
            )
            tx.sessions.stop(session)
    return Recorded(session=session, authorisation=told)


def _authorisation(
    deployment: Deployment, roaming: Roaming, principal: Principal, event: Event
) -> Authorisation | None:
    if event.reference is not None:
        found = authorize.find(deployment, principal, event.reference)
        if found is None:
            raise BadInput(
                "authorisation_unknown",
                f"There is no authorisation {quote(event.reference)} of this caller.",
            )
        return found
    if event.check is None:
        return None
    return authorize.authorize(deployment, roaming, principal, event.check).authorisation


def _cpo(roaming: Roaming, principal: Principal, evse_id: str | None, at: dt.datetime) -> str:
    """Return the CPO of the EVSE if the caller acts for it, else the first that it acts for."""
    try:
        evse = EvseId.parse(evse_id).key if evse_id is not None else None
    except BadInput:
        evse = None
    cpo = route.to_cpo(roaming.directory.now(), evse, at) if evse is not None else None
    own = principal.parties if principal.role is Role.CPO else ()
    if cpo is not None and (not own or cpo in own):
        return cpo
    return own[0] if own else ""


def _begun(
    tx: Transaction, event: Event, told: Authorisation | None, cpo: str, at: dt.datetime
) -> Session:
    session = Session(
        session_id=secrets.token_hex(12),
        reference=None,
        protocol=event.protocol,
        cpo=cpo,
        station_id=event.station_id,
        external_id=event.external_id,
        emsp=None,
        contract_id=None,
        contract=None,
        evse_id=event.evse_id,
        started_at=at,
    )
    if told is not None:
        session = _tied(tx, session, told)
    tx.sessions.add(session)
    return session


def _tied(tx: Transaction, session: Session, told: Authorisation) -> Session:
    """Tie a session to an authorisation and see what else of the contract is running."""
    others = tx.sessions.running(told.contract_id) if told.contract_id is not None else 0
    charged = told.allowed is Allowed.ALLOWED
    return replace(
        session,
        reference=told.reference,
        emsp=told.emsp,
        contract_id=told.contract_id if charged else None,
        contract=told.contract,
        others=others,
    )


def search(
    deployment: Deployment, principal: Principal, *, after: str | None = None, limit: int = 100
) -> list[Session]:
    """Return a page of sessions that concern the caller, ordered by session id."""
    access.require(principal, access.Action.READ_ROAMING)
    owners = access.visible_owners(principal)
    with deployment.store.read() as tx:
        return tx.sessions.search(
            cpos=owners if principal.role is not Role.EMSP else None,
            emsps=owners if principal.role is Role.EMSP else None,
            after=after,
            limit=limit,
        )
