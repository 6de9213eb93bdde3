"""Acceptances are forgotten in time: bounded, and no later than a change that concerns them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from pki.authorize import memory as memories
from pki.authorize.memory import Memory, Remembered
from pki.clock import UTC
from pki.ids import SerialNumber
from pki.model import Change, ChangeKind
from pki.validate import Lasting

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=UTC)


class Log:
    """A change log that tells one listener."""

    def listen(self, listener: Callable[[Change], None]) -> None:
        self.tell = listener


def change(
    kind: ChangeKind = ChangeKind.CONTRACT, about: str = "c-0", serial: int | None = None
) -> Change:
    number = None if serial is None else SerialNumber.from_int(serial)
    return Change(sequence=1, kind=kind, issuer_id=about, serial=number, changed_at=NOW)


def acceptance(memory: Memory[str], number: int) -> tuple[bytes, Remembered[str]]:
    lasting = Lasting(
        decision_id=f"d-{number}",
        since=NOW,
        until=NOW + dt.timedelta(minutes=5),
        above=frozenset((1, 2)),
        serial=1000 + number,
        contract_id=f"c-{number}",
    )
    return f"asked {number}".encode(), Remembered(lasting, f"told {number}", 100, memory.heard)


def filled(count: int, octets: int = memories.OCTETS) -> tuple[Log, Memory[str], list[bytes]]:
    log = Log()
    memory = Memory[str](log, octets)
    keys = []
    for number in range(count):
        key, found = acceptance(memory, number)
        memory.keep(key, found)
        keys.append(key)
    return log, memory, keys


def test_whoever_is_asked_for_again_outlives_those_who_are_not() -> None:
    _, memory, keys = filled(1, octets=22_000)
    for number in range(1, 60):
        memory.keep(*acceptance(memory, number))
        assert memory.find(keys[0], NOW) is not None
    assert memory.find(b"asked 1", NOW) is None
    assert len(memory) <= 20


@pytest.mark.parametrize(
    "told",
    [
        change(about="c-1"),
        change(ChangeKind.REVOKED, "somebody", 1001),
        change(ChangeKind.RELEASED, "somebody", 1001),
    ],
)
def test_a_change_concerns_whoever_it_names_and_nobody_else(told: Change) -> None:
    log, memory, keys = filled(3)
    log.tell(told)
    assert [memory.find(key, NOW) is not None for key in keys] == [True, False, True]


@pytest.mark.parametrize("told", [change(ChangeKind.REVOKED, "ca", 2), change(ChangeKind.TRUST)])
def test_a_change_above_concerns_all(told: Change) -> None:
    log, memory, keys = filled(3)
    log.tell(told)
    assert not any(memory.find(key, NOW) for key in keys)


def test_what_is_decided_after_a_change_is_remembered_again() -> None:
    log, memory, keys = filled(1)
    log.tell(change())
    memory.keep(*acceptance(memory, 0))
    assert memory.find(keys[0], NOW) is not None


def test_a_change_outlives_the_move_to_the_older_half() -> None:
    log, memory, keys = filled(1, octets=22_000)
    log.tell(change())
    for number in range(1, 12):
        memory.keep(*acceptance(memory, number))
    assert memory.find(keys[0], NOW) is None


def test_more_changes_than_are_written_down_forget_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memories, "_MOST_CHANGED", 3)
    log, memory, keys = filled(2)
    for number in range(3):
        log.tell(change(about=f"other {number}"))
    assert memory.find(keys[0], NOW) is not None
    log.tell(change(about="c-0"))
    assert len(memory) == 0
    _, late = acceptance(memory, 0)
    log.tell(change(about="c-0"))
    memory.keep(keys[0], late)
    assert memory.find(keys[0], NOW) is None
