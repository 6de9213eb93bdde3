"""
Who calls: credentials of a request to a `Principal`.

Bearer tokens, ours or OAuth2 access tokens; the same as `X-API-Key`, which clients of OPCP send.
Client certificates will be a further branch of `principal`; what a principal may do is asked inside
the verbs, never here.
"""

from __future__ import annotations

from flask import g, request

from pki import tokens
from pki.errors import Unauthenticated
from pki.model import Principal
from pki.ports import Deployment
from web.parsing import MAX_BEARER_TOKEN


def principal(deployment: Deployment) -> Principal:
    """
    Return who sent the current request.

    Raises:
        Unauthenticated: `token_missing`, `token_invalid`, `token_expired`.
        Unavailable: the store is out of reach.
    """
    found = tokens.authenticate(deployment, _token())
    g.client = found.name
    return found


def _token() -> str:
    """Return the bearer token, or else the API key; MaEVe sends its token as both."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        token = request.headers.get("X-API-Key", "").strip()
    if not token:
        raise Unauthenticated(
            "token_missing",
            "This path needs a bearer token.",
            hint="Send Authorization: Bearer …; `pnc client add` makes tokens.",
        )
    if len(token) > MAX_BEARER_TOKEN:
        raise Unauthenticated("token_invalid", "The bearer token is not valid.")
    return token
