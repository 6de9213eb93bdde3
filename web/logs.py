"""
Structured logs: one JSON object a line, with a request id, never a secret.

Headers, queries and bodies are not logged. Should an exception carry a token or a PEM block in its
message all the same, the formatter blots it out.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

import orjson
from flask import g, request

from pki.access import TOKEN_PREFIX
from pki.authorize import Authorised
from pki.clock import Clock, SystemClock, format_time
from pki.model import Rejected

REQUESTS: Final = logging.getLogger("pnc.requests")
ERRORS: Final = logging.getLogger("pnc.errors")

_MAX_PATH: Final = 200
_SECRETS: Final = re.compile(
    rf"{TOKEN_PREFIX}[A-Za-z0-9_-]+"
    r"|-----BEGIN [A-Z0-9 ]+-----[^-]*(?:-----END [A-Z0-9 ]+-----)?"
    r"|(?i:bearer|basic)\s+\S+"
    r"|eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_.-]+"
)


class JsonFormatter(logging.Formatter):
    """One line of JSON per record; `extra={"fields": {...}}` adds members."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock or SystemClock()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told: dict[str, Any] = {"level": record.levelname.lower(), "event": record.getMessage()}
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        now = format_time(self._clock.now())
        return orjson.dumps({"ts": now} | {k: _hidden(v) for k, v in told.items()}).decode()


def config(level: str = "INFO") -> dict[str, Any]:
    """Return the set-up for `logging.config.dictConfig`: everything to standard error as JSON."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "web.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": ["stderr"], "propagate": False},
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }


def fields_of_request() -> dict[str, Any]:
    """Return what every line about the current request says."""
    return {
        "requestId": g.request_id,
        "client": g.get("client"),
        "method": _plain(request.method),
        "path": _plain(request.path),
    }


def note_authorisation(found: Authorised) -> None:
    """Have the line of the current request name the receipt, and why it refuses."""
    g.decision = found.authorisation.reference
    if found.decision is not None and isinstance(found.decision.verdict, Rejected):
        g.fault = found.decision.verdict.fault.value
    elif found.authorisation.fault is not None:
        g.fault = found.authorisation.fault.value


def request_line(status: int, milliseconds: float) -> None:
    """Write the one line of a request."""
    fields = fields_of_request() | {"status": status, "ms": round(milliseconds, 2)}
    for name in ("decision", "fault", "code"):
        if g.get(name) is not None:
            fields[name] = g.get(name)
    REQUESTS.info("request", extra={"fields": fields})


def _hidden(value: object) -> object:
    """Blot out secrets and what is not Unicode."""
    if not isinstance(value, str):
        return value
    return _SECRETS.sub("[hidden]", value.encode("utf-8", "replace").decode())


def _plain(text: str) -> str:
    """Return printable ASCII of bounded length: a path must not write a line of its own."""
    cut = text[:_MAX_PATH]
    return "".join(c if " " <= c <= "~" else "?" for c in cut)
