"""
One exception tree with stable codes; no HTTP, no logging.

A rejected contract is a value (`pki.model.Rejected`), never an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

JsonValue = str | int | bool | list[str] | None

_NO_DATA: Final[Mapping[str, JsonValue]] = {}


class PkiError(Exception):
    """
    Something the caller can react to. Never raised directly.

    Args:
        code: stable identifier in snake_case, part of the interface.
        message: one sentence that says what is wrong, safe to show to the caller.
        hint: what to do next, or None.
        data: further facts (findings, serial, limit), JSON-ready and free of secrets.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        data: Mapping[str, JsonValue] = _NO_DATA,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.data = dict(data)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class BadInput(PkiError):
    """The caller sent something that cannot be read or breaks a limit."""


class Unauthenticated(PkiError):
    """We do not know who is calling."""


class NotAllowed(PkiError):
    """We know who is calling, and this is not theirs to do."""


class NotFound(PkiError):
    """What was named does not exist, or not for this caller."""


class Conflict(PkiError):
    """The request contradicts what is already there (revoked already, ambiguous, taken)."""


class PolicyViolation(PkiError):
    """Readable, but a profile, a lint or a key rule forbids it."""


class ApprovalNeeded(PkiError):
    """Nothing was done yet: the act is proposed and waits for other people's approval."""


class ConsentNeeded(PkiError):
    """A request for a certificate waits until somebody accepts it; sent again, it asks again."""


class RateLimited(PkiError):
    """The caller asks too often; `data["retryAfter"]` says in how many seconds to ask again."""


class Unavailable(PkiError):
    """We could not decide or act now: store, signer or clock is not to be trusted."""
