"""Keys that sign access tokens, or checkpoints of the audit: a handful of rows each."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Row, Table, delete, select, update

from pki.model import TokenKey
from pki.store.schema_tokens import token_keys
from pki.store.session import Session, Upsert


class TokenKeyRows:
    """A table of keys; see `pki.ports.TokenKeys`."""

    __slots__ = ("_session", "_table")

    def __init__(self, session: Session, table: Table = token_keys) -> None:
        self._session = session
        self._table = table

    def add(self, key: TokenKey) -> None:
        """Store a key; one that is there already stays."""
        row = {
            "kid": key.kid,
            "label": key.label,
            "public_key": key.public_key,
            "created_at": key.created_at,
            "retired_at": key.retired_at,
        }
        self._session.put(Upsert.new(self._table), row)

    def all(self) -> list[TokenKey]:
        """Return every key, newest first."""
        columns = self._table.c
        query = select(self._table).order_by(columns.created_at.desc(), columns.kid)
        return [_key(row) for row in self._session.rows(query)]

    def retire(self, at: dt.datetime) -> int:
        """Retire every key that still signs; return how many."""
        signing = self._table.c.retired_at.is_(None)
        return self._session.change(update(self._table).where(signing).values(retired_at=at))

    def forget(self, before: dt.datetime) -> int:
        """Forget keys that were retired before a time; return how many."""
        return self._session.change(delete(self._table).where(self._table.c.retired_at < before))


def _key(row: Row[Any]) -> TokenKey:
    return TokenKey(
        kid=row.kid,
        label=row.label,
        public_key=row.public_key,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )
