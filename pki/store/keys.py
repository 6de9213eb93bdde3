"""How often CA keys were used; a row per CA, held while its next signature is judged."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import BigInteger, Row, bindparam, cast, func, select

from pki.clock import UTC
from pki.model import KeyUse
from pki.store.hot import hot
from pki.store.schema_keys import key_uses
from pki.store.session import Insert, Session, Upsert

_OF: Final = select(key_uses).where(key_uses.c.issuer_id == bindparam("issuer_id"))
_LOOK: Final = hot(_OF)
_HOLD: Final = hot(_OF.with_for_update())
_NEW: Final = Upsert.new(key_uses)
_NOW: Final = hot(
    select(cast(func.extract("epoch", func.clock_timestamp()), BigInteger).label("now"))
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)


def _replace(insert: Insert) -> Insert:
    columns = [column.name for column in key_uses.columns if column.name != "issuer_id"]
    return insert.on_conflict_do_update(
        index_elements=["issuer_id"], set_={name: insert.excluded[name] for name in columns}
    )


_PUT: Final = Upsert.of(key_uses, _replace)


class KeyUseRows:
    """The table of key uses; see `pki.ports.KeyUses`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, issuer_id: str) -> KeyUse:
        """Return what is known of a CA; in a write, hold it until the transaction ends."""
        if not self._session.writable:
            row = self._session.first(_LOOK, {"issuer_id": issuer_id})
            return _use(row) if row else _unused(issuer_id)
        row = self._session.first(_HOLD, {"issuer_id": issuer_id})
        if row is None:
            self._session.put(_NEW, asdict(_unused(issuer_id)))
            row = self._session.first(_HOLD, {"issuer_id": issuer_id})
        return _use(row) if row else _unused(issuer_id)

    def put(self, use: KeyUse) -> None:
        """Store how often a CA signed, in place of what was known."""
        self._session.put(_PUT, asdict(use))

    def database_time(self) -> dt.datetime | None:
        """Return the database's own clock; None where that is the clock of this host."""
        if self._session.is_sqlite:
            return None
        row = self._session.first(_NOW)
        return dt.datetime.fromtimestamp(row.now, UTC) if row else None


def _unused(issuer_id: str) -> KeyUse:
    return KeyUse(
        issuer_id=issuer_id, last_at=_EPOCH, minute=_EPOCH, in_minute=0, day=_EPOCH, in_day=0
    )


def _use(row: Row[Any]) -> KeyUse:
    return KeyUse(
        issuer_id=row.issuer_id,
        last_at=row.last_at,
        minute=row.minute,
        in_minute=row.in_minute,
        day=row.day,
        in_day=row.in_day,
    )
