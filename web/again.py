"""Answers of the paths that decide, to be given once more under another id and time."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Final

import orjson

from pki.access import TOKEN_PREFIX
from pki.authorize import Authorised
from pki.clock import format_time
from pki.errors import Unauthenticated
from pki.model import Repetition
from pki.validate.repeats import later_verdict
from web.answers import JSON
from web.auth import token_of
from web.hot import HotRequest, HotResponse
from web.ocpp import REFERENCE

_ASKED: Final = ("content-type", "content-encoding", "x-evse-id", "x-station-id")
"""Header fields that the question depends on, besides the token."""

_ID: Final = secrets.token_hex(16)
_AT: Final = secrets.token_hex(16)
"""Stand where an id and a time will; nobody outside of this process can know them."""


def asked_by(request: HotRequest) -> Callable[[bytes], bytes] | None:
    """
    Return what names questions of this caller at this place by their bodies, each octet of them.

    None where they may not be remembered: only a token of ours holds until we say otherwise.
    """
    try:
        token = token_of(request.headers)
    except Unauthenticated:
        return None
    if not token.startswith(TOKEN_PREFIX):
        return None
    fields = [request.headers.get(name, "") for name in _ASKED]
    # no field has a line feed in it, so that nothing else is written alike
    told = "\n".join((request.raw_path, token, *fields, ""))
    begun = hashlib.sha256(told.encode("utf-8", "surrogateescape"))

    def asked(body: bytes) -> bytes:
        whole = begun.copy()
        whole.update(body)
        return whole.digest()

    return asked


class Told:
    """
    One answer of either path.

    Args:
        protocol: `v1` or `ocpp`.
    """

    __slots__ = ("_body", "_template", "counted")

    def __init__(self, protocol: str, found: Authorised, body: bytes) -> None:
        self.counted = protocol, found.outcome
        self._body = body
        self._template: bytes | None = None

    @property
    def octets(self) -> int:
        """How much is kept."""
        return len(self._body)

    def again(self, receipt: Repetition) -> HotResponse:
        """Return the answer under a later receipt."""
        if self.counted[0] == "ocpp":
            headers = {"Content-Type": JSON, REFERENCE: receipt.decision_id}
            return HotResponse(status=200, headers=headers, body=self._body)
        if self._template is None:
            self._template = _template(self._body)
            self._body = b""
        told = {
            b"id": receipt.decision_id.encode(),
            b"at": format_time(receipt.decided_at).encode(),
        }
        return HotResponse(status=200, headers={"Content-Type": JSON}, body=self._template % told)


def _template(body: bytes) -> bytes:
    """Return an explained verdict with places for the id and the time of a later one."""
    told = later_verdict(orjson.loads(body), _ID, _AT)
    told["authorisation"] |= {"reference": _ID, "at": _AT}
    octets = orjson.dumps(told).replace(b"%", b"%%")
    return octets.replace(_ID.encode(), b"%(id)b").replace(_AT.encode(), b"%(at)b")
