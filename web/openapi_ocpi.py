"""The door of OCPI, as `/openapi.json` tells it; what lies behind is OCPI's own specification."""

from __future__ import annotations

from typing import Final

from pki.model import CommandState, CredentialKind
from pki.roaming.ocpi.commands import Command, Result
from web.answers import JSON, PROBLEM
from web.openapi_words import READ, WRITE, body, good, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE
from web.schemas import LINE, TEXT, Schema, exact, many, nullable, one, ref

DOOR: Final = "/ocpi/versions"


def components() -> Schema:
    """Return the named schemas."""
    version = {
        "type": "object",
        "properties": {"version": TEXT, "url": TEXT},
        "required": ["version", "url"],
    }
    short = {"type": "string", "maxLength": 36}
    names = ("uid", "locationId", "evseUid", "connectorId", "sessionId")
    order = {"command": one(Command), "cpo": LINE, "kind": one(CredentialKind)}
    order |= dict.fromkeys(names, short)
    command = {
        **dict.fromkeys(("commandId", "command", "party", "partnerId"), TEXT),
        **dict.fromkeys(("createdAt", "expiresAt"), TEXT),
        "request": {"type": "object", "description": "The body of the command, as OCPI has it."},
    }
    return {
        "CommandOrder": {
            "type": "object",
            "properties": order,
            "required": ["command", "cpo"],
            "additionalProperties": False,
        },
        "SentCommand": exact(
            {n: s for n, s in command.items() if n != "request"}
            | {"state": one(CommandState), "result": nullable(TEXT)}
        ),
        "CommandPage": exact({"commands": many(exact(command)), "next": nullable(TEXT)}),
        "CommandResult": exact({"result": one(Result)}),
        "CommandAnswered": exact({"commandId": TEXT, "result": one(Result)}),
        "OcpiAnswer": {
            "type": "object",
            "properties": {
                "data": {},
                "status_code": {"type": "integer"},
                "status_message": TEXT,
                "timestamp": TEXT,
            },
            "required": ["status_code", "timestamp"],
        },
        "OcpiVersions": {
            "type": "object",
            "properties": {
                "data": many(version),
                "status_code": {"const": 1000},
                "timestamp": TEXT,
            },
            "required": ["data", "status_code", "timestamp"],
        },
    }


def paths() -> Schema:
    """Return the door; partners find the paths behind it by their endpoints."""
    return _commands() | {
        DOOR: {
            "get": {
                "summary": "The OCPI versions that we speak (2.2.1 and 2.3.0).",
                "description": "Authorization: Token …, as `pnc partner add` showed it.",
                "security": [{"ocpi": []}],
                "responses": {"200": good("The versions.", ref("OcpiVersions"))}
                | problems((401, 500, 503), "OcpiAnswer", JSON),
            }
        }
    }


def _commands() -> Schema:
    page = [
        parameter("after", "query", LINE, "`next` of the page before."),
        parameter(
            "limit",
            "query",
            {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
            "Commands on a page.",
        ),
    ]
    reference = parameter("command_id", "path", TEXT, "`commandId` of a command that waits.")
    return {
        "/v1/commands": {
            "get": {
                "summary": "Remote starts and stops that wait for the caller's CPOs.",
                "parameters": page,
                "responses": {"200": good("A page.", ref("CommandPage"))}
                | problems(READ, "Problem", PROBLEM),
            },
            "post": {
                "summary": "Send a remote start or stop of an eMSP to a CPO partner.",
                "requestBody": body("CommandOrder"),
                "responses": {"202": good("The CPO took it.", ref("SentCommand"))}
                | problems((*WRITE, 404, 422), "Problem", PROBLEM),
            },
        },
        "/v1/commands/{command_id}": {
            "parameters": [reference],
            "get": {
                "summary": "What became of a command that the caller's eMSP sent.",
                "responses": {"200": good("It.", ref("SentCommand"))}
                | problems((*READ, 404), "Problem", PROBLEM),
            },
        },
        "/v1/commands/{command_id}/result": {
            "parameters": [reference],
            "post": {
                "summary": "Say what the station did; the partner is told once.",
                "requestBody": body("CommandResult"),
                "responses": {"200": good("Taken.", ref("CommandAnswered"))}
                | problems((*WRITE, 404), "Problem", PROBLEM),
            },
        },
    }
