"""Time comes from here and nowhere else: aware, UTC, whole seconds at the boundary."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from pki.errors import BadInput

UTC = dt.UTC


class Clock(Protocol):
    """Anything that knows the time."""

    def now(self) -> dt.datetime:
        """Return the current time, aware, in UTC, in whole seconds."""
        ...


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
