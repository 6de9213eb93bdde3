"""How often CA keys were used; a row per CA, held while its next signature is judged."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Row, Select, bindparam, cast, func, null, select

from pki.clock import UTC
from pki.errors import NotFound
from pki.model import RESTORED, Held, IssuerState, KeyUse
from pki.store.audit import AuditRows
from pki.store.hot import Hot, hot
from pki.store.schema import audit_heads, issuers, settings
from pki.store.schema_keys import key_uses
from pki.store.session import Insert, Parameters, Session, Upsert

_CLOCK: Final = cast(func.extract("epoch", func.clock_timestamp()), BigInteger)
_MARK: Final = select(settings.c.value).where(settings.c.name == RESTORED).scalar_subquery()


def _asked(now: ColumnElement[Any], *, outer: bool) -> Select[Any]:
    """Return the query for all that is asked before a CA signs: its own, and one of each."""
    of_issuer, of_chain = (
        key_uses.c.issuer_id == issuers.c.issuer_id,
        audit_heads.c.chain == issuers.c.issuer_id,
    )
    tables = issuers.join(key_uses, of_issuer, isouter=outer).join(
        audit_heads, of_chain, isouter=outer
    )
    return (
        select(
            *(column for column in key_uses.columns if column.name != "issuer_id"),
            issuers.c.issuer_id,
            issuers.c.state,
            audit_heads.c.sequence,
            audit_heads.c.hash,
            _MARK.label("restored"),
            now.label("at"),
        )
        .select_from(tables)
        .where(issuers.c.issuer_id == bindparam("issuer_id"))
    )


_LOOK: Final = Hot(_asked(null(), outer=True), _asked(_CLOCK, outer=True))
_HOLD: Final = Hot(
    _asked(null(), outer=False),
    _asked(_CLOCK, outer=False).with_for_update(of=[key_uses, audit_heads]),
)
_NEW: Final = Upsert.new(key_uses)
_NOW: Final = hot(select(_CLOCK.label("now")))
_COLUMNS: Final = tuple(column.name for column in key_uses.columns)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)


def _replace(insert: Insert) -> Insert:
    columns = [column.name for column in key_uses.columns if column.name != "issuer_id"]
    return insert.on_conflict_do_update(
        index_elements=["issuer_id"], set_={name: insert.excluded[name] for name in columns}
    )


_PUT: Final = Upsert.of(key_uses, _replace)


class KeyUseRows:
    """The table of key uses; see `pki.ports.KeyUses`."""

    __slots__ = ("_audit", "_session")

    def __init__(self, session: Session, chains: AuditRows) -> None:
        self._session = session
        self._audit = chains

    def hold(self, issuer_id: str) -> Held:
        """
        Return what is asked before a CA signs; in a write, hold it and the end of its audit chain
        until the transaction ends.

        Raises:
            NotFound: `issuer_unknown`.
        """
        writable, key = self._session.writable, {"issuer_id": issuer_id}
        row = self._session.first(_HOLD if writable else _LOOK, key)
        if row is None and writable and self._session.first(_LOOK, key) is not None:
            self._session.put(_NEW, _row(_unused(issuer_id)))
            self._audit.open(issuer_id)
            row = self._session.first(_HOLD, key)
        if row is None:
            raise NotFound("issuer_unknown", f"There is no issuer {issuer_id}.")
        if writable:
            self._audit.held(issuer_id, row.sequence, row.hash)
        return _held(row)

    def put(self, use: KeyUse) -> None:
        """Store how often a CA signed, in place of what was known."""
        self._session.put(_PUT, _row(use))

    def database_time(self) -> dt.datetime | None:
        """Return the database's own clock; None where that is the clock of this host."""
        if self._session.is_sqlite:
            return None
        row = self._session.first(_NOW)
        return dt.datetime.fromtimestamp(row.now, UTC) if row else None


def _row(use: KeyUse) -> Parameters:
    return {name: getattr(use, name) for name in _COLUMNS}


def _unused(issuer_id: str) -> KeyUse:
    return KeyUse(
        issuer_id=issuer_id, last_at=_EPOCH, minute=_EPOCH, in_minute=0, day=_EPOCH, in_day=0
    )


def _held(row: Row[Any]) -> Held:
    return Held(
        use=_unused(row.issuer_id) if row.last_at is None else _use(row),
        state=IssuerState(row.state),
        restored=bool(row.restored),
        at=None if row.at is None else dt.datetime.fromtimestamp(row.at, UTC),
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
