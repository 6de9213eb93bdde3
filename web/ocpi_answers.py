"""OCPI's form of answers and errors: an envelope around everything, 401 included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response, g, request

from pki.clock import SystemClock
from pki.errors import BadInput
from pki.roaming.ocpi.envelope import Status, envelope
from pki.roaming.ocpi.parties import PartyKey, Routing
from web.answers import json_answer
from web.problem import Problem

Path = Mapping[str, str]
"""The parts of an address by their names."""

PREFIX: Final = "/ocpi/"
MAX_ID: Final = 64
_NO_HEADERS: Final[Mapping[str, str]] = {}
_OK: Final = 200

_BY_CODE: Final[Mapping[str, tuple[int, Status]]] = {
    "token_unknown": (404, Status.UNKNOWN_TOKEN),
    "ocpi_too_little": (_OK, Status.TOO_LITTLE),
    "ocpi_location_unknown": (_OK, Status.UNKNOWN_LOCATION),
    "ocpi_client_unusable": (_OK, Status.CANNOT_USE_CLIENT),
    "ocpi_version_unsupported": (_OK, Status.VERSION),
    "ocpi_endpoints_missing": (_OK, Status.ENDPOINTS_MISSING),
    "ocpi_registered": (405, Status.CLIENT_ERROR),
    "ocpi_not_registered": (405, Status.CLIENT_ERROR),
    "json_invalid": (400, Status.INVALID),
    "json_too_deep": (400, Status.INVALID),
}
_BY_STATUS: Final[Mapping[int, tuple[int, Status]]] = {
    400: (_OK, Status.INVALID),
    401: (401, Status.CLIENT_ERROR),
    403: (_OK, Status.CLIENT_ERROR),
    404: (404, Status.CLIENT_ERROR),
    405: (405, Status.CLIENT_ERROR),
    409: (_OK, Status.CLIENT_ERROR),
    413: (413, Status.INVALID),
    415: (415, Status.INVALID),
    422: (_OK, Status.CLIENT_ERROR),
    503: (503, Status.SERVER_ERROR),
}
"""HTTP status and OCPI code. A request that reached OCPI is answered with 200, whatever its code;
the exceptions are those of the specification, and 503, so that nobody takes an outage for a no."""


def answer(
    data: object = None, status: int = _OK, *, headers: Mapping[str, str] = _NO_HEADERS
) -> Response:
    """Return an answer of success."""
    return json_answer(envelope(g.get("clock", SystemClock()).now(), data), status, headers=headers)


def error_form(problem: Problem, _request_id: str) -> Response:
    """Return the answer to what went wrong."""
    http, code = _BY_CODE.get(problem.code) or _BY_STATUS.get(
        problem.status, (problem.status, Status.SERVER_ERROR)
    )
    if problem.code == "request_malformed":
        http = 400
    headers = dict(problem.headers)
    if http == 401:  # noqa: PLR2004 - the status of the specification
        headers["WWW-Authenticate"] = 'Token realm="ocpi"'
    now = g.get("clock", SystemClock()).now()
    body = envelope(now, status=code, message=f"{problem.detail} ({problem.code})")
    return json_answer(body, http, headers=headers)


def key_of(path: Path) -> PartyKey:
    """Return the owner that an address names. Raises BadInput (`ocpi_invalid_value`)."""
    return PartyKey.of(path["country"], path["party"])


def routing() -> Routing:
    """Return the routing headers of the request. Raises BadInput (`ocpi_…`)."""
    return Routing.read(request.headers.get)


def finish(response: Response) -> Response:
    """Give an answer the ids of its request and the routing headers turned round."""
    if not (request.path.startswith(PREFIX)):
        return response
    given = request.headers.get("X-Correlation-ID", "")
    fit = given.isascii() and given.isprintable() and 0 < len(given) <= MAX_ID
    response.headers["X-Correlation-ID"] = given if fit else g.request_id
    try:
        turned = routing().answer()
    except BadInput:
        return response
    response.headers.update(turned.headers())
    return response
