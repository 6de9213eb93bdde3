"""Objects that partners own and keep with us, and remote commands."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, text, update

from pki.errors import Conflict
from pki.model import CommandState, PartnerCommand, PartnerObject
from pki.store.schema_partners import OPEN, partner_commands, partner_objects
from pki.store.session import Insert, Session, Upsert

_KIND: Final = partner_objects.c.kind == bindparam("kind")
_KEY: Final = partner_objects.c.key == bindparam("key")
_PARTY: Final = partner_objects.c.party == bindparam("party")
_GET: Final = (
    select(partner_objects)
    .where(_KIND, _PARTY, _KEY)
    .order_by(partner_objects.c.updated.desc(), partner_objects.c.sequence.desc())
    .limit(1)
)
_VERSIONS: Final = (
    select(partner_objects).where(_KIND, _PARTY, _KEY).order_by(partner_objects.c.sequence)
)
_OF_REFERENCE: Final = (
    select(partner_objects)
    .where(_KIND, partner_objects.c.reference == bindparam("reference"))
    .order_by(partner_objects.c.party, partner_objects.c.key)
    .limit(100)
)
_OF_KEY: Final = (
    select(partner_objects).where(_KIND, _KEY).order_by(partner_objects.c.party).limit(100)
)
_COMMAND: Final = select(partner_commands).where(
    partner_commands.c.command_id == bindparam("command_id")
)
_FINISH: Final = (
    update(partner_commands)
    .where(partner_commands.c.command_id == bindparam("the_command"), text(OPEN))
    .values(state=bindparam("after"), result=bindparam("the_result"))
)
_EXPIRED: Final = (
    select(partner_commands)
    .where(text(OPEN), partner_commands.c.expires_at <= bindparam("now"))
    .order_by(partner_commands.c.expires_at)
    .limit(bindparam("most"))
)


def _replace(insert: Insert) -> Insert:
    keys = ("kind", "party", "key", "sequence")
    columns = [c.name for c in partner_objects.c if c.name not in keys]
    return insert.on_conflict_do_update(
        index_elements=keys, set_={name: insert.excluded[name] for name in columns}
    )


_PUT: Final = Upsert.of(partner_objects, _replace)
_ADD_COMMAND: Final = Upsert.new(partner_commands)


class PartnerObjectRows:
    """The tables of partners' objects; see `pki.ports.PartnerObjects`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, kind: str, party: str, key: str) -> PartnerObject | None:
        """Return the newest version, or None."""
        row = self._session.first(_GET, {"kind": kind, "party": party, "key": key})
        return _object(row) if row else None

    def put(self, found: PartnerObject) -> None:
        """Store an object in place of the one with its kind, party, key and sequence."""
        names = (column.name for column in partner_objects.c)
        self._session.put(_PUT, {name: getattr(found, name) for name in names})

    def of_reference(self, kind: str, reference: str) -> list[PartnerObject]:
        """Return objects tied to an authorisation, at most 100."""
        rows = self._session.rows(_OF_REFERENCE, {"kind": kind, "reference": reference})
        return [_object(row) for row in rows]

    def of_key(self, kind: str, key: str) -> list[PartnerObject]:
        """Return the objects with this key of every owner; at most 100."""
        return [_object(row) for row in self._session.rows(_OF_KEY, {"kind": kind, "key": key})]

    def versions(self, party: str, key: str) -> list[PartnerObject]:
        """Return every version of a tariff, oldest first."""
        where = {"kind": "tariff", "party": party, "key": key}
        return [_object(row) for row in self._session.rows(_VERSIONS, where)]

    def add_command(self, command: PartnerCommand) -> None:
        """Store a command. Raises Conflict (`command_exists`)."""
        names = (column.name for column in partner_commands.c)
        if not self._session.put(_ADD_COMMAND, {n: getattr(command, n) for n in names}):
            raise Conflict("command_exists", "There is a command of this id already.")

    def command(self, command_id: str) -> PartnerCommand | None:
        """Return a command, or None."""
        row = self._session.first(_COMMAND, {"command_id": command_id})
        return _command(row) if row else None

    def finish_command(self, command_id: str, result: str, *, expired: bool = False) -> bool:
        """Give an open command its result; tell whether it was open."""
        after = CommandState.EXPIRED if expired else CommandState.ANSWERED
        values = {"the_command": command_id, "the_result": result, "after": after}
        return self._session.change(_FINISH, values) > 0

    def open_commands(
        self, parties: tuple[str, ...] | None, *, after: str | None = None, limit: int = 100
    ) -> list[PartnerCommand]:
        """Return a page of open inbound commands of these parties of ours, by id."""
        page = select(partner_commands).where(text(OPEN), partner_commands.c.inbound.is_(True))
        if parties is not None:
            page = page.where(partner_commands.c.party.in_(parties))
        if after is not None:
            page = page.where(partner_commands.c.command_id > after)
        page = page.order_by(partner_commands.c.command_id).limit(limit)
        return [_command(row) for row in self._session.rows(page)]

    def expired_commands(self, now: dt.datetime, limit: int) -> list[PartnerCommand]:
        """Return open commands whose time is over."""
        return [_command(row) for row in self._session.rows(_EXPIRED, {"now": now, "most": limit})]


def _object(row: Row[Any]) -> PartnerObject:
    return PartnerObject(
        kind=row.kind,
        party=row.party,
        key=row.key,
        partner_id=row.partner_id,
        updated=row.updated,
        received_at=row.received_at,
        document=row.document,
        reference=row.reference,
        sequence=row.sequence,
        deleted=row.deleted,
    )


def _command(row: Row[Any]) -> PartnerCommand:
    return PartnerCommand(
        command_id=row.command_id,
        inbound=row.inbound,
        kind=row.kind,
        partner_id=row.partner_id,
        party=row.party,
        response_url=row.response_url,
        document=row.document,
        created_at=row.created_at,
        expires_at=row.expires_at,
        state=CommandState(row.state),
        result=row.result,
    )
