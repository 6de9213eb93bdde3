"""
SignCertificate of OCPP: a station asks for a certificate, which then waits for it.

A request is reserved before anything is issued: sent twice, or by two at once, it issues once. A
crash leaves a reservation; a job, or a later try, hands out what was issued under it, and a try
replaces one under which nothing was.
"""

from __future__ import annotations

import datetime as dt
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from pki import access
from pki.enrol import consent, registration
from pki.errors import BadInput, Conflict, NotFound, PkiError
from pki.ids import Edition, Fingerprint, SeccId, quote
from pki.issue import IssueRequest, chain_of, chain_to_root, issue, judged, made_under
from pki.model import (
    HashData,
    IssuerState,
    MessageState,
    Principal,
    Role,
    StationMessage,
)
from pki.pkix import build, csr, pem
from pki.pkix.certificate import load
from pki.pkix.csr import CertificateRequest
from pki.pkix.hashes import issuer_hashes
from pki.pkix.profiles import Kind, find
from pki.ports import Deployment
from pki.ports.stations import MessageFilter
from pki.stations import (
    LIFE,
    SIGNED,
    digest,
    first_id,
    new_id,
    operator_of,
    payload_of,
    record,
    require_room,
)

_ABANDONED: Final = dt.timedelta(minutes=1)
"""After that a reservation belongs to nobody who still works on it."""
_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRequest:
    """
    A SignCertificateRequest.

    Attributes:
        request: CSR as PEM.
        use: certificateType; None: one certificate for both connections, as far as the station
            speaks ISO 15118.
        request_id, root: requestId and hashRootCertificate of OCPP 2.1.
    """

    version: str
    station_id: str
    request: bytes
    use: str | None = None
    request_id: int | None = None
    root: HashData | None = None


def certify(
    deployment: Deployment, principal: Principal, asked: SignRequest, *, consented: bool = False
) -> StationMessage:
    """
    Issue what a station asks for and let the CertificateSigned wait for it.

    Args:
        consented: whoever had to has accepted it.

    Raises:
        NotAllowed, BadInput, NotFound, PolicyViolation, Conflict: as `pki.issue.issue`, and
            `queue_full`, `operator_missing`, `not_registered`, `enrolment_rejected`,
            `root_unknown`, `use_unknown`, `overtaken`.
        ConsentNeeded: `enrolment_waits`.
    """
    parsed = csr.parse(asked.request)
    order, operator = _order(deployment, principal, asked, parsed)
    same = _digest(asked, parsed)
    with deployment.store.read() as tx:
        waiting = tx.stations.open_like(operator, asked.station_id, same)
    if waiting is not None and waiting.state is MessageState.PENDING:
        return waiting
    if not consented:
        _require_consent(deployment, principal, asked, order, operator)
    reserved, mine = _reserve(deployment, principal, asked, operator, same)
    if not mine:
        return reserved
    try:
        chain = _chain_made(deployment, reserved)
        if chain is None:
            named = replace(order, intent_id=_intent_of(reserved))
            chain = issue(deployment, principal, named).chain
        return _queue(deployment, principal.name, reserved, chain)
    except PkiError:
        with suppress(PkiError), deployment.store.write() as tx:
            tx.stations.drop(reserved.message_id)
        raise


def _digest(asked: SignRequest, parsed: CertificateRequest) -> str:
    told = (asked.use or "", str(asked.request_id), parsed.common_name, parsed.spki.hex())
    return digest(SIGNED, *told)


def _require_consent(
    deployment: Deployment,
    principal: Principal,
    asked: SignRequest,
    order: IssueRequest,
    operator: str,
) -> None:
    """Return if nobody has to accept this; what has to be is judged before it waits."""
    if not deployment.enrolment.asks or principal.role is Role.ADMIN:
        return
    placed = judged(deployment, principal, order)
    registration.require(deployment, placed.profile.kind, placed.common_name, placed.owner)
    wanted = consent.Wanted(
        kind=placed.profile.kind,
        owner=operator,
        common_name=placed.common_name,
        spki=build.spki(placed.public_key),
        request=asked.request,
        station=_told(asked),
    )
    consent.settle(deployment, principal, wanted)


def _told(asked: SignRequest) -> str:
    """Write down who asks how, for the time when it is accepted."""
    root = asked.root and {
        "algorithm": asked.root.algorithm,
        "nameHash": asked.root.issuer_name_hash.hex(),
        "keyHash": asked.root.issuer_key_hash.hex(),
        "serial": asked.root.serial.value,
    }
    told = {
        "version": asked.version,
        "station": asked.station_id,
        "use": asked.use,
        "requestId": asked.request_id,
        "root": root,
    }
    return json.dumps(told)


def _order(
    deployment: Deployment, principal: Principal, asked: SignRequest, parsed: CertificateRequest
) -> tuple[IssueRequest, str]:
    """Return what is to be issued, and whose station it is."""
    kind, edition = _kind(asked, parsed.common_name)
    if kind is Kind.SECC:
        operator = SeccId.parse(parsed.common_name).operator.value
    else:
        operator = operator_of(principal, None)
    access.require(principal, access.ISSUE_ACTIONS[kind], operator)
    order = IssueRequest(
        kind=kind,
        request=asked.request,
        edition=edition,
        party=operator if kind is Kind.STATION else None,
        issuer=_issuer_under(deployment, asked.root, kind, parsed) if asked.root else None,
    )
    return order, operator


def _kind(asked: SignRequest, common_name: str) -> tuple[Kind, Edition | None]:
    """Return what a certificateType stands for; where there is none, the CN tells (OCPP A02)."""
    match asked.use:
        case "ChargingStationCertificate":
            return Kind.STATION, None
        case "V2GCertificate":
            return Kind.SECC, Edition.ISO2 if asked.version == "2.1" else None
        case "V2G20Certificate":
            return Kind.SECC, Edition.ISO20
        case None:
            return (Kind.SECC if _names_secc(common_name) else Kind.STATION), None
        case other:
            raise BadInput("use_unknown", f"There is no certificateType {quote(other)}.")


def _names_secc(common_name: str) -> bool:
    try:
        SeccId.parse(common_name)
    except BadInput:
        return False
    return True


def _issuer_under(
    deployment: Deployment, root: HashData, kind: Kind, parsed: CertificateRequest
) -> str:
    """
    Return the newest issuer below a root that OCPP hash data name.

    Raises:
        NotFound: `root_unknown`.
    """
    profile = find(kind, parsed.suite.edition)
    with deployment.store.read() as tx:
        fitting = [
            issuer
            for issuer in tx.issuers.all()
            if issuer.state is IssuerState.ACTIVE
            and issuer.kind in profile.issued_by
            and issuer.suite is parsed.suite
            and _is_named(chain_to_root(tx, issuer)[-1], root)
        ]
    if not fitting:
        raise NotFound("root_unknown", "No CA of ours under this root signs such a key.")
    return max(fitting, key=lambda issuer: (issuer.created_at, issuer.generation)).name


def _is_named(der: bytes, named: HashData) -> bool:
    root = load(der)
    hashes = issuer_hashes(root, named.algorithm.lower())
    return hashes == (named.issuer_name_hash, named.issuer_key_hash) and (
        root.serial == named.serial.as_int
    )


def _reserve(
    deployment: Deployment,
    principal: Principal,
    asked: SignRequest,
    operator: str,
    same: str,
) -> tuple[StationMessage, bool]:
    """Return the message that stands for a request, and whether it is the caller's to make."""
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        waiting = tx.stations.open_like(operator, asked.station_id, same)
        if waiting is not None:
            abandoned = waiting.created_at + _ABANDONED <= now
            if waiting.state is MessageState.PENDING or not abandoned:
                return waiting, False
            if made_under(tx, _intent_of(waiting)) is not None:
                return waiting, True
            tx.stations.drop(waiting.message_id)
        require_room(tx, operator, asked.station_id)
        fresh = StationMessage(
            message_id=new_id(tx, now),
            operator=operator,
            station_id=asked.station_id,
            version=asked.version,
            action=SIGNED,
            use=asked.use or "",
            digest=same,
            payload="" if asked.request_id is None else json.dumps({"requestId": asked.request_id}),
            state=MessageState.MAKING,
            created_at=now,
            created_by=principal.name,
            expires_at=now + LIFE,
        )
        if tx.stations.add(fresh):
            return fresh, True
        other = tx.stations.open_like(operator, asked.station_id, same)
    return other or fresh, False


def _intent_of(reserved: StationMessage) -> str:
    """Return the name of the intent, by which its certificate is found again after a crash."""
    return f"station-{reserved.message_id}"


def _chain_made(deployment: Deployment, reserved: StationMessage) -> tuple[bytes, ...] | None:
    with deployment.store.read() as tx:
        made = made_under(tx, _intent_of(reserved))
        return None if made is None else chain_of(tx, made)


def finish(deployment: Deployment) -> int:
    """
    Let certificates wait for their stations that a killed process had issued; return how many.

    The station was told *Accepted* if its CSMS asked again at once, and need not ask a third time.
    """
    now, finished = deployment.clock.now(), 0
    after, making = first_id(now - LIFE), MessageFilter(state=MessageState.MAKING)
    while True:
        with deployment.store.read() as tx:
            page = tx.stations.page(making, after, _PAGE)
        for reserved in page:
            with suppress(PkiError):
                finished += _finished(deployment, reserved, now)
        if len(page) < _PAGE:
            return finished
        after = page[-1].message_id


def _finished(deployment: Deployment, reserved: StationMessage, now: dt.datetime) -> bool:
    chain = None
    if reserved.created_at + _ABANDONED <= now:
        chain = _chain_made(deployment, reserved)
    if chain is not None:
        _queue(deployment, reserved.created_by, reserved, chain)
    return chain is not None


def _queue(
    deployment: Deployment, actor: str, reserved: StationMessage, chain: tuple[bytes, ...]
) -> StationMessage:
    now = deployment.clock.now()
    payload: dict[str, Any] = {"certificateChain": "".join(map(pem.encode, chain))}
    if reserved.use:
        payload["certificateType"] = reserved.use
    payload |= json.loads(reserved.payload or "{}")
    message = replace(
        reserved,
        payload=payload_of(reserved.version, SIGNED, payload),
        state=MessageState.PENDING,
        certificate=Fingerprint.of(chain[0]).value,
    )
    with deployment.store.write() as tx:
        if not tx.stations.move(message, MessageState.MAKING):
            other = tx.stations.get(message.message_id)
            if other is not None and other.certificate == message.certificate:
                return other  # two found at once what a crash had left
            raise Conflict("overtaken", "Another request of this station overtook this one.")
        tx.stations.supersede(message)
        record(tx, message, actor, now, "station.sign")
    return message
