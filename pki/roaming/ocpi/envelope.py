"""The envelope around every OCPI answer."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from pki.errors import BadInput
from pki.roaming.ocpi.text import format_time

MAX_MESSAGE: Final = 255


class Status(IntEnum):
    """Status codes of OCPI."""

    OK = 1000
    CLIENT_ERROR = 2000
    INVALID = 2001
    TOO_LITTLE = 2002
    UNKNOWN_LOCATION = 2003
    UNKNOWN_TOKEN = 2004
    SERVER_ERROR = 3000
    CANNOT_USE_CLIENT = 3001
    VERSION = 3002
    ENDPOINTS_MISSING = 3003
    HUB_ERROR = 4000
    UNKNOWN_RECEIVER = 4001
    HUB_TIMEOUT = 4002
    NOT_CONNECTED = 4003


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a partner answered: code, message and data of any JSON type."""

    status: int
    message: str | None
    data: object

    @property
    def good(self) -> bool:
        """Tell whether the code is one of success (1xxx)."""
        return 1000 <= self.status < 2000  # noqa: PLR2004 - the range of the specification

    @classmethod
    def parse(cls, body: object) -> Self:
        """
        Read an answer; a missing timestamp is forgiven, a missing code is not.

        Raises:
            BadInput: `ocpi_no_envelope`.
        """
        if isinstance(body, dict):
            code, message = body.get("status_code"), body.get("status_message")
            if isinstance(code, int) and not isinstance(code, bool):
                shown = message[:MAX_MESSAGE] if isinstance(message, str) else None
                return cls(status=code, message=shown, data=body.get("data"))
        raise BadInput("ocpi_no_envelope", "The answer is no OCPI envelope.")


def envelope(
    now: dt.datetime, data: object = None, *, status: int = Status.OK, message: str | None = None
) -> dict[str, object]:
    """Return the body of an answer; `data` is left out where there is none."""
    body: dict[str, object] = {} if data is None else {"data": data}
    body["status_code"] = int(status)
    if message is not None:
        body["status_message"] = message[:MAX_MESSAGE]
    body["timestamp"] = format_time(now)
    return body
