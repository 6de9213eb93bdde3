"""Queries for certificates by their end."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, exists, func, or_, select

from pki.ids import Fingerprint
from pki.pkix.profiles import Kind
from pki.store.schema import certificates, revocations

_ROW: Final = certificates.c
_LATER: Final = certificates.alias("later")
_REVOKED: Final = exists().where(
    revocations.c.issuer_id == _ROW.issuer_id, revocations.c.serial == _ROW.serial
)
_RENEWED: Final = exists().where(
    _LATER.c.common_name == _ROW.common_name,
    _LATER.c.kind == _ROW.kind,
    _LATER.c.owner == _ROW.owner,
    _LATER.c.not_after > _ROW.not_after,
)
ENDING: Final = (
    select(_ROW.kind, func.count().label("certificates"))
    .where(_ROW.not_after > bindparam("begin"), _ROW.not_after <= bindparam("end"), ~_REVOKED)
    .group_by(_ROW.kind)
)


def expiring_page(  # noqa: PLR0913 - one parameter per filter
    begin: dt.datetime,
    last: Fingerprint | None,
    end: dt.datetime,
    kinds: tuple[Kind, ...] | None,
    owners: tuple[str, ...] | None,
    issuer_id: str | None,
) -> Select[Any]:
    """Return what ends behind `begin` (and `last`) and not behind `end`, the soonest first."""
    behind = _ROW.not_after > begin
    if last is not None:
        same = and_(_ROW.not_after == begin, _ROW.fingerprint > last.value)
        behind = and_(_ROW.not_after >= begin, or_(behind, same))
    query = select(certificates, _RENEWED.label("renewed")).where(
        behind, _ROW.not_after <= end, ~_REVOKED
    )
    if kinds is not None:
        query = query.where(_ROW.kind.in_(kinds))
    if owners is not None:
        query = query.where(_ROW.owner.in_(owners))
    if issuer_id is not None:
        query = query.where(_ROW.issuer_id == issuer_id)
    return query.order_by(_ROW.not_after, _ROW.fingerprint)
