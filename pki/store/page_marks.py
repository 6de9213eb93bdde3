"""Marks of pulls of tokens."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Final

from sqlalchemy import bindparam, delete, select

from pki.model import PageMark
from pki.store.schema_partners import page_marks
from pki.store.session import Insert, Session, Upsert


def _replace(insert: Insert) -> Insert:
    names = ("updated", "key", "total", "created_at")
    return insert.on_conflict_do_update(
        index_elements=["partner_id", "pull", "position"],
        set_={name: insert.excluded[name] for name in names},
    )


_PUT: Final = Upsert.of(page_marks, _replace)
_BEFORE: Final = (
    select(page_marks)
    .where(
        page_marks.c.partner_id == bindparam("partner_id"),
        page_marks.c.pull == bindparam("pull"),
        page_marks.c.position <= bindparam("position"),
    )
    .order_by(page_marks.c.position.desc())
    .limit(1)
)
_FORGET: Final = delete(page_marks).where(
    page_marks.c.partner_id == bindparam("the_partner"), page_marks.c.pull == bindparam("the_pull")
)
_FORGET_OLD: Final = delete(page_marks).where(page_marks.c.created_at < bindparam("before"))


class PageMarkRows:
    """The table of marks; see `pki.ports.PageMarks`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, mark: PageMark) -> None:
        """Keep a mark in place of the one at its position."""
        self._session.put(_PUT, asdict(mark))

    def before(self, partner_id: str, pull: str, position: int) -> PageMark | None:
        """Return the last mark at a position or before it, or None."""
        key = {"partner_id": partner_id, "pull": pull, "position": position}
        row = self._session.first(_BEFORE, key)
        if row is None:
            return None
        return PageMark(
            partner_id=row.partner_id,
            pull=row.pull,
            position=row.position,
            updated=row.updated,
            key=row.key,
            total=row.total,
            created_at=row.created_at,
        )

    def forget(self, partner_id: str, pull: str) -> int:
        """Forget the marks of a pull; return how many."""
        return self._session.change(_FORGET, {"the_partner": partner_id, "the_pull": pull})

    def forget_old(self, before: dt.datetime) -> int:
        """Forget marks older than `before`; return how many."""
        return self._session.change(_FORGET_OLD, {"before": before})
