"""Words in which the paths of `/openapi.json` are written."""

from __future__ import annotations

from typing import Any, Final

from web.answers import JSON, PROBLEM
from web.schemas import Schema, ref

MEANING: Final = {
    400: "The request cannot be read or breaks a limit.",
    401: "No valid credentials.",
    403: "Not for this caller.",
    404: "It does not exist, or not for this caller.",
    409: "It contradicts what is there.",
    413: "The body is too large.",
    415: "The body is not of a media type that this path reads.",
    429: "The client asks too often; see Retry-After.",
    422: "A profile, a lint or a key rule forbids it.",
    500: "A fault of ours.",
    503: "We cannot decide or act now; see Retry-After.",
}
READ: Final = (400, 401, 403, 500, 503)
WRITE: Final = (*READ, 413, 415)
OPEN: Final[list[Any]] = []
"""The security requirement of a path that everybody may call."""


def problems(statuses: tuple[int, ...], name: str, media_type: str) -> Schema:
    """Return the responses of errors, in the form that the component `name` describes."""
    return {
        str(status): {
            "description": MEANING[status],
            "content": {media_type: {"schema": ref(name)}},
        }
        for status in sorted(statuses)
    }


def good(description: str, schema: Schema, media_type: str = JSON) -> Schema:
    """Return a response with a body."""
    return {"description": description, "content": {media_type: {"schema": schema}}}


def body(name: str) -> Schema:
    """Return the requirement of a JSON body that the component `name` describes."""
    return {"required": True, "content": {JSON: {"schema": ref(name)}}}


def parameter(name: str, where: str, schema: Schema, description: str) -> Schema:
    """Return a parameter; those of a path are required."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }


def open_get(summary: str, answer: Schema, statuses: tuple[int, ...] = (500,)) -> Schema:
    """Return the item of a path that everybody may GET."""
    return {
        "get": {
            "summary": summary,
            "security": OPEN,
            "responses": {"200": answer} | problems(statuses, "Problem", PROBLEM),
        }
    }
