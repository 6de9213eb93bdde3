"""A process's view of issuers and changes: never older than a bound, or it says so."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pki.beacon import Beacon
from pki.errors import PkiError
from pki.ids import SerialNumber
from pki.model import Change, ChangeKind, Issuer, Responder
from pki.pkix.certificate import Certificate, load
from pki.pkix.hashes import issuer_hashes
from pki.ports import Deployment, Transaction
from pki.status.policy import StatusPolicy

_LOG: Final = logging.getLogger(__name__)
_ALGORITHMS: Final = ("sha1", "sha256", "sha384", "sha512")
_POLL: Final = 0.5
"""Seconds between looks at the change log where no beacon calls: changes of other hosts."""
_PATIENCE: Final = 1.0
"""Seconds that a request waits for the view to catch up; a database may be silent for longer."""
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssuer:
    """A CA of ours, parsed, with its delegated signers, newest last."""

    issuer: Issuer
    certificate: Certificate
    responders: tuple[Responder, ...]

    def responder(self, now: dt.datetime) -> Responder | None:
        """Return the newest delegated signer whose certificate is valid, or None."""
        valid = [r for r in self.responders if r.not_before <= now <= r.not_after]
        return valid[-1] if valid else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a question needs to be seen: a count of the beacon, or a look begun after it."""

    count: int | None
    asked_at: float


Index = Mapping[tuple[str, bytes, bytes], tuple[KnownIssuer, ...]]
"""Hash algorithm, issuerNameHash, issuerKeyHash to the CAs that they name."""


class View:
    """
    Follows the change log for one process; safe to share between threads.

    Attributes:
        sequence: the last change that was taken over; -1 before the first look.
        failing: the last look at the change log failed; the database is best left alone.
    """

    def __init__(
        self,
        deployment: Deployment,
        beacon: Beacon,
        policy: StatusPolicy,
    ) -> None:
        self._deployment = deployment
        self._beacon = beacon
        self._policy = policy
        self._listeners: list[Callable[[Change], None]] = []
        self._seen = -1
        self._deaf = False  # the beacon could not be looked at
        self._followed_at = float("-inf")
        self._signers: frozenset[tuple[str, SerialNumber]] = frozenset()
        self.sequence = -1
        self.index: Index = {}
        self._thread: threading.Thread | None = None
        self._reset()

    def _reset(self) -> None:
        """Make what a process cannot inherit: locks that a thread of its parent may hold."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._caught_up = threading.Condition()
        self._asked = threading.Event()
        self._stopping = False
        self._tried_since: float | None = None
        self._failed_at = float("-inf")
        self.failing = False

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell `listener` of every change, before any answer is given from after it."""
        self._listeners.append(listener)

    # --- asking ----------------------------------------------------------------------------------

    def ready(self) -> bool:
        """
        Tell whether answers may be given: the view holds every change that this host had heard of
        when it was asked, and looked at the change log not longer ago than the policy's bound.

        Waits a second at the most, and not at all while the database is known to be gone. Where
        the beacon cannot be used, the change log is looked at for every question.
        """
        wanted = self._wanted()
        if wanted.count is not None and self._is_current(wanted.count):
            return True
        self._catch_up(wanted)
        return self._holds(wanted)

    def current(self) -> bool:
        """Tell whether `ready` would say yes without waiting; waits for nothing itself."""
        if self._deaf:
            return False
        try:
            return self._is_current(self._beacon.value())
        except PkiError:
            return False

    def _wanted(self) -> _Wanted:
        asked_at = time.monotonic()
        try:
            count = None if self._deaf else self._beacon.value()
        except PkiError:
            count = None
        return _Wanted(count=count, asked_at=asked_at)

    def database_answers(self) -> bool:
        """Tell whether the last look at the change log went well, and none lasts too long now."""
        return not self.failing and not self._is_stuck()

    def _is_current(self, wanted: int) -> bool:
        age = self._age()
        young = age <= self._policy.max_view_age and (age <= _POLL or self._is_followed())
        return young and self._seen >= wanted

    def _holds(self, wanted: _Wanted) -> bool:
        if self._followed_at >= wanted.asked_at:
            return True
        if wanted.count is None:
            return False
        # at least: others may count up while this is asked, again and again
        return self._seen >= wanted.count and self._age() <= self._policy.max_view_age

    def _age(self) -> float:
        return time.monotonic() - self._followed_at

    def _is_followed(self) -> bool:
        """Tell whether the thread lives; after a fork it does not."""
        return self._thread is not None and self._thread.is_alive()

    def _catch_up(self, wanted: _Wanted) -> None:
        if os.getpid() != self._process:
            self._reset()
        if self._is_followed():
            self._ask(wanted)
        elif not self._is_stuck():
            self._look(wanted)

    def _is_stuck(self) -> bool:
        """Tell whether somebody has been looking at the change log for too long already."""
        begun = self._tried_since
        return begun is not None and time.monotonic() - begun > _PATIENCE

    def _ask(self, wanted: _Wanted) -> None:
        """Have the thread look at the change log, and wait for it a little."""
        if not self.database_answers():
            return  # it tries again and again by itself
        self._asked.set()
        with self._caught_up:
            self._caught_up.wait_for(lambda: self.failing or self._holds(wanted), _PATIENCE)

    def _look(self, wanted: _Wanted) -> None:
        """Look at the change log here and now, where no thread does."""
        if not self._lock.acquire(timeout=_PATIENCE):
            return
        try:
            outdated = not self._holds(wanted) or self._age() > _POLL
            if outdated and time.monotonic() - self._failed_at > _POLL:
                self._attempt()
        finally:
            self._lock.release()

    # --- following -------------------------------------------------------------------------------

    def start(self) -> None:
        """Follow the change log in a thread of this process; a fork must call it again."""
        if os.getpid() != self._process:
            self._reset()
        if self._is_followed():
            return
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="status-view", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it may be started again."""
        if os.getpid() != self._process:
            self._reset()
        self._stopping = True
        self._asked.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def follow(self) -> None:
        """Take over what changed since the last look. Raises Unavailable."""
        with self._lock:
            self._follow()

    def _run(self) -> None:
        while not self._stopping:
            self._asked.clear()
            with self._lock:
                self._attempt()
            self._asked.wait(_POLL)

    def _attempt(self) -> None:
        """Look at the change log; a failure leaves the view to grow older and say so."""
        self._tried_since = time.monotonic()
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever it was
            if not self.failing:
                _LOG.warning("the status view cannot follow the change log: %s", error)
            self._failed_at = time.monotonic()
            self.failing = True
        else:
            self.failing = False
        self._tried_since = None
        with self._caught_up:
            self._caught_up.notify_all()

    def _follow(self) -> None:
        # the beacon and the clock before the log: what comes between is seen twice, not missed
        beacon, begun = self._looked(), time.monotonic()
        with self._deployment.store.read() as tx:
            self._take_over(tx)
        self._followed_at = begun
        if beacon is not None:
            self._seen = beacon
            self._deaf = False

    def _looked(self) -> int | None:
        """Return the count of the beacon; without one, whoever is asked must look at the log."""
        try:
            return self._beacon.look()
        except PkiError as error:
            if not self._deaf:
                _LOG.error("every question looks at the change log from now on: %s", error)
            self._deaf = True
            return None

    def _take_over(self, tx: Transaction) -> None:
        last = tx.status.sequence()
        if self.sequence < 0:
            self._read_index(tx)
            self.sequence = last
        elif last < self.sequence:
            self._begin_anew(tx, last)
        while self.sequence < last and (changes := tx.status.changes(self.sequence, _PAGE)):
            if any(self._concerns_index(change) for change in changes):
                self._read_index(tx)
            for change in changes:
                # first the number, then the word: who holds an answer compares numbers
                self.sequence = change.sequence
                self._tell(change)

    def _begin_anew(self, tx: Transaction, last: int) -> None:
        """Forget what was heard: the log is shorter than before, so an older database came back."""
        _LOG.warning("the change log went back from %d to %d", self.sequence, last)
        self._read_index(tx)
        self.sequence = last
        now = self._deployment.clock.now()
        kind = ChangeKind.ISSUERS
        self._tell(Change(sequence=last, kind=kind, issuer_id="", serial=None, changed_at=now))

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    def _concerns_index(self, change: Change) -> bool:
        """Tell whether a CA or responder came, or one of the responders was revoked."""
        return change.kind is ChangeKind.ISSUERS or (
            (change.issuer_id, change.serial) in self._signers
        )

    def _read_index(self, tx: Transaction) -> None:
        signers = {(r.issuer_id, _serial(r)): r for r in tx.status.responders()}
        revoked = tx.certificates.revocations(list(signers))
        self.index = index_of(
            tx.issuers.all(), [r for key, r in signers.items() if key not in revoked]
        )
        self._signers = frozenset(signers)


def _serial(responder: Responder) -> SerialNumber:
    return load(responder.der).serial_number


def index_of(issuers: list[Issuer], signers: list[Responder]) -> Index:
    """Return every CA of ours under every hash by which a CertID may name it."""
    responders: dict[str, list[Responder]] = {}
    for signer in signers:
        responders.setdefault(signer.issuer_id, []).append(signer)
    index: dict[tuple[str, bytes, bytes], tuple[KnownIssuer, ...]] = {}
    for issuer in issuers:
        if not issuer.certificate:
            continue
        known = KnownIssuer(
            issuer=issuer,
            certificate=load(issuer.certificate),
            responders=tuple(responders.get(issuer.issuer_id, ())),
        )
        for algorithm in _ALGORITHMS:
            key = (algorithm, *issuer_hashes(known.certificate, algorithm))
            index[key] = (*index.get(key, ()), known)
    return index
