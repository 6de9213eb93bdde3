"""Events that wait to be delivered."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select

from pki.model import Event
from pki.store.schema_events import event_queue
from pki.store.schema_provisioning import events
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(events)
_QUEUE: Final = Upsert.new(event_queue)
_GET: Final = select(events).where(events.c.event_id == bindparam("event_id"))


class OutboxRows:
    """The table of events; see `pki.ports.Outbox`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, event: Event) -> None:
        """Store an event; no two have one id, and they are told in the order of their ids."""
        row = {
            "event_id": event.event_id,
            "type": event.type,
            "party": event.party,
            "payload": event.payload,
            "created_at": event.created_at,
        }
        self._session.put(_ADD, row)
        self._session.put(_QUEUE, {"event_id": event.event_id})

    def get(self, event_id: str) -> Event | None:
        """Return the event, or None."""
        row = self._session.first(_GET, {"event_id": event_id})
        if row is None:
            return None
        return Event(
            event_id=row.event_id,
            type=row.type,
            party=row.party,
            payload=row.payload,
            created_at=row.created_at,
        )
