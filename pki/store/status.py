"""Status: the change log, responders, stored OCSP answers, CRLs in chunks."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Executable, Row

from pki.errors import Conflict
from pki.ids import Fingerprint, SerialNumber
from pki.model import (
    Change,
    ChangeKind,
    CrlIntent,
    CrlRecord,
    IntentState,
    Responder,
    RevokedRow,
    StoredAnswer,
)
from pki.store import status_sql as sql
from pki.store.session import Session

_FIRST_SHARD: Final = 0
_LAST_SHARD: Final = 32_767


class StatusRows:
    """What status answers are made of; see `pki.ports.StatusStore`."""

    __slots__ = ("_session", "appended")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.appended = False

    def sequence(self) -> int:
        """Return the number of the last change; 0 before the first."""
        row = self._session.first(sql.SEQUENCE)
        return int(row.sequence) if row else 0

    def hold_changes(self) -> None:
        """
        Let nobody change a status until this transaction ends, but for this transaction itself.

        What is read of revocations after this call still holds when the transaction commits.
        Transactions that hold changes do not wait for each other, and must not change any.
        """
        self._lock_log(sql.HOLD)

    def take_turn(self) -> None:
        """
        Let nobody else change a status until this transaction ends.

        Who changes several takes it before anything else, so that two who want the same
        certificates in another order never wait for each other.
        """
        self._lock_log(sql.TURN)

    def _lock_log(self, statement: Executable) -> None:
        """Lock the row that counts changes; the first to lock it makes it."""
        if self._session.first(statement) is None:
            self._session.put(sql.COUNT_FROM, {"id": 1, "sequence": 0})
            self._session.first(statement)

    def add_change(
        self,
        kind: ChangeKind,
        issuer_id: str,
        serial: SerialNumber | None,
        at: dt.datetime | None,
        *,
        shard: int = 0,
    ) -> None:
        """Append to the change log; other writers of it wait until this transaction ends."""
        self._session.put(sql.COUNT_UP, {"id": 1, "sequence": 1})
        row = {
            "sequence": self.sequence(),
            "kind": kind,
            "issuer_id": issuer_id,
            "serial": serial.value if serial else None,
            "changed_at": at,
            "shard": shard,
        }
        self._session.put(sql.ADD_CHANGE, row)
        self.appended = True

    def add_noted(self) -> None:
        """Append what this transaction noted, each once; last of all, since others then wait."""
        for kind, subject in dict.fromkeys(self._session.notes):
            self.add_change(kind, subject, None, None)
        self._session.notes.clear()

    def changes(self, behind: int, limit: int) -> list[Change]:
        """Return changes after number `behind`, in order."""
        rows = self._session.rows(sql.CHANGES, {"behind": behind, "most": limit})
        return [_change(row) for row in rows]

    def changed(self, issuer_id: str, behind: int, shard: int | None = None) -> bool:
        """Tell whether certificates of an issuer, or a shard, changed status after `behind`."""
        key = {"issuer_id": issuer_id, "behind": behind}
        if shard is None:
            return self._session.first(sql.CHANGED, key) is not None
        return self._session.first(sql.CHANGED_SHARD, key | {"shard": shard}) is not None

    def released(self, issuer_id: str, behind: int) -> set[SerialNumber]:
        """Return serials of an issuer that were released from hold after change `behind`."""
        rows = self._session.rows(sql.RELEASED, {"issuer_id": issuer_id, "behind": behind})
        return {SerialNumber(value=row.serial) for row in rows}

    def add_responder(self, responder: Responder) -> None:
        """Store a delegated signer. Raises Conflict (`responder_exists`)."""
        row = {
            "fingerprint": responder.fingerprint.value,
            "issuer_id": responder.issuer_id,
            "key_label": responder.key_label,
            "der": responder.der,
            "not_before": responder.not_before,
            "not_after": responder.not_after,
        }
        if not self._session.put(sql.ADD_RESPONDER, row):
            raise Conflict("responder_exists", f"The key {responder.key_label} has a responder.")

    def responders(self) -> list[Responder]:
        """Return every delegated signer, oldest first for each issuer."""
        return [_responder(row) for row in self._session.rows(sql.RESPONDERS)]

    def answer(self, cert_id: bytes) -> StoredAnswer | None:
        """Return the stored answer to exactly this CertID, or None."""
        row = self._session.first(sql.ANSWER, {"cert_id_hash": _hash(cert_id)})
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
        self._session.put(sql.PUT_ANSWER, row)

    def drop_answers(self, issuer_id: str, serial: SerialNumber) -> None:
        """Forget every stored answer about a certificate; others change no status meanwhile."""
        # an answer that is being kept meanwhile is there after this, or not yet judged
        self.take_turn()
        key = {"the_issuer": issuer_id, "the_serial": serial.value}
        self._session.change(sql.DROP_ANSWERS, key)

    def drop_every_answer(self) -> int:
        """Forget every stored answer; return how many there were."""
        self.take_turn()
        return self._session.change(sql.DROP_EVERY_ANSWER)

    def due_answers(self, now: dt.datetime, limit: int) -> list[StoredAnswer]:
        """Return answers that are to be signed anew, the most urgent first."""
        rows = self._session.rows(sql.DUE, {"now": now, "most": limit})
        return [_answer(row) for row in rows]

    def crl(self, issuer_id: str, shard: int) -> CrlRecord | None:
        """Return the newest CRL of an issuer and shard, or None."""
        row = self._session.first(sql.NEWEST_CRL, {"issuer_id": issuer_id, "shard": shard})
        return _crl(row) if row else None

    def crl_number(self, issuer_id: str) -> int:
        """Return the highest CRL number of an issuer over all shards; 0 before the first."""
        row = self._session.first(sql.HIGHEST_NUMBER, {"issuer_id": issuer_id})
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
        if not self._session.put(sql.ADD_CRL_INTENT, row):
            raise Conflict("crl_number_taken", f"CRL {intent.number} was begun by somebody else.")

    def crl_intent(self, intent_id: str) -> CrlIntent | None:
        """Return the intent, or None."""
        row = self._session.first(sql.CRL_INTENT, {"intent_id": intent_id})
        return _crl_intent(row) if row else None

    def unfinished_crl_intents(self) -> list[CrlIntent]:
        """Return intents that are open or signing, oldest first: under way, or left by a crash."""
        return [_crl_intent(row) for row in self._session.rows(sql.UNFINISHED_CRL_INTENTS)]

    def move_crl_intent(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""
        key = {"the_intent": intent_id, "before": before, "after": after}
        return self._session.change(sql.MOVE_CRL_INTENT, key) > 0

    def put_crl(self, record: CrlRecord, chunks: Iterable[bytes]) -> bool:
        """
        Store a CRL in chunks as the newest; tell whether it is, and its number was free.

        Older ones but one go, and older intents of its shard that nobody finished are abandoned.
        """
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
        if before is not None and before.number > record.number:
            return False
        if not self._session.put(sql.ADD_CRL, row):
            return False
        key = {"issuer_id": record.issuer_id, "shard": record.shard, "number": record.number}
        for position, data in enumerate(chunks):
            self._session.put(sql.ADD_CHUNK, {**key, "position": position, "data": data})
        self._leave_behind(record, before.number if before else 0)
        return True

    def _leave_behind(self, record: CrlRecord, before: int) -> None:
        """Drop CRLs older than the predecessor, and intents that this CRL made pointless."""
        range_ = {
            "the_issuer": record.issuer_id,
            "the_shard": record.shard,
            "before": before,
            "newest": record.number,
        }
        self._session.change(sql.ABANDON_CRL_INTENTS, range_)
        for statement in sql.PRUNE:
            self._session.change(statement, range_)

    def crl_chunks(self, record: CrlRecord) -> Iterator[bytes]:
        """Yield the octets of a CRL piece by piece; empty if it was pruned meanwhile."""
        key = {"issuer_id": record.issuer_id, "shard": record.shard, "number": record.number}
        position = 0
        while row := self._session.first(sql.CHUNK, {**key, "position": position}):
            yield row.data
            position += 1

    def revoked(
        self, issuer_id: str, ended_before: dt.datetime, shard: int | None = None
    ) -> Iterator[Sequence[RevokedRow]]:
        """
        Yield pages of an issuer's revocations, by shard and serial, in bounded memory.

        Certificates whose validity ended before `ended_before` are left out; revoked serials that
        never became a certificate stay.

        Args:
            issuer_id: whose.
            ended_before: as above.
            shard: only what belongs to this one.
        """
        key = {
            "issuer_id": issuer_id,
            "ended_before": ended_before,
            "shard": _FIRST_SHARD if shard is None else shard,
            "last_shard": _LAST_SHARD if shard is None else shard,
            "behind": "",
        }
        while page := self._session.plain(sql.REVOKED, key):
            yield page
            if len(page) < sql.PAGE:
                return
            key["behind"], *_, key["shard"] = page[-1]


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
