"""
Acceptances that may be given again, in bounded memory of one process.

Nothing is asked of what is remembered here but whether its time has come and whether a change was
told that could concern it; so the view must be ready (`pki.status.View`) whenever it is asked.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from pki.model import Change, ChangeKind
from pki.validate import Lasting

OCTETS: Final = 32 * 1024 * 1024
"""Of one process: 8,000 explained verdicts, or 30,000 answers of OCPP."""

_ENTRY: Final = 1000
"""Octets of an entry besides what is told."""

_MOST_CHANGED: Final = 10_000
"""Changed contracts and certificates that are written down before all is forgotten instead."""

Told = TypeVar("Told")


class Followed(Protocol):
    """What tells of changes: the view of the change log."""

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell `listener` of every change before `ready` says that it was told."""


class Remembered(NamedTuple, Generic[Told]):
    """
    One acceptance.

    Attributes:
        told: whatever the caller needs to tell it once more.
        octets: how much that is.
        heard: how many changes were told when it was decided.
    """

    lasting: Lasting
    told: Told
    octets: int
    heard: int


class Memory(Generic[Told]):
    """
    Acceptances by what was asked; safe to share between threads.

    It has two halves, as `pki.pkix.recent.Recent`; a full one becomes the old one, which is
    forgotten with the next. A change is written down beside them, and whoever is found is held
    against it, since most are never asked for again.

    Args:
        view: tells of changes; whatever decisions use and that follows it too must have begun to
            listen before.
        octets: how much is kept.
    """

    def __init__(self, view: Followed, octets: int = OCTETS) -> None:
        self._half = octets // 2
        self._octets = 0
        self._new: dict[bytes, Remembered[Told]] = {}
        self._old: dict[bytes, Remembered[Told]] = {}
        self._changed: dict[str | int, int] = {}
        self._lock = threading.Lock()
        self.heard = 0
        """How many changes were told: to be looked at before a decision is begun."""
        view.listen(self._hear)

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._new) + len(self._old)

    def find(self, asked: bytes, now: dt.datetime) -> Remembered[Told] | None:
        """Return what was decided on exactly this question, if that holds now."""
        found: Remembered[Told] | None = self._new.get(asked) or self._again(asked)
        if found is None or not found.lasting.since <= now < found.lasting.until:
            return None
        return None if self._changed and self._is_changed(found) else found

    def _again(self, asked: bytes) -> Remembered[Told] | None:
        """Return what is about to be forgotten, and do not forget it."""
        if asked not in self._old:
            return None
        with self._lock:
            found = self._old.pop(asked, None)
            if found is not None:
                self._put(asked, found)
        return found

    def _is_changed(self, found: Remembered[Told]) -> bool:
        lasting, when = found.lasting, self._changed.get
        names: tuple[str | int, ...] = (lasting.contract_id, lasting.serial, *lasting.above)
        return any(when(name, 0) > found.heard for name in names)

    def keep(self, asked: bytes, found: Remembered[Told]) -> None:
        """
        Remember, unless a change was told since it was decided.

        The decision may not have seen that change, and it will not be told again.
        """
        with self._lock:
            if found.heard == self.heard and found.octets <= self._half // 8:
                self._put(asked, found)

    def _put(self, asked: bytes, found: Remembered[Told]) -> None:
        octets = found.octets + _ENTRY
        if self._octets + octets > self._half:
            self._old, self._new, self._octets = self._new, {}, 0
        self._new[asked] = found
        self._octets += octets

    def _hear(self, change: Change) -> None:
        with self._lock:
            self.heard += 1
            name = _concerned(change)
            if name is None or len(self._changed) >= _MOST_CHANGED:
                self._forget()
            else:
                self._changed[name] = self.heard

    def _forget(self) -> None:
        self._new, self._old, self._octets = {}, {}, 0
        self._changed.clear()


def _concerned(change: Change) -> str | int | None:
    """Return the contract or the serial that a change may concern; None: all that is kept."""
    if change.kind is ChangeKind.CONTRACT and change.issuer_id:
        return change.issuer_id
    if change.kind in (ChangeKind.REVOKED, ChangeKind.RELEASED) and change.serial is not None:
        return change.serial.as_int
    return None
