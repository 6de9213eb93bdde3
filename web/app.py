"""The Flask app over one installation."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, g, request

from pki.authorize import Memory
from pki.services import Services
from web import (
    agreements,
    api,
    api_page,
    audit,
    decision_routes,
    enrolments,
    est,
    limits,
    logs,
    oauth,
    ocpi,
    ocpi_contracts,
    ocpp_install,
    ocpp_sessions,
    ocpp_stations,
    ocpp_status,
    ocpp_transfer,
    opcp,
    openapi,
    opnc,
    ops,
    parsing,
    problems,
    proposals,
    remote,
    roaming,
    status_routes,
    vra,
    webhooks,
)
from web.callers import Callers
from web.decisions import Decisions
from web.metrics import Metrics
from web.ocpp_install import OcppInstall
from web.ocpp_stations import OcppStations
from web.ocpp_status import OcppStatus
from web.ocpp_transfer import Transfer
from web.status import StatusPages

UNMATCHED: Final = "unmatched"
"""Route label of requests for which there is no route: paths are a caller's choice."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def decisions_of(services: Services, metrics: Metrics) -> Decisions:
    """Return the paths that decide, over one installation."""
    callers = Callers(services.deployment, services.view)
    return Decisions(
        deployment=services.deployment,
        roaming=services.roaming,
        view=services.view,
        callers=callers,
        memory=Memory(services.view),  # behind all that listens for the sake of decisions
        metrics=metrics,
        variant=services.settings.base64url_hash_data,
    )


def create_app(
    services: Services,
    metrics: Metrics | None = None,
    decisions: Decisions | None = None,
    bounds: limits.Limits | None = None,
) -> Flask:
    """
    Return the app; neither the database nor a key is touched before the first request.

    Args:
        metrics: where to count, if somebody else counts there too.
        decisions: the paths that decide, if somebody else serves them too.
        bounds: how often clients may ask, if somebody else counts that too.
    """
    app = Flask("web", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = parsing.MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # a method that is not documented is a 405
    app.url_map.merge_slashes = False  # base64 in OCSP paths has slashes in a row
    metrics = metrics or Metrics()
    services.beacon.listen(metrics.unannounced)
    problems.register(app)
    _watch(app, metrics)
    bounds = bounds or limits.Limits(services.settings.enrol)
    limits.register(app, bounds)
    app.register_blueprint(ops.blueprint(services.deployment, metrics))
    app.register_blueprint(api.blueprint(services.deployment, metrics, bounds))
    decisions = decisions or decisions_of(services, metrics)
    app.register_blueprint(decision_routes.blueprint(decisions))
    _stations(app, services, metrics, decisions, bounds)
    app.register_blueprint(ocpp_sessions.blueprint(services.deployment, services.roaming, metrics))
    for module in (roaming, agreements, proposals, audit):
        app.register_blueprint(module.blueprint(services.deployment))
    app.register_blueprint(oauth.blueprint(services.deployment))
    app.register_blueprint(est.blueprint(services.deployment, metrics, services.settings.enrol))
    app.register_blueprint(ocpi.blueprint(services.partners, services.roaming))
    app.register_blueprint(opcp.blueprint(services.deployment))
    app.register_blueprint(opnc.blueprint(services.deployment))
    app.register_blueprint(ocpi_contracts.blueprint(services.deployment))
    app.register_blueprint(webhooks.blueprint(services.deployment, services.settings.outbound))
    app.register_blueprint(remote.blueprint(services.partners, services.roaming))
    pages = StatusPages(
        services.deployment,
        services.answers,
        services.settings.status,
        services.run_directory / "crl",
    )
    app.register_blueprint(status_routes.blueprint(pages))
    app.register_blueprint(openapi.blueprint(services.settings.public_url))
    app.register_blueprint(api_page.blueprint(services.settings.public_url))
    return app


def _stations(
    app: Flask,
    services: Services,
    metrics: Metrics,
    decisions: Decisions,
    bounds: limits.Limits,
) -> None:
    """Serve OCPP's certificate messages, by themselves and inside of DataTransfer."""
    deployment = services.deployment
    status = OcppStatus(deployment, services.answers, services.settings.base64url_hash_data)
    install = OcppInstall(deployment)
    stations = OcppStations(deployment, metrics)
    transfer = Transfer(deployment, decisions, stations, install, status, bounds)
    for routes in (
        ocpp_status.blueprint(status),
        ocpp_install.blueprint(install),
        ocpp_stations.blueprint(stations),
        ocpp_transfer.blueprint(transfer),
        vra.blueprint(deployment),
        enrolments.blueprint(deployment),
    ):
        app.register_blueprint(routes)


def _watch(app: Flask, metrics: Metrics) -> None:
    """Give every request an id, its headers, one line of log and its count."""

    @app.before_request
    def begin() -> None:
        g.request_id = parsing.request_id(request) or secrets.token_hex(16)
        g.started = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        if response.status_code > HTTPStatus.BAD_REQUEST:  # at 400 it was read, or nobody sends
            parsing.discard_rest(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = g.request_id
        seconds = time.perf_counter() - g.started
        route = request.url_rule.rule if request.url_rule else UNMATCHED
        metrics.request(route, request.method, response.status_code, seconds)
        logs.request_line(response.status_code, 1000 * seconds)
        return response
