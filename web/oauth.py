"""
The token endpoint (RFC 6749 4.4) and the keys of its tokens (RFC 7517).

Read tolerantly, as the clients of the field ask: MaEVe sends JSON without `audience`, EVerest JSON
with it, CitrineOS a form; libraries send HTTP Basic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from pki import tokens
from pki.errors import BadInput, Unauthenticated
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import json_object, require_plain

FORM: Final = "application/x-www-form-urlencoded"
GRANT: Final = "client_credentials"
MAX_BODY: Final = 8 * 1024
MAX_FIELD: Final = 1024

_FIELDS: Final = ("grant_type", "client_id", "client_secret", "audience")


@dataclass(frozen=True, slots=True)
class Oauth:
    """The handlers, over one installation."""

    deployment: Deployment

    def token(self) -> Response:
        """Hand out an access token."""
        fields = _fields()
        client_id, secret = _credentials(fields)
        if not fields.get("grant_type"):
            raise BadInput("grant_type_missing", "The parameter grant_type is missing.")
        if fields["grant_type"] != GRANT:
            raise BadInput("grant_type_unsupported", f"Only {GRANT} is granted here.")
        g.client = client_id[:100]
        granted = tokens.grant(self.deployment, client_id, secret, fields.get("audience") or None)
        body = {
            "access_token": granted.text,
            "token_type": "Bearer",
            "expires_in": granted.expires_in,
            "scope": granted.scope,
        }
        return json_answer(body, headers={"Pragma": "no-cache"})

    def keys(self) -> Response:
        """Return the JWKS."""
        headers = {"Cache-Control": "public, max-age=300"}
        return json_answer({"keys": tokens.published(self.deployment)}, headers=headers)


def _fields() -> dict[str, str]:
    """Return the parameters that we know; others are ignored (RFC 6749 3.2)."""
    require_plain(request.headers.get("Content-Encoding"))
    if request.mimetype == FORM:
        return _form()
    if request.mimetype == "application/json":
        body = json_object(request, MAX_BODY)
        found = {name: body[name] for name in _FIELDS if body.get(name) is not None}
    else:
        raise UnsupportedMediaType
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    if len(texts) != len(found):
        raise BadInput("wrong_type", "A parameter is no text.")
    return _bounded(texts)


def _form() -> dict[str, str]:
    if (request.content_length or 0) > MAX_BODY:
        raise RequestEntityTooLarge
    request.max_content_length = request.max_form_memory_size = MAX_BODY
    request.max_form_parts = 100
    if any(len(values) > 1 for name, values in request.form.lists() if name in _FIELDS):
        raise BadInput("parameter_repeated", "A parameter stands twice.")
    return _bounded({name: request.form[name] for name in _FIELDS if name in request.form})


def _bounded(fields: dict[str, str]) -> dict[str, str]:
    if any(len(value) > MAX_FIELD for value in fields.values()):
        raise BadInput("too_long", f"A parameter has more than {MAX_FIELD} characters.")
    return fields


def _credentials(fields: dict[str, str]) -> tuple[str, str]:
    """Return id and secret, from the header or the body but not from both (RFC 6749 2.3)."""
    header = auth.basic_credentials()
    if header is None:
        if not fields.get("client_id") or not fields.get("client_secret"):
            raise Unauthenticated("client_missing", "client_id and client_secret are missing.")
        return fields["client_id"], fields["client_secret"]
    if "client_secret" in fields or fields.get("client_id", header[0]) != header[0]:
        raise BadInput("credentials_repeated", "Credentials stand in the header and in the body.")
    return header


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("oauth", __name__)
    handlers = Oauth(deployment)
    routes.add_url_rule("/oauth/token", "token", handlers.token, methods=["POST"])
    routes.add_url_rule("/.well-known/jwks.json", "keys", handlers.keys)
    return routes
