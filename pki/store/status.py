"""Status: the change log, responders, stored OCSP answers, CRLs in chunks."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, or_, select, update

from pki.errors import Conflict
from pki.ids import Fingerprint, SerialNumber
from pki.model import (
    Change,
    ChangeKind,
    CrlIntent,
    CrlRecord,
    IntentState,
    Reason,
    Responder,
    Revocation,
    StoredAnswer,
)
from pki.store.schema import certificates, revocations
from pki.store.schema_status import (
    change_sequence,
    changes,
    crl_chunks,
    crl_intents,
    crls,
    ocsp_answers,
    responders,
)
from pki.store.session import Insert, Session, Upsert

_PAGE: Final = 5000
"""Rows that a stream keeps in memory."""


def _count_up(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["id"], set_={"sequence": change_sequence.c.sequence + 1}
    )


def _replace_answer(insert: Insert) -> Insert:
    names = ("der", "this_update", "next_update", "refresh_at")
    return insert.on_conflict_do_update(
        index_elements=["cert_id_hash"], set_={name: insert.excluded[name] for name in names}
    )


_COUNT_UP: Final = Upsert.of(change_sequence, _count_up)
_SEQUENCE: Final = select(change_sequence.c.sequence)
_ADD_CHANGE: Final = Upsert.new(changes)
_CHANGES: Final = (
    select(changes)
    .where(changes.c.sequence > bindparam("behind"))
    .order_by(changes.c.sequence)
    .limit(bindparam("most"))
)
_CHANGED: Final = (
    select(changes.c.sequence)
    .where(
        changes.c.issuer_id == bindparam("issuer_id"),
        changes.c.kind != ChangeKind.ISSUERS,
        changes.c.sequence > bindparam("behind"),
    )
    .limit(1)
)
_RELEASED: Final = select(changes).where(
    changes.c.issuer_id == bindparam("issuer_id"),
    changes.c.kind == ChangeKind.RELEASED,
    changes.c.sequence > bindparam("behind"),
)
_ADD_RESPONDER: Final = Upsert.new(responders)
_RESPONDERS: Final = select(responders).order_by(responders.c.issuer_id, responders.c.not_before)
_ANSWER: Final = select(ocsp_answers).where(
    ocsp_answers.c.cert_id_hash == bindparam("cert_id_hash")
)
_PUT_ANSWER: Final = Upsert.of(ocsp_answers, _replace_answer)
_DROP_ANSWERS: Final = delete(ocsp_answers).where(
    ocsp_answers.c.issuer_id == bindparam("the_issuer"),
    ocsp_answers.c.serial == bindparam("the_serial"),
)
_DUE: Final = (
    select(ocsp_answers)
    .where(ocsp_answers.c.refresh_at <= bindparam("now"))
    .order_by(ocsp_answers.c.refresh_at)
    .limit(bindparam("most"))
)
_ADD_CRL: Final = Upsert.new(crls)
_ADD_CRL_INTENT: Final = Upsert.new(crl_intents)
_CRL_INTENT: Final = select(crl_intents).where(crl_intents.c.intent_id == bindparam("intent_id"))
_MOVE_CRL_INTENT: Final = (
    update(crl_intents)
    .where(
        crl_intents.c.intent_id == bindparam("the_intent"),
        crl_intents.c.state == bindparam("before"),
    )
    .values(state=bindparam("after"))
)
_NEWEST_CRL: Final = (
    select(crls)
    .where(crls.c.issuer_id == bindparam("issuer_id"), crls.c.shard == bindparam("shard"))
    .order_by(crls.c.number.desc())
    .limit(1)
)
_HIGHEST_NUMBER: Final = select(func.max(crl_intents.c.number).label("number")).where(
    crl_intents.c.issuer_id == bindparam("issuer_id")
)
_ADD_CHUNK: Final = Upsert.new(crl_chunks)
_CHUNK: Final = select(crl_chunks.c.data).where(
    crl_chunks.c.issuer_id == bindparam("issuer_id"),
    crl_chunks.c.shard == bindparam("shard"),
    crl_chunks.c.number == bindparam("number"),
    crl_chunks.c.position == bindparam("position"),
)
_PRUNE: Final = tuple(
    delete(table).where(
        table.c.issuer_id == bindparam("the_issuer"),
        table.c.shard == bindparam("the_shard"),
        table.c.number < bindparam("below"),
    )
    for table in (crl_chunks, crls)
)
_REVOKED: Final = (
    select(revocations)
    .outerjoin(
        certificates,
        (certificates.c.issuer_id == revocations.c.issuer_id)
        & (certificates.c.serial == revocations.c.serial),
    )
    .where(
        revocations.c.issuer_id == bindparam("issuer_id"),
        revocations.c.serial > bindparam("behind"),
        or_(
            certificates.c.not_after.is_(None),
            certificates.c.not_after >= bindparam("ended_before"),
        ),
    )
    .order_by(revocations.c.serial)
    .limit(_PAGE)
)


class StatusRows:
    """What status answers are made of; see `pki.ports.StatusStore`."""

    __slots__ = ("_session", "appended")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.appended = False

    def sequence(self) -> int:
        """Return the number of the last change; 0 before the first."""
        row = self._session.first(_SEQUENCE)
        return int(row.sequence) if row else 0

    def add_change(
        self, kind: ChangeKind, issuer_id: str, serial: SerialNumber | None, at: dt.datetime
    ) -> None:
        """Append to the change log; other writers of it wait until this transaction ends."""
        self._session.put(_COUNT_UP, {"id": 1, "sequence": 1})
        row = {
            "sequence": self.sequence(),
            "kind": kind,
            "issuer_id": issuer_id,
            "serial": serial.value if serial else None,
            "changed_at": at,
        }
        self._session.put(_ADD_CHANGE, row)
        self.appended = True

    def changes(self, behind: int, limit: int) -> list[Change]:
        """Return changes after number `behind`, in order."""
        rows = self._session.rows(_CHANGES, {"behind": behind, "most": limit})
        return [_change(row) for row in rows]

    def changed(self, issuer_id: str, behind: int) -> bool:
        """Tell whether an issuer's certificates changed status after change `behind`."""
        key = {"issuer_id": issuer_id, "behind": behind}
        return self._session.first(_CHANGED, key) is not None

    def released(self, issuer_id: str, behind: int) -> set[SerialNumber]:
        """Return serials of an issuer that were released from hold after change `behind`."""
        rows = self._session.rows(_RELEASED, {"issuer_id": issuer_id, "behind": behind})
        return {SerialNumber(value=row.serial) for row in rows}

    def add_responder(self, responder: Responder) -> None:
        """Store a delegated signer."""
        row = {
            "fingerprint": responder.fingerprint.value,
            "issuer_id": responder.issuer_id,
            "key_label": responder.key_label,
            "der": responder.der,
            "not_before": responder.not_before,
            "not_after": responder.not_after,
        }
        self._session.put(_ADD_RESPONDER, row)

    def responders(self) -> list[Responder]:
        """Return every delegated signer, oldest first for each issuer."""
        return [_responder(row) for row in self._session.rows(_RESPONDERS)]

    def answer(self, cert_id: bytes) -> StoredAnswer | None:
        """Return the stored answer to exactly this CertID, or None."""
        row = self._session.first(_ANSWER, {"cert_id_hash": _hash(cert_id)})
        return _answer(row) if row else None

    def put_answer(self, answer: StoredAnswer) -> None:
        """Keep an answer in place of an older one to the same CertID."""
        row = {
            "cert_id_hash": _hash(answer.cert_id),
            "cert_id": answer.cert_id,
            "issuer_id": answer.issuer_id,
            "serial": answer.serial.value,
            "der": answer.der,
            "this_update": answer.this_update,
            "next_update": answer.next_update,
            "refresh_at": answer.refresh_at,
        }
        self._session.put(_PUT_ANSWER, row)

    def drop_answers(self, issuer_id: str, serial: SerialNumber) -> None:
        """Forget every stored answer about a certificate."""
        key = {"the_issuer": issuer_id, "the_serial": serial.value}
        self._session.change(_DROP_ANSWERS, key)

    def due_answers(self, now: dt.datetime, limit: int) -> list[StoredAnswer]:
        """Return answers that are to be signed anew, the most urgent first."""
        rows = self._session.rows(_DUE, {"now": now, "most": limit})
        return [_answer(row) for row in rows]

    def crl(self, issuer_id: str, shard: int) -> CrlRecord | None:
        """Return the newest CRL of an issuer and shard, or None."""
        row = self._session.first(_NEWEST_CRL, {"issuer_id": issuer_id, "shard": shard})
        return _crl(row) if row else None

    def crl_number(self, issuer_id: str) -> int:
        """Return the highest CRL number of an issuer over all shards; 0 before the first."""
        row = self._session.first(_HIGHEST_NUMBER, {"issuer_id": issuer_id})
        return int(row.number or 0) if row else 0

    def add_crl_intent(self, intent: CrlIntent) -> None:
        """Store an open intent. Raises Conflict (`crl_number_taken`)."""
        row = {
            "intent_id": intent.intent_id,
            "issuer_id": intent.issuer_id,
            "shard": intent.shard,
            "number": intent.number,
            "tbs_sha256": intent.tbs_sha256,
            "state": intent.state,
            "created_at": intent.created_at,
        }
        if not self._session.put(_ADD_CRL_INTENT, row):
            raise Conflict("crl_number_taken", f"CRL {intent.number} was begun by somebody else.")

    def crl_intent(self, intent_id: str) -> CrlIntent | None:
        """Return the intent, or None."""
        row = self._session.first(_CRL_INTENT, {"intent_id": intent_id})
        return _crl_intent(row) if row else None

    def move_crl_intent(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""
        key = {"the_intent": intent_id, "before": before, "after": after}
        return self._session.change(_MOVE_CRL_INTENT, key) > 0

    def put_crl(self, record: CrlRecord, chunks: Iterable[bytes]) -> bool:
        """Store a CRL in chunks; tell whether its number was free. Older ones but one go."""
        row = {
            "issuer_id": record.issuer_id,
            "shard": record.shard,
            "number": record.number,
            "this_update": record.this_update,
            "next_update": record.next_update,
            "entries": record.entries,
            "octets": record.octets,
            "sha256": record.sha256,
            "change_sequence": record.sequence,
        }
        before = self.crl(record.issuer_id, record.shard)
        if not self._session.put(_ADD_CRL, row):
            return False
        key = {"issuer_id": record.issuer_id, "shard": record.shard, "number": record.number}
        for position, data in enumerate(chunks):
            self._session.put(_ADD_CHUNK, {**key, "position": position, "data": data})
        if before is not None:
            gone = {
                "the_issuer": record.issuer_id,
                "the_shard": record.shard,
                "below": before.number,
            }
            for statement in _PRUNE:
                self._session.change(statement, gone)
        return True

    def crl_chunks(self, record: CrlRecord) -> Iterator[bytes]:
        """Yield the octets of a CRL piece by piece; empty if it was pruned meanwhile."""
        key = {"issuer_id": record.issuer_id, "shard": record.shard, "number": record.number}
        position = 0
        while row := self._session.first(_CHUNK, {**key, "position": position}):
            yield row.data
            position += 1

    def revoked(self, issuer_id: str, ended_before: dt.datetime) -> Iterator[Revocation]:
        """
        Yield an issuer's revocations by serial, in bounded memory.

        Certificates whose validity ended before `ended_before` are left out; revoked serials that
        never became a certificate stay.
        """
        behind = ""
        while True:
            key = {"issuer_id": issuer_id, "behind": behind, "ended_before": ended_before}
            rows = self._session.rows(_REVOKED, key)
            yield from (_revocation(row) for row in rows)
            if len(rows) < _PAGE:
                return
            behind = rows[-1].serial


def _hash(cert_id: bytes) -> bytes:
    return hashlib.sha256(cert_id).digest()


def _change(row: Row[Any]) -> Change:
    return Change(
        sequence=row.sequence,
        kind=ChangeKind(row.kind),
        issuer_id=row.issuer_id,
        serial=SerialNumber(value=row.serial) if row.serial is not None else None,
        changed_at=row.changed_at,
    )


def _responder(row: Row[Any]) -> Responder:
    return Responder(
        fingerprint=Fingerprint(value=row.fingerprint),
        issuer_id=row.issuer_id,
        key_label=row.key_label,
        der=row.der,
        not_before=row.not_before,
        not_after=row.not_after,
    )


def _answer(row: Row[Any]) -> StoredAnswer:
    return StoredAnswer(
        cert_id=row.cert_id,
        issuer_id=row.issuer_id,
        serial=SerialNumber(value=row.serial),
        der=row.der,
        this_update=row.this_update,
        next_update=row.next_update,
        refresh_at=row.refresh_at,
    )


def _crl(row: Row[Any]) -> CrlRecord:
    return CrlRecord(
        issuer_id=row.issuer_id,
        shard=row.shard,
        number=row.number,
        this_update=row.this_update,
        next_update=row.next_update,
        entries=row.entries,
        octets=row.octets,
        sha256=row.sha256,
        sequence=row.change_sequence,
    )


def _crl_intent(row: Row[Any]) -> CrlIntent:
    return CrlIntent(
        intent_id=row.intent_id,
        issuer_id=row.issuer_id,
        shard=row.shard,
        number=row.number,
        tbs_sha256=row.tbs_sha256,
        state=IntentState(row.state),
        created_at=row.created_at,
    )


def _revocation(row: Row[Any]) -> Revocation:
    return Revocation(
        issuer_id=row.issuer_id,
        serial=SerialNumber(value=row.serial),
        reason=Reason(row.reason),
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
    )
