"""
Who calls: credentials of a request to a `Principal`.

Bearer tokens, ours or OAuth2 access tokens; the same as `X-API-Key`, which clients of OPCP send;
HTTP Basic where a protocol uses it. What a principal may do is asked inside the verbs, never here.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Protocol
from urllib.parse import unquote_plus

from flask import g, request

from pki import tokens
from pki.errors import Unauthenticated
from pki.model import Principal
from pki.ports import Deployment
from web.parsing import MAX_BEARER_TOKEN

MAX_CREDENTIALS: Final = 1024
"""Characters of id and secret of HTTP Basic."""


def principal(deployment: Deployment) -> Principal:
    """
    Return who sent the current request.

    Raises:
        Unauthenticated: `token_missing`, `token_invalid`, `token_expired`.
        Unavailable: the store is out of reach.
    """
    found = tokens.authenticate(deployment, token_of(request.headers))
    g.client = found.name
    return found


def principal_or_client(deployment: Deployment) -> Principal:
    """Return who sent the current request, also by HTTP Basic; errors as `principal`."""
    credentials = basic_credentials()
    if credentials is None:
        return principal(deployment)
    found = tokens.of_client(deployment, *credentials)
    g.client = found.name
    return found


def basic_credentials() -> tuple[str, str] | None:
    """
    Return id and secret of HTTP Basic (RFC 7617), or None where another scheme was used.

    Percent-encoding is undone, as RFC 6749 2.3.1 has it; ids and secrets of ours need none.

    Raises:
        Unauthenticated: `client_invalid`.
    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _unreadable() from error
    client_id, separator, secret = text.partition(":")
    if not separator or len(text) > MAX_CREDENTIALS:
        raise _unreadable()
    return unquote_plus(client_id), unquote_plus(secret)


def _unreadable() -> Unauthenticated:
    return Unauthenticated("client_invalid", "The Basic credentials cannot be read.")


class Headers(Protocol):
    """Header fields by name, as Flask has them, or by names in lower case."""

    def get(self, name: str, default: str, /) -> str:
        """Return a field, or the default."""


def token_of(headers: Headers) -> str:
    """
    Return the bearer token, or else the API key; MaEVe sends its token as both.

    Raises:
        Unauthenticated: `token_missing`, `token_invalid`.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        token = headers.get("x-api-key", "").strip()
    if not token:
        raise Unauthenticated(
            "token_missing",
            "This path needs a bearer token.",
            hint="Send Authorization: Bearer …; `pnc client add` makes tokens.",
        )
    if len(token) > MAX_BEARER_TOKEN:
        raise Unauthenticated("token_invalid", "The bearer token is not valid.")
    return token
