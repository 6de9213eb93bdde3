"""Registered end entities, enrolments that wait for consent, and names being issued."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, select, text, update

from pki.ids import SeccId
from pki.model import EndEntity, Enrolment, EnrolmentState, Holder
from pki.pkix.profiles import Kind
from pki.store import known_keys
from pki.store.hot import hot
from pki.store.schema_entities import OPEN, claims, end_entities, enrolments
from pki.store.session import Insert, Session, Upsert

_E: Final = end_entities.c
_C: Final = enrolments.c
_K: Final = claims.c
_OPEN: Final = text(OPEN)

HELD: Final = 60
"""Seconds after which a name that is claimed belongs to nobody who still works."""


def _replace(insert: Insert) -> Insert:
    names = ("presented", "details", "registered_at", "registered_by")
    changed = {name: insert.excluded[name] for name in names}
    return insert.on_conflict_do_update(index_elements=["secc_key"], set_=changed)


_PUT: Final = Upsert.of(end_entities, _replace)
_GET: Final = select(end_entities).where(_E.secc_key == bindparam("secc_key"))
_REMOVE: Final = delete(end_entities).where(_E.secc_key == bindparam("the_key"))
_ADD: Final = Upsert.new(enrolments)
_ENROLMENT: Final = select(enrolments).where(_C.enrolment_id == bindparam("enrolment_id"))
_LIKE: Final = (
    select(enrolments)
    .where(
        _C.digest == bindparam("digest"),
        text("state IN ('waiting', 'accepted', 'rejected')"),
    )
    .order_by(_C.enrolment_id.desc())
    .limit(1)
)
_COUNT: Final = select(func.count().label("number")).where(
    _C.owner == bindparam("owner"), _C.state == EnrolmentState.WAITING.value
)
_MOVE: Final = (
    update(enrolments)
    .where(_C.enrolment_id == bindparam("the_enrolment"), _C.state == bindparam("before"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("state", "decided_at", "decided_by", "reason", "certificate")
        }
    )
)
_EXPIRE: Final = (
    update(enrolments)
    .where(_OPEN, _C.expires_at <= bindparam("now"))
    .values(state=EnrolmentState.EXPIRED.value)
)
_PRUNE: Final = delete(enrolments).where(
    _C.enrolment_id.in_(
        select(_C.enrolment_id)
        .where(_C.enrolment_id < bindparam("oldest"), text(f"NOT ({OPEN})"))
        .order_by(_C.enrolment_id)
        .limit(bindparam("most"))
    )
)


def _take(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["name"],
        set_={name: insert.excluded[name] for name in ("intent_id", "claimed_at")},
        where=text(f"claims.claimed_at + {HELD} <= excluded.claimed_at"),
    )


_CLAIM: Final = Upsert.of(claims, _take)
_CLAIMED: Final = hot(select(claims).where(_K.name.in_(bindparam("names", expanding=True))))
_FREE: Final = delete(claims).where(
    _K.name == bindparam("the_name"), _K.intent_id == bindparam("the_intent")
)


class EntityRows:
    """The tables of end entities and enrolments; see `pki.ports.Entities`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, entity: EndEntity) -> None:
        """Store an entity in place of the one of the same SECC id."""
        row = {
            "secc_key": entity.secc_id.key,
            "operator": entity.secc_id.operator.value,
            "presented": entity.secc_id.value,
            "details": entity.details,
            "registered_at": entity.registered_at,
            "registered_by": entity.registered_by,
        }
        self._session.put(_PUT, row)

    def get(self, secc_id: SeccId) -> EndEntity | None:
        """Return what is registered under a SECC id, or None."""
        row = self._session.first(_GET, {"secc_key": secc_id.key})
        return _entity(row) if row else None

    def page(self, operators: tuple[str, ...] | None, after: str, limit: int) -> list[EndEntity]:
        """Return a page ordered by the key of the SECC id, beginning behind `after`."""
        page = select(end_entities).where(_E.secc_key > after)
        if operators is not None:
            page = page.where(_E.operator.in_(operators))
        rows = self._session.rows(page.order_by(_E.secc_key).limit(limit))
        return [_entity(row) for row in rows]

    def remove(self, secc_id: SeccId) -> bool:
        """Forget an entity; tell whether it was there."""
        return self._session.change(_REMOVE, {"the_key": secc_id.key}) > 0

    def add_enrolment(self, enrolment: Enrolment) -> bool:
        """Store a request; tell whether there was no open one with its digest."""
        return self._session.put(_ADD, {c.name: getattr(enrolment, c.name) for c in _C})

    def enrolment(self, enrolment_id: str) -> Enrolment | None:
        """Return a request, or None."""
        row = self._session.first(_ENROLMENT, {"enrolment_id": enrolment_id})
        return _enrolment(row) if row else None

    def enrolment_like(self, digest: str) -> Enrolment | None:
        """Return the newest request with a digest that is open or was rejected, or None."""
        row = self._session.first(_LIKE, {"digest": digest})
        return _enrolment(row) if row else None

    def enrolments(
        self,
        owners: tuple[str, ...] | None,
        state: EnrolmentState | None,
        after: str,
        limit: int,
    ) -> list[Enrolment]:
        """Return a page ordered by id, beginning behind `after`."""
        page = select(enrolments).where(_C.enrolment_id > after)
        if owners is not None:
            page = page.where(_C.owner.in_(owners))
        if state is not None:
            page = page.where(_C.state == state)
        rows = self._session.rows(page.order_by(_C.enrolment_id).limit(limit))
        return [_enrolment(row) for row in rows]

    def count_waiting(self, owner: str) -> int:
        """Return how many requests of an owner wait."""
        row = self._session.first(_COUNT, {"owner": owner})
        return int(row.number) if row else 0

    def move_enrolment(self, enrolment: Enrolment, before: EnrolmentState) -> bool:
        """Write state, decision and certificate of a request if its state is `before`."""
        names = ("state", "decided_at", "decided_by", "reason", "certificate")
        row = {f"new_{name}": getattr(enrolment, name) for name in names}
        row |= {"the_enrolment": enrolment.enrolment_id, "before": before}
        return self._session.change(_MOVE, row) > 0

    def expire_enrolments(self, now: dt.datetime) -> int:
        """Close open requests whose time is over; return how many."""
        return self._session.change(_EXPIRE, {"now": now})

    def prune_enrolments(self, oldest: str, limit: int) -> int:
        """Forget closed requests with smaller ids; return how many."""
        return self._session.change(_PRUNE, {"oldest": oldest, "most": limit})

    def claim(self, name: str, intent_id: str, now: dt.datetime) -> bool:
        """Take a name, waiting for whoever is taking it; tell whether it was free or left."""
        row = {"name": name, "intent_id": intent_id, "claimed_at": now}
        return self._session.put(_CLAIM, row)

    def claimed(self, names: list[str], now: dt.datetime) -> set[str]:
        """Return those of the names that are held; whoever left one loses it."""
        found = self._session.rows(_CLAIMED, {"names": names}) if names else []
        left = [row for row in found if row.claimed_at + dt.timedelta(seconds=HELD) <= now]
        for row in left:
            self.free(row.name, row.intent_id)
        return {row.name for row in found} - {row.name for row in left}

    def keys_in_use(
        self, spki_sha256s: list[bytes], names: list[str]
    ) -> tuple[set[str], list[tuple[bytes, Holder]]]:
        """Return those of the names that are claimed, and whose certificates the keys stand in."""
        return known_keys.in_use(self._session, spki_sha256s, names)

    def free(self, name: str, intent_id: str) -> bool:
        """Give a name back; tell whether it was still held by this intent."""
        return self._session.change(_FREE, {"the_name": name, "the_intent": intent_id}) > 0


def _entity(row: Row[Any]) -> EndEntity:
    return EndEntity(
        secc_id=SeccId(value=row.presented, key=row.secc_key),
        details=row.details,
        registered_at=row.registered_at,
        registered_by=row.registered_by,
    )


def _enrolment(row: Row[Any]) -> Enrolment:
    found = {column.name: getattr(row, column.name) for column in _C}
    return Enrolment(**found | {"kind": Kind(row.kind), "state": EnrolmentState(row.state)})
