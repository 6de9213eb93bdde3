"""The token endpoint and its keys, as `/openapi.json` tells them."""

from __future__ import annotations

from web.answers import JSON
from web.oauth import FORM, GRANT, MAX_FIELD
from web.openapi_words import MEANING, good, open_get
from web.schemas import COUNT, TEXT, Schema, exact, many, ref


def components() -> Schema:
    """Return the named schemas."""
    line = {"type": "string", "minLength": 1, "maxLength": MAX_FIELD}
    request = {
        "type": "object",
        "description": "Credentials may stand in HTTP Basic instead. Other parameters are ignored.",
        "properties": {
            "grant_type": {"const": GRANT},
            "client_id": line,
            "client_secret": line | {"description": "The token that `pnc client add` showed."},
            "audience": line | {"description": "A name of this service; may be left out."},
        },
        "required": ["grant_type"],
    }
    answer = {
        "access_token": TEXT,
        "token_type": {"const": "Bearer"},
        "expires_in": COUNT | {"description": "Seconds."},
        "scope": TEXT,
    }
    error = {"error": TEXT, "error_description": TEXT, "code": TEXT, "requestId": TEXT}
    members = ("kid", "kty", "crv", "x", "y", "alg", "use")
    return {
        "TokenRequest": request,
        "TokenAnswer": exact(answer),
        "TokenError": exact(error),
        "JwkSet": exact({"keys": many(exact(dict.fromkeys(members, TEXT)))}),
    }


def paths() -> Schema:
    """Return the paths."""
    errors = {
        str(status): good(MEANING[status], ref("TokenError"))
        for status in (400, 401, 413, 415, 429, 500, 503)
    }
    asked = {"schema": ref("TokenRequest")}
    return {
        "/oauth/token": {
            "post": {
                "summary": "Access token for a client (OAuth2 client credentials).",
                "security": [{"client": []}, {}],
                "requestBody": {"required": True, "content": {JSON: asked, FORM: asked}},
                "responses": {"200": good("A JWT.", ref("TokenAnswer"))} | errors,
            }
        },
        "/.well-known/jwks.json": open_get(
            "Keys that verify our access tokens.", good("A JWKS.", ref("JwkSet")), (500, 503)
        ),
    }
