"""Keys that sign access tokens: a handful of rows."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, select, update

from pki.model import TokenKey
from pki.store.schema_tokens import token_keys
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(token_keys)
_ALL: Final = select(token_keys).order_by(token_keys.c.created_at.desc(), token_keys.c.kid)
_RETIRE: Final = (
    update(token_keys).where(token_keys.c.retired_at.is_(None)).values(retired_at=bindparam("at"))
)
_FORGET: Final = delete(token_keys).where(token_keys.c.retired_at < bindparam("before"))


class TokenKeyRows:
    """The table of token keys; see `pki.ports.TokenKeys`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, key: TokenKey) -> None:
        """Store a key; one that is there already stays."""
        row = {
            "kid": key.kid,
            "label": key.label,
            "public_key": key.public_key,
            "created_at": key.created_at,
            "retired_at": key.retired_at,
        }
        self._session.put(_ADD, row)

    def all(self) -> list[TokenKey]:
        """Return every key, newest first."""
        return [_key(row) for row in self._session.rows(_ALL)]

    def retire(self, at: dt.datetime) -> int:
        """Retire every key that still signs; return how many."""
        return self._session.change(_RETIRE, {"at": at})

    def forget(self, before: dt.datetime) -> int:
        """Forget keys that were retired before a time; return how many."""
        return self._session.change(_FORGET, {"before": before})


def _key(row: Row[Any]) -> TokenKey:
    return TokenKey(
        kid=row.kid,
        label=row.label,
        public_key=row.public_key,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )
