"""
Our tokens, told to partners page by page: the last page costs what the first does.

Behind the `Link` that we hand out stands the place where the next page begins. For who counts
`offset` by himself, the place where each of his pages ended is kept for a day; where he leaps, we
walk there once and leave marks, so that no further leap reads more than STRIDE objects in vain.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import heapq
from dataclasses import dataclass, replace
from typing import Any, Final

from pki.errors import Unavailable
from pki.model import Credential, PageMark, Partner
from pki.partners import tokens
from pki.partners.network import PartnerNetwork
from pki.ports import Transaction
from pki.roaming.ocpi.paging import Cursor, PageRequest

STRIDE: Final = 100_000
"""Objects between the marks of a leap."""

KEPT: Final = dt.timedelta(days=1)
_MICROS: Final = 1_000_000
_BEGIN: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPage:
    """A page of our tokens; `following` is None on the last one."""

    tokens: list[dict[str, Any]]
    total: int
    following: PageRequest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pull:
    """What a partner reads: tokens of these providers, changed within these bounds."""

    partner_id: str
    providers: tuple[str, ...]
    begin: dt.datetime | None
    end: dt.datetime | None
    now: dt.datetime

    @property
    def name(self) -> str:
        """What its marks are kept under."""
        return "..".join(str(int(t.timestamp())) if t else "" for t in (self.begin, self.end))

    def mark(self, position: int, place: tuple[dt.datetime, str], total: int) -> PageMark:
        """Return the mark of a place that many objects from the begin."""
        return PageMark(
            partner_id=self.partner_id,
            pull=self.name,
            position=position,
            updated=place[0],
            key=place[1],
            total=total,
            created_at=self.now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """
    Where a page begins.

    Attributes:
        after: the object before it; None where the page lies behind the last object.
        marks: to be kept, those of a new pull beginning with the one at 0.
    """

    after: tuple[dt.datetime, str] | None
    total: int
    marks: tuple[PageMark, ...] = ()


def page(network: PartnerNetwork, partner: Partner, asked: PageRequest) -> TokenPage:
    """Return tokens of the eMSPs that a partner deals with, oldest change first."""
    now = network.deployment.clock.now()
    with network.deployment.store.read() as tx:
        own = tuple(tokens.own_providers(tx, partner))
        begin, end = _up(asked.date_from), _up(asked.date_to)
        pull = _Pull(partner_id=partner.partner_id, providers=own, begin=begin, end=end, now=now)
        start = _start(tx, pull, asked)
        found = _credentials(tx, pull, start.after, asked.limit + 1)
        shown = found[: asked.limit]
        body = [tokens.shown(partner, t) for t in tokens.to_tokens(tx, partner, shown, now)]
    following = None
    if len(found) > asked.limit:
        last = (shown[-1].updated_at, shown[-1].credential_id)
        following = asked.next(len(shown), _cursor(last, start.total))
        if asked.after is None:
            mark = pull.mark(following.offset, last, start.total)
            start = replace(start, marks=(*start.marks, mark))
    _keep(network, start.marks)
    return TokenPage(tokens=body, total=start.total, following=following)


def _start(tx: Transaction, pull: _Pull, asked: PageRequest) -> _Start:
    if asked.after is not None:
        updated = dt.datetime.fromtimestamp(asked.after.updated // _MICROS, dt.UTC)
        return _Start(after=(updated, asked.after.key), total=asked.after.total)
    held = tx.page_marks.before(pull.partner_id, pull.name, asked.offset) if asked.offset else None
    if held is None or held.created_at + KEPT < pull.now:
        begun = pull.mark(0, (_BEGIN, ""), _total(tx, pull))
        return _walked(tx, pull, begun, asked.offset, (begun,))
    return _walked(tx, pull, held, asked.offset, ())


def _walked(
    tx: Transaction, pull: _Pull, mark: PageMark, position: int, marks: tuple[PageMark, ...]
) -> _Start:
    """Go on from a mark to a position, with a mark every STRIDE objects."""
    while mark.position < position:
        distance = min(STRIDE, position - mark.position)
        beyond = position >= mark.total  # nobody can have got there by our pages
        place = (
            None
            if beyond
            else tx.credentials.place(
                pull.providers,
                distance,
                changed_from=pull.begin,
                changed_to=pull.end,
                after=(mark.updated, mark.key),
            )
        )
        if place is None:
            return _Start(after=None, total=mark.total, marks=marks)
        mark = pull.mark(mark.position + distance, place, mark.total)
        marks = (*marks, mark)
    return _Start(after=(mark.updated, mark.key), total=mark.total, marks=marks)


def _keep(network: PartnerNetwork, marks: tuple[PageMark, ...]) -> None:
    """Keep marks; without them a pull is slower, so that it does not fail for them."""
    if not marks:
        return
    with contextlib.suppress(Unavailable), network.deployment.store.write() as tx:
        if marks[0].position == 0:  # a new pull
            tx.page_marks.forget(marks[0].partner_id, marks[0].pull)
        for mark in marks:
            tx.page_marks.put(mark)


def forget_old(network: PartnerNetwork) -> int:
    """Forget the marks of pulls that are over; return how many."""
    before = network.deployment.clock.now() - KEPT
    with network.deployment.store.write() as tx:
        return tx.page_marks.forget_old(before)


def _cursor(place: tuple[dt.datetime, str], total: int) -> Cursor:
    return Cursor(updated=int(place[0].timestamp()) * _MICROS, key=place[1], total=total)


def _total(tx: Transaction, pull: _Pull) -> int:
    return sum(tx.credentials.count(p, pull.begin, pull.end) for p in pull.providers)


def _credentials(
    tx: Transaction, pull: _Pull, after: tuple[dt.datetime, str] | None, limit: int
) -> list[Credential]:
    """Return what follows; every eMSP is looked up from its index."""
    if after is None:
        return []
    of_each = [
        tx.credentials.search(
            emsps=(provider,),
            changed_from=pull.begin,
            changed_to=pull.end,
            after=after,
            limit=limit,
        )
        for provider in pull.providers
    ]
    merged = heapq.merge(*of_each, key=lambda c: (c.updated_at, c.credential_id))
    return [credential for credential, _ in zip(merged, range(limit), strict=False)]


def _up(value: dt.datetime | None) -> dt.datetime | None:
    """Return a bound in whole seconds, as changes are kept; one between is rounded up."""
    if value is None or not value.microsecond:
        return value
    return value.replace(microsecond=0) + dt.timedelta(seconds=1)
