"""A circuit breaker per partner: one that fails again and again is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pki.errors import Unavailable

FAILURES: Final = 5
"""In a row, after which a partner is left alone."""

PAUSE: Final = 15.0
"""Seconds until one question is tried again."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    tried_at: float = 0.0


@dataclass(slots=True)
class Breaker:
    """
    Counts failures by partner; safe to share between threads.

    Args:
        monotonic: gives seconds that never run backwards.
    """

    monotonic: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _circuits: dict[str, _Circuit] = field(default_factory=dict)

    def enter(self, partner_id: str) -> None:
        """
        Return if the partner may be asked; after the pause, one caller is let through.

        Raises:
            Unavailable: `partner_paused`.
        """
        with self._lock:
            circuit = self._circuits.get(partner_id)
            if circuit is None or circuit.failures < FAILURES:
                return
            now = self.monotonic()
            if now - circuit.tried_at < PAUSE:
                raise Unavailable(
                    "partner_paused", f"The partner {partner_id} failed {FAILURES} times in a row."
                )
            circuit.tried_at = now

    def note(self, partner_id: str, *, good: bool) -> None:
        """Take in how a question went."""
        with self._lock:
            if good:
                self._circuits.pop(partner_id, None)
                return
            circuit = self._circuits.setdefault(partner_id, _Circuit())
            circuit.failures += 1
            circuit.tried_at = self.monotonic()
