"""The JSON of partners, shared by HTTP and command line; no secret is in it."""

from __future__ import annotations

from typing import Any

from pki.clock import format_time
from pki.model import Partner, PartnerCommand, PartnerParty
from pki.partners.registry import Invitation

Json = dict[str, Any]


def partner_json(partner: Partner) -> Json:
    """Return a partner, without its tokens."""
    return {
        "partnerId": partner.partner_id,
        "name": partner.name,
        "state": partner.state.value,
        "ocpiVersion": partner.version,
        "versionsUrl": partner.versions_url,
        "hub": partner.hub,
        "rawToken": partner.raw_token,
        "emaidType": partner.emaid_type,
        "createdAt": format_time(partner.created_at),
        "registeredAt": format_time(partner.registered_at) if partner.registered_at else None,
        "own": [f"{own.role} {own.party}" for own in partner.own],
        "endpoints": [
            {"module": e.identifier, "role": e.role, "url": e.url} for e in partner.endpoints
        ],
    }


def party_json(party: PartnerParty) -> Json:
    """Return a party that is reached through a partner."""
    return {
        "role": party.role,
        "party": party.party,
        "name": party.name,
        "status": party.status,
        "behindHub": party.behind_hub,
    }


def invitation_json(found: Invitation) -> Json:
    """Return what a partner is told to register; the token is shown this once."""
    return {
        "partnerId": found.partner.partner_id,
        "versionsUrl": found.versions_url,
        "token": found.token,
    }


def command_json(command: PartnerCommand) -> Json:
    """Return a remote start or stop."""
    return {
        "commandId": command.command_id,
        "command": command.kind,
        "party": command.party,
        "partnerId": command.partner_id,
        "createdAt": format_time(command.created_at),
        "expiresAt": format_time(command.expires_at),
    }


def sent_json(command: PartnerCommand) -> Json:
    """Return a remote start or stop that an eMSP of ours sent."""
    return command_json(command) | {"state": command.state.value, "result": command.result}
