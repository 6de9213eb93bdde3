"""Partners and the parties that are reached through them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, select

from pki.errors import Conflict
from pki.model import (
    OwnParty,
    Partner,
    PartnerEndpoint,
    PartnerParty,
    PartnerState,
)
from pki.store.schema_partners import partner_own, partner_parties, partners
from pki.store.session import Insert, Parameters, Session, Upsert

_GET: Final = select(partners).where(partners.c.partner_id == bindparam("partner_id"))
_LOCK: Final = _GET.with_for_update()
_BY_TOKEN: Final = select(partners).where(partners.c.token_hash == bindparam("token_hash"))
_ALL: Final = select(partners).order_by(partners.c.partner_id)
_REGISTERED: Final = partners.c.state == PartnerState.REGISTERED.value
_PARTIES: Final = (
    select(partner_parties)
    .where(partner_parties.c.partner_id == bindparam("partner_id"))
    .order_by(partner_parties.c.party, partner_parties.c.role)
)
_REACHING: Final = (
    select(partner_parties, *(c.label(f"p_{c.name}") for c in partners.c))
    .join(partners, partners.c.partner_id == partner_parties.c.partner_id)
    .where(
        partner_parties.c.party == bindparam("party"),
        partner_parties.c.role == bindparam("role"),
        _REGISTERED,
    )
    .order_by(partner_parties.c.behind_hub, partner_parties.c.partner_id)
)
_WITH_OWN: Final = (
    select(partners)
    .join(partner_own, partner_own.c.partner_id == partners.c.partner_id)
    .where(partner_own.c.party == bindparam("party"), _REGISTERED)
    .order_by(partners.c.partner_id)
)
_FORGET_OWN: Final = delete(partner_own).where(partner_own.c.partner_id == bindparam("the_partner"))
_FORGET_PARTIES: Final = delete(partner_parties).where(
    partner_parties.c.partner_id == bindparam("the_partner"),
    partner_parties.c.behind_hub.is_(False),
)


def _replace_all(insert: Insert) -> Insert:
    columns = [c.name for c in partners.c if c.name != "partner_id"]
    return insert.on_conflict_do_update(
        index_elements=["partner_id"], set_={name: insert.excluded[name] for name in columns}
    )


def _replace_older(insert: Insert) -> Insert:
    columns = ("name", "status", "behind_hub", "updated")
    return insert.on_conflict_do_update(
        index_elements=["partner_id", "role", "party"],
        set_={name: insert.excluded[name] for name in columns},
        where=partner_parties.c.updated <= insert.excluded.updated,
    )


_ADD: Final = Upsert.new(partners)
_REPLACE: Final = Upsert.of(partners, _replace_all)
_ADD_OWN: Final = Upsert.new(partner_own)
_PUT_PARTY: Final = Upsert.of(partner_parties, _replace_older)


class PartnerRows:
    """The tables of partners; see `pki.ports.Partners`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, partner: Partner) -> None:
        """Store a partner. Raises Conflict (`partner_exists`)."""
        if not self._session.put(_ADD, _row(partner)):
            raise Conflict("partner_exists", f"There is a partner {partner.partner_id} already.")
        self._set_own(partner)

    def get(self, partner_id: str, *, lock: bool = False) -> Partner | None:
        """Return a partner, removed or not; in a write, `lock` makes its other writers wait."""
        query = _LOCK if lock and self._session.writable else _GET
        row = self._session.first(query, {"partner_id": partner_id})
        return _partner(row) if row else None

    def by_token_hash(self, token_hash: bytes) -> Partner | None:
        """Return the partner that holds this token, or None."""
        row = self._session.first(_BY_TOKEN, {"token_hash": token_hash})
        return _partner(row) if row else None

    def all(self) -> list[Partner]:
        """Return every partner, removed ones included, by id."""
        return [_partner(row) for row in self._session.rows(_ALL)]

    def replace(self, partner: Partner) -> None:
        """Store a partner in place of the one with its id."""
        self._session.put(_REPLACE, _row(partner))
        self._set_own(partner)

    def _set_own(self, partner: Partner) -> None:
        self._session.change(_FORGET_OWN, {"the_partner": partner.partner_id})
        for party in {own.party for own in partner.own}:
            self._session.put(_ADD_OWN, {"party": party, "partner_id": partner.partner_id})

    def parties(self, partner_id: str) -> list[PartnerParty]:
        """Return the parties of a partner and those behind it."""
        return [_party(row) for row in self._session.rows(_PARTIES, {"partner_id": partner_id})]

    def set_parties(self, partner_id: str, parties: list[PartnerParty]) -> None:
        """Replace what the partner's credentials say; its hub directory stays."""
        self._session.change(_FORGET_PARTIES, {"the_partner": partner_id})
        for party in parties:
            self._session.put(_PUT_PARTY, asdict(party))

    def put_client(self, party: PartnerParty) -> bool:
        """Store a word of a hub about a party; tell whether nothing newer was held."""
        return self._session.put(_PUT_PARTY, asdict(party))

    def reaching(self, party: str, role: str) -> list[tuple[Partner, PartnerParty]]:
        """Return the registered partners through which a party is reached, direct ones first."""
        rows = self._session.rows(_REACHING, {"party": party, "role": role})
        return [(_partner(row, "p_"), _party(row)) for row in rows]

    def with_own(self, party: str) -> list[Partner]:
        """Return registered partners that deal with this party of ours."""
        return [_partner(row) for row in self._session.rows(_WITH_OWN, {"party": party})]


def _row(partner: Partner) -> Parameters:
    return {
        "partner_id": partner.partner_id,
        "name": partner.name,
        "state": partner.state,
        "own": json.dumps([asdict(own) for own in partner.own]),
        "created_at": partner.created_at,
        "token_hash": partner.token_hash,
        "sealed_token": partner.sealed_token,
        "raw_token": partner.raw_token,
        "emaid_type": partner.emaid_type,
        "version": partner.version,
        "versions_url": partner.versions_url,
        "endpoints": json.dumps([asdict(endpoint) for endpoint in partner.endpoints]),
        "hub": partner.hub,
        "registered_at": partner.registered_at,
    }


def _partner(row: Row[Any], prefix: str = "") -> Partner:
    values = {column.name: getattr(row, prefix + column.name) for column in partners.c}
    return Partner(
        partner_id=values["partner_id"],
        name=values["name"],
        state=PartnerState(values["state"]),
        own=tuple(OwnParty(**own) for own in json.loads(values["own"])),
        created_at=values["created_at"],
        token_hash=values["token_hash"],
        sealed_token=values["sealed_token"],
        raw_token=values["raw_token"],
        emaid_type=values["emaid_type"],
        version=values["version"],
        versions_url=values["versions_url"],
        endpoints=tuple(PartnerEndpoint(**each) for each in json.loads(values["endpoints"])),
        hub=values["hub"],
        registered_at=values["registered_at"],
    )


def _party(row: Row[Any]) -> PartnerParty:
    return PartnerParty(
        partner_id=row.partner_id,
        role=row.role,
        party=row.party,
        name=row.name,
        status=row.status,
        behind_hub=row.behind_hub,
        updated=row.updated,
    )
