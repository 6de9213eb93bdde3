"""Partners as an administrator keeps them: invite, show, suspend, take up again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pki import access, audit
from pki.errors import BadInput, JsonValue, NotFound, PolicyViolation
from pki.ids import quote
from pki.model import (
    OwnParty,
    Partner,
    PartnerParty,
    PartnerState,
    Principal,
    Role,
)
from pki.partners.network import PartnerNetwork, needed, new_token
from pki.ports import Transaction
from pki.roaming.ocpi.parties import PartyKey, PartyRole
from pki.roaming.ocpi.tokens import CLOSED_TYPES

_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A partner with the token that it registers with, which is told this once."""

    partner: Partner
    token: str = field(repr=False)
    versions_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPartner:
    """
    A partner to be.

    Attributes:
        emsps, cpos: parties of this home that it deals with.
        raw_token: it wants our token as it is.
        emaid_type: token type for EMAIDs in 2.2.1.
    """

    name: str
    emsps: Sequence[str] = ()
    cpos: Sequence[str] = ()
    raw_token: bool = False
    emaid_type: str = "OTHER"


def add(
    network: PartnerNetwork, principal: Principal, partner_id: str, wanted: NewPartner
) -> Invitation:
    """
    Invite a partner; its token serves for versions and credentials only.

    Raises:
        BadInput: `invalid_partner_id`, `invalid_ocpi_party`, `invalid_value`, `party_missing`.
        NotFound: `party_unknown`.
        Conflict: `partner_exists`.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    if not _ID.fullmatch(partner_id):
        raise BadInput(
            "invalid_partner_id",
            f"{quote(partner_id)} is no id of a partner.",
            hint="Write 1 to 40 lower-case letters, digits and hyphens.",
        )
    if wanted.emaid_type not in CLOSED_TYPES:
        raise BadInput(
            "invalid_value",
            f"{quote(wanted.emaid_type)} is no token type of OCPI 2.2.1.",
            hint="One of: " + ", ".join(CLOSED_TYPES) + ".",
        )
    now = network.deployment.clock.now()
    token = new_token()
    with network.deployment.store.write() as tx:
        partner = Partner(
            partner_id=partner_id,
            name=wanted.name,
            state=PartnerState.INVITED,
            own=_own(tx, wanted),
            created_at=now,
            token_hash=access.token_hash(token),
            raw_token=wanted.raw_token,
            emaid_type=wanted.emaid_type,
        )
        tx.partners.add(partner)
        told: list[str] = [f"{own.role} {own.party}" for own in partner.own]
        _record(network, tx, principal, "partner.add", partner_id, {"own": told})
    return _invitation(network, partner, token)


def _invitation(network: PartnerNetwork, partner: Partner, token: str) -> Invitation:
    return Invitation(partner=partner, token=token, versions_url=f"{network.base_url}/versions")


def _own(tx: Transaction, wanted: NewPartner) -> tuple[OwnParty, ...]:
    found = [
        *(_own_party(tx, PartyRole.EMSP, Role.EMSP, text) for text in wanted.emsps),
        *(_own_party(tx, PartyRole.CPO, Role.CPO, text) for text in wanted.cpos),
    ]
    if not found:
        raise BadInput(
            "party_missing",
            "A partner deals with at least one party of this home.",
            hint="Name an eMSP with --emsp or a CPO with --cpo.",
        )
    return tuple(dict.fromkeys(found))


def _own_party(tx: Transaction, role: PartyRole, registered: Role, text: str) -> OwnParty:
    key = str(PartyKey.parse(text))
    party = tx.contracts.party(registered, key)
    if party is None:
        raise NotFound(
            "party_unknown",
            f"No {role.value} {key} is registered here.",
            hint="`pnc emsp add` and `pnc party add` register parties.",
        )
    known = {e.provider_id.value: e.party_id for e in tx.roaming.emsps()}
    shown = known.get(key) if role is PartyRole.EMSP else None
    return OwnParty(role=role.value, party=shown or key, name=party.name)


def invite(network: PartnerNetwork, principal: Principal, partner_id: str) -> Invitation:
    """
    Give a partner a new first token; what it held before is void, its objects are kept.

    Raises:
        NotFound: `partner_unknown`.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    token = new_token()
    with network.deployment.store.write() as tx:
        held = needed(tx, partner_id, lock=True)
        partner = replace(
            held,
            state=PartnerState.INVITED,
            token_hash=access.token_hash(token),
            sealed_token=None,
            endpoints=(),
            version=None,
            registered_at=None,
        )
        tx.partners.replace(partner)
        _record(network, tx, principal, "partner.invite", partner_id, {})
    return _invitation(network, partner, token)


def suspend(
    network: PartnerNetwork, principal: Principal, partner_id: str, *, lift: bool = False
) -> Partner:
    """
    Refuse a registered partner for now and call it no more, or take it up again.

    Raises:
        NotFound: `partner_unknown`.
        PolicyViolation: `partner_not_registered`, `partner_not_suspended`.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    before = PartnerState.SUSPENDED if lift else PartnerState.REGISTERED
    after = PartnerState.REGISTERED if lift else PartnerState.SUSPENDED
    with network.deployment.store.write() as tx:
        held = needed(tx, partner_id, lock=True)
        if held.state is not before:
            raise PolicyViolation(
                f"partner_not_{before.value}", f"The partner {partner_id} is {held.state.value}."
            )
        partner = replace(held, state=after)
        tx.partners.replace(partner)
        action = "partner.resume" if lift else "partner.suspend"
        _record(network, tx, principal, action, partner_id, {})
    return partner


def partners(network: PartnerNetwork, principal: Principal) -> list[Partner]:
    """Return every partner, removed ones included."""
    access.require(principal, access.Action.KEEP_PARTNERS)
    with network.deployment.store.read() as tx:
        return tx.partners.all()


def show(
    network: PartnerNetwork, principal: Principal, partner_id: str
) -> tuple[Partner, list[PartnerParty]]:
    """Return a partner and the parties reached through it. Raises NotFound."""
    access.require(principal, access.Action.KEEP_PARTNERS)
    with network.deployment.store.read() as tx:
        return needed(tx, partner_id), tx.partners.parties(partner_id)


def _record(  # noqa: PLR0913 - the columns of an audit row
    network: PartnerNetwork,
    tx: Transaction,
    principal: Principal,
    action: str,
    partner_id: str,
    details: dict[str, JsonValue],
) -> None:
    audit.note(tx, network.deployment.clock.now(), principal.name, action, partner_id, details)
