"""Charging sessions."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, text, update

from pki import model
from pki.model import SessionProtocol
from pki.store.schema_roaming import RUNNING, sessions
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(sessions)
_GET: Final = select(sessions).where(sessions.c.session_id == bindparam("session_id"))
_FIND: Final = select(sessions).where(
    sessions.c.cpo == bindparam("cpo"),
    sessions.c.station_id == bindparam("station_id"),
    sessions.c.external_id == bindparam("external_id"),
    sessions.c.protocol == bindparam("protocol"),
)
_BY_REFERENCE: Final = (
    select(sessions)
    .where(sessions.c.reference == bindparam("reference"))
    .order_by(sessions.c.session_id)
)
_RUNNING: Final = select(func.count().label("found")).where(
    sessions.c.contract_id == bindparam("contract_id"), text(RUNNING)
)
_TIE: Final = (
    update(sessions)
    .where(sessions.c.session_id == bindparam("the_session"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("reference", "emsp", "contract_id", "contract", "others", "unconfirmed")
        }
    )
)
_STOP: Final = (
    update(sessions)
    .where(sessions.c.session_id == bindparam("the_session"), text(RUNNING))
    .values(stopped_at=bindparam("at"), energy_wh=bindparam("energy"), stop_reason=bindparam("why"))
)


class SessionRows:
    """The table of sessions; see `pki.ports.Sessions`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, session: model.Session) -> bool:
        """Store a session; False where its external id was stored already."""
        row = {column.name: getattr(session, column.name) for column in sessions.columns}
        return self._session.put(_ADD, row)

    def get(self, session_id: str) -> model.Session | None:
        """Return the session, or None."""
        row = self._session.first(_GET, {"session_id": session_id})
        return _value(row) if row else None

    def find(
        self, protocol: SessionProtocol, cpo: str, station_id: str, external_id: str
    ) -> model.Session | None:
        """Return the session that a station, or a partner, calls so; or None."""
        key = {"protocol": protocol, "cpo": cpo, "station_id": station_id}
        row = self._session.first(_FIND, {**key, "external_id": external_id})
        return _value(row) if row else None

    def by_reference(self, reference: str) -> list[model.Session]:
        """Return the sessions that one authorisation let begin."""
        rows = self._session.rows(_BY_REFERENCE, {"reference": reference})
        return [_value(row) for row in rows]

    def running(self, contract_id: str) -> int:
        """Return how many sessions of a contract are running."""
        row = self._session.first(_RUNNING, {"contract_id": contract_id})
        return int(row.found) if row else 0

    def tie(self, session: model.Session) -> None:
        """Write references, eMSP, contract and the number of others of a session."""
        row = {
            "the_session": session.session_id,
            "new_reference": session.reference,
            "new_emsp": session.emsp,
            "new_contract_id": session.contract_id,
            "new_contract": session.contract,
            "new_others": session.others,
            "new_unconfirmed": session.unconfirmed,
        }
        self._session.change(_TIE, row)

    def stop(self, session: model.Session) -> bool:
        """Write end, energy and reason of a session; False where it was stopped already."""
        key = {
            "the_session": session.session_id,
            "at": session.stopped_at,
            "energy": session.energy_wh,
            "why": session.stop_reason,
        }
        return self._session.change(_STOP, key) > 0

    def search(
        self,
        *,
        cpos: tuple[str, ...] | None = None,
        emsps: tuple[str, ...] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[model.Session]:
        """Return a page of these CPOs or eMSPs by session id, beginning behind `after`."""
        page = select(sessions).order_by(sessions.c.session_id).limit(limit)
        if after is not None:
            page = page.where(sessions.c.session_id > after)
        if cpos is None and emsps is None:
            return [_value(row) for row in self._session.rows(page)]
        # each owner has an index in this order; all of them at once would be sorted
        wanted = [sessions.c.cpo == cpo for cpo in cpos or ()]
        wanted += [sessions.c.emsp == emsp for emsp in emsps or ()]
        pages = (map(_value, self._session.rows(page.where(each))) for each in wanted)
        return list(islice(heapq.merge(*pages, key=lambda found: found.session_id), limit))


def _value(row: Row[Any]) -> model.Session:
    return model.Session(
        session_id=row.session_id,
        reference=row.reference,
        protocol=SessionProtocol(row.protocol),
        cpo=row.cpo,
        station_id=row.station_id,
        external_id=row.external_id,
        emsp=row.emsp,
        contract_id=row.contract_id,
        contract=row.contract,
        evse_id=row.evse_id,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
        energy_wh=row.energy_wh,
        stop_reason=row.stop_reason,
        others=row.others,
        unconfirmed=row.unconfirmed,
    )
