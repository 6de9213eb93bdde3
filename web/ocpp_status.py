"""
OCPP GetCertificateStatus (M06) and GetCertificateChainStatus (M07 of OCPP 2.1).

A station asks through its CSMS. We answer for what we issued, and from fetched evidence for foreign
certificates; an address that the peer names is never fetched.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, request

from pki.clock import format_time
from pki.model import Principal
from pki.ports import Deployment
from pki.status import Answers
from pki.status.ask import Told, certificate_status
from web import auth
from web.checks import hash_data
from web.ocpp import VERSIONS, add_action, check_request, schema, valid_answer
from web.parsing import MAX_OCPP_BODY, json_object

SINGLE: Final = "GetCertificateStatus"
CHAIN: Final = "GetCertificateChainStatus"
CHAIN_VERSIONS: Final = ("2.1",)


def longest_result(version: str) -> int:
    """Return how many characters `ocspResult` may have."""
    limit: int = schema(version, f"{SINGLE}Response")["properties"]["ocspResult"]["maxLength"]
    return limit


def single_answer(told: Told | None, longest: int, *, readable: bool = True) -> dict[str, Any]:
    """
    Return the GetCertificateStatusResponse.

    Args:
        longest: characters that `ocspResult` may have.
        readable: the hash data named something at all.
    """
    if not readable:
        return _failed("InvalidValue", "The hash data are no hexadecimal hashes of their algorithm")
    if told is None:
        return _failed("NotFound", "Nothing fresh is known of a certificate of this issuer")
    if told.response is None:
        return _failed("NotFound", "Only a CRL is known of this certificate's issuer")
    result = base64.b64encode(told.response).decode()
    if len(result) > longest:
        return _failed("TooLargeElement", f"The answer has more than {longest} characters")
    return {"status": "Accepted", "ocspResult": result}


def _failed(reason: str, info: str) -> dict[str, Any]:
    return {"status": "Failed", "statusInfo": {"reasonCode": reason, "additionalInfo": info}}


@dataclass(frozen=True, slots=True)
class OcppStatus:
    """
    The handlers, over one installation.

    Attributes:
        variant: `ocpp.base64url_hash_data` of the settings.
    """

    deployment: Deployment
    answers: Answers
    variant: bool = False

    def certificate_status(self, version: str) -> Response:
        """Return our OCSP answer, or say why there is none."""
        principal, body = self._asked(version, SINGLE)
        return valid_answer(version, SINGLE, self.answered(principal, version, body), SINGLE)

    def answered(self, principal: Principal, version: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request that its schema has passed."""
        item = hash_data(body["ocspRequestData"], variant=self.variant)
        told = certificate_status(self.deployment, self.answers, principal, item)
        return single_answer(told, longest_result(version), readable=item is not None)

    def chain_status(self, version: str) -> Response:
        """Return the status of up to four certificates, each of its own issuer."""
        principal, body = self._asked(version, CHAIN)
        found = [self._one(principal, asked) for asked in body["certificateStatusRequests"]]
        return valid_answer(version, CHAIN, {"certificateStatus": found}, CHAIN)

    def _asked(self, version: str, message: str) -> tuple[Principal, dict[str, Any]]:
        principal = auth.principal(self.deployment)
        body = json_object(request, MAX_OCPP_BODY)
        check_request(version, message, body)
        return principal, body

    def _one(self, principal: Principal, asked: dict[str, Any]) -> dict[str, Any]:
        named = asked["certificateHashData"]
        item = hash_data(named, variant=self.variant)
        told = certificate_status(self.deployment, self.answers, principal, item)
        now = self.deployment.clock.now()
        return {
            "certificateHashData": named,
            "source": asked["source"],
            "status": told.status.capitalize() if told else "Failed",
            "nextUpdate": format_time((told and told.next_update) or now),
        }


def blueprint(handlers: OcppStatus) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("ocpp_status", __name__)
    for version in VERSIONS:
        add_action(routes, version, SINGLE, handlers.certificate_status)
    for version in CHAIN_VERSIONS:
        add_action(routes, version, CHAIN, handlers.chain_status)
    return routes
