"""Leases: who may do a periodic job, until when."""

from __future__ import annotations

import datetime as dt
from typing import Final

from sqlalchemy import bindparam, delete, or_

from pki.store.schema_status import leases
from pki.store.session import Insert, Session, Upsert


def _take_over(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": insert.excluded.holder, "until": insert.excluded.until},
        where=or_(leases.c.holder == insert.excluded.holder, leases.c.until < bindparam("now")),
    )


_TAKE: Final = Upsert.of(leases, _take_over)
_GIVE_BACK: Final = delete(leases).where(
    leases.c.name == bindparam("the_lease"), leases.c.holder == bindparam("the_holder")
)


class LeaseRows:
    """The table of leases; see `pki.ports.Leases`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, name: str, holder: str, now: dt.datetime, until: dt.datetime) -> bool:
        """Take or extend a lease unless somebody else holds it; tell whether it is ours."""
        row = {"name": name, "holder": holder, "until": until, "now": now}
        return self._session.put(_TAKE, row)

    def give_back(self, name: str, holder: str) -> None:
        """End a lease early."""
        self._session.change(_GIVE_BACK, {"the_lease": name, "the_holder": holder})
