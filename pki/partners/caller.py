"""Which partner calls, and whether an object is that partner's to touch."""

from __future__ import annotations

import hmac

from pki import access
from pki.errors import NotFound, Unauthenticated
from pki.model import Partner, PartnerState, Principal, Role
from pki.partners.network import PartnerNetwork
from pki.ports import Transaction
from pki.roaming.ocpi.parties import PartyKey, PartyRole
from pki.roaming.ocpi.text import tokens_of


def authenticate(network: PartnerNetwork, header: str, *, functional: bool) -> Partner:
    """
    Return the partner that sent an Authorization header.

    Args:
        functional: it asks for more than versions and credentials, for which it must have
            registered.

    Raises:
        Unauthenticated: `ocpi_token_missing`, `ocpi_token_invalid`.
    """
    tokens = tokens_of(header)
    if not tokens:
        raise Unauthenticated("ocpi_token_missing", "Send Authorization: Token …")
    partner = _partner(network, tokens)
    good = (
        (PartnerState.REGISTERED,)
        if functional
        else (
            PartnerState.REGISTERED,
            PartnerState.INVITED,
        )
    )
    if partner is None or partner.state not in good:
        raise Unauthenticated("ocpi_token_invalid", "The credentials token is not valid here.")
    return partner


def _partner(network: PartnerNetwork, tokens: tuple[str, ...]) -> Partner | None:
    with network.deployment.store.read() as tx:
        for token in tokens:
            wanted = access.token_hash(token)
            found = tx.partners.by_token_hash(wanted)
            if found is not None and hmac.compare_digest(found.token_hash or b"", wanted):
                return found
    return None


def principal_of(partner: Partner, role: PartyRole, parties: tuple[str, ...]) -> Principal:
    """Return the partner as a caller of our verbs."""
    known = Role.CPO if role is PartyRole.CPO else Role.EMSP
    return Principal(name=f"ocpi:{partner.partner_id}", role=known, parties=parties)


def speaks_for(tx: Transaction, partner: Partner, role: PartyRole) -> tuple[str, ...]:
    """Return the parties of a role that a partner speaks for, those behind a hub included."""
    return tuple(p.party for p in tx.partners.parties(partner.partner_id) if p.role == role.value)


def require_owner(tx: Transaction, partner: Partner, key: PartyKey, role: PartyRole) -> None:
    """
    Return if objects of a party may be touched by this partner.

    A hub speaks for a party behind it unless that party is a partner of its own.

    Raises:
        NotFound: `ocpi_party_unknown`, as OCPI allows for a foreign party.
    """
    for other, party in tx.partners.reaching(str(key), role.value):
        if other.partner_id == partner.partner_id:
            return
        if not party.behind_hub:
            break
    raise NotFound("ocpi_party_unknown", f"{role.value} {key} is no party of this partner.")


def own_party(partner: Partner, role: PartyRole, to: PartyKey | None) -> str | None:
    """Return the party of ours that is meant: the one named, or the only one there is."""
    parties = [own.party for own in partner.own if own.role == role.value]
    if to is not None:
        return str(to) if str(to) in parties else None
    return parties[0] if len(parties) == 1 else None


def sent_token(partner: Partner, header: str) -> str:
    """Return which reading of an Authorization header is this partner's token, or nothing."""
    matching = (t for t in tokens_of(header) if access.token_hash(t) == partner.token_hash)
    return next(matching, "")
