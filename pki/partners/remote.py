"""Remote starts and stops that an eMSP of ours sends to a CPO partner."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from typing import Any

from pki import access, audit, authorize
from pki.authorize import Roaming
from pki.errors import BadInput, NotFound, PolicyViolation, Unavailable
from pki.ids import quote
from pki.model import (
    Allowed,
    Authorisation,
    CredentialKind,
    Partner,
    PartnerCommand,
    PartnerParty,
    Principal,
    Role,
)
from pki.partners import tokens
from pki.partners.commands import TIMEOUT
from pki.partners.network import (
    PartnerNetwork,
    call,
    endpoint,
    good_data,
    one,
    version_of,
)
from pki.ports import Transaction
from pki.roaming.ocpi.commands import Command, Response, parse_response, parse_result
from pki.roaming.ocpi.parties import PartyKey, PartyRole, Routing
from pki.roaming.ocpi.versions import InterfaceRole, Module


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOrder:
    """
    What a CPO is asked to do.

    Attributes:
        cpo: country and party id of the CPO.
        uid, kind: of a credential of the caller's eMSP, for a start.
        session_id: the CPO's id of the session, for a stop.
    """

    command: Command
    cpo: str
    uid: str | None = None
    kind: CredentialKind = CredentialKind.EMAID
    location_id: str | None = None
    evse_uid: str | None = None
    connector_id: str | None = None
    session_id: str | None = None


def send(
    network: PartnerNetwork, roaming: Roaming, principal: Principal, order: RemoteOrder
) -> PartnerCommand:
    """
    Send a command and keep it until the station's answer comes, or its time is over.

    A start is authorised like a driver who stands there; its session comes back with the reference.

    Raises:
        BadInput: `field_missing`, `invalid_uid`, `invalid_ocpi_party`.
        PolicyViolation: `command_refused`: the driver may not charge there.
        NotFound: `credential_unknown`, `party_unreachable` (no partner takes commands for the CPO).
        Unavailable: `command_rejected`, and what a call raises.
    """
    access.require(principal, access.Action.SEND_COMMANDS)
    now = network.deployment.clock.now()
    command_id = secrets.token_hex(12)
    with network.deployment.store.read() as tx:
        partner, party = _way(tx, str(PartyKey.parse(order.cpo)))
        own, body = _body(tx, partner, principal, order, now)
    if order.command is Command.START_SESSION:
        told = _authorised(network, roaming, principal, order, (party.party, own))
        body["authorization_reference"] = told.reference
    own_url = f"{network.base_url}/{version_of(partner)}/emsp/commands"
    body["response_url"] = f"{own_url}/{order.command}/{command_id}"
    command = PartnerCommand(
        command_id=command_id,
        inbound=False,
        kind=order.command.value,
        partner_id=partner.partner_id,
        party=own,
        response_url=body["response_url"],
        document=json.dumps(body),
        created_at=now,
        expires_at=now + TIMEOUT,
    )
    with network.deployment.store.write() as tx:  # before the call: the answer may be quick
        tx.partner_objects.add_command(command)
        audit.note(
            tx,
            now,
            principal.name,
            "command.send",
            command_id,
            {"command": command.kind, "cpo": party.party},
        )
    _deliver(
        network,
        partner,
        command,
        Routing(to=PartyKey.parse(party.party), sender=PartyKey.parse(own)),
    )
    return command


def _authorised(
    network: PartnerNetwork,
    roaming: Roaming,
    principal: Principal,
    order: RemoteOrder,
    between: tuple[str, str],
) -> Authorisation:
    """Return the authorisation of a start, given to the CPO. Raises as `send`."""
    cpo, own = between
    with network.deployment.store.read() as tx:
        accounts = tokens.providers_of(tx, own)
    told = authorize.credential(
        network.deployment,
        roaming,
        Principal(name=principal.name, role=Role.CPO, parties=(cpo,)),
        order.kind,
        order.uid or "",
        emsps=accounts,
        evse_id=order.evse_uid,
    )
    if told.allowed is not Allowed.ALLOWED:
        raise PolicyViolation("command_refused", told.explanation)
    return told


def _deliver(
    network: PartnerNetwork, partner: Partner, command: PartnerCommand, routing: Routing
) -> None:
    """Send a command that is kept already; what the CPO rejects is over. Raises as `send`."""
    url = endpoint(partner, Module.COMMANDS, InterfaceRole.RECEIVER) or ""
    body = json.loads(command.document)
    place = f"{url.rstrip('/')}/{command.kind}"
    told = call(network, network.link(partner), "POST", place, body=body, routing=routing)
    try:
        result = parse_response(one(good_data(told)))
    except BadInput as error:
        raise Unavailable("partner_garbage", error.message) from error
    if result is not Response.ACCEPTED:
        with network.deployment.store.write() as tx:
            tx.partner_objects.finish_command(command.command_id, result)
        raise Unavailable("command_rejected", f"The CPO answered {result.value}.")


def _way(tx: Transaction, cpo: str) -> tuple[Partner, PartnerParty]:
    for partner, party in tx.partners.reaching(cpo, PartyRole.CPO.value):
        if endpoint(partner, Module.COMMANDS, InterfaceRole.RECEIVER) is not None:
            return partner, party
    raise NotFound("party_unreachable", f"No partner takes commands for {quote(cpo)}.")


def _body(
    tx: Transaction, partner: Partner, principal: Principal, order: RemoteOrder, now: dt.datetime
) -> tuple[str, dict[str, Any]]:
    """Return our party and the body; only what the caller's eMSP owns may be started with."""
    own = tokens.own_providers(tx, partner)
    seen = access.visible_owners(principal)
    mine = {p: party for p, party in own.items() if seen is None or p in seen}
    if order.command is Command.STOP_SESSION:
        if order.session_id is None:
            raise _missing("sessionId")
        if not mine:
            raise NotFound("party_unreachable", "The partner does not deal with your eMSP.")
        return next(iter(mine.values())), {"session_id": order.session_id}
    if order.uid is None or order.location_id is None:
        raise _missing("uid" if order.uid is None else "locationId")
    uid = tokens.uid_of(order.kind, order.uid)
    found = [c for c in tx.credentials.named(order.kind, uid) if c.emsp in mine and not c.partner]
    shown = tokens.to_tokens(tx, partner, found[:1], now)
    if not shown:
        raise NotFound("credential_unknown", f"Your eMSP has no credential {quote(order.uid)}.")
    return str(shown[0].owner), {
        "token": tokens.shown(partner, shown[0]),
        "location_id": order.location_id,
        **({"evse_uid": order.evse_uid} if order.evse_uid else {}),
        **({"connector_id": order.connector_id} if order.connector_id else {}),
    }


def _missing(field: str) -> BadInput:
    return BadInput("field_missing", f"The field {field} is missing.", data={"field": field})


def take_result(
    network: PartnerNetwork, partner: Partner, name: str, command_id: str, body: object
) -> None:
    """
    Keep the station's answer to a command of ours.

    Raises:
        BadInput: `ocpi_…`.
        NotFound: `ocpi_object_unknown`: it is none of this partner's, or was answered.
    """
    result = parse_result(body)
    with network.deployment.store.write() as tx:
        held = tx.partner_objects.command(command_id)
        sent = held is not None and not held.inbound and held.kind == name
        theirs = held is not None and held.partner_id == partner.partner_id
        if not (sent and theirs and tx.partner_objects.finish_command(command_id, result)):
            raise NotFound("ocpi_object_unknown", "No such command waits for an answer.")


def find(network: PartnerNetwork, principal: Principal, command_id: str) -> PartnerCommand:
    """
    Return a command that the caller's eMSP sent.

    Raises:
        NotFound: `command_unknown`.
    """
    access.require(principal, access.Action.SEND_COMMANDS)
    with network.deployment.store.read() as tx:
        held = tx.partner_objects.command(command_id)
        seen = access.visible_owners(principal)
        if held is not None and not held.inbound:
            providers = tokens.providers_of(tx, held.party)
            if seen is None or set(providers) & set(seen):
                return held
    raise NotFound("command_unknown", f"There is no command {quote(command_id)} of yours.")
