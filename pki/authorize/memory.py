"""
Acceptances that may be given again, in bounded memory of one process.

Nothing is asked of what is remembered here but whether its time has come and whether a change was
told that could concern it; so the view must be ready (`pki.status.View`) whenever it is asked.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pki.model import Change, ChangeKind
from pki.validate import Lasting

OCTETS: Final = 32 * 1024 * 1024
"""Of one process: 8,000 explained verdicts, or 30,000 answers of OCPP."""

_ENTRY: Final = 1000
"""Octets of an entry besides what is told."""

Told = TypeVar("Told")


class Followed(Protocol):
    """What tells of changes: the view of the change log."""

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell `listener` of every change before `ready` says that it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered(Generic[Told]):
    """
    One acceptance.

    Attributes:
        told: whatever the caller needs to tell it once more.
        octets: how much that is.
    """

    lasting: Lasting
    told: Told
    octets: int


class Memory(Generic[Told]):
    """
    Acceptances by what was asked; safe to share between threads.

    Args:
        view: tells of changes; whatever decisions use and that follows it too must have begun to
            listen before.
        octets: how much is kept.
    """

    def __init__(self, view: Followed, octets: int = OCTETS) -> None:
        self._most = octets
        self._octets = 0
        self._lock = threading.Lock()
        self._known: dict[bytes, Remembered[Told]] = {}
        self._by_contract: dict[str, set[bytes]] = {}
        self._by_serial: dict[int, set[bytes]] = {}
        self.heard = 0
        """How many changes were told: to be looked at before a decision is begun."""
        view.listen(self._hear)

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._known)

    def find(self, asked: bytes, now: dt.datetime) -> Remembered[Told] | None:
        """Return what was decided on exactly this question, if that holds now."""
        found = self._known.get(asked)
        if found is None or not found.lasting.since <= now < found.lasting.until:
            return None
        return found

    def keep(self, asked: bytes, found: Remembered[Told], heard: int) -> None:
        """
        Remember, unless a change was told since `heard` was looked at.

        The decision may not have seen that change, and it will not be told again.
        """
        with self._lock:
            if heard != self.heard or found.octets > self._most // 16:
                return
            self._drop(asked)
            self._known[asked] = found
            self._octets += found.octets + _ENTRY
            self._by_contract.setdefault(found.lasting.contract_id, set()).add(asked)
            for serial in found.lasting.serials:
                self._by_serial.setdefault(serial, set()).add(asked)
            while self._octets > self._most:
                self._drop(next(iter(self._known)))

    def _drop(self, asked: bytes) -> None:
        found = self._known.pop(asked, None)
        if found is None:
            return
        self._octets -= found.octets + _ENTRY
        _take_out(self._by_contract, found.lasting.contract_id, asked)
        for serial in found.lasting.serials:
            _take_out(self._by_serial, serial, asked)

    def _hear(self, change: Change) -> None:
        with self._lock:
            self.heard += 1
            concerned = self._concerned(change)
            if concerned is None:
                self._forget()
            for asked in concerned or ():
                self._drop(asked)

    def _concerned(self, change: Change) -> tuple[bytes, ...] | None:
        """Return what a change may concern; None: all of it."""
        if change.kind is ChangeKind.CONTRACT and change.issuer_id:
            return tuple(self._by_contract.get(change.issuer_id, ()))
        status = change.kind in (ChangeKind.REVOKED, ChangeKind.RELEASED)
        if status and change.serial is not None:
            return tuple(self._by_serial.get(change.serial.as_int, ()))
        return None

    def _forget(self) -> None:
        self._known.clear()
        self._by_contract.clear()
        self._by_serial.clear()
        self._octets = 0


Name = TypeVar("Name", str, int)


def _take_out(index: dict[Name, set[bytes]], name: Name, asked: bytes) -> None:
    """Take one out of a set of an index, and the set with the last."""
    held = index.get(name)
    if held is not None:
        held.discard(asked)
        if not held:
            del index[name]
