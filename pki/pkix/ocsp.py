"""OCSP as we speak it as a responder: requests in, answers out (RFC 6960, RFC 5019, RFC 9654)."""

from __future__ import annotations

from pki.pkix.ocsp_request import (
    MAX_NONCE,
    MAX_REQUEST_SIZE,
    MAX_REQUESTS,
    CertId,
    OcspError,
    OcspRequest,
    ResponseStatus,
    parse_request,
)
from pki.pkix.ocsp_response import (
    NEVER_ISSUED_AT,
    CertStatus,
    ResponseData,
    SingleAnswer,
    assemble,
    error_response,
    never_issued,
    responder_by_key,
    responder_by_name,
    response_data,
)

__all__ = [
    "MAX_NONCE",
    "MAX_REQUESTS",
    "MAX_REQUEST_SIZE",
    "NEVER_ISSUED_AT",
    "CertId",
    "CertStatus",
    "OcspError",
    "OcspRequest",
    "ResponseData",
    "ResponseStatus",
    "SingleAnswer",
    "assemble",
    "error_response",
    "never_issued",
    "parse_request",
    "responder_by_key",
    "responder_by_name",
    "response_data",
]
