"""Ranges, agreements, how eMSPs are asked, and answers kept for idempotency keys."""

from __future__ import annotations

import datetime as dt
from typing import Final

from sqlalchemy import bindparam, delete, func, select, update

from pki.errors import Conflict
from pki.ids import ProviderId
from pki.model import (
    Agreement,
    ChangeKind,
    Emsp,
    NumberRange,
    Remembered,
)
from pki.store.hot import hot
from pki.store.roaming_values import terms_text, to_agreement, to_emsp, to_range
from pki.store.schema_roaming import agreements, emsps, idempotency_keys, number_ranges
from pki.store.session import Insert, Session, Upsert
from pki.store.status import StatusRows


def _replace_emsp(insert: Insert) -> Insert:
    names = ("party_id", "realtime_url", "whitelist", "sealed_token")
    return insert.on_conflict_do_update(
        index_elements=["provider_id"], set_={name: insert.excluded[name] for name in names}
    )


_ADD_RANGE: Final = Upsert.new(number_ranges)
_END_RANGE: Final = (
    update(number_ranges)
    .where(
        number_ranges.c.kind == bindparam("the_kind"),
        number_ranges.c.prefix == bindparam("the_prefix"),
        number_ranges.c.valid_from == bindparam("the_begin"),
    )
    .values(valid_until=bindparam("end"))
)
_RANGES: Final = hot(
    select(number_ranges).order_by(
        number_ranges.c.kind, number_ranges.c.prefix, number_ranges.c.valid_from
    )
)
_ADD_AGREEMENT: Final = Upsert.new(agreements)
_VERSIONS: Final = (
    select(agreements)
    .where(agreements.c.agreement_id == bindparam("agreement_id"))
    .order_by(agreements.c.version)
)
_NEWEST: Final = (
    select(agreements.c.agreement_id, func.max(agreements.c.version).label("version"))
    .group_by(agreements.c.agreement_id)
    .subquery("newest")
)
_AGREEMENTS: Final = (
    select(agreements)
    .join(
        _NEWEST,
        (agreements.c.agreement_id == _NEWEST.c.agreement_id)
        & (agreements.c.version == _NEWEST.c.version),
    )
    .order_by(agreements.c.agreement_id)
)
_PUT_EMSP: Final = Upsert.of(emsps, _replace_emsp)
_EMSPS: Final = select(emsps).order_by(emsps.c.provider_id)
_EMSP: Final = select(emsps).where(emsps.c.provider_id == bindparam("provider_id"))
_REMEMBER: Final = Upsert.new(idempotency_keys)
_REMEMBERED: Final = select(idempotency_keys).where(
    idempotency_keys.c.client == bindparam("client"), idempotency_keys.c.key == bindparam("key")
)
_OLD: Final = (
    select(idempotency_keys.c.client, idempotency_keys.c.key)
    .where(idempotency_keys.c.created_at < bindparam("before"))
    .limit(bindparam("most"))
)
_ANSWER: Final = (
    update(idempotency_keys)
    .where(
        idempotency_keys.c.client == bindparam("the_client"),
        idempotency_keys.c.key == bindparam("the_key"),
    )
    .values(status=bindparam("told"), answer=bindparam("text"))
)
_FORGET: Final = delete(idempotency_keys).where(
    idempotency_keys.c.client == bindparam("the_client"),
    idempotency_keys.c.key == bindparam("the_key"),
)


class RoamingRows:
    """What authorisations go by; see `pki.ports.RoamingStore`."""

    __slots__ = ("_session", "_status")

    def __init__(self, session: Session, status: StatusRows) -> None:
        self._session = session
        self._status = status

    def changed(self, at: dt.datetime) -> None:
        """Tell every process, through the change log, to read all of it anew."""
        self._status.add_change(ChangeKind.ROAMING, "", None, at)

    def add_range(self, found: NumberRange) -> None:
        """Store a range. Raises Conflict (`range_exists`)."""
        row = {
            "kind": found.kind,
            "prefix": found.prefix,
            "valid_from": found.valid_from,
            "valid_until": found.valid_until,
            "role": found.role,
            "party_id": found.party_id,
            "ported_from": found.ported_from,
        }
        if not self._session.put(_ADD_RANGE, row):
            raise Conflict(
                "range_exists", f"The range {found.prefix} changes hands at that time already."
            )

    def end_range(self, found: NumberRange, at: dt.datetime) -> bool:
        """Set the end of a range; tell whether it was there."""
        key = {"the_kind": found.kind, "the_prefix": found.prefix, "the_begin": found.valid_from}
        return self._session.change(_END_RANGE, {**key, "end": at}) > 0

    def ranges(self) -> list[NumberRange]:
        """Return every range, by kind, prefix and begin."""
        return [to_range(row) for row in self._session.rows(_RANGES)]

    def add_agreement(self, agreement: Agreement) -> None:
        """Store a version. Raises Conflict (`agreement_changed`)."""
        terms = agreement.terms
        row = {
            "agreement_id": agreement.agreement_id,
            "version": agreement.version,
            "state": agreement.state,
            "cpo": terms.cpo,
            "emsp": terms.emsp,
            "valid_from": terms.valid_from,
            "valid_until": terms.valid_until,
            "terms": terms_text(terms),
            "created_at": agreement.created_at,
            "created_by": agreement.created_by,
        }
        if not self._session.put(_ADD_AGREEMENT, row):
            raise Conflict(
                "agreement_changed",
                f"There is a version {agreement.version} of this agreement already.",
                hint="Read the newest one and change that.",
            )

    def agreement(self, agreement_id: str, version: int | None = None) -> Agreement | None:
        """Return the newest version, or a certain one."""
        versions = self.agreement_versions(agreement_id)
        if version is None:
            return versions[-1] if versions else None
        return next((each for each in versions if each.version == version), None)

    def agreements(self) -> list[Agreement]:
        """Return the newest version of every agreement, by id."""
        return [to_agreement(row) for row in self._session.rows(_AGREEMENTS)]

    def agreement_versions(self, agreement_id: str) -> list[Agreement]:
        """Return every version of one agreement, oldest first."""
        rows = self._session.rows(_VERSIONS, {"agreement_id": agreement_id})
        return [to_agreement(row) for row in rows]

    def put_emsp(self, emsp: Emsp) -> None:
        """Keep how an eMSP is asked, in place of what was."""
        row = {
            "provider_id": emsp.provider_id.value,
            "party_id": emsp.party_id,
            "realtime_url": emsp.realtime_url,
            "whitelist": emsp.whitelist,
            "sealed_token": emsp.sealed_token,
        }
        self._session.put(_PUT_EMSP, row)

    def emsp(self, provider_id: ProviderId) -> Emsp | None:
        """Return how an eMSP is asked, or None where nothing was set."""
        row = self._session.first(_EMSP, {"provider_id": provider_id.value})
        return to_emsp(row) if row else None

    def emsps(self) -> list[Emsp]:
        """Return how every eMSP is asked for which something was set, by provider id."""
        return [to_emsp(row) for row in self._session.rows(_EMSPS)]

    def remember(self, answer: Remembered) -> bool:
        """Keep the answer to a request under its key; False where one is kept, waiting for it."""
        row = {
            "client": answer.client,
            "key": answer.key,
            "request": answer.request,
            "status": answer.status,
            "answer": answer.answer,
            "created_at": answer.created_at,
        }
        return self._session.put(_REMEMBER, row)

    def remembered(self, client: str, key: str) -> Remembered | None:
        """Return what was answered under a key, or None."""
        row = self._session.first(_REMEMBERED, {"client": client, "key": key})
        if row is None:
            return None
        return Remembered(
            client=row.client,
            key=row.key,
            request=row.request,
            status=row.status,
            answer=row.answer,
            created_at=row.created_at,
        )

    def answer(self, answer: Remembered) -> None:
        """Write status and answer under a key that was taken in this transaction."""
        row = {
            "the_client": answer.client,
            "the_key": answer.key,
            "told": answer.status,
            "text": answer.answer,
        }
        self._session.change(_ANSWER, row)

    def forget_key(self, client: str, key: str) -> None:
        """Free a key."""
        self._session.change(_FORGET, {"the_client": client, "the_key": key})

    def forget(self, before: dt.datetime, limit: int) -> int:
        """Forget at most `limit` answers older than `before`; return how many."""
        rows = self._session.rows(_OLD, {"before": before, "most": limit})
        for row in rows:
            self._session.change(_FORGET, {"the_client": row.client, "the_key": row.key})
        return len(rows)
