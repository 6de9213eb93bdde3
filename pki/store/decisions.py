"""Receipts of decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, null, select

from pki.errors import Conflict
from pki.ids import first_decision_id
from pki.model import DecisionRecord, ReceiptForm, Repetition
from pki.store.columns import seconds, storable
from pki.store.schema import decisions, receipt_forms, repeated_decisions
from pki.store.session import Parameters, Rows, Session, Upsert

_ADD: Final = Upsert.new(decisions)
_ADD_ALL: Final = Rows.into(decisions)
_ADD_REPEATED: Final = Rows.into(repeated_decisions)
_ADD_FORMS: Final = Rows.into(receipt_forms, " ON CONFLICT DO NOTHING")
_FORM: Final = select(receipt_forms.c.text).where(receipt_forms.c.form_id == bindparam("form_id"))
_PRUNE_FORMS: Final = delete(receipt_forms).where(receipt_forms.c.form_id < bindparam("first"))
_DAY: Final = dt.timedelta(days=1)
_GET: Final = select(decisions, null().label("repeats")).where(
    decisions.c.decision_id == bindparam("decision_id")
)
_GET_REPEATED: Final = (
    select(
        repeated_decisions,
        *(c for c in decisions.c if c.name not in ("decision_id", "decided_at")),
    )
    .join(decisions, decisions.c.decision_id == repeated_decisions.c.repeats)
    .where(repeated_decisions.c.decision_id == bindparam("decision_id"))
)

_PRUNE: Final = delete(decisions).where(
    decisions.c.decision_id.in_(
        select(decisions.c.decision_id)
        .where(decisions.c.decided_at < bindparam("before"))
        .limit(bindparam("most"))
    )
)
_PRUNE_REPEATED: Final = delete(repeated_decisions).where(
    repeated_decisions.c.decision_id.in_(
        select(repeated_decisions.c.decision_id)
        .where(repeated_decisions.c.decision_id < bindparam("first"))
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


def _values(record: DecisionRecord) -> tuple[object, ...]:
    """Return a row as the drivers take it, in the order of the columns."""
    return (
        record.decision_id,
        seconds(record.decided_at),
        record.accepted,
        record.fault,
        record.emaid,
        storable(record.asked_by),
        storable(record.record),
    )


class DecisionRows:
    """The tables of decisions; see `pki.ports.Decisions`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, record: DecisionRecord) -> None:
        """Store a receipt. Raises Conflict (`decision_exists`)."""
        if not self._session.put(_ADD, _row(record)):
            raise Conflict("decision_exists", "There is a decision of this id already.")

    def add_many(
        self,
        records: Sequence[DecisionRecord],
        forms: Sequence[ReceiptForm] = (),
        repeated: Sequence[Repetition] = (),
    ) -> None:
        """Store receipts, and the forms that they name; none is kept if one of them cannot be."""
        if forms:
            self._session.put_rows(_ADD_FORMS, [(form.form_id, form.text) for form in forms])
        if records:
            self._session.put_rows(_ADD_ALL, list(map(_values, records)))
        if repeated:
            rows = [(each.decision_id, seconds(each.decided_at), each.repeats) for each in repeated]
            self._session.put_rows(_ADD_REPEATED, rows)

    def prune(self, before: dt.datetime, originals_before: dt.datetime, limit: int) -> int:
        """Forget at most `limit` receipts of each kind, and forms of none; return how many."""
        first = {"first": first_decision_id(seconds(before)), "most": limit}
        repeated = self._session.change(_PRUNE_REPEATED, first)
        gone = self._session.change(_PRUNE, {"before": originals_before, "most": limit})
        if repeated < limit and gone < limit:  # none is left that could name one of these
            day = first_decision_id(seconds(originals_before - _DAY))
            self._session.change(_PRUNE_FORMS, {"first": day})
        return repeated + gone

    def form(self, form_id: str) -> str | None:
        """Return a form, or None."""
        row = self._session.first(_FORM, {"form_id": form_id})
        return str(row.text) if row is not None else None

    def get(self, decision_id: str) -> DecisionRecord | None:
        """Return the receipt, or None."""
        key = {"decision_id": decision_id}
        row = self._session.first(_GET, key) or self._session.first(_GET_REPEATED, key)
        return _record(row) if row is not None else None


def _record(row: Row[Any]) -> DecisionRecord:
    return DecisionRecord(
        decision_id=row.decision_id,
        decided_at=row.decided_at,
        accepted=row.accepted,
        fault=row.fault,
        emaid=row.emaid,
        asked_by=row.asked_by,
        record=row.record,
        repeats=row.repeats,
    )
