"""Registration and consent, as `/openapi.json` tells them."""

from __future__ import annotations

from typing import Final

from pki.enrol import registration
from pki.model import EnrolmentState
from pki.pkix.profiles import Kind
from web import enrolments, vra
from web.answers import JSON, PROBLEM
from web.openapi_words import READ, WRITE, body, good, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE
from web.schemas import (
    COUNT,
    FINGERPRINT,
    LINE,
    PEM,
    TEXT,
    TIME,
    Schema,
    exact,
    many,
    nullable,
    one,
    ref,
)

_AFTER: Final = parameter("after", "query", LINE, "`next` of the page before.")
_LIMIT: Final = parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    "Things on a page.",
)
_ID: Final = parameter("enrolment_id", "path", TEXT, "`enrolmentId` of the list.")


def components() -> Schema:
    """Return the named schemas."""
    entity: Schema = {
        "commonName": LINE,
        **dict.fromkeys(vra.TEXTS, LINE),
        "evseISOversion": one(registration.EDITIONS),
        "evseID": many(TEXT, maxItems=registration.MAX_EVSES),
    }
    others = [name for name in entity if name != "commonName"]
    return {
        "EndEntityRequest": {"type": "object", "properties": entity, "required": ["commonName"]},
        "EndEntity": exact(entity | {"registeredAt": TIME}, optional=others),
        "EndEntityPage": exact({"endEntities": many(ref("EndEntity")), "next": nullable(TEXT)}),
        "Enrolment": exact(_enrolment()),
        "EnrolmentPage": exact({"enrolments": many(ref("Enrolment")), "next": nullable(TEXT)}),
        "EnrolmentRejection": exact({"reason": LINE}),
        "EnrolmentWaits": exact({"code": TEXT, "detail": TEXT, "retryAfter": COUNT}),
        "Nothing": exact({}),
    }


def _enrolment() -> Schema:
    return {
        "enrolmentId": TEXT,
        "kind": one(Kind),
        "owner": TEXT,
        "commonName": TEXT,
        "csr": PEM,
        "requestedBy": TEXT,
        "station": nullable(TEXT),
        "state": one(EnrolmentState),
        "createdAt": TIME,
        "expiresAt": TIME,
        "decidedAt": nullable(TIME),
        "decidedBy": nullable(TEXT),
        "reason": nullable(TEXT),
        "certificate": nullable(FINGERPRINT),
    }


def paths() -> Schema:
    """Return the paths."""
    decided = {"200": good("The request.", ref("Enrolment"))}
    return {
        vra.PATH: _entities(),
        f"{vra.PATH}/{{name}}": {
            "parameters": [parameter("name", "path", TEXT, "commonName.")],
            "delete": {
                "summary": "Take a registration back; certificates stay.",
                "responses": {"200": {"description": "Done."}}
                | problems((*READ, 404), "PoolError", JSON),
            },
        },
        enrolments.PATH: _list(),
        f"{enrolments.PATH}/{{enrolment_id}}/accept": {
            "parameters": [_ID],
            "post": {
                "summary": "Accept: the client sends the same CSR again; a station gets it now.",
                "requestBody": body("Nothing"),
                "responses": decided | problems((*WRITE, 404, 409, 422), "Problem", PROBLEM),
            },
        },
        f"{enrolments.PATH}/{{enrolment_id}}/reject": {
            "parameters": [_ID],
            "post": {
                "summary": "Reject for good; whoever sends it again is told the reason.",
                "requestBody": body("EnrolmentRejection"),
                "responses": decided | problems((*WRITE, 404, 409), "Problem", PROBLEM),
            },
        },
    }


def _entities() -> Schema:
    return {
        "put": {
            "summary": "Register a charging point before it enrols.",
            "requestBody": body("EndEntityRequest"),
            "responses": {"200": good("Registered.", ref("EndEntity"))}
            | problems(READ, "PoolError", JSON),
        },
        "get": {
            "summary": "List the caller's charging points.",
            "parameters": [_AFTER, _LIMIT],
            "responses": {"200": good("A page.", ref("EndEntityPage"))}
            | problems(READ, "PoolError", JSON),
        },
    }


def _list() -> Schema:
    states = one((*EnrolmentState, "all"))
    return {
        "get": {
            "summary": "List requests that wait for consent; an operator sees its own.",
            "parameters": [
                parameter("state", "query", states, "Default: waiting."),
                _AFTER,
                _LIMIT,
            ],
            "responses": {"200": good("A page.", ref("EnrolmentPage"))}
            | problems(READ, "Problem", PROBLEM),
        }
    }
