"""
What authorisations go by, in memory: ranges, agreements, parties, eMSPs.

A process reads all of it once and again whenever the change log tells of roaming, so that a
decision asks the database nothing that it knows already.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pki.model import (
    EVERY,
    Account,
    Agreement,
    AgreementState,
    Change,
    ChangeKind,
    Emsp,
    NumberRange,
    Party,
    RangeKind,
    Role,
)
from pki.pkix.recent import Recent
from pki.ports import Store, Transaction

Ranges = Mapping[str, tuple[NumberRange, ...]]
"""Prefix to the ranges that had, have or will have it."""


_KEPT: Final = 10_000
"""A value for each EVSE at which somebody charges."""


class Followed(Protocol):
    """What tells of changes: the view of the change log."""

    def ready(self) -> bool:
        """Tell whether every change that this host heard of was told."""

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell `listener` of every change before `ready` says that it was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """
    One consistent reading.

    Attributes:
        sequence: the change of the log up to which it holds.
        ranges: by kind and prefix.
        lengths: of the prefixes of a kind, longest first.
        agreements: in force or to come, by CPO and eMSP as they are written there.
        turns: when a range or an agreement begins or ends, in order.
        kept: what whoever asks keeps with it.
    """

    sequence: int = 0
    ranges: Mapping[RangeKind, Ranges] = field(default_factory=dict)
    lengths: Mapping[RangeKind, tuple[int, ...]] = field(default_factory=dict)
    agreements: Mapping[tuple[str, str], tuple[Agreement, ...]] = field(default_factory=dict)
    parties: Mapping[tuple[Role, str], Party] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    emsps: Mapping[str, Emsp] = field(default_factory=dict)
    turns: tuple[dt.datetime, ...] = ()
    kept: Recent[object, object] = field(
        default_factory=lambda: Recent(_KEPT), compare=False, repr=False
    )

    def between(self, cpo: str, emsps: Iterable[str]) -> list[Agreement]:
        """
        Return agreements that name a CPO and an eMSP, by what they are called.

        `*` stands for those that are registered here: of a party that is not, it says nothing.
        """
        names = tuple(dict.fromkeys(emsps))
        cpos = (cpo, EVERY) if (Role.CPO, cpo) in self.parties else (cpo,)
        known = any(n in self.accounts or (Role.EMSP, n) in self.parties for n in names)
        others = (*names, EVERY) if known else names
        return [a for c in cpos for e in others for a in self.agreements.get((c, e), ())]


def read(tx: Transaction) -> Directory:
    """Read all of it within one transaction."""
    ranges: dict[RangeKind, dict[str, tuple[NumberRange, ...]]] = {kind: {} for kind in RangeKind}
    turns: set[dt.datetime | None] = set()
    for found in tx.roaming.ranges():
        turns |= {found.valid_from, found.valid_until}
        of_kind = ranges[found.kind]
        of_kind[found.prefix] = (*of_kind.get(found.prefix, ()), found)
    agreements: dict[tuple[str, str], tuple[Agreement, ...]] = {}
    for agreement in tx.roaming.agreements():
        if agreement.state is AgreementState.ACTIVE:
            between = (agreement.terms.cpo, agreement.terms.emsp)
            turns |= {agreement.terms.valid_from, agreement.terms.valid_until}
            agreements[between] = (*agreements.get(between, ()), agreement)
    return Directory(
        sequence=tx.status.sequence(),
        ranges=ranges,
        lengths={
            kind: tuple(sorted({len(prefix) for prefix in of_kind}, reverse=True))
            for kind, of_kind in ranges.items()
        },
        agreements=agreements,
        parties={(party.role, party.party_id): party for party in tx.contracts.parties()},
        accounts={account.provider_id.value: account for account in tx.contracts.accounts()},
        emsps={emsp.provider_id.value: emsp for emsp in tx.roaming.emsps()},
        turns=tuple(sorted(turn for turn in turns if turn is not None)),
    )


_NEVER: Final = -1


class Follower:
    """
    Keeps a directory that is as new as the change log; safe to share between threads.

    Args:
        view: tells of changes; this object listens to it.
    """

    def __init__(self, store: Store, view: Followed) -> None:
        self._store = store
        self._view = view
        self._lock = threading.Lock()
        self._held: Directory | None = None
        self._wanted = _NEVER
        self._heard = _NEVER
        view.listen(self._hear)

    def now(self) -> Directory:
        """
        Return a directory that holds every change that committed before this call, of this host.

        Raises:
            Unavailable: it must be read, and the store cannot be.
        """
        fresh = self._view.ready()
        held = self._held
        if fresh and held is not None:
            return held
        with self._store.read() as tx:
            found = read(tx)
        self._keep(found)
        return found

    def _keep(self, found: Directory) -> None:
        with self._lock:
            # a reading that began before the newest word was heard is used once and not kept
            if found.sequence >= self._wanted:
                self._held = found

    def _hear(self, change: Change) -> None:
        """Drop what is held where roaming changed, or an older database came back."""
        with self._lock:
            if change.kind is ChangeKind.ROAMING or change.sequence <= self._heard:
                self._held = None
                self._wanted = change.sequence
            self._heard = change.sequence
