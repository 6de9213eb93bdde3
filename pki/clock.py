"""Time comes from here and nowhere else: aware, UTC, whole seconds at the boundary."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from pki.errors import BadInput, Unavailable

UTC = dt.UTC


class Clock(Protocol):
    """Anything that knows the time."""

    def now(self) -> dt.datetime:
        """Return the current time, aware, in UTC, in whole seconds."""
        ...


def sortable_id() -> str:
    """Return 32 hex digits that sort by when this host made them; 64 bits of them are random."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The clock of this host."""

    def now(self) -> dt.datetime:
        """Return the host's time in UTC, cut to whole seconds."""
        return dt.datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still: for `--at`, replays and tests."""

    at: dt.datetime

    def now(self) -> dt.datetime:
        """Return the time it was given."""
        return self.at


_BELIEVED_AFTER: Final = 600.0
"""Seconds after which a jump ahead that nobody contradicts counts as a correction."""


def _steady() -> float:
    """Return seconds that no one sets; those asleep count."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SkewGuard:
    """
    Tells whether the clock of this host can be right.

    It is compared with the database's, with the newest signature that is stored, and with how much
    time went by since this process trusted it last. It is believed again as soon as it agrees.

    Args:
        bound: how far clocks may differ.
    """

    def __init__(self, bound: dt.timedelta, steady: Callable[[], float] = _steady) -> None:
        self.bound = bound
        self._steady = steady
        self._trusted: tuple[dt.datetime, float] | None = None
        self._jumped: tuple[dt.timedelta, float] | None = None
        self._lock = threading.Lock()

    def check(
        self, now: dt.datetime, database: dt.datetime | None, newest: dt.datetime | None
    ) -> None:
        """
        Refuse a time that cannot be right.

        Args:
            database: time of the database, None where its clock is ours.
            newest: time of the newest signature, or None.

        Raises:
            Unavailable: `clock_disagrees`.
        """
        if newest is not None and newest - now > self.bound:
            raise _disagrees("the newest signature that is stored", now, newest)
        if database is not None:
            if abs(database - now) > self.bound:
                raise _disagrees("the database", now, database)
            return
        expected = self._expected(now)
        if expected is not None and abs(expected - now) > self.bound:
            raise _disagrees("the time since the last signature", now, expected)

    def trust(self, now: dt.datetime) -> None:
        """Remember a time that `check` accepted."""
        with self._lock:
            self._trusted = now, self._steady()
            self._jumped = None

    def _expected(self, now: dt.datetime) -> dt.datetime | None:
        """Return what the time should be, or None where nothing speaks against `now`."""
        with self._lock:
            if self._trusted is None:
                return None
            steady = self._steady()
            at, then = self._trusted
            expected = at + dt.timedelta(seconds=steady - then)
            if abs(expected - now) <= self.bound:
                self._jumped = None
                return None
            jump, since = self._jumped or (now - expected, steady)
            if abs(now - expected - jump) > self.bound:  # it jumped once more
                jump, since = now - expected, steady
            self._jumped = jump, since
            return expected if steady - since < _BELIEVED_AFTER else None


def _disagrees(whom: str, ours: dt.datetime, other: dt.datetime) -> Unavailable:
    seconds = round((ours - other).total_seconds())
    return Unavailable(
        "clock_disagrees",
        f"The clock of this host is {abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} "
        f"{whom}; nothing is signed.",
        hint="Set the clock right (NTP); signing goes on by itself then. "
        "clock.max_skew_seconds is the bound.",
        data={"ours": format_time(ours), "other": format_time(other), "seconds": seconds},
    )


def parse_time(text: str) -> dt.datetime:
    """
    Read an RFC 3339 time (`2026-12-01T00:00:00Z`) or a date (midnight UTC).

    Raises:
        BadInput: `invalid_time`, for anything else, impossible dates included.
    """
    try:
        value = dt.datetime.fromisoformat(text)
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return value.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            "invalid_time",
            f"{text[:40]!r} is not a time.",
            hint="Write it as 2026-12-01T00:00:00Z.",
        ) from error


@lru_cache(maxsize=2048)
def format_time(value: dt.datetime) -> str:
    """Write a time as RFC 3339 in UTC with a Z."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
