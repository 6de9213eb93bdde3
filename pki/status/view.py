"""A process's view of issuers and changes: never older than a bound, or it says so."""

from __future__ import annotations

import datetime as dt
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

_ALGORITHMS: Final = ("sha1", "sha256", "sha384", "sha512")
_POLL: Final = 0.5
"""Seconds between looks at the change log where no beacon calls: changes of other hosts."""
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


Index = Mapping[tuple[str, bytes, bytes], tuple[KnownIssuer, ...]]
"""Hash algorithm, issuerNameHash, issuerKeyHash to the CAs that they name."""


class View:
    """Follows the change log for one process; safe to share between threads."""

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
        self._lock = threading.Lock()
        self._seen = -1
        self._followed_at = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.sequence = -1
        self.index: Index = {}

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Tell `listener` of every change, before any answer is given from after it."""
        self._listeners.append(listener)

    def ready(self) -> bool:
        """
        Tell whether answers may be given: the view holds every change that this host has heard of,
        and looked at the change log not longer ago than the policy's bound.
        """
        if (
            self._beacon.value() != self._seen
            or self._age() > self._policy.max_view_age
            or (self._thread is None and self._age() > _POLL)
        ):
            self._try_to_follow()
        return self._beacon.value() == self._seen and self._age() <= self._policy.max_view_age

    def start(self) -> None:
        """Follow the change log in a thread of this process; a fork must call it again."""
        self._thread = threading.Thread(target=self._run, name="status-view", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def follow(self) -> None:
        """Take over what changed since the last look. Raises Unavailable."""
        with self._lock:
            beacon, begun = self._beacon.value(), time.monotonic()
            with self._deployment.store.read() as tx:
                self._take_over(tx)
            self._seen, self._followed_at = beacon, begun

    def _age(self) -> float:
        return time.monotonic() - self._followed_at

    def _try_to_follow(self) -> None:
        try:
            self.follow()
        except PkiError:
            return  # the view grows older and says so

    def _run(self) -> None:
        while not self._stop.wait(_POLL):
            self._try_to_follow()

    def _concerns_index(self, change: Change) -> bool:
        """Tell whether a CA or responder came, or one of the responders was revoked."""
        signers = {
            (r.issuer_id, _serial(r))
            for named in self.index.values()
            for known in named
            for r in known.responders
        }
        return change.kind is ChangeKind.ISSUERS or (change.issuer_id, change.serial) in signers

    def _take_over(self, tx: Transaction) -> None:
        if self.sequence < 0:
            self.sequence = tx.status.sequence()
            self.index = read_index(tx)
            return
        while changes := tx.status.changes(self.sequence, _PAGE):
            if any(self._concerns_index(change) for change in changes):
                self.index = read_index(tx)
            for change in changes:
                # first the number, then the word: who holds an answer compares numbers
                self.sequence = change.sequence
                for listener in self._listeners:
                    listener(change)


def _unrevoked(tx: Transaction) -> list[Responder]:
    keys = {r.fingerprint: (r.issuer_id, _serial(r)) for r in tx.status.responders()}
    revoked = tx.certificates.revocations(list(keys.values()))
    return [r for r in tx.status.responders() if keys[r.fingerprint] not in revoked]


def _serial(responder: Responder) -> SerialNumber:
    return load(responder.der).serial_number


def read_index(tx: Transaction) -> Index:
    """Return every CA of ours under every hash by which a CertID may name it."""
    responders: dict[str, list[Responder]] = {}
    for responder in _unrevoked(tx):
        responders.setdefault(responder.issuer_id, []).append(responder)
    index: dict[tuple[str, bytes, bytes], tuple[KnownIssuer, ...]] = {}
    for issuer in tx.issuers.all():
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
