"""
OCPP 2.0.1 and 2.1 over HTTP: requests that a CSMS passes on, Authorize first (use case C07).

Request and answer are judged against the official JSON schemas, which the package `ocpp` ships.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Final

import orjson
from flask import Blueprint, Response
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from pki.errors import BadInput
from pki.ids import quote
from web.answers import json_answer

VERSIONS: Final = {"2.0.1": "v201", "2.1": "v21"}
"""OCPP version to the subpackage of `ocpp` that holds its schemas."""

_FOLDERS: Final = {**VERSIONS, "1.6": "v16"}

REFERENCE: Final = "X-Authorization-Reference"
"""Header of our answers, for the CSMS to name the authorisation in sessions and CDRs."""

_MAX_POINTER: Final = 100


class AnswerInvalid(Exception):
    """Our own answer breaks its schema: a fault of ours, told as `internal`."""


@cache
def schema(version: str, message: str) -> dict[str, Any]:
    """Return the official schema of a message, such as `AuthorizeRequest`."""
    folder = resources.files("ocpp") / _FOLDERS[version] / "schemas"
    name = message.removesuffix("Request") if version == "1.6" else message
    text = (folder / f"{name}.json").read_text("utf-8-sig")
    document: dict[str, Any] = orjson.loads(text)
    return document


@cache
def _validator(version: str, message: str) -> Validator:
    document = schema(version, message)
    return validator_for(document)(document)


def check_request(version: str, message: str, body: dict[str, Any]) -> None:
    """
    Return if a request such as `Authorize` is valid against its schema.

    Raises:
        BadInput: `schema_violation`, with the JSON pointer and the keyword of the schema.
    """
    _check(version, f"{message}Request", body, "The request")


def check_answer(version: str, message: str, body: dict[str, Any]) -> None:
    """Return if the answer of a station is valid against its schema; raises as `check_request`."""
    _check(version, f"{message}Response", body, "The answer")


def _check(version: str, message: str, body: dict[str, Any], what: str) -> None:
    found = best_match(_validator(version, message).iter_errors(body))
    if found is None:
        return
    pointer = _pointer(found)
    raise BadInput(
        "schema_violation",
        f"{pointer or what} {_said(found)}.",
        data={"pointer": pointer, "keyword": str(found.validator)},
    )


def valid_answer(version: str, message: str, answer: dict[str, Any], about: str) -> Response:
    """
    Return an answer that is valid against its schema.

    Raises:
        AnswerInvalid: it is not; `about` says in the log which it was.
    """
    judge_answer(version, message, answer, about)
    return json_answer(answer)


def judge_answer(version: str, message: str, answer: dict[str, Any], about: str = "") -> None:
    """Return if an answer is valid against its schema. Raises AnswerInvalid."""
    if not _validator(version, f"{message}Response").is_valid(answer):
        raise AnswerInvalid(about)


def add_action(
    routes: Blueprint, version: str, message: str, handler: Callable[[str], Response]
) -> None:
    """Route `/ocpp/{version}/{message}`, whose version a CSMS cannot mistake, to a handler."""
    for direction in ("Request", "Response"):
        _validator(version, f"{message}{direction}")  # now: a missing schema stops the start
    routes.add_url_rule(
        f"/ocpp/{version}/{message}",
        f"{message}_{VERSIONS[version]}",
        handler,
        methods=["POST"],
        defaults={"version": version},
    )


def _pointer(error: ValidationError) -> str:
    return "".join(f"/{part}" for part in error.absolute_path)[:_MAX_POINTER]


def _said(error: ValidationError) -> str:
    """Say what is wrong without the value: it may be long, and it is not ours to repeat."""
    keyword = error.validator
    wanted: Any = error.validator_value
    instance: Any = error.instance
    match keyword:
        case "required":
            return "lacks " + ", ".join(name for name in wanted if name not in instance)
        case "additionalProperties":
            within: Any = error.schema
            unknown = next(name for name in instance if name not in within.get("properties", {}))
            return f"has the unknown field {quote(unknown)}"
        case "type":
            return f"is not of type {wanted}"
        case "enum":
            return "is none of " + ", ".join(map(str, wanted))
        case _:
            return f"breaks {keyword} {wanted}"
