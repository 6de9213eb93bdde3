"""Registered callers."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update

from pki.errors import Conflict
from pki.model import ChangeKind, Client, Role
from pki.store.schema import clients
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(clients)
_BY_TOKEN_HASH: Final = select(clients).where(clients.c.token_hash == bindparam("token_hash"))
_GET: Final = select(clients).where(clients.c.client_id == bindparam("client_id"))
_ALL: Final = select(clients).order_by(clients.c.client_id)
_DISABLE: Final = (
    update(clients)
    .where(clients.c.client_id == bindparam("the_client"), clients.c.disabled_at.is_(None))
    .values(disabled_at=bindparam("at"))
)


class ClientRows:
    """The table of clients; see `pki.ports.Clients`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, client: Client) -> None:
        """Store a client. Raises Conflict (`client_exists`)."""
        row = {
            "client_id": client.client_id,
            "role": client.role,
            "parties": json.dumps(client.parties),
            "token_hash": client.token_hash,
            "pki": client.pki,
            "created_at": client.created_at,
            "disabled_at": client.disabled_at,
        }
        if not self._session.put(_ADD, row):
            raise Conflict("client_exists", f"There is a client {client.client_id} already.")

    def by_token_hash(self, token_hash: bytes) -> Client | None:
        """Return the client with this token, disabled or not, or None."""
        row = self._session.first(_BY_TOKEN_HASH, {"token_hash": token_hash})
        return _client(row) if row else None

    def get(self, client_id: str) -> Client | None:
        """Return the client, disabled or not, or None."""
        row = self._session.first(_GET, {"client_id": client_id})
        return _client(row) if row else None

    def all(self) -> list[Client]:
        """Return every client, disabled ones included, by id."""
        return [_client(row) for row in self._session.rows(_ALL)]

    def disable(self, client_id: str, at: dt.datetime) -> bool:
        """Disable a client; tell whether it was enabled until now."""
        self._session.note(ChangeKind.CLIENTS)
        return self._session.change(_DISABLE, {"the_client": client_id, "at": at}) > 0


def _client(row: Row[Any]) -> Client:
    return Client(
        client_id=row.client_id,
        role=Role(row.role),
        parties=tuple(json.loads(row.parties)),
        token_hash=row.token_hash,
        pki=row.pki,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )
