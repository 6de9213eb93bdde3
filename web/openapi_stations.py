"""Messages to stations and OCPP 1.6, as `/openapi.json` tells them."""

from __future__ import annotations

from typing import Final

from pki import stations
from pki.model import MessageState
from web.answers import JSON
from web.ocpp import schema
from web.ocpp_stations import ASK, PATH
from web.openapi_words import READ, WRITE, body, good, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE, MAX_STATION_ID
from web.repeated import IDEMPOTENCY
from web.schemas import FINGERPRINT, LINE, TEXT, TIME, Schema, exact, many, nullable, one, ref

STATION: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MAX_STATION_ID}
_OBJECT: Final[Schema] = {"type": "object"}
_LIFE: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": int(stations.LONGEST_LIFE.total_seconds()),
    "default": int(stations.LIFE.total_seconds()),
}
_KEY: Final = parameter(
    IDEMPOTENCY,
    "header",
    {"type": "string", "minLength": 1, "maxLength": 64},
    "For a day, the same request under this key gets the same answer.",
)
_ID: Final = parameter("message_id", "path", TEXT, "`id` of a message.")
_PAGE: Final = [
    parameter("station", "query", STATION, "One station only."),
    parameter("action", "query", LINE, "One OCPP action only, such as CertificateSigned."),
    parameter(
        "state", "query", one((*MessageState, "all")), "Default: pending, what is to be sent."
    ),
    parameter("after", "query", LINE, "`next` of the page before."),
    parameter(
        "limit",
        "query",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
        "Messages on a page.",
    ),
]


def components() -> Schema:
    """Return the named schemas."""
    asked = {
        "station": STATION,
        "version": one(stations.VERSIONS) | {"default": "2.0.1"},
        "action": one(stations.ACTIONS),
        "payload": _OBJECT | {"description": "As the OCPP message has it; 1.6 as in 2.0.1."},
        "operator": LINE | {"description": "Default: the first party of the caller."},
        "lifeSeconds": _LIFE,
    }
    return {
        "StationMessage": exact(_message()),
        "StationMessagePage": exact(
            {"messages": many(ref("StationMessage")), "next": nullable(TEXT)}
        ),
        "StationAsk": exact(asked, optional=ASK - {"station", "action", "payload"}),
        "StationResult": _OBJECT
        | {
            "description": "The station's answer as it came (of OCPP 1.6 the DataTransfer's), or "
            "errorCode and errorDescription of its CALLERROR."
        },
        "OcppV16DataTransferRequest": _plain("DataTransferRequest"),
        "OcppV16DataTransferResponse": _plain("DataTransferResponse"),
    }


def _message() -> Schema:
    return {
        "id": TEXT,
        "station": TEXT,
        "operator": TEXT,
        "version": one(stations.VERSIONS),
        "action": one((*stations.ACTIONS, stations.SIGNED)),
        "call": TEXT | {"description": "What to send: `action`, or DataTransfer in OCPP 1.6."},
        "payload": nullable(_OBJECT),
        "state": one(MessageState),
        "createdAt": TIME,
        "createdBy": TEXT,
        "expiresAt": TIME,
        "certificate": nullable(FINGERPRINT),
        "answer": nullable(_OBJECT),
        "answeredAt": nullable(TIME),
    }


def _plain(message: str) -> Schema:
    """Return an official schema of OCPP 1.6 without what names it to the world."""
    return {k: v for k, v in schema("1.6", message).items() if k not in ("$schema", "$id", "id")}


def paths() -> Schema:
    """Return the paths."""
    found = {"200": good("The message.", ref("StationMessage"))}
    return {
        PATH: {"get": _list(), "post": _ask()},
        f"{PATH}/{{message_id}}": {
            "parameters": [_ID],
            "get": {
                "summary": "Return a message with the station's answer.",
                "responses": found | problems((*READ, 404), "OcppError", JSON),
            },
        },
        f"{PATH}/{{message_id}}/result": {
            "parameters": [_ID],
            "post": {
                "summary": "Say what the station answered; twice the same changes nothing.",
                "requestBody": body("StationResult"),
                "responses": found | problems((*WRITE, 404, 409), "OcppError", JSON),
            },
        },
        "/ocpp/1.6/DataTransfer": _transfer(),
    }


def _list() -> Schema:
    return {
        "summary": "List messages to stations, oldest first.",
        "parameters": _PAGE,
        "responses": {"200": good("A page.", ref("StationMessagePage"))}
        | problems(READ, "OcppError", JSON),
    }


def _ask() -> Schema:
    return {
        "summary": "Ask something of a station: the CSMS will fetch, send and answer it.",
        "parameters": [_KEY],
        "requestBody": body("StationAsk"),
        "responses": {"201": good("It waits.", ref("StationMessage"))}
        | problems((*WRITE, 422), "OcppError", JSON),
    }


def _transfer() -> Schema:
    return {
        "post": {
            "summary": "OCPP 1.6 DataTransfer: Plug & Charge inside of `data`.",
            "description": f"vendorId {stations.VENDOR}; messageId Authorize, SignCertificate, "
            "Get15118EVCertificate or GetCertificateStatus.",
            "parameters": [
                parameter("X-Station-Id", "header", STATION, "Station that asks."),
                parameter("X-Evse-Id", "header", STATION, "EVSE that the car stands at."),
            ],
            "requestBody": body("OcppV16DataTransferRequest"),
            "responses": {"200": good("Whatever it is.", ref("OcppV16DataTransferResponse"))}
            | problems((*WRITE, 429), "OcppError", JSON),
        }
    }
