"""Receipts of decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from pki.errors import Conflict
from pki.model import DecisionRecord
from pki.store.schema import decisions
from pki.store.session import Parameters, Session, Upsert

_ADD: Final = Upsert.new(decisions)
_ADD_ALL: Final = insert(decisions)
_GET: Final = select(decisions).where(decisions.c.decision_id == bindparam("decision_id"))

_PRUNE: Final = delete(decisions).where(
    decisions.c.decision_id.in_(
        select(decisions.c.decision_id)
        .where(decisions.c.decided_at < bindparam("before"))
        .limit(bindparam("most"))
    )
)


def _row(record: DecisionRecord) -> Parameters:
    return {
        "decision_id": record.decision_id,
        "decided_at": record.decided_at,
        "accepted": record.accepted,
        "fault": record.fault,
        "emaid": record.emaid,
        "asked_by": record.asked_by,
        "record": record.record,
    }


class DecisionRows:
    """The table of decisions; see `pki.ports.Decisions`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, record: DecisionRecord) -> None:
        """Store a receipt. Raises Conflict (`decision_exists`)."""
        if not self._session.put(_ADD, _row(record)):
            raise Conflict("decision_exists", "There is a decision of this id already.")

    def add_many(self, records: Sequence[DecisionRecord]) -> None:
        """Store receipts by one statement; none is kept if one of them cannot be."""
        self._session.put_many(_ADD_ALL, list(map(_row, records)))

    def prune(self, before: dt.datetime, limit: int) -> int:
        """Forget at most `limit` receipts older than `before`; return how many."""
        return self._session.change(_PRUNE, {"before": before, "most": limit})

    def get(self, decision_id: str) -> DecisionRecord | None:
        """Return the receipt, or None."""
        row = self._session.first(_GET, {"decision_id": decision_id})
        if row is None:
            return None
        return DecisionRecord(
            decision_id=row.decision_id,
            decided_at=row.decided_at,
            accepted=row.accepted,
            fault=row.fault,
            emaid=row.emaid,
            asked_by=row.asked_by,
            record=row.record,
        )
