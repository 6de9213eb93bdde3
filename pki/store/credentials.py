"""What drivers show: cards, apps, EMAIDs, on contracts kept here and at partners."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import (
    Row,
    Select,
    bindparam,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
    update,
)

from pki.errors import Conflict
from pki.model import Credential, CredentialKind, CredentialState, Whitelist
from pki.store.columns import Line, UtcTime
from pki.store.schema_roaming import OWN, credentials
from pki.store.session import Insert, Session, Upsert

_SAME_UID: Final = 10
"""eMSPs that may call a card alike; more of them are not worth a look."""

_ORDER: Final = (credentials.c.updated_at, credentials.c.credential_id)
Place = tuple[dt.datetime, str]
"""Where a credential stands in that order."""

_KEPT: Final = ("credential_id", "kind", "uid", "emsp", "created_at")


def _replace(insert: Insert) -> Insert:
    names = [column.name for column in credentials.columns if column.name not in _KEPT]
    return insert.on_conflict_do_update(
        index_elements=["kind", "uid", "emsp"],
        set_={name: insert.excluded[name] for name in names},
    )


_ADD: Final = Upsert.new(credentials)
_PUT: Final = Upsert.of(credentials, _replace)
_GET: Final = select(credentials).where(credentials.c.credential_id == bindparam("credential_id"))
_NAMED: Final = (
    select(credentials)
    .where(credentials.c.kind == bindparam("kind"), credentials.c.uid == bindparam("uid"))
    .order_by(credentials.c.emsp)
    .limit(_SAME_UID)
)
_FIND: Final = select(credentials).where(
    credentials.c.kind == bindparam("kind"),
    credentials.c.uid == bindparam("uid"),
    credentials.c.emsp == bindparam("emsp"),
)
_OF_CONTRACT: Final = (
    select(credentials)
    .where(credentials.c.contract_id == bindparam("contract_id"))
    .order_by(credentials.c.kind, credentials.c.uid)
)


_TOUCH: Final = (
    update(credentials)
    .where(credentials.c.contract_id == bindparam("the_contract"))
    .values(updated_at=bindparam("at"))
)


class CredentialRows:
    """The table of credentials; see `pki.ports.Credentials`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, credential: Credential) -> None:
        """Store a credential. Raises Conflict (`credential_exists`)."""
        if not self._session.put(_ADD, _columns(credential)):
            raise Conflict(
                "credential_exists",
                f"{credential.emsp} has a credential {credential.uid} of this kind already.",
            )

    def put(self, credential: Credential) -> None:
        """Store a credential in place of the one of the same kind, uid and eMSP; its id stays."""
        self._session.put(_PUT, _columns(credential))

    def get(self, credential_id: str) -> Credential | None:
        """Return the credential, or None."""
        row = self._session.first(_GET, {"credential_id": credential_id})
        return _credential(row) if row else None

    def find(self, kind: CredentialKind, uid: str, emsp: str) -> Credential | None:
        """Return what one eMSP calls so, or None."""
        row = self._session.first(_FIND, {"kind": kind, "uid": uid, "emsp": emsp})
        return _credential(row) if row else None

    def named(self, kind: CredentialKind, uid: str) -> list[Credential]:
        """Return what every eMSP calls so, by eMSP; at most ten."""
        rows = self._session.rows(_NAMED, {"kind": kind, "uid": uid})
        return [_credential(row) for row in rows]

    def of_contract(
        self, contract_id: str, *, after: tuple[str, str] | None = None, limit: int | None = None
    ) -> list[Credential]:
        """Return a page of the credentials of a contract kept here, by kind and uid."""
        page = _OF_CONTRACT.limit(limit)
        if after is not None:
            here = tuple_(*(literal(text, Line) for text in after))
            page = page.where(tuple_(credentials.c.kind, credentials.c.uid) > here)
        return [_credential(row) for row in self._session.rows(page, {"contract_id": contract_id})]

    def search(
        self,
        *,
        emsps: tuple[str, ...] | None = None,
        changed_from: dt.datetime | None = None,
        changed_to: dt.datetime | None = None,
        after: Place | None = None,
        limit: int = 100,
    ) -> list[Credential]:
        """
        Return a page of those kept here, by time of change and id, beginning behind `after`.

        Args:
            changed_to: exclusive.
        """
        page = select(credentials).where(text(OWN)).order_by(*_ORDER)
        if emsps is not None:
            page = page.where(credentials.c.emsp.in_(emsps))
        page = _within(_behind(page, after), changed_from, changed_to)
        return [_credential(row) for row in self._session.rows(page.limit(limit))]

    def place(
        self,
        emsps: tuple[str, ...],
        distance: int,
        *,
        changed_from: dt.datetime | None = None,
        changed_to: dt.datetime | None = None,
        after: Place | None = None,
    ) -> Place | None:
        """Return where the object stands that is `distance` behind `after`, or None behind them."""
        of_each = [
            _within(
                _behind(select(*_ORDER).where(text(OWN), credentials.c.emsp == emsp), after),
                changed_from,
                changed_to,
            )
            .order_by(*_ORDER)
            .limit(distance)
            .subquery()
            for emsp in emsps
        ]
        if not of_each:
            return None
        near = union_all(*(select(each) for each in of_each)).subquery()
        last = select(near).order_by(near.c.updated_at, near.c.credential_id)
        row = self._session.first(last.offset(distance - 1).limit(1))
        return (row.updated_at, row.credential_id) if row else None

    def touch(self, contract_id: str, at: dt.datetime) -> int:
        """Have the credentials of a contract count as changed; return how many there are."""
        return self._session.change(_TOUCH, {"the_contract": contract_id, "at": at})

    def count(
        self,
        emsp: str,
        changed_from: dt.datetime | None = None,
        changed_to: dt.datetime | None = None,
    ) -> int:
        """Return how many credentials of an eMSP kept here changed within the time given."""
        counted = select(func.count().label("found")).where(text(OWN), credentials.c.emsp == emsp)
        row = self._session.first(_within(counted, changed_from, changed_to))
        return int(row.found) if row else 0


def _behind(query: Select[Any], after: Place | None) -> Select[Any]:
    if after is None:
        return query
    at, key = after
    return query.where(tuple_(*_ORDER) > tuple_(literal(at, UtcTime), literal(key, Line)))


def _within(
    query: Select[Any], changed_from: dt.datetime | None, changed_to: dt.datetime | None
) -> Select[Any]:
    if changed_from is not None:
        query = query.where(credentials.c.updated_at >= changed_from)
    if changed_to is not None:
        query = query.where(credentials.c.updated_at < changed_to)
    return query


def _columns(credential: Credential) -> dict[str, object]:
    return {column.name: getattr(credential, column.name) for column in credentials.columns}


def _credential(row: Row[Any]) -> Credential:
    return Credential(
        credential_id=row.credential_id,
        emsp=row.emsp,
        kind=CredentialKind(row.kind),
        uid=row.uid,
        presented=row.presented,
        contract_id=row.contract_id,
        contract=row.contract,
        state=CredentialState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        whitelist=Whitelist(row.whitelist) if row.whitelist else None,
        visual_number=row.visual_number,
        issuer=row.issuer,
        group_id=row.group_id,
        language=row.language,
        partner=row.partner,
        more=row.more,
    )
