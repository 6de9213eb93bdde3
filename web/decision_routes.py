"""The Flask adapter of the paths that decide; another adapter must answer alike."""

from __future__ import annotations

from flask import Blueprint, Response, g, request
from werkzeug.wsgi import get_input_stream

from pki.model import Principal
from web import ocpp
from web.decisions import LIMITS, V1, Decisions
from web.hot import HotRequest
from web.logs import note_authorisation


def blueprint(decisions: Decisions) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("decisions", __name__)

    def v1() -> Response:
        return _decided(decisions, V1)

    def authorize(version: str) -> Response:
        return _decided(decisions, f"/ocpp/{version}/Authorize")

    routes.add_url_rule(V1, "validate_contract", v1, methods=["POST"])
    for version in ocpp.VERSIONS:
        ocpp.add_action(routes, version, "Authorize", authorize)
    return routes


def _decided(decisions: Decisions, path: str) -> Response:
    hot = HotRequest(
        method="POST",
        raw_path=path,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=_body(LIMITS[path]),
    )
    answer = decisions.one(hot, known=known, told=note_authorisation)
    return Response(answer.octets, answer.status, dict(answer.headers))


def known(principal: Principal) -> None:
    """Note for the log who asks."""
    g.client = principal.name


def _body(limit: int) -> bytes:
    """Return the body, or the first octets of one that is too long: the handler judges it."""
    stream = get_input_stream(request.environ)
    body = b""
    while len(body) <= limit and (more := stream.read(limit + 1 - len(body))):
        body += more
    return body
