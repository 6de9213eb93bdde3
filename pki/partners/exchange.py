"""Tokens between partners and us: theirs kept here, ours told to them, page by page or asked."""

from __future__ import annotations

import datetime as dt
import heapq
import secrets
from dataclasses import dataclass
from typing import Any, Final

from pki import authorize
from pki.authorize import Roaming
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
from pki.roaming.ocpi.paging import Cursor, PageRequest
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

_MICROS: Final = 1_000_000
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
class TokenPage:
    """A page of our tokens; `following` is None on the last one."""

    tokens: list[dict[str, Any]]
    total: int
    following: PageRequest | None


def page(network: PartnerNetwork, partner: Partner, asked: PageRequest) -> TokenPage:
    """
    Return tokens of the eMSPs that a partner deals with, oldest change first.

    Behind a cursor every eMSP is looked up from its index, so that the last page costs what the
    first does; the total is counted once, on the first page, and travels in the cursor.
    """
    now = network.deployment.clock.now()
    with network.deployment.store.read() as tx:
        own = tokens.own_providers(tx, partner)
        total = asked.after.total if asked.after else _total(tx, tuple(own), asked)
        found = _credentials(tx, tuple(own), asked)
        shown = found[: asked.limit]
        body = [tokens.shown(partner, t) for t in tokens.to_tokens(tx, partner, shown, now)]
    following = None
    if len(found) > asked.limit:
        last = shown[-1]
        updated = int(last.updated_at.timestamp()) * _MICROS
        cursor = Cursor(updated=updated, key=last.credential_id, total=total)
        following = asked.next(len(shown), cursor)
    return TokenPage(tokens=body, total=total, following=following)


def _total(tx: Transaction, providers: tuple[str, ...], asked: PageRequest) -> int:
    begin, end = _within(asked)
    return sum(tx.credentials.count(provider, begin, end) for provider in providers)


def _credentials(
    tx: Transaction, providers: tuple[str, ...], asked: PageRequest
) -> list[Credential]:
    """Return one more than a page, so that it shows whether another follows."""
    begin, end = _within(asked)
    if not providers:
        return []
    if asked.after is None and asked.offset:  # somebody counts by himself
        return tx.credentials.search(
            emsps=providers,
            changed_from=begin,
            changed_to=end,
            partner=False,
            limit=asked.limit + 1,
            offset=asked.offset,
        )
    after = _after(asked.after)
    of_each = [
        tx.credentials.search(
            emsps=(provider,),
            changed_from=begin,
            changed_to=end,
            after=after,
            partner=False,
            limit=asked.limit + 1,
        )
        for provider in providers
    ]
    merged = heapq.merge(*of_each, key=lambda c: (c.updated_at, c.credential_id))
    return [credential for credential, _ in zip(merged, range(asked.limit + 1), strict=False)]


def _after(cursor: Cursor | None) -> tuple[dt.datetime, str] | None:
    if cursor is None:
        return None
    return dt.datetime.fromtimestamp(cursor.updated // _MICROS, dt.UTC), cursor.key


def _within(asked: PageRequest) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return the bounds in whole seconds, as changes are kept; one between is rounded up."""
    return _up(asked.date_from), _up(asked.date_to)


def _up(value: dt.datetime | None) -> dt.datetime | None:
    if value is None or not value.microsecond:
        return value
    return value.replace(microsecond=0) + dt.timedelta(seconds=1)


def answer(  # noqa: PLR0913 - who asks about what, where, by which way
    network: PartnerNetwork,
    roaming: Roaming,
    partner: Partner,
    uid: str,
    token_type: str,
    place: LocationReferences | None,
    routing: Routing,
) -> dict[str, Any]:
    """
    Answer a CPO partner's question whether a driver may charge.

    Raises:
        BadInput: `ocpi_too_little`: an agreement asks where, and nobody said.
        NotFound: `token_unknown`, `ocpi_party_unknown` (no CPO of the partner asks).
        Unavailable: the store is out of reach.
    """
    with network.deployment.store.read() as tx:
        own = tokens.own_providers(tx, partner)
        asking = _cpos(tx, partner, routing)
    principal = Principal(name=f"ocpi:{partner.partner_id}", role=Role.CPO, parties=asking)
    for kind in tokens.kinds_of(token_type, uid):
        told = authorize.credential(
            network.deployment,
            roaming,
            principal,
            kind,
            uid,
            emsps=tuple(own),
            evse_id=_evse(place),
        )
        if told.fault is not AuthorisationFault.CREDENTIAL_UNKNOWN:
            return _answer(network, partner, told, kind, uid, place)
    raise _unknown(uid)


def _answer(  # noqa: PLR0913 - the verdict and what it is about
    network: PartnerNetwork,
    partner: Partner,
    told: Authorisation,
    kind: CredentialKind,
    uid: str,
    place: LocationReferences | None,
) -> dict[str, Any]:
    if told.fault in _PLACES and _evse(place) is None:
        raise BadInput("ocpi_too_little", "Name the EVSE: what is allowed depends on the place.")
    now = network.deployment.clock.now()
    with network.deployment.store.read() as tx:
        own = tokens.own_providers(tx, partner)
        named = tx.credentials.named(kind, tokens.uid_of(kind, uid))
        mine = [c for c in named if c.emsp in own and not c.partner]
        shown = tokens.to_tokens(tx, partner, mine[:1], now)
    if not shown:
        raise _unknown(uid)
    info = AuthorizationInfo(
        allowed=Allowed(told.allowed.value),
        authorization_reference=told.emsp_reference or told.reference,
        location=place if told.allowed.value == Allowed.ALLOWED.value else None,
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


def _evse(place: LocationReferences | None) -> str | None:
    """Return the EVSE where its uid is an EVSE id; a platform's own numbers say nothing to us."""
    for uid in place.evse_uids if place else ():
        try:
            return EvseId.parse(uid).key
        except BadInput:
            continue
    return None
