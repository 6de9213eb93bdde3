"""
Pages of companies, eMSPs, ranges and agreements: what concerns whoever looks.

That is, beside itself, whoever it has an agreement with that is in force or to come, and the hubs
before these; of a hub, whoever is reached through it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    exists,
    false,
    literal,
    or_,
    select,
    true,
    tuple_,
)

from pki.model import (
    EVERY,
    Account,
    Agreement,
    AgreementState,
    Emsp,
    NumberRange,
    Party,
    RangeKind,
    Role,
    Viewer,
)
from pki.store.columns import Line, UtcTime
from pki.store.parties import to_account, to_party
from pki.store.roaming_values import to_agreement, to_emsp, to_range
from pki.store.schema import accounts, parties
from pki.store.schema_roaming import agreements, emsps, number_ranges
from pki.store.session import Session

_LATER: Final = agreements.alias("later")
_NEWEST: Final = ~exists().where(
    _LATER.c.agreement_id == agreements.c.agreement_id, _LATER.c.version > agreements.c.version
)
_EMSPS: Final = (
    select(accounts, *(emsps.c[n] for n in ("party_id", "realtime_url", "whitelist")))
    .add_columns(emsps.c.sealed_token)
    .outerjoin(emsps, emsps.c.provider_id == accounts.c.provider_id)
    .order_by(accounts.c.provider_id)
)
_SIDES: Final = {
    Role.CPO: (agreements.c.cpo, Role.EMSP, agreements.c.emsp),
    Role.EMSP: (agreements.c.emsp, Role.CPO, agreements.c.cpo),
}
"""Where a role stands in an agreement, and who stands across."""


class RoamingListRows:
    """The lists; see `pki.ports.RoamingLists`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def emsps(
        self, owners: tuple[str, ...] | None, *, after: str | None = None, limit: int = 100
    ) -> list[tuple[Account, Emsp]]:
        """Return a page of accounts and how they are asked, by provider id."""
        page = _EMSPS.limit(limit)
        if owners is not None:
            page = page.where(accounts.c.provider_id.in_(owners))
        if after is not None:
            page = page.where(accounts.c.provider_id > after)
        return [(to_account(row), to_emsp(row)) for row in self._session.rows(page)]

    def parties(
        self,
        viewer: Viewer | None,
        now: dt.datetime,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> list[Party]:
        """Return a page of companies, by role and identifier."""
        page = select(parties).where(_shown(parties, viewer, now))
        page = page.order_by(parties.c.role, parties.c.party_id).limit(limit)
        if after is not None:
            here = tuple_(*(literal(text, Line) for text in after))
            page = page.where(tuple_(parties.c.role, parties.c.party_id) > here)
        return [to_party(row) for row in self._session.rows(page)]

    def ranges(
        self,
        viewer: Viewer | None,
        now: dt.datetime,
        *,
        after: tuple[RangeKind, str, dt.datetime] | None = None,
        limit: int = 100,
    ) -> list[NumberRange]:
        """Return a page of ranges of the companies that are shown, by kind, prefix and begin."""
        held = number_ranges.c
        place = (held.kind, held.prefix, held.valid_from)
        page = select(number_ranges).order_by(*place).limit(limit)
        if viewer is not None:
            mine = and_(held.role == viewer.role, held.party_id.in_(viewer.names))
            before = held.ported_from.in_(viewer.names) if viewer.role is Role.EMSP else false()
            known = exists().where(
                parties.c.role == held.role,
                parties.c.party_id == held.party_id,
                _shown(parties, viewer, now),
            )
            page = page.where(or_(mine, before, known))
        if after is not None:
            kind, prefix, begin = after
            here = (literal(kind, Line), literal(prefix, Line), literal(begin, UtcTime))
            page = page.where(tuple_(*place) > tuple_(*here))
        return [to_range(row) for row in self._session.rows(page)]

    def agreements(
        self, viewer: Viewer | None, *, after: str | None = None, limit: int = 100
    ) -> list[Agreement]:
        """Return a page of the newest versions that name whoever looks, by id."""
        page = select(agreements).where(_NEWEST).order_by(agreements.c.agreement_id).limit(limit)
        if viewer is not None:
            page = page.where(_names(viewer))
        if after is not None:
            page = page.where(agreements.c.agreement_id > after)
        return [to_agreement(row) for row in self._session.rows(page)]


def _names(viewer: Viewer) -> ColumnElement[bool]:
    """Tell whether an agreement names whoever looks; a hub stands in none."""
    side = _SIDES.get(viewer.role)
    if side is None:
        return false()
    return side[0].in_((*viewer.names, EVERY))


def _shown(table: FromClause, viewer: Viewer | None, now: dt.datetime) -> ColumnElement[bool]:
    if viewer is None:
        return true()
    if viewer.role is Role.HUB:
        itself = and_(table.c.role == Role.HUB, table.c.party_id.in_(viewer.names))
        return or_(itself, table.c.hub.in_(viewer.names))
    reached = table.alias("reached")
    before = select(reached.c.hub).where(_direct(reached, viewer, now))
    hub = and_(table.c.role == Role.HUB, table.c.party_id.in_(before))
    return or_(_direct(table, viewer, now), hub)


def _direct(table: FromClause, viewer: Viewer, now: dt.datetime) -> ColumnElement[bool]:
    """Tell whether a company is whoever looks, or has an agreement with it."""
    itself = and_(table.c.role == viewer.role, table.c.party_id.in_(viewer.names))
    side = _SIDES.get(viewer.role)
    if side is None:
        return itself
    _, role, across = side
    agreed = _agreed(across, viewer, now)
    named = or_(
        literal(EVERY, Line).in_(agreed),
        table.c.party_id.in_(agreed),
        table.c.party_id.in_(select(emsps.c.party_id).where(emsps.c.provider_id.in_(agreed))),
        table.c.party_id.in_(select(emsps.c.provider_id).where(emsps.c.party_id.in_(agreed))),
    )
    return or_(itself, and_(table.c.role == role, named))


def _agreed(across: ColumnElement[str], viewer: Viewer, now: dt.datetime) -> Select[Any]:
    """Return who stands across in agreements in force or to come."""
    end = agreements.c.valid_until
    return select(across).where(
        _names(viewer),
        _NEWEST,
        agreements.c.state == AgreementState.ACTIVE,
        or_(end.is_(None), end > now),
    )
