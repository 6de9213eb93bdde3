"""JSON schemas of what we take and give (JSON Schema 2020-12, as OpenAPI 3.1 has it)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pki.ids import Edition
from pki.model import (
    Allowed,
    AuthorisationFault,
    CredentialKind,
    Fault,
    IssuerState,
    Reason,
    Status,
    Whitelist,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from web import ocpp_install, ocpp_stations, ocpp_status
from web.issue_request import LEAF_KINDS
from web.ocpp import VERSIONS, schema
from web.parsing import MAX_CERTIFICATES, MAX_HASH_DATA, MAX_TEXT

Schema = dict[str, Any]

OCPP_ACTIONS: Final = (
    *((version, "Authorize") for version in VERSIONS),
    *((version, "TransactionEvent") for version in VERSIONS),
    *((version, ocpp_status.SINGLE) for version in VERSIONS),
    *((version, ocpp_install.ACTION) for version in VERSIONS),
    *((version, ocpp_stations.ACTION) for version in VERSIONS),
    *((version, ocpp_status.CHAIN) for version in ocpp_status.CHAIN_VERSIONS),
)
"""OCPP version and action of every path under `/ocpp/`."""

TEXT: Final[Schema] = {"type": "string"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
SERIAL: Final[Schema] = {"type": "string", "pattern": "^[1-9a-f][0-9a-f]{0,39}$"}
FINGERPRINT: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
PEM: Final[Schema] = {"type": "string", "contentMediaType": "application/x-pem-file"}
LINE: Final[Schema] = {"type": "string", "maxLength": MAX_TEXT}
EDITION_ASKED: Final[Schema] = {"enum": [*map(str, Edition), *map(int, Edition)]}
"""A number means the same as its digits."""


def ref(name: str) -> Schema:
    """Point to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def one(values: Iterable[str]) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": [str(value) for value in values]}


def nullable(inner: Schema) -> Schema:
    """Allow null."""
    return {"anyOf": [inner, {"type": "null"}]}


def many(inner: Schema, **limits: int) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": inner, **limits}


def exact(properties: Schema, optional: Iterable[str] = ()) -> Schema:
    """Return the schema of an object that has these members and no others."""
    left_out = set(optional)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [name for name in properties if name not in left_out],
    }


def _certificate() -> Schema:
    return {
        "serialNumber": SERIAL,
        "fingerprint": FINGERPRINT,
        "subject": TEXT,
        "commonName": TEXT,
        "issuer": {"type": "string", "description": "Issuer id: name and generation."},
        "kind": one(Kind),
        "edition": one(Edition),
        "suite": one(Suite),
        "notBefore": TIME,
        "notAfter": TIME,
        "owner": {"type": "string", "description": "Party; empty for the operator of this PKI."},
        "issuedAt": TIME,
        "certificateChain": PEM | {"description": "Leaf first, root not included."},
    }


def _revocation() -> Schema:
    return {"reason": one(Reason), "revokedAt": TIME, "revokedBy": TEXT}


def _validate_request() -> Schema:
    hash_data = exact(
        {
            "hashAlgorithm": one(("SHA256", "SHA384", "SHA512")),
            "issuerNameHash": TEXT,
            "issuerKeyHash": TEXT,
            "serialNumber": TEXT,
            "responderURL": {"type": "string", "description": "Ignored, never fetched."},
        },
        optional=("responderURL",),
    )
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "Whatever is wrong inside certificateChain is a verdict, not an error.",
        "properties": {
            "certificateChain": {
                "description": "PEM, or DER in base64; leaf first. "
                f"More than {MAX_CERTIFICATES} certificates are a verdict.",
                "anyOf": [PEM, many({"type": "string", "contentEncoding": "base64"})],
            },
            "certificateHashData": many(hash_data, minItems=1, maxItems=MAX_HASH_DATA),
            "emaid": LINE,
            "evseId": LINE,
            "edition": EDITION_ASKED,
        },
        "anyOf": [
            {"required": [name]} for name in ("certificateChain", "certificateHashData", "emaid")
        ],
    }


def _verdict() -> Schema:
    check = exact(
        {
            "question": TEXT,
            "answer": one(("yes", "no", "not_asked", "note")),
            "detail": TEXT,
            "clause": TEXT,
        }
    )
    evidence = exact(
        {
            "subject": TEXT,
            "fingerprint": FINGERPRINT,
            "status": one(Status),
            "source": one(("own", "foreign", "none")),
            "asOf": TIME,
            "nextUpdate": nullable(TIME),
            "reason": nullable(one(Reason)),
            "revokedAt": nullable(TIME),
        }
    )
    return exact(
        {
            "decisionId": TEXT,
            "decidedAt": TIME,
            "accepted": FLAG,
            "emaid": nullable(TEXT),
            "edition": nullable(one(Edition)),
            "fault": nullable(one(Fault)),
            "explanation": TEXT,
            "checks": many(check),
            "ocpp": ref("Ocpp201AuthorizeResponse"),
            "iso15118_2": TEXT,
            "iso15118_20": TEXT,
            "emsp": nullable(exact({"providerId": TEXT, "name": TEXT})),
            "evidence": many(evidence),
            "expiresSoon": FLAG,
            "authorisation": ref("Authorisation"),
        }
    )


def _authorisation() -> Schema:
    check = exact({"question": TEXT, "answer": one(("yes", "no", "not_asked")), "detail": TEXT})
    return exact(
        {
            "reference": {"type": "string", "maxLength": 36, "description": "Of session and CDR."},
            "at": TIME,
            "allowed": one(Allowed),
            "fault": nullable(one(AuthorisationFault)),
            "explanation": TEXT,
            "tokenStatus": {"type": "string", "description": "OCPP AuthorizationStatusEnum."},
            "cpo": nullable(TEXT),
            "emsp": nullable(TEXT),
            "kind": nullable(one(CredentialKind)),
            "contractId": nullable(TEXT),
            "contract": nullable(TEXT),
            "evseId": nullable(TEXT),
            "agreement": nullable(exact({"agreementId": TEXT, "version": COUNT})),
            "tariff": nullable(TEXT),
            "whitelist": nullable(one(Whitelist)),
            "asked": one(("no", "answered", "failed")),
            "fallback": nullable(one(Whitelist)),
            "emspReference": nullable(TEXT),
            "checks": many(check),
        }
    ) | {"description": "Whether it may charge here, and who pays; never changes `accepted`."}


def _issue_request() -> Schema:
    return exact(
        {
            "profile": one(LEAF_KINDS),
            "csr": PEM
            | {
                "description": "Only its key and its CN are used. Required outside demo mode.",
            },
            "edition": EDITION_ASKED,
            "suite": one(Suite),
            "issuer": LINE,
            "commonName": LINE,
            "emaid": LINE | {"description": "Another name of commonName, for contracts."},
            "party": LINE,
            "notAfter": LINE | {"description": "Such as 2027-06-30T00:00:00Z."},
        },
        optional=(
            "csr",
            "edition",
            "suite",
            "issuer",
            "commonName",
            "emaid",
            "party",
            "notAfter",
        ),
    )


def _report() -> Schema:
    return exact(
        {
            "dryRun": FLAG,
            "serialNumber": SERIAL,
            "subject": TEXT,
            "issuer": TEXT,
            **_revocation(),
            "siblings": many(FINGERPRINT)
            | {"description": "Further certificates of a key that was lost, revoked with it."},
            "issuersBelow": many(TEXT),
            "certificatesBelow": COUNT,
            "keyBlocked": FLAG,
            "fromIntent": FLAG,
        }
    )


def _release() -> Schema:
    return exact(
        {
            "dryRun": FLAG,
            "serialNumber": SERIAL,
            "subject": TEXT,
            "issuer": TEXT,
            "heldSince": TIME,
        }
    )


def _issuer() -> Schema:
    return exact(
        {
            "issuerId": TEXT,
            "name": TEXT,
            "generation": COUNT,
            "kind": one(Kind),
            "edition": one(Edition),
            "suite": one(Suite),
            "state": one(IssuerState),
            "parent": nullable(TEXT),
            "owner": TEXT,
            "demo": FLAG,
            "createdAt": TIME,
            "serialNumber": SERIAL,
            "fingerprint": FINGERPRINT,
            "subject": TEXT,
            "notBefore": TIME,
            "notAfter": TIME,
            "certificate": PEM,
        }
    )


def _problem() -> Schema:
    return {
        "type": "object",
        "description": "RFC 9457; further members belong to the code.",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": TEXT,
            "code": {"type": "string", "pattern": "^[a-z0-9_]+$", "description": "Stable."},
            "hint": TEXT,
            "requestId": TEXT,
        },
        "required": ["type", "title", "status", "detail", "code", "requestId"],
    }


def _ocpp_error() -> Schema:
    codes = (
        "FormationViolation",
        "PropertyConstraintViolation",
        "SecurityError",
        "InternalError",
        "NotImplemented",
        "NotSupported",
        "GenericError",
    )
    details = {
        "type": "object",
        "properties": {"code": TEXT, "requestId": TEXT, "hint": TEXT},
        "required": ["code", "requestId"],
    }
    return exact(
        {
            "errorCode": one(codes),
            "errorDescription": {"type": "string", "maxLength": 255},
            "errorDetails": details,
        }
    )


def ocpp_name(version: str, message: str) -> str:
    """Return the name of the component that holds an official schema."""
    return f"Ocpp{version.replace('.', '')}{message}"


def _official(name: str, version: str, message: str) -> Schema:
    """Return an official OCPP schema, unchanged but for where its references point."""

    def moved(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, dict):
            return {k: moved(v) for k, v in value.items() if k not in ("$schema", "$id")}
        if isinstance(value, list):
            return [moved(item) for item in value]
        if isinstance(value, str) and value.startswith("#/definitions/"):
            return f"#/components/schemas/{name}{value[1:]}"
        return value

    document: Schema = moved(schema(version, message))
    return document


def components() -> Schema:
    """Return every named schema."""
    certificate = _certificate()
    page = {
        "certificates": many(ref("Certificate")),
        "next": nullable(FINGERPRINT) | {"description": "The `after` of the following page."},
    }
    found = certificate | {
        "status": one(("good", "revoked")),
        "revocation": nullable(exact(_revocation())),
    }
    issued = certificate | {
        "ignored": many(TEXT) | {"description": "What the CSR asked for and did not get."},
        "privateKey": PEM | {"description": "PKCS#8; demo mode without a CSR only, told once."},
    }
    named: Schema = {
        "ValidateRequest": _validate_request(),
        "Verdict": _verdict(),
        "Authorisation": _authorisation(),
        "IssueRequest": _issue_request(),
        "Certificate": exact(certificate),
        "IssuedCertificate": exact(issued, optional=("privateKey",)),
        "FoundCertificate": exact(found),
        "CertificatePage": exact(page),
        "RevokeRequest": exact({"reason": one(Reason), "dryRun": FLAG}, optional=("dryRun",)),
        "RevocationReport": _report(),
        "ReleaseRequest": exact({"dryRun": FLAG}, optional=("dryRun",)),
        "ReleaseReport": _release(),
        "Issuer": _issuer(),
        "IssuerList": exact({"issuers": many(ref("Issuer"))}),
        "Health": exact({"status": one(("live", "ready"))}),
        "Problem": _problem(),
        "OcppError": _ocpp_error(),
    }
    for version, action in OCPP_ACTIONS:
        for message in (f"{action}Request", f"{action}Response"):
            name = ocpp_name(version, message)
            named[name] = _official(name, version, message)
    return named
