"""
What a process that decides again and again keeps between decisions: receipts are written together,
and what decisions share is read once for each change of it.

Nothing here decides. Every decision asks status, dates, contract and route anew; see
`pki.validate`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from pki.errors import PkiError, Unavailable
from pki.model import Change, DecisionRecord, SeenCertificate
from pki.ports import Store, Transaction

MOST_AT_ONCE: Final = 256
"""Receipts of one transaction."""

Value = TypeVar("Value")


class Followed(Protocol):
    """A view of the change log (`pki.status.View`)."""

    @property
    def sequence(self) -> int:
        """The last change that was taken over."""

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell a listener of every change."""

    def ready(self) -> bool:
        """Tell whether every change that this host heard of was told."""


def _lost() -> Unavailable:
    """Return what a caller is told as long as its receipt is not known to be on disk."""
    return Unavailable("store_unavailable", "The receipt could not be written.")


@dataclass(slots=True)
class _Waiting:
    """A receipt and what became of it."""

    record: DecisionRecord
    seen: Sequence[SeenCertificate]
    done: bool = False
    error: PkiError | None = field(default_factory=_lost)


@dataclass(frozen=True, slots=True)
class _Held:
    """What was read, and which changes make it wrong."""

    value: Any
    concerns: Callable[[Any, Change], bool]


@dataclass(slots=True)
class Desk:
    """The memory of one process; safe to share between threads. See `pki.ports.Desk`."""

    store: Store
    view: Followed
    _waiting: list[_Waiting] = field(default_factory=list)
    _entry: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _held: dict[object, _Held] = field(default_factory=dict)
    _memory: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Listen to changes."""
        self.view.listen(self._hear)

    # --- receipts --------------------------------------------------------------------------------

    def keep(self, record: DecisionRecord, seen: Sequence[SeenCertificate]) -> None:
        """
        Store a receipt, and certificates that were seen; durable when this returns.

        Whoever finds nobody writing writes for all that wait by then, so that a commit that takes
        long makes the next one larger and not the queue longer.

        Raises:
            Unavailable: `store_unavailable`, `store_busy`; nothing was kept.
        """
        mine = _Waiting(record, seen)
        with self._entry:
            self._waiting.append(mine)
        while not mine.done:
            with self._turn:
                if not mine.done:
                    self._write_waiting()
        if mine.error is not None:
            raise mine.error

    def _write_waiting(self) -> None:
        with self._entry:
            batch = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
        try:
            self._write(batch)
        except Unavailable as error:
            for each in batch:
                each.error = Unavailable(error.code, error.message, hint=error.hint)
        except PkiError:
            for each in batch:  # one of them cannot be kept, which must not be the others' loss
                self._write_alone(each)
        finally:
            for each in batch:
                each.done = True

    def _write_alone(self, each: _Waiting) -> None:
        try:
            self._write([each])
        except PkiError as error:
            each.error = error

    def _write(self, batch: Sequence[_Waiting]) -> None:
        with self.store.write() as tx:
            tx.decisions.add_many([each.record for each in batch])
            for each in batch:
                for certificate in each.seen:
                    tx.evidence.see(certificate)
        for each in batch:
            each.error = None  # on disk

    # --- what decisions share --------------------------------------------------------------------

    def shared(
        self,
        tx: Transaction,
        read: Callable[[Transaction], Value],
        concerns: Callable[[Value, Change], bool],
    ) -> Value:
        """Return what `read` reads, remembered until a change concerns it."""
        current = self.view.ready()
        held = self._held.get(read) if current else None
        if held is not None:
            value: Value = held.value
            return value
        sequence = tx.status.sequence()
        value = read(tx)
        with self._memory:
            # a change between this reading and now was told already, and would not be told again
            if current and sequence >= self.view.sequence:
                self._held[read] = _Held(value, concerns)
        return value

    def _hear(self, change: Change) -> None:
        with self._memory:
            for read, held in tuple(self._held.items()):
                if held.concerns(held.value, change):
                    del self._held[read]
