"""
The only mapping from errors to HTTP: RFC 9457 for our own endpoints, else the form of the protocol.

An error that is none of `PkiError` and none of HTTP is logged with its traceback and told as
`internal`, without a word of what it was.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pki.errors import (
    ApprovalNeeded,
    BadInput,
    Conflict,
    ConsentNeeded,
    NotAllowed,
    NotFound,
    PkiError,
    PolicyViolation,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from web.answers import PROBLEM, json_answer
from web.logs import ERRORS, fields_of_request
from web.ocpi_answers import PREFIX as OCPI_PREFIX
from web.ocpi_answers import error_form as ocpi_form
from web.parsing import ContentEncoded
from web.problem import Problem

OCPP_PREFIX: Final = "/ocpp/"
OAUTH_PREFIX: Final = "/oauth/"
OPCP_PREFIXES: Final = (
    "/v1/root/",
    "/v1/oem/",
    "/v1/cps/",
    "/v1/ccp/",
    "/v1/webhook/",
    "/v1/vra/",
    "/cps/",
    "/opnc/",
)
EST_PATH: Final = re.compile(
    r"(?:/[^/]*){0,4}?/"
    r"(?:\.well-known/est|pki/est|cacerts|csrattrs|simpleenroll|simplereenroll|serverkeygen|fullcmc)"
    r"(?:/|$)"
)
"""Beginning of any path of EST, also of those that have no route."""

EST_REALM: Final = 'Basic realm="pnc"'
RETRY_AFTER: Final = "2"
"""Seconds; a busy database is free again, a restarted one back, in about that time."""

STATUS: Final[Mapping[type[PkiError], HTTPStatus]] = {
    BadInput: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    PolicyViolation: HTTPStatus.UNPROCESSABLE_ENTITY,
    ApprovalNeeded: HTTPStatus.ACCEPTED,
    ConsentNeeded: HTTPStatus.ACCEPTED,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

_HTTP: Final[Mapping[int, tuple[str, str, str | None]]] = {
    400: ("request_malformed", "The request cannot be read.", None),
    404: ("path_unknown", "There is nothing at this path.", "/openapi.json lists every path."),
    405: ("method_not_allowed", "This path does not know the method.", None),
    413: ("body_too_large", "The body is longer than this path takes.", None),
    414: ("path_too_long", "The path is too long.", None),
    415: (
        "media_type_unsupported",
        "The body is of a type that this path does not read.",
        "/openapi.json says what each path reads; nothing is read with a Content-Encoding.",
    ),
}
"""Code, detail and hint for what never reaches a verb."""

_FORMATION: Final = frozenset(
    ("json_invalid", "body_not_object", "json_too_deep", "json_name_repeated")
)
_OCPP_CODES: Final[Mapping[int, str]] = {
    400: "PropertyConstraintViolation",
    401: "SecurityError",
    403: "SecurityError",
    404: "NotImplemented",
    405: "NotSupported",
    413: "FormationViolation",
    409: "GenericError",
    415: "FormationViolation",
    422: "PropertyConstraintViolation",
    429: "GenericError",
}
_OAUTH_CODES: Final = {
    "client_missing": "invalid_client",
    "client_invalid": "invalid_client",
    "grant_type_unsupported": "unsupported_grant_type",
    "audience_unknown": "invalid_target",  # RFC 8707
}
_OPCP_STATUS: Final = frozenset((400, 401, 403, 404, 405, 429))
_OAUTH_STATUS: Final = {
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}
_OCPP_DESCRIPTION: Final = 255  # OCPP-J: errorDescription, string[255]


def problem_of(error: Exception) -> Problem:
    """Return what may be told of an error; anything unexpected becomes `internal`."""
    if isinstance(error, PkiError) and type(error) in STATUS:
        return _of_pki(error, STATUS[type(error)])
    if isinstance(error, HTTPException) and error.code is not None and error.code in _HTTP:
        return _of_http(error, error.code)
    return Problem(status=500, code="internal", detail="Something went wrong on our side.")


def _of_pki(error: PkiError, status: HTTPStatus) -> Problem:
    return Problem(
        status=status.value,
        code=error.code,
        detail=error.message,
        hint=error.hint,
        data=error.data,
        headers=_headers(error),
    )


def _headers(error: PkiError) -> Mapping[str, str]:
    match error:
        case Unauthenticated(code="client_missing" | "client_invalid"):  # RFC 6749 5.2
            return {"WWW-Authenticate": 'Basic realm="pnc"'}
        case Unauthenticated(code="token_missing"):
            return {"WWW-Authenticate": 'Bearer realm="pnc"'}
        case Unauthenticated():  # RFC 6750 3.1
            return {"WWW-Authenticate": 'Bearer realm="pnc", error="invalid_token"'}
        case Unavailable():
            return {"Retry-After": RETRY_AFTER}
        case ConsentNeeded() | RateLimited():
            return {"Retry-After": str(error.data["retryAfter"])}
        case _:
            return {}


def _of_http(error: HTTPException, status: int) -> Problem:
    code, detail, hint = _HTTP[status]
    headers = {}
    if isinstance(error, ContentEncoded):
        detail, hint = str(error.description), "Send it as it is."
        headers["Accept-Encoding"] = "identity"  # RFC 9110 12.5.3
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return Problem(status=status, code=code, detail=detail, hint=hint, headers=headers)


def own_form(problem: Problem, request_id: str) -> Response:
    """Answer as RFC 9457 has it; what belongs to the code stands beside the members of the RFC."""
    body: dict[str, Any] = {
        **problem.data,
        "type": f"urn:pnc:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "requestId": request_id,
    }
    if problem.hint is not None:
        body["hint"] = problem.hint
    return json_answer(body, problem.status, headers=problem.headers, media_type=PROBLEM)


def ocpp_form(problem: Problem, request_id: str) -> Response:
    """Answer with the members of an OCPP CALLERROR."""
    details: dict[str, Any] = {**problem.data, "code": problem.code, "requestId": request_id}
    if problem.hint is not None:
        details["hint"] = problem.hint
    formation = problem.code in _FORMATION
    body = {
        "errorCode": "FormationViolation"
        if formation
        else _OCPP_CODES.get(problem.status, "InternalError"),
        "errorDescription": problem.detail[:_OCPP_DESCRIPTION],
        "errorDetails": details,
    }
    return json_answer(body, problem.status, headers=problem.headers)


def oauth_form(problem: Problem, request_id: str) -> Response:
    """Answer as RFC 6749 5.2 has it."""
    name = _OAUTH_CODES.get(problem.code) or _OAUTH_STATUS.get(problem.status, "invalid_request")
    hint = f" {problem.hint}" if problem.hint else ""
    body = {
        "error": name,
        "error_description": f"{problem.detail}{hint}",
        "code": problem.code,
        "requestId": request_id,
    }
    return json_answer(body, problem.status, headers={**problem.headers, "Pragma": "no-cache"})


def opcp_form(problem: Problem, request_id: str) -> Response:
    """Answer as OPCP and OPNC have it, with our stable code beside; other statuses become 400."""
    told = [problem.detail, *((problem.hint,) if problem.hint else ())]
    body = {
        "errorMessages": list(dict.fromkeys(told)),
        "traceId": _trace_id(request_id),
        "code": problem.code,
    }
    status = problem.status
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        status = status if status in _OPCP_STATUS else HTTPStatus.BAD_REQUEST.value
    return json_answer(body, status, headers=problem.headers)


def _trace_id(request_id: str) -> str:
    """Return the request's id as a UUID: ours is one without dashes, a caller's may be none."""
    try:
        return str(uuid.UUID(request_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, request_id))


def est_form(problem: Problem, _request_id: str) -> Response:
    """Answer in the form of EST: a line of text (RFC 7030 4.2.3), or an empty 401."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return Response(b"", 401, {"WWW-Authenticate": EST_REALM}, content_type="text/plain")
    unprocessable = problem.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return Response(
        f"{problem.code}: {problem.detail} {problem.hint or ''}".rstrip() + "\n",
        HTTPStatus.BAD_REQUEST if unprocessable else problem.status,
        dict(problem.headers),
        content_type="text/plain; charset=utf-8",
    )


_FORMS: Final[tuple[tuple[str, Callable[[Problem, str], Response]], ...]] = (
    (OCPP_PREFIX, ocpp_form),
    (OAUTH_PREFIX, oauth_form),
    (OCPI_PREFIX, ocpi_form),
    *((prefix, opcp_form) for prefix in OPCP_PREFIXES),
)
"""Beginning of a path to the form of its errors."""


def _form_of(path: str) -> Callable[[Problem, str], Response]:
    if EST_PATH.match(path):
        return est_form
    return next((form for prefix, form in _FORMS if path.startswith(prefix)), own_form)


def answer(error: Exception) -> Response:
    """Answer any exception in the protocol that was spoken; log what is our fault."""
    if isinstance(error, ApprovalNeeded):  # no fault, so the same in every protocol
        return _proposed(error)
    if isinstance(error, ConsentNeeded):
        return _waits(error)
    return _form_of(request.path)(noted(error), g.request_id)


def est_answer(error: Exception) -> Response:
    """Answer any exception of EST, which has a 202 of its own for what somebody must accept."""
    return est_form(noted(error), g.request_id)


def _proposed(error: ApprovalNeeded) -> Response:
    g.code = error.code
    where = {"Location": f"/v1/proposals/{error.data['proposalId']}"}
    return json_answer({"code": error.code, **error.data}, STATUS[ApprovalNeeded], headers=where)


def _waits(error: ConsentNeeded) -> Response:
    problem = noted(error)
    body = {"code": error.code, "detail": str(error), **error.data}
    return json_answer(body, problem.status, headers=problem.headers)


def noted(error: Exception) -> Problem:
    """Return what may be told of an exception of the current request; log what is our fault."""
    problem = problem_of(error)
    g.code = problem.code
    if problem.code == "internal":
        ERRORS.error("unexpected", exc_info=error, extra={"fields": fields_of_request()})
    elif problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        ERRORS.log(logging.WARNING, problem.code, extra={"fields": fields_of_request()})
    return problem


def register(app: Flask) -> None:
    """Make every error of the app pass through `answer`."""
    app.register_error_handler(Exception, answer)


__all__ = [
    "STATUS",
    "Problem",
    "answer",
    "est_answer",
    "noted",
    "ocpp_form",
    "own_form",
    "problem_of",
    "register",
]
