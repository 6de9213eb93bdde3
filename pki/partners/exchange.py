"""Tokens between partners and us: theirs kept here, and their questions about ours answered."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pki import authorize
from pki.authorize import Roaming
from pki.authorize.places import covers
from pki.errors import BadInput, NotFound
from pki.ids import EvseId, quote
from pki.model import (
    Authorisation,
    AuthorisationFault,
    Credential,
    CredentialKind,
    Partner,
    Principal,
    Role,
)
from pki.partners import tokens
from pki.partners.caller import require_owner, speaks_for
from pki.partners.intake import require_not_ahead
from pki.partners.network import PartnerNetwork, endpoint, pages, version_of
from pki.ports import Transaction
from pki.roaming.ocpi.parties import PartyKey, PartyRole, Routing
from pki.roaming.ocpi.text import fold
from pki.roaming.ocpi.tokens import (
    Allowed,
    AuthorizationInfo,
    LocationReferences,
    Token,
    ids_differ,
    patched,
)
from pki.roaming.ocpi.versions import InterfaceRole, Module

_PLACES: Final = frozenset((AuthorisationFault.NOT_HERE, AuthorisationFault.CPO_UNKNOWN))


# --- theirs: we are the receiver -----------------------------------------------------------------


def get(
    network: PartnerNetwork, partner: Partner, key: PartyKey, uid: str, token_type: str
) -> dict[str, Any]:
    """
    Return a token as its eMSP gave it.

    Raises:
        NotFound: `ocpi_party_unknown`, `token_unknown`.
    """
    with network.deployment.store.read() as tx:
        require_owner(tx, partner, key, PartyRole.EMSP)
        held = _held(tx, key, uid, token_type)
    if held is None:
        raise _unknown(uid)
    return tokens.shown(partner, tokens.from_partner(held))


def put(  # noqa: PLR0913 - the parts of an address, and the body
    network: PartnerNetwork,
    partner: Partner,
    key: PartyKey,
    uid: str,
    token_type: str,
    body: object,
) -> bool:
    """
    Keep a token of an eMSP partner; tell whether it changed anything.

    Raises:
        BadInput: `ocpi_…`, `invalid_uid`, `ocpi_ids_differ`, `ocpi_time_ahead`.
        NotFound: `ocpi_party_unknown`.
    """
    token = Token.parse(body, version_of(partner))
    _check_address(token, key, uid, token_type)
    with network.deployment.store.write() as tx:
        require_owner(tx, partner, key, PartyRole.EMSP)
        return _keep(tx, token, network.deployment.clock.now())


def patch(  # noqa: PLR0913 - the parts of an address, and the body
    network: PartnerNetwork,
    partner: Partner,
    key: PartyKey,
    uid: str,
    token_type: str,
    body: object,
) -> bool:
    """
    Change a token of an eMSP partner.

    Raises:
        BadInput: as `put`, and `ocpi_field_missing` without `last_updated`.
        NotFound: `ocpi_party_unknown`, `token_unknown`.
    """
    version = version_of(partner)
    with network.deployment.store.write() as tx:
        require_owner(tx, partner, key, PartyRole.EMSP)
        held = _held(tx, key, uid, token_type)
        if held is None:
            raise _unknown(uid)
        before = tokens.from_partner(held).to_json(version)
        changed = Token.parse(patched(before, body, version), version)
        return _keep(tx, changed, network.deployment.clock.now())


def _keep(tx: Transaction, token: Token, now: dt.datetime) -> bool:
    require_not_ahead(token.last_updated, now)
    found = tokens.to_credential(token, f"p{secrets.token_hex(12)}", now)
    held = tx.credentials.find(found.kind, found.uid, found.emsp)
    if held is not None and tokens.updated_of(held) > token.last_updated:
        return False
    tx.credentials.put(found)
    return True


def _held(tx: Transaction, key: PartyKey, uid: str, token_type: str) -> Credential | None:
    for kind in tokens.kinds_of(token_type, uid):
        held = tx.credentials.find(kind, tokens.uid_of(kind, uid), str(key))
        if held is not None and held.partner:
            return held
    return None


def _check_address(token: Token, key: PartyKey, uid: str, token_type: str) -> None:
    if token.owner != key:
        raise ids_differ("party_id", str(key), str(token.owner))
    if fold(token.uid) != fold(uid):
        raise ids_differ("uid", uid, token.uid)
    if token.type != token_type:
        raise ids_differ("type", token_type, token.type)


def _unknown(uid: str) -> NotFound:
    return NotFound("token_unknown", f"We know no token {quote(uid)}.")


def pull(network: PartnerNetwork, partner: Partner, since: dt.datetime | None = None) -> int:
    """
    Read an eMSP partner's tokens, all or those that changed since; return how many were news.

    A token that cannot be read, or is none of the partner's parties', hides no other.

    Raises:
        PolicyViolation: `partner_not_registered`.
        Unavailable: the partner is out of reach, refuses, or answers with garbage.
    """
    place = endpoint(partner, Module.TOKENS, InterfaceRole.SENDER)
    if place is None:
        return 0
    asked = f"?date_from={tokens.format_micros(since)[:19]}Z" if since is not None else ""
    news = 0
    for page in pages(network, network.link(partner), place + asked):
        with network.deployment.store.write() as tx:
            now = network.deployment.clock.now()
            news += sum(_taken(tx, partner, row, now) for row in page)
    return news


def _taken(tx: Transaction, partner: Partner, row: object, now: dt.datetime) -> bool:
    try:
        token = Token.parse(row, version_of(partner))
        require_owner(tx, partner, token.owner, PartyRole.EMSP)
        return _keep(tx, token, now)
    except (BadInput, NotFound):
        return False


# --- ours: we are the sender ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    What a CPO partner asks.

    Attributes:
        partner, routing: who asks, by which way.
        uid, token_type: of the driver's token, as they came.
        place: where the driver wants to charge, if it was said.
    """

    partner: Partner
    routing: Routing
    uid: str
    token_type: str
    place: LocationReferences | None = None


def answer(network: PartnerNetwork, roaming: Roaming, question: Question) -> dict[str, Any]:
    """
    Answer a CPO partner's question whether a driver may charge.

    Of several EVSEs the answer names those where an agreement holds; one of them is enough.

    Raises:
        BadInput: `ocpi_too_little`: an agreement asks where, and nobody said.
        NotFound: `token_unknown`, `ocpi_party_unknown` (no CPO of the partner asks).
        Unavailable: the store is out of reach.
    """
    partner = question.partner
    with network.deployment.store.read() as tx:
        own = tuple(tokens.own_providers(tx, partner))
        asking = _cpos(tx, partner, question.routing)
    cpo = Principal(name=f"ocpi:{partner.partner_id}", role=Role.CPO, parties=asking)
    for kind in tokens.kinds_of(question.token_type, question.uid):
        here = _Here(network, roaming, cpo, kind)
        told = authorize.credential(
            network.deployment,
            roaming,
            cpo,
            kind,
            question.uid,
            emsps=own,
            evse_id=here.chosen(question.place, own),
        )
        if told.fault is not AuthorisationFault.CREDENTIAL_UNKNOWN:
            return _answer(here, question, told)
    raise _unknown(question.uid)


@dataclass(frozen=True, slots=True)
class _Here:
    """Judges EVSEs for a CPO that asks about credentials of one kind."""

    network: PartnerNetwork
    roaming: Roaming
    cpo: Principal
    kind: CredentialKind

    def chosen(self, place: LocationReferences | None, accounts: tuple[str, ...]) -> str | None:
        """Return the EVSE to ask about: one that an agreement covers, else any, else none."""
        uids = place.evse_uids if place else ()
        covered = (uid for account in accounts for uid in self._covered(uids, account))
        return next(filter(None, map(_evse, (*covered, *uids))), None)

    def allowed(self, place: LocationReferences, account: str) -> LocationReferences:
        """Return the location with those of its EVSEs where an agreement holds."""
        uids = tuple(self._covered(place.evse_uids, account))
        return replace(place, evse_uids=uids)

    def _covered(self, uids: Iterable[str], account: str) -> Iterator[str]:
        now = self.network.deployment.clock.now()
        for uid in uids:
            if covers(self.roaming, self.cpo, self.kind, account, _evse(uid), now):
                yield uid


def _answer(here: _Here, question: Question, told: Authorisation) -> dict[str, Any]:
    partner, place = question.partner, question.place
    if told.fault in _PLACES and told.evse_id is None:
        raise BadInput("ocpi_too_little", "Name the EVSE: what is allowed depends on the place.")
    now = here.network.deployment.clock.now()
    with here.network.deployment.store.read() as tx:
        own = tokens.own_providers(tx, partner)
        named = tx.credentials.named(here.kind, tokens.uid_of(here.kind, question.uid))
        mine = [c for c in named if c.emsp in own and not c.partner]
        shown = tokens.to_tokens(tx, partner, mine[:1], now)
    if not shown:
        raise _unknown(question.uid)
    good = told.allowed.value == Allowed.ALLOWED.value
    info = AuthorizationInfo(
        allowed=Allowed(told.allowed.value),
        authorization_reference=told.reference,  # sessions and CDRs come back to us with it
        location=here.allowed(place, mine[0].emsp) if good and place is not None else None,
        info=None if told.fault is None else told.explanation,
    )
    return dict(info.to_json(tokens.shown(partner, shown[0])))


def _cpos(tx: Transaction, partner: Partner, routing: Routing) -> tuple[str, ...]:
    """Return the CPO that asks, or every CPO of the partner where none is named."""
    parties = speaks_for(tx, partner, PartyRole.CPO)
    named = str(routing.sender) if routing.sender else None
    found = parties if named is None else tuple(p for p in parties if p == named)
    if not found:
        raise NotFound("ocpi_party_unknown", "Who asks is no CPO of this partner.")
    return found


def _evse(uid: str) -> str | None:
    """Return the EVSE where its uid is an EVSE id; a platform's own numbers say nothing to us."""
    try:
        return EvseId.parse(uid).key
    except BadInput:
        return None
