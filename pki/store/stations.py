"""Messages to charging stations."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, select, text, update

from pki.model import MessageState, StationMessage
from pki.ports.stations import MessageFilter
from pki.store.schema_stations import OPEN, station_messages
from pki.store.session import Session, Upsert

_C: Final = station_messages.c
_OPEN: Final = text(OPEN)
_ADD: Final = Upsert.new(station_messages)
_NEWEST: Final = select(func.max(_C.message_id).label("newest"))
_GET: Final = select(station_messages).where(_C.message_id == bindparam("message_id"))
_OPEN_LIKE: Final = select(station_messages).where(
    _C.operator == bindparam("operator"),
    _C.station_id == bindparam("station_id"),
    _C.digest == bindparam("digest"),
    _OPEN,
)
_COUNT_OPEN: Final = select(func.count().label("number")).where(
    _C.operator == bindparam("operator"), _C.station_id == bindparam("station_id"), _OPEN
)
_MOVE: Final = (
    update(station_messages)
    .where(_C.message_id == bindparam("the_message"), _C.state == bindparam("before"))
    .values(
        state=bindparam("new_state"),
        payload=bindparam("new_payload"),
        certificate=bindparam("new_certificate"),
        answer=bindparam("new_answer"),
        answered_at=bindparam("new_answered_at"),
    )
)
_SUPERSEDE: Final = (
    update(station_messages)
    .where(
        _C.operator == bindparam("the_operator"),
        _C.station_id == bindparam("the_station"),
        _C.action == bindparam("the_action"),
        _C.use == bindparam("the_use"),
        _C.message_id != bindparam("the_message"),
        _C.state == MessageState.PENDING.value,
    )
    .values(state=MessageState.SUPERSEDED.value)
)
_DROP: Final = delete(station_messages).where(
    _C.message_id == bindparam("the_message"), _C.state == MessageState.MAKING.value
)
_EXPIRE: Final = (
    update(station_messages)
    .where(_OPEN, _C.expires_at <= bindparam("now"))
    .values(state=MessageState.EXPIRED.value)
)
_PRUNE: Final = delete(station_messages).where(
    _C.message_id.in_(
        select(_C.message_id)
        .where(_C.message_id < bindparam("oldest"), text(f"NOT ({OPEN})"))
        .order_by(_C.message_id)
        .limit(bindparam("most"))
    )
)


class StationRows:
    """The table of messages to stations; see `pki.ports.Stations`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def newest(self) -> str | None:
        """Return the greatest id, or None."""
        row = self._session.first(_NEWEST)
        return None if row is None else row.newest

    def add(self, message: StationMessage) -> bool:
        """Store a message; tell whether there was no open one with the same digest."""
        row = {column.name: getattr(message, column.name) for column in _C}
        return self._session.put(_ADD, row)

    def get(self, message_id: str) -> StationMessage | None:
        """Return a message, or None."""
        row = self._session.first(_GET, {"message_id": message_id})
        return _message(row) if row else None

    def open_like(self, operator: str, station_id: str, digest: str) -> StationMessage | None:
        """Return the open message of a station with that digest, or None."""
        asked = {"operator": operator, "station_id": station_id, "digest": digest}
        row = self._session.first(_OPEN_LIKE, asked)
        return _message(row) if row else None

    def count_open(self, operator: str, station_id: str) -> int:
        """Return how many messages wait for a station."""
        row = self._session.first(_COUNT_OPEN, {"operator": operator, "station_id": station_id})
        return int(row.number) if row else 0

    def page(self, wanted: MessageFilter, after: str, limit: int) -> list[StationMessage]:
        """Return a page ordered by id, beginning behind `after`."""
        page = select(station_messages).where(_C.message_id > after)
        if wanted.operators is not None:
            page = page.where(_C.operator.in_(wanted.operators))
        for column, value in (
            (_C.station_id, wanted.station_id),
            (_C.action, wanted.action),
            (_C.state, wanted.state),
        ):
            if value is not None:
                page = page.where(column == value)
        rows = self._session.rows(page.order_by(_C.message_id).limit(limit))
        return [_message(row) for row in rows]

    def move(self, message: StationMessage, before: MessageState) -> bool:
        """Write state, payload and answer of a message if its state is `before`."""
        changed = ("state", "payload", "certificate", "answer", "answered_at")
        row = {f"new_{name}": getattr(message, name) for name in changed}
        row |= {"the_message": message.message_id, "before": before}
        return self._session.change(_MOVE, row) > 0

    def supersede(self, newer: StationMessage) -> int:
        """Close pending messages of the same station, action and use; return how many."""
        like = {
            "the_operator": newer.operator,
            "the_station": newer.station_id,
            "the_action": newer.action,
            "the_use": newer.use,
            "the_message": newer.message_id,
        }
        return self._session.change(_SUPERSEDE, like)

    def drop(self, message_id: str) -> bool:
        """Forget a message that is being made; tell whether it was there."""
        return self._session.change(_DROP, {"the_message": message_id}) > 0

    def expire(self, now: dt.datetime) -> int:
        """Close open messages whose time is over; return how many."""
        return self._session.change(_EXPIRE, {"now": now})

    def prune(self, oldest: str, limit: int) -> int:
        """Forget closed messages with smaller ids; return how many."""
        return self._session.change(_PRUNE, {"oldest": oldest, "most": limit})


def _message(row: Row[Any]) -> StationMessage:
    found = {column.name: getattr(row, column.name) for column in _C}
    return StationMessage(**found | {"state": MessageState(row.state)})
