"""
Append-only hash chains: the entries, and the head of each chain kept apart from them.

The head row is what writers of one chain queue at, and what shows that entries at the end are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, literal, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql

from pki.errors import Conflict
from pki.model import AuditEntry, AuditQuery, Checkpoint
from pki.store.hot import hot
from pki.store.schema import audit, audit_heads
from pki.store.schema_audit import audit_checkpoints
from pki.store.session import Parameters, Session, Upsert

_PAGE: Final = 500
_EMPTY: Final = {"sequence": 0, "hash": b""}
"""A head row without an entry: made only to be locked."""

_OF_CHAIN: Final = select(audit_heads).where(audit_heads.c.chain == bindparam("chain"))
_HEAD: Final = hot(_OF_CHAIN)
_LOCK_HEAD: Final = hot(_OF_CHAIN.with_for_update())
_OPEN_CHAIN: Final = Upsert.new(audit_heads)
_MOVED: Final = (
    update(audit_heads)
    .where(
        audit_heads.c.chain == bindparam("the_chain"),
        audit_heads.c.sequence == bindparam("before"),
        or_(audit_heads.c.sequence == 0, audit_heads.c.hash == bindparam("link")),
    )
    .values(sequence=bindparam("after"), hash=bindparam("new_hash"))
)
_MOVE_HEAD: Final = hot(_MOVED)
_STEP: Final = _MOVED.returning(audit_heads.c.chain).cte("moved")
_APPEND: Final = hot(
    postgresql.insert(audit)
    .from_select(
        [column.name for column in audit.columns],
        select(*(bindparam(c.name, type_=c.type) for c in audit.columns)).select_from(_STEP),
    )
    .on_conflict_do_nothing()
)
"""Both in one statement, which SQLite has not."""
_HEADS: Final = select(audit_heads).where(audit_heads.c.sequence > 0)
_ADD: Final = Upsert.new(audit)
_ENTRY: Final = select(audit).where(
    audit.c.chain == bindparam("chain"), audit.c.sequence == bindparam("sequence")
)
_ENTRIES: Final = (
    select(audit)
    .where(audit.c.chain == bindparam("chain"), audit.c.sequence > bindparam("sequence"))
    .order_by(audit.c.sequence)
    .limit(_PAGE)
)
_FIRST_CHAIN: Final = select(func.min(audit.c.chain).label("chain"))
_NEXT_CHAIN: Final = _FIRST_CHAIN.where(audit.c.chain > bindparam("behind"))


_SEAL: Final = Upsert.new(audit_checkpoints)
_PLACE: Final = (audit_checkpoints.c.chain, audit_checkpoints.c.sequence)
_CHECKPOINTS: Final = (
    select(audit_checkpoints)
    .where(tuple_(*_PLACE) > tuple_(bindparam("chain"), bindparam("sequence")))
    .order_by(*_PLACE)
    .limit(_PAGE)
)
_LAST_CHECKPOINT: Final = (
    select(audit_checkpoints)
    .where(audit_checkpoints.c.chain == bindparam("chain"))
    .order_by(audit_checkpoints.c.sequence.desc())
    .limit(1)
)
_NEWEST: Final = select(audit).order_by(
    audit.c.at.desc(), audit.c.chain.desc(), audit.c.sequence.desc()
)


class AuditRows:
    """The audit tables; see `pki.ports.AuditLog`."""

    __slots__ = ("_appended", "_held", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._appended: dict[str, tuple[AuditEntry, AuditEntry]] = {}
        self._held: dict[str, tuple[int, bytes]] = {}

    def head(self, chain: str) -> AuditEntry | None:
        """Return the last entry of a chain; in a write, hold the chain until it ends."""
        head = self._lock(chain) if self._session.writable else self._look(chain)
        # A statement of its own: joined to the locking one, PostgreSQL would show the entry of
        # the time before the wait for the lock.
        place = {"chain": chain, "sequence": head.sequence if head else 0}
        row = self._session.first(_ENTRY, place)
        return _entry(row) if row else None

    def entry(self, chain: str, sequence: int) -> AuditEntry | None:
        """Return one entry, or None."""
        row = self._session.first(_ENTRY, {"chain": chain, "sequence": sequence})
        return _entry(row) if row else None

    def tip(self, chain: str) -> tuple[int, bytes] | None:
        """Return sequence and hash of the last entry; in a write, hold the chain as `head` does."""
        if chain not in self._held:
            head = self._lock(chain) if self._session.writable else self._look(chain)
            if not self._session.writable:
                return (head.sequence, head.hash) if head and head.sequence else None
            self.held(chain, head.sequence if head else 0, head.hash if head else b"")
        sequence, last = self._held[chain]
        return (sequence, last) if sequence else None

    def held(self, chain: str, sequence: int, last: bytes) -> None:
        """Take over where a chain ends that this transaction holds."""
        self._held[chain] = (sequence, last)

    def open(self, chain: str) -> None:
        """Let there be something to hold of a chain without entries."""
        self._session.put(_OPEN_CHAIN, {"chain": chain, **_EMPTY})

    def append(self, entry: AuditEntry) -> None:
        """Add the next entry; errors as `append_many`."""
        self.append_many([entry])

    def append_many(self, entries: Sequence[AuditEntry]) -> None:
        """
        Add the next entries of one chain.

        Raises:
            Conflict: `audit_conflict`: they do not follow the head in sequence and hash; nothing
                of this transaction can be committed then.
        """
        first, last = entries[0], entries[-1]
        if first.sequence == 1:
            self.open(first.chain)
        step = {
            "the_chain": first.chain,
            "before": first.sequence - 1,
            "link": first.previous_hash,
            "after": last.sequence,
            "new_hash": last.entry_hash,
        }
        if not self._stored(step, entries):
            raise self._session.spoil(
                Conflict("audit_conflict", f"The audit chain {first.chain} went on meanwhile.")
            )
        self._held[first.chain] = (last.sequence, last.entry_hash)
        begun, _ = self._appended.get(first.chain, (first, last))
        self._appended[first.chain] = (begun, last)

    def _stored(self, step: Parameters, entries: Sequence[AuditEntry]) -> bool:
        """Move the head and add the entries; tell whether the head was where it should be."""
        if len(entries) == 1 and not self._session.is_sqlite:
            return self._session.change(_APPEND, {**step, **_row(entries[0])}) > 0
        if not self._session.change(_MOVE_HEAD, step):
            return False
        if len(entries) == 1:
            return self._session.put(_ADD, _row(entries[0]))
        self._session.load(audit, [_row(entry) for entry in entries])
        return True

    def appended(self) -> list[tuple[AuditEntry, AuditEntry]]:
        """Return the first and the last entry that this transaction appended to each chain."""
        return list(self._appended.values())

    def seal(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint; one of the same entry stays."""
        row = {
            "chain": checkpoint.chain,
            "sequence": checkpoint.sequence,
            "entry_hash": checkpoint.entry_hash,
            "at": checkpoint.at,
            "kid": checkpoint.kid,
            "signature": checkpoint.signature,
        }
        self._session.put(_SEAL, row)

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield the checkpoints by chain and sequence, a page in memory at a time."""
        place: dict[str, object] = {"chain": "", "sequence": 0}
        while page := self._session.rows(_CHECKPOINTS, place):
            yield from map(_checkpoint, page)
            place = {"chain": page[-1].chain, "sequence": page[-1].sequence}

    def last_checkpoint(self, chain: str) -> Checkpoint | None:
        """Return the newest checkpoint of a chain, or None."""
        row = self._session.first(_LAST_CHECKPOINT, {"chain": chain})
        return _checkpoint(row) if row else None

    def search(self, query: AuditQuery, limit: int) -> list[AuditEntry]:
        """Return the entries that fit, newest first: by time, chain and sequence."""
        wanted = _NEWEST.limit(limit)
        for name in ("chain", "actor", "action", "subject"):
            value = getattr(query, name)
            if value is not None:
                wanted = wanted.where(audit.c[name] == value)
        if query.since is not None:
            wanted = wanted.where(audit.c.at >= query.since)
        if query.until is not None:
            wanted = wanted.where(audit.c.at < query.until)
        if query.before is not None:
            columns = (audit.c.at, audit.c.chain, audit.c.sequence)
            behind = [literal(v, c.type) for v, c in zip(query.before, columns, strict=True)]
            wanted = wanted.where(tuple_(*columns) < tuple_(*behind))
        return [_entry(row) for row in self._session.rows(wanted)]

    def chains(self) -> list[str]:
        """Return the chains that have entries, by name."""
        found: list[str] = []
        row = self._session.first(_FIRST_CHAIN)
        while row is not None and row.chain is not None:  # a jump per chain, however long each is
            found.append(row.chain)
            row = self._session.first(_NEXT_CHAIN, {"behind": row.chain})
        return found

    def entries(self, chain: str, behind: int = 0) -> Iterator[AuditEntry]:
        """Yield the entries of a chain behind a sequence, a page in memory at a time."""
        sequence = behind
        while page := self._session.rows(_ENTRIES, {"chain": chain, "sequence": sequence}):
            yield from map(_entry, page)
            sequence = page[-1].sequence

    def heads(self) -> dict[str, tuple[int, bytes]]:
        """Return the stored head (sequence, hash) of every chain that has an entry."""
        return {row.chain: (row.sequence, row.hash) for row in self._session.rows(_HEADS)}

    def _look(self, chain: str) -> Row[Any] | None:
        return self._session.first(_HEAD, {"chain": chain})

    def _lock(self, chain: str) -> Row[Any] | None:
        row = self._session.first(_LOCK_HEAD, {"chain": chain})
        if row is None:
            self.open(chain)
            row = self._session.first(_LOCK_HEAD, {"chain": chain})
        return row


def _row(entry: AuditEntry) -> dict[str, object]:
    return {
        "chain": entry.chain,
        "sequence": entry.sequence,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": entry.details,
        "previous_hash": entry.previous_hash,
        "entry_hash": entry.entry_hash,
    }


def _checkpoint(row: Row[Any]) -> Checkpoint:
    return Checkpoint(
        chain=row.chain,
        sequence=row.sequence,
        entry_hash=row.entry_hash,
        at=row.at,
        kid=row.kid,
        signature=row.signature,
    )


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        chain=row.chain,
        sequence=row.sequence,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        details=row.details,
        previous_hash=row.previous_hash,
        entry_hash=row.entry_hash,
    )
