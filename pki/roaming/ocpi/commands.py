"""Commands for remote start and stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.shapes import Json, Shape, ci, needed_text, one_of, shape, text_of
from pki.roaming.ocpi.tokens import Token
from pki.roaming.ocpi.versions import Version


class Command(StrEnum):
    """The commands that we take; others are answered with NOT_SUPPORTED."""

    START_SESSION = "START_SESSION"
    STOP_SESSION = "STOP_SESSION"


ALL_COMMANDS: Final = (*Command, "CANCEL_RESERVATION", "RESERVE_NOW", "UNLOCK_CONNECTOR")


class Response(StrEnum):
    """The answer at once."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class Result(StrEnum):
    """The answer of the station, later."""

    ACCEPTED = "ACCEPTED"
    CANCELED_RESERVATION = "CANCELED_RESERVATION"
    EVSE_OCCUPIED = "EVSE_OCCUPIED"
    EVSE_INOPERATIVE = "EVSE_INOPERATIVE"
    FAILED = "FAILED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TIMEOUT = "TIMEOUT"
    UNKNOWN_RESERVATION = "UNKNOWN_RESERVATION"


_START: Final = shape(
    {"response_url": shapes.url, "token": shapes.any_object, "location_id": ci(36)},
    {"evse_uid": ci(36), "connector_id": ci(36), "authorization_reference": ci(36)},
)
_STOP: Final = shape({"response_url": shapes.url, "session_id": ci(36)})
_SHAPES: Final[Mapping[Command, Shape]] = {
    Command.START_SESSION: _START,
    Command.STOP_SESSION: _STOP,
}
_RESPONSE: Final = shape({"result": one_of(Response)}, {"timeout": shapes.integer})
_RESULT: Final = shape({"result": one_of(Result)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest:
    """
    A command of an eMSP.

    Attributes:
        response_url: where the station's answer is to go.
        token: of START_SESSION; it is not authorised again.
        session_id: of STOP_SESSION.
    """

    command: Command
    response_url: str
    token: Token | None = None
    location_id: str | None = None
    evse_uid: str | None = None
    connector_id: str | None = None
    authorization_reference: str | None = None
    session_id: str | None = None

    @classmethod
    def parse(cls, command: Command, data: object, version: Version) -> Self:
        """Read a command. Raises BadInput (`ocpi_…`)."""
        _SHAPES[command].check(data)
        values: Json = data if isinstance(data, dict) else {}
        start = command is Command.START_SESSION
        return cls(
            command=command,
            response_url=needed_text(values, "response_url"),
            token=Token.parse(values["token"], version) if start else None,
            location_id=text_of(values, "location_id"),
            evse_uid=text_of(values, "evse_uid"),
            connector_id=text_of(values, "connector_id"),
            authorization_reference=text_of(values, "authorization_reference"),
            session_id=text_of(values, "session_id"),
        )


def response_json(result: Response, timeout: int) -> Json:
    """Return the answer at once; `timeout` in seconds."""
    return {"result": result.value, "timeout": timeout}


def parse_response(data: object) -> Response:
    """Read a partner's answer at once. Raises BadInput (`ocpi_…`)."""
    _RESPONSE.check(data)
    return Response(needed_text(data, "result") if isinstance(data, dict) else "")


def parse_result(data: object) -> Result:
    """Read the later answer. Raises BadInput (`ocpi_…`)."""
    _RESULT.check(data)
    return Result(needed_text(data, "result") if isinstance(data, dict) else "")
