"""What is counted, for Prometheus; one process or many."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from pki.authorize import Outcome

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set by `web/gunicorn.conf.py`; where workers leave their numbers for each other."""

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Counters of one app; every label has few values, none of them a caller's choice."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pnc_http_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "pnc_http_request_seconds",
            "Time to answer, by route.",
            ("route",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._decisions = Counter(
            "pnc_decisions",
            "Contract decisions by protocol, outcome and fault.",
            ("protocol", "outcome", "fault"),
            registry=self._registry,
        )
        self._authorisations = Counter(
            "pnc_authorisations",
            "Authorisations by protocol, answer and fault.",
            ("protocol", "allowed", "fault"),
            registry=self._registry,
        )
        self._issued = Counter(
            "pnc_certificates_issued",
            "Certificates issued over HTTP, by kind.",
            ("kind",),
            registry=self._registry,
        )
        self._revoked = Counter(
            "pnc_certificates_revoked",
            "Certificates revoked over HTTP, by reason.",
            ("reason",),
            registry=self._registry,
        )

        self._queued = Counter(
            "pnc_station_messages",
            "Messages put before charging stations, by OCPP action.",
            ("action",),
            registry=self._registry,
        )
        self._unannounced = Counter(
            "pnc_changes_unannounced",
            "Committed changes of status that this host was not told of at once.",
            registry=self._registry,
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def counted(self, route: str, method: str, status: int, count: int) -> None:
        """Count requests of one kind that were answered in no time to speak of."""
        self._requests.labels(route, method, str(status)).inc(count)

    def authorised(self, counts: Mapping[tuple[str, Outcome], int]) -> None:
        """Count authorisations by protocol, and the contract decisions before them."""
        for (protocol, found), count in counts.items():
            if found.decided is not None:
                self._decisions.labels(protocol, found.decided, found.refused).inc(count)
            self._authorisations.labels(protocol, found.allowed, found.fault).inc(count)

    def issued(self, kind: str) -> None:
        """Count one certificate."""
        self._issued.labels(kind).inc()

    def revoked(self, reason: str) -> None:
        """Count one revocation."""
        self._revoked.labels(reason).inc()

    def queued(self, action: str) -> None:
        """Count one message to a station."""
        self._queued.labels(action).inc()

    def unannounced(self) -> None:
        """Count one committed change that could not be announced to this host."""
        self._unannounced.inc()

    def text(self) -> bytes:
        """Return the exposition format, of all workers where there are several."""
        if not os.environ.get(MULTIPROCESS):
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # its own lack of types
        return generate_latest(together)
