"""What the store keeps for charging stations."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

from pki.model import MessageState, StationMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages are wanted; None does not filter."""

    operators: tuple[str, ...] | None = None
    station_id: str | None = None
    action: str | None = None
    state: MessageState | None = None


class Stations(Protocol):
    """Messages that wait for stations, and what became of them."""

    def newest(self) -> str | None:
        """Return the greatest id."""

    def add(self, message: StationMessage) -> bool:
        """Store a message; tell whether there was no open one with the same digest."""

    def get(self, message_id: str) -> StationMessage | None: ...

    def open_like(self, operator: str, station_id: str, digest: str) -> StationMessage | None:
        """Return the open message of a station with that digest."""

    def count_open(self, operator: str, station_id: str) -> int: ...

    def page(self, wanted: MessageFilter, after: str, limit: int) -> list[StationMessage]:
        """Return a page ordered by id, beginning behind `after`."""

    def move(self, message: StationMessage, before: MessageState) -> bool:
        """Write state, payload and answer of a message if its state is `before`."""

    def supersede(self, newer: StationMessage) -> int:
        """Close pending messages of the same station, action and use; return how many."""

    def drop(self, message_id: str) -> bool:
        """Forget a message that is `making`."""

    def expire(self, now: dt.datetime) -> int:
        """Close pending messages whose time is over; return how many."""

    def prune(self, oldest: str, limit: int) -> int:
        """Forget closed messages with smaller ids; return how many."""
