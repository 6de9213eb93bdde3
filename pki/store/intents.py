"""Committed decisions to sign; a row here is also the reservation of its serial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, text, update

from pki.errors import Conflict
from pki.ids import Edition, SerialNumber
from pki.model import Intent, IntentState
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.store.hot import hot
from pki.store.schema import UNFINISHED, intents, issuers
from pki.store.session import Parameters, Session, Upsert

_ADD: Final = Upsert.new(intents)
_GET: Final = hot(select(intents).where(intents.c.intent_id == bindparam("intent_id")))
_MOVE: Final = hot(
    update(intents)
    .where(intents.c.intent_id == bindparam("the_intent"), intents.c.state == bindparam("before"))
    .values(state=bindparam("after"))
)
_SEVERAL: Final = hot(
    select(intents).where(intents.c.intent_id.in_(bindparam("intent_ids", expanding=True)))
)
_MOVE_MANY: Final = hot(
    update(intents)
    .where(
        intents.c.intent_id.in_(bindparam("the_intents", expanding=True)),
        intents.c.state == bindparam("before"),
    )
    .values(state=bindparam("after"))
)
_UNFINISHED: Final = (
    select(intents).where(text(UNFINISHED)).order_by(intents.c.created_at, intents.c.intent_id)
)
_FIND: Final = (
    select(intents)
    .where(
        intents.c.issuer_id.in_(select(issuers.c.issuer_id)),  # for the index
        intents.c.serial == bindparam("serial"),
        intents.c.state != IntentState.COMPLETED,
    )
    .order_by(intents.c.issuer_id)
)


class IntentRows:
    """The table of intents; see `pki.ports.Intents`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, intent: Intent) -> None:
        """Store an open intent. Raises Conflict (`serial_taken`)."""
        if not self._session.put(_ADD, _row(intent)):
            raise Conflict(
                "serial_taken",
                f"{intent.issuer_id} has used the serial {intent.serial.value} already.",
            )

    def add_many(self, added: Sequence[Intent]) -> None:
        """Store open intents, all or none. Raises Conflict (`serial_taken`)."""
        if len(added) == 1:
            self.add(added[0])
            return
        try:
            self._session.load(intents, [_row(intent) for intent in added])
        except Conflict as error:
            taken = Conflict("serial_taken", "One of the serials was used already.")
            raise self._session.spoil(taken) from error

    def get(self, intent_id: str) -> Intent | None:
        """Return the intent, or None."""
        row = self._session.first(_GET, {"intent_id": intent_id})
        return _intent(row) if row else None

    def several(self, intent_ids: list[str]) -> dict[str, Intent]:
        """Return those of the intents that are there, with one query."""
        rows = self._session.rows(_SEVERAL, {"intent_ids": intent_ids})
        return {row.intent_id: _intent(row) for row in rows}

    def move(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""
        row = {"the_intent": intent_id, "before": before, "after": after}
        return self._session.change(_MOVE, row) > 0

    def move_many(self, intent_ids: list[str], before: IntentState, after: IntentState) -> int:
        """Change the state of those that are `before`; return how many were."""
        rows = {"the_intents": intent_ids, "before": before, "after": after}
        return self._session.change(_MOVE_MANY, rows)

    def unfinished(self) -> list[Intent]:
        """Return intents that are open or signing, oldest first."""
        return [_intent(row) for row in self._session.rows(_UNFINISHED)]

    def find(self, serial: SerialNumber) -> list[Intent]:
        """Return intents with this serial that are not completed, of any issuer."""
        return [_intent(row) for row in self._session.rows(_FIND, {"serial": serial.value})]


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        intent_id=row.intent_id,
        issuer_id=row.issuer_id,
        serial=SerialNumber(value=row.serial),
        profile=row.profile,
        kind=Kind(row.kind),
        edition=Edition(row.edition),
        suite=Suite(row.suite),
        tbs=row.tbs,
        owner=row.owner,
        requested_by=row.requested_by,
        state=IntentState(row.state),
        created_at=row.created_at,
        contract_id=row.contract_id,
    )


def _row(intent: Intent) -> Parameters:
    return {
        "intent_id": intent.intent_id,
        "issuer_id": intent.issuer_id,
        "serial": intent.serial.value,
        "profile": intent.profile,
        "kind": intent.kind,
        "edition": intent.edition,
        "suite": intent.suite,
        "tbs": intent.tbs,
        "owner": intent.owner,
        "requested_by": intent.requested_by,
        "state": intent.state,
        "created_at": intent.created_at,
        "contract_id": intent.contract_id,
    }
