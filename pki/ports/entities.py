"""What the store keeps of end entities, of enrolments that wait, and of names being issued."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.ids import SeccId
from pki.model import EndEntity, Enrolment, EnrolmentState, Holder


class Entities(Protocol):
    """Registered end entities, and enrolments that somebody must accept."""

    def put(self, entity: EndEntity) -> None:
        """Store an entity in place of the one of the same SECC id."""

    def get(self, secc_id: SeccId) -> EndEntity | None: ...

    def page(self, operators: tuple[str, ...] | None, after: str, limit: int) -> list[EndEntity]:
        """Return a page ordered by the key of the SECC id, beginning behind `after`."""

    def remove(self, secc_id: SeccId) -> bool: ...

    def add_enrolment(self, enrolment: Enrolment) -> bool:
        """Store a request; tell whether there was no open one with its digest."""

    def enrolment(self, enrolment_id: str) -> Enrolment | None: ...

    def enrolment_like(self, digest: str) -> Enrolment | None:
        """Return the newest request with a digest that is open or was rejected."""

    def enrolments(
        self,
        owners: tuple[str, ...] | None,
        state: EnrolmentState | None,
        after: str,
        limit: int,
    ) -> list[Enrolment]:
        """Return a page ordered by id, beginning behind `after`."""

    def count_waiting(self, owner: str) -> int: ...

    def move_enrolment(self, enrolment: Enrolment, before: EnrolmentState) -> bool:
        """Write state, decision and certificate of a request if its state is `before`."""

    def expire_enrolments(self, now: dt.datetime) -> int:
        """Close open requests whose time is over; return how many."""

    def prune_enrolments(self, oldest: str, limit: int) -> int:
        """Forget closed requests with smaller ids; return how many."""

    def claim(self, name: str, intent_id: str, now: dt.datetime) -> bool:
        """Take a name, waiting for whoever is taking it; tell whether it was free or left."""

    def claimed(self, names: list[str], now: dt.datetime) -> set[str]:
        """Return those of the names that are held; whoever left one loses it."""

    def keys_in_use(
        self, spki_sha256s: list[bytes], names: list[str]
    ) -> tuple[set[str], list[tuple[bytes, Holder]]]:
        """Return those of the names that are claimed, and whose certificates the keys stand in."""

    def free(self, name: str, intent_id: str) -> bool:
        """Give a name back; tell whether it was still held by this intent."""
