"""
Messages to charging stations: certificates that were signed, and what an operator asks for.

The connection of a station belongs to its CSMS. So a message waits here until the CSMS fetches it,
forwards it and says what the station answered; until then it is listed, and fetched again by a
CSMS that lost it.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from pki import access, audit, batches
from pki.errors import BadInput, Conflict, NotFound, PolicyViolation
from pki.ids import quote
from pki.model import MessageState, Principal, Role, StationMessage
from pki.pkix import pem
from pki.pkix.certificate import load
from pki.ports import Deployment, Transaction
from pki.ports.stations import MessageFilter

VENDOR: Final = "org.openchargealliance.iso15118pnc"
"""vendorId under which OCPP 1.6 carries these messages in DataTransfer."""

VERSIONS: Final = ("1.6", "2.0.1", "2.1")
ACTIONS: Final = (
    "InstallCertificate",
    "DeleteCertificate",
    "GetInstalledCertificateIds",
    "TriggerMessage",
)
"""What an operator may ask of a station; CertificateSigned comes of a SignCertificate alone."""

_MEMBERS: Final = {
    "InstallCertificate": frozenset(("certificateType", "certificate")),
    "DeleteCertificate": frozenset(("certificateHashData",)),
    "TriggerMessage": frozenset(("requestedMessage",)),
}
SIGNED: Final = "CertificateSigned"
MOST_OPEN: Final = 50
"""Messages that may wait for one station."""

LIFE: Final = dt.timedelta(days=7)
LONGEST_LIFE: Final = dt.timedelta(days=30)
RETENTION: Final = dt.timedelta(days=90)
_ANSWERABLE: Final = (MessageState.PENDING, MessageState.EXPIRED, MessageState.SUPERSEDED)
_OUTCOMES: Final = {
    "Accepted": MessageState.ACCEPTED,
    "Rejected": MessageState.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What is asked of a station.

    Attributes:
        payload: of the OCPP message, valid against its schema.
        operator: default: the first party of the caller.
        life: how long it may wait.
    """

    station_id: str
    version: str
    action: str
    payload: Mapping[str, Any]
    operator: str | None = None
    life: dt.timedelta = LIFE


def ask(deployment: Deployment, principal: Principal, asked: Asked) -> StationMessage:
    """
    Put a message before a station; one that waits already is not put twice.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`.
        BadInput: `invalid_action`, `invalid_life`, `payload_incomplete`, `unreadable` (a
            certificate), `operator_missing`, `invalid_operator_id`.
        PolicyViolation: `queue_full`.
    """
    if asked.action not in ACTIONS or asked.version not in VERSIONS:
        raise BadInput("invalid_action", f"One of: {', '.join(ACTIONS)}; OCPP 1.6, 2.0.1 or 2.1.")
    if not dt.timedelta(0) < asked.life <= LONGEST_LIFE:
        raise BadInput("invalid_life", f"A message waits {LONGEST_LIFE.days} days at most.")
    _require_complete(asked)
    operator = operator_of(principal, asked.operator)
    access.require(principal, access.Action.KEEP_STATIONS, operator)
    payload = payload_of(asked.version, asked.action, asked.payload)
    now = deployment.clock.now()
    same = digest(asked.action, asked.version, payload)
    with deployment.store.write() as tx:
        waiting = tx.stations.open_like(operator, asked.station_id, same)
        if waiting is not None:
            return waiting
        require_room(tx, operator, asked.station_id)
        message = StationMessage(
            message_id=new_id(tx, now),
            operator=operator,
            station_id=asked.station_id,
            version=asked.version,
            action=asked.action,
            use="",
            digest=same,
            payload=payload,
            state=MessageState.PENDING,
            created_at=now,
            created_by=principal.name,
            expires_at=now + asked.life,
        )
        if not tx.stations.add(message):  # another asked the same at the same moment
            return tx.stations.open_like(operator, asked.station_id, same) or message
        record(tx, message, principal.name, message.created_at, "station.ask")
    return message


def _require_complete(asked: Asked) -> None:
    """Refuse what no station can do; the schema, for who speaks HTTP, is judged there."""
    missing = sorted(_MEMBERS.get(asked.action, frozenset()) - asked.payload.keys())
    if missing:
        raise BadInput("payload_incomplete", f"The payload lacks {', '.join(missing)}.")
    if asked.action == "InstallCertificate":
        load(pem.one(str(asked.payload["certificate"]).encode(), "CERTIFICATE"))


def operator_of(principal: Principal, named: str | None) -> str:
    """
    Return the operator that is named, or else the caller's first.

    Raises:
        BadInput: `operator_missing`, `invalid_operator_id`.
    """
    if named is not None:
        return access.party_id(Role.CPO, named)
    if not principal.parties:
        raise BadInput(
            "operator_missing",
            "This caller acts for no operator of its own.",
            hint="Name the operator whose station it is.",
        )
    return principal.parties[0]


def new_id(tx: Transaction, now: dt.datetime) -> str:
    """Return an id that sorts behind every other: messages are sent in the order of asking."""
    newest = tx.stations.newest() or ""
    begun = newest.startswith(first_id(now))
    number = int(newest.split("-")[1], 16) + 1 if begun else 0
    return f"{first_id(now)}{number:06x}-{secrets.token_hex(6)}"


def first_id(at: dt.datetime) -> str:
    """Return what every id of a message that was made at a time or later begins with or follows."""
    return f"{int(at.timestamp()):010x}-"


def digest(*told: str) -> str:
    """Return what two messages that ask for the same share."""
    return sha256("\0".join(told).encode()).hexdigest()


def payload_of(version: str, action: str, payload: Mapping[str, Any]) -> str:
    """Return what the CSMS sends: the payload, in OCPP 1.6 inside of a DataTransfer."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    if version != "1.6":
        return text
    carried = {"vendorId": VENDOR, "messageId": action, "data": text}
    return json.dumps(carried, separators=(",", ":"))


def require_room(tx: Transaction, operator: str, station_id: str) -> None:
    """Return if one more message may wait for a station. Raises PolicyViolation (`queue_full`)."""
    if tx.stations.count_open(operator, station_id) >= MOST_OPEN:
        raise PolicyViolation(
            "queue_full",
            f"{MOST_OPEN} messages wait for this station.",
            hint="Forward them and tell the results: GET /ocpp/pending, POST …/result.",
        )


def record(
    tx: Transaction, message: StationMessage, actor: str, at: dt.datetime, action: str
) -> None:
    """Write down what was done with a message."""
    audit.note(
        tx,
        at,
        actor,
        action,
        message.message_id,
        {
            "operator": message.operator,
            "station": message.station_id,
            "message": message.action,
            "state": message.state.value,
            "certificate": message.certificate,
        },
    )


def messages(
    deployment: Deployment,
    principal: Principal,
    wanted: MessageFilter,
    *,
    after: str | None = None,
    limit: int = 100,
) -> list[StationMessage]:
    """Return a page of the messages to the caller's stations, oldest first."""
    access.require(principal, access.Action.READ_STATIONS)
    own = replace(wanted, operators=access.visible_owners(principal))
    with deployment.store.read() as tx:
        return tx.stations.page(own, after or "", limit)


def message(deployment: Deployment, principal: Principal, message_id: str) -> StationMessage:
    """Return a message to one of the caller's stations. Raises NotFound (`message_unknown`)."""
    access.require(principal, access.Action.READ_STATIONS)
    with deployment.store.read() as tx:
        return _own(tx, principal, message_id)


def _own(tx: Transaction, principal: Principal, message_id: str) -> StationMessage:
    found = tx.stations.get(message_id)
    visible = access.visible_owners(principal)
    if found is None or not (visible is None or found.operator in visible):
        raise NotFound(
            "message_unknown",
            f"There is no message {quote(message_id)} to a station of yours.",
            hint="GET /ocpp/pending lists what waits.",
        )
    return found


def answer(
    deployment: Deployment, principal: Principal, message_id: str, told: Mapping[str, Any]
) -> StationMessage:
    """
    Keep what a station answered; the same answer a second time changes nothing.

    Args:
        told: payload of its answer, valid against its schema, or `errorCode` and
            `errorDescription` of its CALLERROR.

    Raises:
        NotAllowed: `role_not_allowed`.
        NotFound: `message_unknown`.
        Conflict: `already_answered`, `message_not_ready`.
    """
    access.require(principal, access.Action.KEEP_STATIONS)
    now = deployment.clock.now()
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    with deployment.store.write() as tx:
        found = _own(tx, principal, message_id)
        if found.answer == text:
            return found
        _require_answerable(found)
        answered = replace(found, state=_outcome(told), answer=text, answered_at=now)
        if not tx.stations.move(answered, found.state):
            other = tx.stations.get(message_id)  # somebody told an answer meanwhile
            if other is not None and other.answer == text:
                return other
            raise _answered_before()
        record(tx, answered, principal.name, now, "station.answer")
    return answered


def _require_answerable(found: StationMessage) -> None:
    if found.state is MessageState.MAKING:
        raise Conflict("message_not_ready", "The certificate of this message is being issued.")
    if found.state not in _ANSWERABLE:
        raise _answered_before()


def _answered_before() -> Conflict:
    return Conflict("already_answered", "Another answer of the station was told before.")


def _outcome(told: Mapping[str, Any]) -> MessageState:
    """Return what an answer means; NotFound of a deletion or a list is no failure."""
    status = str(told.get("status", ""))
    if status == "NotFound":
        return MessageState.ACCEPTED
    return _OUTCOMES.get(status, MessageState.FAILED)


def prune(deployment: Deployment) -> int:
    """Close messages whose time is over and forget what was closed long ago; return how many."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        closed = tx.stations.expire(now)
    oldest = first_id(now - RETENTION)
    return closed + batches.each_apart(deployment, lambda tx, most: tx.stations.prune(oldest, most))


__all__ = [
    "ACTIONS",
    "LIFE",
    "SIGNED",
    "VENDOR",
    "VERSIONS",
    "Asked",
    "MessageFilter",
    "answer",
    "ask",
    "message",
    "messages",
    "prune",
]
