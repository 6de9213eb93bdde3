"""`/openapi.json`: what this service speaks; tests hold it against every route and every answer."""

from __future__ import annotations

from typing import Final

import orjson
from flask import Blueprint, Response

from pki import __version__
from pki.expiry import MAX_DAYS
from pki.pkix.profiles import Kind
from web import (
    ocpp_install,
    ocpp_sessions,
    ocpp_stations,
    ocpp_status,
    openapi_admin,
    openapi_agreements,
    openapi_enrolments,
    openapi_est,
    openapi_oauth,
    openapi_ocpi,
    openapi_pools,
    openapi_roaming,
    openapi_stations,
)
from web.answers import JSON, PROBLEM
from web.openapi_words import OPEN, READ, WRITE, body, good, open_get, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE, MAX_STATION_ID
from web.repeated import IDEMPOTENCY
from web.schemas import (
    FINGERPRINT,
    LINE,
    OCPP_ACTIONS,
    SERIAL,
    TEXT,
    TIME,
    Schema,
    components,
    exact,
    many,
    nullable,
    ocpp_name,
    one,
    ref,
)
from web.status import REQUEST_TYPE, RESPONSE_TYPE

_REFERENCE: Final = parameter(
    "reference", "path", TEXT, "Serial number or SHA-256 fingerprint, in hexadecimal."
)


_KEY: Final = parameter(
    IDEMPOTENCY,
    "header",
    {"type": "string", "minLength": 1, "maxLength": 64},
    "With a CSR: for a day, the same request under this key gets the same certificate.",
)


def _certificates() -> Schema:
    search = [
        parameter("kind", "query", one(Kind), "Kind of certificate."),
        parameter("owner", "query", LINE, "Owning party."),
        parameter("commonName", "query", LINE, "The CN, exactly."),
        parameter("after", "query", FINGERPRINT, "`next` of the page before."),
        parameter(
            "limit",
            "query",
            {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
            "Certificates on a page.",
        ),
    ]
    return {
        "get": {
            "summary": "Search certificates, ordered by fingerprint.",
            "parameters": search,
            "responses": {"200": good("A page.", ref("CertificatePage"))}
            | problems(READ, "Problem", PROBLEM),
        },
        "post": {
            "summary": "Issue a leaf certificate.",
            "parameters": [_KEY],
            "requestBody": body("IssueRequest"),
            "responses": {
                "202": good("Somebody must accept it; send it again.", ref("EnrolmentWaits")),
                "201": good("Issued.", ref("IssuedCertificate"))
                | {"headers": {"Location": {"schema": TEXT}}},
            }
            | problems((*WRITE, 404, 409, 422, 429), "Problem", PROBLEM),
        },
    }


def _expiring() -> Schema:
    whole = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE}
    days = {"type": "integer", "minimum": 0, "maximum": MAX_DAYS, "default": 30}
    asked = [
        parameter("days", "query", days, "Within how many days."),
        parameter("kind", "query", one(Kind), "Kind of certificate."),
        parameter("owner", "query", LINE, "Owning party."),
        parameter("issuer", "query", LINE, "Issuer id."),
        parameter("after", "query", LINE, "`next` of the page before."),
        parameter("limit", "query", whole, "Certificates on a page."),
    ]
    return {
        "get": {
            "summary": "List certificates in force that end soon, the soonest first.",
            "parameters": asked,
            "responses": {"200": good("A page.", ref("ExpiringPage"))}
            | problems(READ, "Problem", PROBLEM),
        }
    }


def _expiring_page() -> Schema:
    names = ("fingerprint", "commonName", "kind", "issuer", "owner")
    one_of_them = exact(
        {"serialNumber": SERIAL, "notAfter": TIME, "renewed": {"type": "boolean"}}
        | dict.fromkeys(names, TEXT)
    )
    place = nullable(TEXT) | {"description": "The `after` of the following page."}
    return exact({"certificates": many(one_of_them), "next": place})


def _certificate() -> Schema:
    return {
        "parameters": [_REFERENCE],
        "get": {
            "summary": "Return a certificate with its status.",
            "responses": {"200": good("Found.", ref("FoundCertificate"))}
            | problems((*READ, 404, 409), "Problem", PROBLEM),
        },
    }


def _revoke() -> Schema:
    return {
        "parameters": [_REFERENCE],
        "post": {
            "summary": "Revoke a certificate, or say what that would do.",
            "requestBody": body("RevokeRequest"),
            "responses": {"200": good("What was done.", ref("RevocationReport"))}
            | openapi_admin.proposed()
            | problems((*WRITE, 404, 409), "Problem", PROBLEM),
        },
    }


def _validate() -> Schema:
    return {
        "post": {
            "summary": "Decide whether a contract may charge, with reasons.",
            "requestBody": body("ValidateRequest"),
            "responses": {"200": good("The verdict, whichever it is.", ref("Verdict"))}
            | problems(WRITE, "Problem", PROBLEM),
        }
    }


def _release() -> Schema:
    return {
        "parameters": [_REFERENCE],
        "post": {
            "summary": "Release a certificate from hold, or say what that would do.",
            "requestBody": body("ReleaseRequest"),
            "responses": {"200": good("What was done.", ref("ReleaseReport"))}
            | openapi_admin.proposed()
            | problems((*WRITE, 404, 409), "Problem", PROBLEM),
        },
    }


_STATION: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MAX_STATION_ID}
_KNOWN: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 36}
_OCPP: Final[dict[str, tuple[str, list[Schema]]]] = {
    ocpp_sessions.MESSAGE: (
        "begin and end of a session (E01 to E07), tied to its authorisation.",
        [
            parameter("X-Station-Id", "header", _STATION, "Station that tells of it."),
            parameter("X-Evse-Id", "header", _STATION, "EVSE that the car stands at."),
            parameter(
                "X-Authorization-Reference",
                "header",
                _KNOWN,
                "As `Authorize` answered; without it, the token is authorised now.",
            ),
        ],
    ),
    "Authorize": (
        "may this contract charge (C07)?",
        [
            parameter("X-Station-Id", "header", _STATION, "Station that the car stands at."),
            parameter("X-Evse-Id", "header", _STATION, "EVSE that the car stands at."),
        ],
    ),
    ocpp_status.SINGLE: ("our OCSP answer about a certificate (M06).", []),
    ocpp_install.ACTION: ("a contract for a car, or why there is none (M01, M02).", []),
    ocpp_stations.ACTION: (
        "a certificate for a station, which then waits at `/ocpp/pending` (A02, A03).",
        [parameter("X-Station-Id", "header", _STATION, "Station that asks; or `?station=`.")],
    ),
    ocpp_status.CHAIN: ("the status of up to four certificates (M07).", []),
}
"""Action to what it is for and its parameters."""


def _ocpp(version: str, action: str) -> Schema:
    meaning, parameters = _OCPP[action]
    statuses = (*WRITE, 429) if action == ocpp_stations.ACTION else WRITE
    request, response = (ocpp_name(version, f"{action}{end}") for end in ("Request", "Response"))
    return {
        "post": {
            "summary": f"OCPP {version} {action}: {meaning}",
            "parameters": parameters,
            "requestBody": body(request),
            "responses": {"200": good(f"The {action}Response, whichever it is.", ref(response))}
            | problems(statuses, "OcppError", JSON),
        }
    }


def _operations() -> Schema:
    health = good("It does.", ref("Health"))
    metrics = {
        "get": {
            "summary": "Counters for Prometheus.",
            "description": "Open to a peer on the loopback interface without a proxy between.",
            "security": [{"bearer": []}, {"apiKey": []}, {}],
            "responses": {"200": good("Text exposition format.", TEXT, "text/plain")}
            | problems((401, 403, 500, 503), "Problem", PROBLEM),
        }
    }
    return {
        "/healthz/live": open_get("Does the process answer?", health),
        "/healthz/ready": open_get("Does the store answer?", health, (500, 503)),
        "/metrics": metrics,
        "/docs": open_get("The same as a page to read.", good("HTML.", TEXT, "text/html")),
        "/openapi.json": open_get("This document.", good("It.", {"type": "object"})),
        "/v1/issuers": open_get("Our CAs.", good("All of them.", ref("IssuerList")), (500, 503)),
    }


_BINARY: Final[Schema] = {"type": "string", "format": "binary"}
_ISSUER: Final = parameter("issuer", "path", TEXT, "Name of an issuer, such as mo2-2.")
_UNCHANGED: Final = {"304": {"description": "The caller holds the newest one."}}


def _ocsp_post() -> Schema:
    bare = {413: "The request is too large.", 415: f"The body is not {REQUEST_TYPE}."}
    return {
        "summary": "OCSP (RFC 6960): status of certificates that we issued.",
        "security": OPEN,
        "requestBody": {"required": True, "content": {REQUEST_TYPE: {"schema": _BINARY}}},
        "responses": {"200": good("An OCSPResponse, errors included.", _BINARY, RESPONSE_TYPE)}
        | {str(status): {"description": meaning} for status, meaning in bare.items()}
        | problems((500,), "Problem", PROBLEM),
    }


def _ocsp_get(description: str) -> Schema:
    return {
        "summary": "OCSP (RFC 6960 appendix A), with caching as RFC 5019 wants it.",
        "description": description,
        "security": OPEN,
        "responses": {"200": good("An OCSPResponse, errors included.", _BINARY, RESPONSE_TYPE)}
        | _UNCHANGED
        | problems((500,), "Problem", PROBLEM),
    }


def _file(summary: str, media_type: str, *parameters: Schema) -> Schema:
    item = open_get(summary, good("DER.", _BINARY, media_type), (404, 500, 503))
    item["get"]["responses"] |= _UNCHANGED
    return {"parameters": [_ISSUER, *parameters]} | item


def _status() -> Schema:
    encoded = parameter("request", "path", TEXT, "DER OCSPRequest in base64, escaped or not.")
    shard = parameter("shard", "path", {"type": "integer", "minimum": 0}, "0 for the full CRL.")
    crl = "application/pkix-crl"
    return {
        "/ocsp": {
            "get": _ocsp_get("Without a request in the path the answer is malformedRequest."),
            "post": _ocsp_post(),
        },
        "/ocsp/{request}": {
            "parameters": [encoded],
            "get": _ocsp_get("Slashes of the request may stand as they are, even merged."),
        },
        "/crl/{issuer}": _file(
            "The full CRL of an issuer (generation n from the second on: `name.gn`).", crl
        ),
        "/crl/{issuer}/{shard}": _file("One of the CRLs that certificates name.", crl, shard),
        "/ca/{issuer}": _file(
            "Certificate of a CA, named as for its CRL.", "application/pkix-cert"
        ),
    }


_SECURITY: Final[Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `pnc client add`, or one of /oauth/token.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same token.",
    },
    "ocpi": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token` and a credentials token in base64, for /ocpi/ alone.",
    },
    "client": {
        "type": "http",
        "scheme": "basic",
        "description": "client_id and client_secret, for /oauth/token and EST.",
    },
}


def document(public_url: str) -> Schema:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PnC PKI",
            "summary": "Issues, validates and revokes ISO 15118 certificates.",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": {
            "/v1/contracts/validate": _validate(),
            "/v1/certificates": _certificates(),
            "/v1/certificates/expiring": _expiring(),
            "/v1/certificates/{reference}": _certificate(),
            "/v1/certificates/{reference}/revoke": _revoke(),
            "/v1/certificates/{reference}/release": _release(),
            **{
                f"/ocpp/{version}/{action}": _ocpp(version, action)
                for version, action in OCPP_ACTIONS
            },
            **_status(),
            **_operations(),
            **openapi_admin.paths(),
            **openapi_oauth.paths(),
            **openapi_est.paths(),
            **openapi_pools.paths(),
            **openapi_ocpi.paths(),
            **openapi_roaming.paths(),
            **openapi_agreements.paths(),
            **openapi_stations.paths(),
            **openapi_enrolments.paths(),
        },
        "components": {
            "schemas": components()
            | {"ExpiringPage": _expiring_page()}
            | openapi_admin.components()
            | openapi_oauth.components()
            | openapi_pools.components()
            | openapi_ocpi.components()
            | openapi_roaming.components()
            | openapi_agreements.components()
            | openapi_stations.components()
            | openapi_enrolments.components(),
            "securitySchemes": _SECURITY,
        },
    }


def blueprint(public_url: str) -> Blueprint:
    """Return the route; the document is written once."""
    routes = Blueprint("openapi", __name__)
    text = orjson.dumps(document(public_url))

    def openapi() -> Response:
        return Response(text, content_type=JSON)

    routes.add_url_rule("/openapi.json", "openapi", openapi)
    return routes
