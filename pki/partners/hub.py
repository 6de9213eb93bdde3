"""The directory of a hub: which parties it reaches, and whether they are there."""

from __future__ import annotations

import datetime as dt
from typing import Final

from pki.errors import BadInput, NotFound, PolicyViolation
from pki.model import Partner, PartnerParty
from pki.partners.intake import micros, require_not_ahead
from pki.partners.network import PartnerNetwork, endpoint, pages
from pki.roaming.ocpi.parties import ClientInfo, ConnectionStatus, PartyKey, PartyRole
from pki.roaming.ocpi.tokens import ids_differ, merged
from pki.roaming.ocpi.versions import InterfaceRole, Module

_NAMING: Final = ("country_code", "party_id", "role")
CONNECTED: Final = ConnectionStatus.CONNECTED.value


def get(network: PartnerNetwork, partner: Partner, key: PartyKey) -> dict[str, object]:
    """
    Return what the hub said of a party.

    Raises:
        NotFound: `ocpi_object_unknown`.
    """
    _require_hub(partner)
    return _to_json(_held(network, partner, key))


def put(network: PartnerNetwork, partner: Partner, key: PartyKey, body: object) -> bool:
    """
    Take in what a hub says of a party; tell whether it was newer than what we knew.

    Raises:
        BadInput: `ocpi_…`, `ocpi_ids_differ`, `ocpi_time_ahead`.
        PolicyViolation: `ocpi_not_a_hub`.
    """
    _require_hub(partner)
    info = ClientInfo.parse(body)
    if info.key != key:
        raise ids_differ("party_id", str(key), str(info.key))
    return _keep(network, partner, info)


def patch(network: PartnerNetwork, partner: Partner, key: PartyKey, body: object) -> bool:
    """Change what is known of a party. Raises as `put`, and NotFound (`ocpi_object_unknown`)."""
    _require_hub(partner)
    held = _to_json(_held(network, partner, key))
    return put(network, partner, key, merged(held, body, _NAMING))


def pull(network: PartnerNetwork, partner: Partner) -> int:
    """
    Read the whole directory of a hub; return how many words were news.

    Raises:
        PolicyViolation: `ocpi_not_a_hub`, `partner_not_registered`.
        Unavailable: the hub is out of reach, refuses, or answers with garbage.
    """
    place = endpoint(partner, Module.HUB_CLIENT_INFO, InterfaceRole.SENDER)
    if place is None:
        raise PolicyViolation("ocpi_not_a_hub", "This partner offers no hubclientinfo.")
    news = 0
    for page in pages(network, network.link(partner), place):
        for row in page:
            try:
                news += _keep(network, partner, ClientInfo.parse(row))
            except BadInput:  # one odd row must not hide the others
                continue
    return news


def _require_hub(partner: Partner) -> None:
    if partner.hub is None:
        raise PolicyViolation("ocpi_not_a_hub", "This partner is not registered as a hub.")


def _held(network: PartnerNetwork, partner: Partner, key: PartyKey) -> PartnerParty:
    with network.deployment.store.read() as tx:
        found = tx.partners.parties(partner.partner_id)
    for party in found:
        if party.party == str(key):
            return party
    raise NotFound("ocpi_object_unknown", f"We know nothing of {key} behind this hub.")


def _keep(network: PartnerNetwork, partner: Partner, info: ClientInfo) -> bool:
    require_not_ahead(info.last_updated, network.deployment.clock.now())
    if any(own.party == str(info.key) for own in partner.own):
        return False  # the hub lists us as well
    with network.deployment.store.write() as tx:
        return tx.partners.put_client(
            PartnerParty(
                partner_id=partner.partner_id,
                role=info.role.value,
                party=str(info.key),
                name="",
                status=info.status.value,
                behind_hub=str(info.key) != partner.hub,
                updated=micros(info.last_updated),
            )
        )


def _to_json(party: PartnerParty) -> dict[str, object]:
    updated = dt.datetime.fromtimestamp(party.updated / 1_000_000, dt.UTC)
    info = ClientInfo(
        key=PartyKey.parse(party.party),
        role=PartyRole(party.role),
        status=ConnectionStatus(party.status),
        last_updated=updated,
    )
    return info.to_json()
