"""Lists, and requests that may be sent twice, as `/openapi.json` tells them."""

from __future__ import annotations

from typing import Final

from web.answers import PROBLEM
from web.openapi_words import READ, WRITE, body, good, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE
from web.repeated import IDEMPOTENCY
from web.schemas import LINE, TEXT, Schema, exact, many, nullable, ref

ASKED_TIME: Final = LINE | {"description": "Such as 2027-06-30T00:00:00Z."}
KEY: Final = parameter(
    IDEMPOTENCY,
    "header",
    {"type": "string", "minLength": 1, "maxLength": 64},
    "For a day, the same request under this key gets the same answer.",
)
AFTER: Final = parameter("after", "query", LINE, "`next` of the page before.")
LIMIT: Final = parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    "Things on a page.",
)


def page_of(key: str, name: str) -> Schema:
    """Return the schema of a page."""
    return exact({key: many(ref(name)), "next": nullable(TEXT)})


def listed(summary: str, name: str, *parameters: Schema) -> Schema:
    """Return the operation that gives a page, or one thing."""
    return {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": good("What the caller may see.", ref(name))}
        | problems((*READ, 404, 409), "Problem", PROBLEM),
    }


def written(summary: str, asked: str, answer: str, status: int, *parameters: Schema) -> Schema:
    """Return an operation that may be repeated under an idempotency key."""
    return {
        "summary": summary,
        "parameters": [KEY, *parameters],
        "requestBody": body(asked),
        "responses": {str(status): good("Done.", ref(answer))}
        | problems((*WRITE, 404, 409, 422), "Problem", PROBLEM),
    }
