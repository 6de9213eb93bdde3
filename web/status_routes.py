"""The Flask adapter of the hot paths; another adapter must answer alike."""

from __future__ import annotations

from flask import Blueprint, Response, request, send_file
from werkzeug.wsgi import get_input_stream

from web.hot import HotRequest, HotResponse
from web.status import MAX_OCSP_BODY, StatusPages


def blueprint(pages: StatusPages) -> Blueprint:
    """Return the routes of OCSP, CRLs and CA certificates."""
    routes = Blueprint("status", __name__)

    @routes.before_app_request
    def not_routed() -> Response | None:
        # the router knows no path with a line feed, and says that HEAD is allowed wherever GET is
        if request.routing_exception is None or not _is_ocsp(request.path):
            return None
        return _flask(pages.ocsp(_hot()))

    @routes.route("/ocsp", methods=["GET", "POST"], strict_slashes=False)
    @routes.route("/ocsp/<path:request>", methods=["GET"])
    def ocsp(request: str = "") -> Response:  # noqa: ARG001 - the raw path is read instead
        return _flask(pages.ocsp(_hot()))

    @routes.route("/crl/<issuer>", methods=["GET"])
    @routes.route("/crl/<issuer>/<int:shard>", methods=["GET"])
    def crl(issuer: str, shard: int = 0) -> Response:
        return _flask(pages.crl(_hot(), issuer, shard))

    @routes.route("/ca/<issuer>", methods=["GET"])
    def ca(issuer: str) -> Response:
        return _flask(pages.ca(_hot(), issuer))

    return routes


def _is_ocsp(path: str) -> bool:
    return path == "/ocsp" or path.startswith("/ocsp/")


def _hot() -> HotRequest:
    return HotRequest(
        method=request.method,
        raw_path=_raw_path(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=_body() if request.method == "POST" else b"",
    )


def _raw_path() -> str:
    """Return the path as it was sent; a request line may name the whole address (RFC 9112 3.2)."""
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path)
    if not raw.startswith("/"):
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    return raw.partition("?")[0]


def _body() -> bytes:
    """Return the body, or the first octets of one that is too long: the handler judges it."""
    stream = get_input_stream(request.environ)
    body = b""
    while len(body) <= MAX_OCSP_BODY and (more := stream.read(MAX_OCSP_BODY + 1 - len(body))):
        body += more
    return body


def _flask(answer: HotResponse) -> Response:
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, dict(answer.headers))
    response = send_file(answer.body, conditional=False, etag=False, max_age=None)
    del response.headers["Content-Disposition"]  # what the file is called here is our business
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response
