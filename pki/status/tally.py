"""How many OCSP answers each key signed, told to the audit log in aggregate (I1)."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Final

from pki import audit
from pki.clock import format_time
from pki.ids import Fingerprint
from pki.ports import Deployment

EVERY: Final = 600.0
"""Seconds between two entries about one key; what a killed process counted since is lost."""
_ACTOR: Final = "ocsp"


class Tally:
    """The signatures of one process; safe to share between threads."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, bytes], int] = {}
        self._since: dt.datetime | None = None

    def add(self, issuer_id: str, certificate: bytes) -> None:
        """Count one answer signed with the key of this certificate (DER)."""
        with self._lock:
            key = (issuer_id, certificate)
            self._counts[key] = self._counts.get(key, 0) + 1
            self._since = self._since or self._deployment.clock.now()

    def hand_over(self, *, at_once: bool) -> int:
        """
        Write an entry for each key that signed since the last time; return how many.

        Nothing is done before `EVERY` seconds are over, unless `at_once`.

        Raises:
            Unavailable: the store is out of reach; nothing is forgotten.
        """
        with self._lock:
            counts, since = self._counts, self._since
            if since is None or not (at_once or self._is_due(since)):
                return 0
            self._counts, self._since = {}, None
        try:
            self._write(counts, since)
        except BaseException:
            self._take_back(counts, since)
            raise
        return len(counts)

    def _is_due(self, since: dt.datetime) -> bool:
        return abs((self._deployment.clock.now() - since).total_seconds()) >= EVERY

    def _write(self, counts: dict[tuple[str, bytes], int], since: dt.datetime) -> None:
        with self._deployment.store.write() as tx:
            for (issuer_id, certificate), count in sorted(counts.items()):
                audit.record(
                    tx,
                    chain=issuer_id,
                    at=self._deployment.clock.now(),
                    actor=_ACTOR,
                    action="ocsp.sign",
                    subject=Fingerprint.of(certificate).value,
                    details={"answers": count, "since": format_time(since)},
                )

    def _take_back(self, counts: dict[tuple[str, bytes], int], since: dt.datetime) -> None:
        with self._lock:
            for key, count in counts.items():
                self._counts[key] = self._counts.get(key, 0) + count
            self._since = since
