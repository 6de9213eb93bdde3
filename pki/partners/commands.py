"""
Remote start and stop.

A command of an eMSP partner waits here until the CPO's CSMS fetches it and says what the station
did; then, or when its time is over, the answer goes once to the address that the partner named, if
it lies on the partner's own host.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
from typing import Final
from urllib.parse import urlsplit

from pki import access, audit
from pki.errors import BadInput, NotFound, PkiError
from pki.ids import quote
from pki.model import Partner, PartnerCommand, Principal
from pki.partners.caller import own_party, require_owner
from pki.partners.network import PartnerNetwork, call, needed, version_of
from pki.roaming.ocpi.commands import ALL_COMMANDS, Command, CommandRequest, Response, Result
from pki.roaming.ocpi.parties import PartyKey, PartyRole, Routing

TIMEOUT: Final = dt.timedelta(seconds=60)
"""How long a station may take."""

_LOG: Final = logging.getLogger(__name__)
_PAGE: Final = 100


def take(
    network: PartnerNetwork, partner: Partner, name: str, body: object, routing: Routing
) -> Response:
    """
    Put a command of an eMSP partner before the CPO that is meant.

    The token is not authorised again: the partner vouches for its driver.

    Raises:
        BadInput: `ocpi_…`, `ocpi_foreign_response_url`.
        NotFound: `ocpi_command_unknown`, `ocpi_party_unknown` (no such CPO, or a token of another
            eMSP).
    """
    if name not in ALL_COMMANDS:
        raise NotFound("ocpi_command_unknown", f"There is no command {quote(name)}.")
    if name not in list(Command):
        return Response.NOT_SUPPORTED
    request = CommandRequest.parse(Command(name), body, version_of(partner))
    require_own_host(partner, request.response_url)
    cpo = own_party(partner, PartyRole.CPO, routing.to)
    if cpo is None:
        raise NotFound("ocpi_party_unknown", "Name one of our CPOs in OCPI-to-….")
    now = network.deployment.clock.now()
    command = PartnerCommand(
        command_id=f"{int(now.timestamp()):x}-{secrets.token_hex(8)}",
        inbound=True,
        kind=name,
        partner_id=partner.partner_id,
        party=cpo,
        response_url=request.response_url,
        document=json.dumps(body),
        created_at=now,
        expires_at=now + TIMEOUT,
    )
    with network.deployment.store.write() as tx:
        if request.token is not None:
            require_owner(tx, partner, request.token.owner, PartyRole.EMSP)
        tx.partner_objects.add_command(command)
        audit.note(
            tx,
            now,
            f"ocpi:{partner.partner_id}",
            "command.take",
            command.command_id,
            {"command": name, "cpo": cpo},
        )
    return Response.ACCEPTED


def require_own_host(partner: Partner, url: str) -> None:
    """
    Return if an address lies on a host of the partner's authenticated registration.

    Raises:
        BadInput: `ocpi_foreign_response_url`.
    """
    known = {_host(each.url) for each in partner.endpoints} | {_host(partner.versions_url or "")}
    if _host(url) not in known:
        raise BadInput(
            "ocpi_foreign_response_url",
            "response_url lies on none of the hosts that you registered with.",
            data={"field": "response_url"},
        )


def _host(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname


def pending(
    network: PartnerNetwork, principal: Principal, *, after: str | None = None, limit: int = _PAGE
) -> list[PartnerCommand]:
    """Return a page of the commands that wait for the caller's CPOs, oldest first."""
    access.require(principal, access.Action.ANSWER_COMMANDS)
    parties = access.visible_owners(principal)
    with network.deployment.store.read() as tx:
        return tx.partner_objects.open_commands(parties, after=after, limit=limit)


def answer(
    network: PartnerNetwork, principal: Principal, command_id: str, result: str
) -> PartnerCommand:
    """
    Say what the station did; the partner is told once, after the commit.

    Raises:
        BadInput: `invalid_value`.
        NotFound: `command_unknown`: it is none of the caller's, or was answered.
    """
    access.require(principal, access.Action.ANSWER_COMMANDS)
    if result not in list(Result):
        raise BadInput(
            "invalid_value",
            f"{quote(result)} is no result of a command.",
            hint="One of: " + ", ".join(Result) + ".",
        )
    parties = access.visible_owners(principal)
    with network.deployment.store.write() as tx:
        command = tx.partner_objects.command(command_id)
        mine = command is not None and (parties is None or command.party in parties)
        if command is None or not mine or not command.inbound:
            raise _unknown(command_id)
        if not tx.partner_objects.finish_command(command_id, result):
            raise _unknown(command_id)
    tell(network, command, result)
    return command


def _unknown(command_id: str) -> NotFound:
    return NotFound("command_unknown", f"No command {quote(command_id)} waits for an answer.")


def expire(network: PartnerNetwork) -> int:
    """Answer TIMEOUT for commands whose time is over; return how many there were."""
    with network.deployment.store.read() as tx:
        late = tx.partner_objects.expired_commands(network.deployment.clock.now(), _PAGE)
    done = 0
    for command in late:
        with network.deployment.store.write() as tx:
            mine = tx.partner_objects.finish_command(
                command.command_id, Result.TIMEOUT, expired=True
            )
        done += mine
        if mine and command.inbound:
            tell(network, command, Result.TIMEOUT)
    return done


def tell(network: PartnerNetwork, command: PartnerCommand, result: str) -> None:
    """Send the later answer once; a failure is logged and dropped."""
    try:
        with network.deployment.store.read() as tx:
            partner = needed(tx, command.partner_id)
        require_own_host(partner, command.response_url)
        routing = Routing(sender=PartyKey.parse(command.party))
        call(
            network,
            network.link(partner),
            "POST",
            command.response_url,
            body={"result": result},
            routing=routing,
        )
    except PkiError as error:
        _LOG.warning("the answer to command %s was not sent: %s", command.command_id, error.code)
