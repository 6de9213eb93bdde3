"""
Health and metrics.

`/metrics` asks for a token of an administrator or auditor, except from a peer on the loopback
interface whose request no proxy has passed on. A proxy on this host must therefore add
X-Forwarded-For (as common ones do when told to) or keep `/metrics` to itself.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST

from pki import access
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.expiries import Expiries
from web.metrics import Metrics

_PASSED_ON: Final = ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via")


@dataclass(frozen=True, slots=True)
class Ops:
    """The handlers, over one installation."""

    deployment: Deployment
    metrics: Metrics
    expiries: Expiries

    def live(self) -> Response:
        """Say that this process answers; touches nothing else."""
        return json_answer({"status": "live"})

    def ready(self) -> Response:
        """Say that the store answers too; 503 where it does not."""
        self.deployment.store.ping()
        return json_answer({"status": "ready"})

    def exposition(self) -> Response:
        """Return the counters of all workers, in the text format of Prometheus."""
        if not _local():
            access.require(auth.principal(self.deployment), access.Action.READ_METRICS)
        text = self.metrics.text() + self.expiries.text()
        return Response(text, content_type=CONTENT_TYPE_LATEST)


def _local() -> bool:
    """Tell whether the request came straight from a process on this host."""
    if any(name in request.headers for name in _PASSED_ON):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:  # a UNIX socket has no address; whoever is behind it is a proxy
        return False


def blueprint(deployment: Deployment, metrics: Metrics) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("ops", __name__)
    handlers = Ops(deployment, metrics, Expiries(deployment))
    for path, handler in (
        ("/healthz/live", handlers.live),
        ("/healthz/ready", handlers.ready),
        ("/metrics", handlers.exposition),
    ):
        routes.add_url_rule(path, handler.__name__, handler)
    return routes
