"""The Flask adapter of the hot paths; another adapter must answer alike."""

from __future__ import annotations

from flask import Blueprint, Response, request, send_file

from web.hot import HotRequest, HotResponse
from web.status import MAX_OCSP_BODY, StatusPages


def blueprint(pages: StatusPages) -> Blueprint:
    """Return the routes of OCSP, CRLs and CA certificates."""
    routes = Blueprint("status", __name__)

    @routes.route("/ocsp", methods=["POST", "GET"])
    @routes.route("/ocsp/", methods=["POST", "GET"])
    @routes.route("/ocsp/<path:encoded>", methods=["GET"])
    def ocsp(encoded: str = "") -> Response:  # noqa: ARG001 - the raw path is read instead
        return _flask(pages.ocsp(_hot()))

    @routes.route("/crl/<issuer>", methods=["GET"])
    @routes.route("/crl/<issuer>/<int:shard>", methods=["GET"])
    def crl(issuer: str, shard: int = 0) -> Response:
        return _flask(pages.crl(_hot(), issuer, shard))

    @routes.route("/ca/<issuer>", methods=["GET"])
    def ca(issuer: str) -> Response:
        return _flask(pages.ca(_hot(), issuer))

    return routes


def _hot() -> HotRequest:
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path)
    return HotRequest(
        method=request.method,
        raw_path=raw.split("?", 1)[0],
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.stream.read(MAX_OCSP_BODY + 1) if request.method == "POST" else b"",
    )


def _flask(answer: HotResponse) -> Response:
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, dict(answer.headers))
    response = send_file(answer.body, conditional=False, etag=False, max_age=None)
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response
