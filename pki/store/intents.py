"""Committed decisions to sign; a row here is also the reservation of its serial."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, bindparam, select, text, update

from pki.errors import Conflict
from pki.ids import Edition, SerialNumber
from pki.model import Intent, IntentState
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.store.schema import UNFINISHED, intents
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(intents)
_GET: Final = select(intents).where(intents.c.intent_id == bindparam("intent_id"))
_MOVE: Final = (
    update(intents)
    .where(intents.c.intent_id == bindparam("the_intent"), intents.c.state == bindparam("before"))
    .values(state=bindparam("after"))
)
_UNFINISHED: Final = (
    select(intents).where(text(UNFINISHED)).order_by(intents.c.created_at, intents.c.intent_id)
)
_FIND: Final = (
    select(intents)
    .where(intents.c.serial == bindparam("serial"), intents.c.state != IntentState.COMPLETED)
    .order_by(intents.c.issuer_id)
)


class IntentRows:
    """The table of intents; see `pki.ports.Intents`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, intent: Intent) -> None:
        """Store an open intent. Raises Conflict (`serial_taken`)."""
        row = {
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
        if not self._session.put(_ADD, row):
            raise Conflict(
                "serial_taken",
                f"{intent.issuer_id} has used the serial {intent.serial.value} already.",
            )

    def get(self, intent_id: str) -> Intent | None:
        """Return the intent, or None."""
        row = self._session.first(_GET, {"intent_id": intent_id})
        return _intent(row) if row else None

    def move(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""
        row = {"the_intent": intent_id, "before": before, "after": after}
        return self._session.change(_MOVE, row) > 0

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
