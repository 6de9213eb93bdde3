"""Charging sessions of CPO partners among all others, so that use of one contract is counted."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import replace
from typing import Any, Final

from pki import authorize
from pki.errors import BadInput
from pki.model import Credential, Partner, Session, SessionProtocol
from pki.partners import tokens
from pki.partners.caller import principal_of
from pki.ports import Transaction
from pki.roaming.ocpi.parties import PartyRole
from pki.roaming.ocpi.text import fold, parse_time

_RUNNING: Final = frozenset(("ACTIVE", "PENDING"))
_LARGEST: Final = 1_000_000
"""kWh; what is beyond is no charging session."""


def confirmed(
    tx: Transaction, partner: Partner, party: str, document: dict[str, Any]
) -> str | None:
    """
    Return the reference that a session or CDR names, if it is of an authorisation of ours.

    It must have been given to that CPO, for the contract of the token in the document.
    """
    named = document.get("authorization_reference")
    if named is None:
        return None
    cpo = principal_of(partner, PartyRole.CPO, (party,))
    found = authorize.read(tx, cpo, fold(named).lower())  # ours are in lower case; theirs need not
    if found is None or found.cpo not in (party, None):
        return None
    driver = document["cdr_token"]
    shown = _credential(tx, partner, driver["type"], driver["uid"])
    known = (found.contract_id, shown.contract_id if shown else None)
    return found.reference if None in known or len(set(known)) == 1 else None


def note(tx: Transaction, partner: Partner, party: str, document: dict[str, Any]) -> None:
    """
    Count a session that began, and end one that ended.

    A reservation is no session yet; a session that is over cannot be taken up again. A reference
    that is none of ours is kept as such: what happened, happened.
    """
    held = tx.sessions.find(SessionProtocol.OCPI, party, "", fold(document["id"]))
    if held is None:
        if document["status"] == "RESERVATION":
            return
        held = _tied(tx, partner, _began(tx, partner, party, document), document)
        tx.sessions.add(held)
    elif held.reference is None:
        held = _tied(tx, partner, held, document)
        tx.sessions.tie(held)
    if document["status"] not in _RUNNING and document["status"] != "RESERVATION":
        kwh = document["kwh"]
        over = replace(
            held,
            stopped_at=_seconds(document.get("end_date_time") or document["last_updated"]),
            energy_wh=round(kwh * 1000) if 0 <= kwh <= _LARGEST else None,
            stop_reason=document["status"],
        )
        tx.sessions.stop(over)


def _tied(tx: Transaction, partner: Partner, session: Session, document: dict[str, Any]) -> Session:
    named = document.get("authorization_reference")
    reference = confirmed(tx, partner, session.cpo, document)
    unconfirmed = named if reference is None else None
    return replace(session, reference=reference, unconfirmed=unconfirmed)


def _began(tx: Transaction, partner: Partner, party: str, document: dict[str, Any]) -> Session:
    driver = document["cdr_token"]
    found = _credential(tx, partner, driver["type"], driver["uid"])
    contract_id = found.contract_id if found else None
    return Session(
        session_id=secrets.token_hex(12),
        reference=None,
        protocol=SessionProtocol.OCPI,
        cpo=party,
        station_id="",
        external_id=fold(document["id"]),
        emsp=found.emsp if found else fold(driver["country_code"] + driver["party_id"]),
        contract_id=contract_id,
        contract=driver["contract_id"],
        evse_id=document["evse_uid"],
        started_at=_seconds(document["start_date_time"]),
        others=tx.sessions.running(contract_id) if contract_id else 0,
    )


def _credential(tx: Transaction, partner: Partner, token_type: str, uid: str) -> Credential | None:
    own = tokens.own_providers(tx, partner)
    for kind in tokens.kinds_of(fold(token_type), uid):
        try:
            found = tx.credentials.named(kind, tokens.uid_of(kind, uid))
        except BadInput:
            continue
        mine = [each for each in found if each.emsp in own and not each.partner]
        if mine:
            return mine[0]
    return None


def _seconds(text: str) -> dt.datetime:
    return parse_time(text).replace(microsecond=0)
