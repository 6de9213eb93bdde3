"""
OCPP Get15118EVCertificate (M01 install, M02 update): the car's EXI in, EXI for the car out.

A station passes both through untouched, in base64. What is refused is *Failed* with the EXI that
tells the car why; only where the request could not be read is there no EXI.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, g, request

from pki.errors import BadInput
from pki.model import Principal
from pki.ports import Deployment
from pki.provision.install import Asked, Installation, install
from pki.v2g.namespaces import edition_of
from web import auth
from web.ocpp import VERSIONS, add_action, check_request, schema, valid_answer
from web.parsing import MAX_OCPP_BODY, json_object

ACTION: Final = "Get15118EVCertificate"
_WITH_REMAINING: Final = frozenset({"2.1"})
_MAX_INFO: Final = 500


def longest_response(version: str) -> int:
    """Return how many characters `exiResponse` may have."""
    limit: int = schema(version, f"{ACTION}Response")["properties"]["exiResponse"]["maxLength"]
    return limit


def answer(outcome: Installation, version: str) -> dict[str, Any]:
    """Return the Get15118EVCertificateResponse of an outcome."""
    if outcome.refusal is not None:
        refusal = outcome.refusal
        told = f"{refusal.response_code}: {refusal.explanation}."
        return failed(refusal.code, told, refusal.exi)
    text = base64.b64encode(outcome.answers[0].exi).decode()
    if len(text) > longest_response(version):
        return failed("TooLargeElement", "The answer is longer than this OCPP version allows.")
    body: dict[str, Any] = {"status": "Accepted", "exiResponse": text}
    if version in _WITH_REMAINING:
        body["remainingContracts"] = outcome.remaining
    return body


def failed(reason: str, info: str, exi: bytes = b"") -> dict[str, Any]:
    """Return a failure; reason codes of OCPP have at most 20 characters."""
    code = "".join(part.capitalize() for part in reason.split("_")) if "_" in reason else reason
    return {
        "status": "Failed",
        "exiResponse": base64.b64encode(exi).decode(),
        "statusInfo": {"reasonCode": code[:20], "additionalInfo": info[:_MAX_INFO]},
    }


@dataclass(frozen=True, slots=True)
class OcppInstall:
    """The handler, over one installation."""

    deployment: Deployment

    def get_certificate(self, version: str) -> Response:
        """Answer a car's request for its contract."""
        principal = auth.principal(self.deployment)
        body: dict[str, Any] = json_object(request, MAX_OCPP_BODY)
        check_request(version, ACTION, body)
        return valid_answer(version, ACTION, self.answered(principal, version, body), ACTION)

    def answered(self, principal: Principal, version: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request that its schema has passed."""
        asked = Asked(
            maximum=body.get("maximumContractCertificateChains"),
            prioritized=tuple(body.get("prioritizedEMAIDs", ())),
            update=body["action"] == "Update",
        )
        try:
            edition = edition_of(body["iso15118SchemaVersion"])
            exi = _exi(body["exiRequest"])
            outcome = install(self.deployment, principal, exi, edition, asked)
        except BadInput as error:
            return failed("InvalidValue", error.message)
        if outcome.refusal is not None:
            g.fault = outcome.refusal.code  # for the line of the log
        return answer(outcome, version)


def _exi(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("exi_not_base64", "exiRequest is not base64.") from error


def blueprint(handlers: OcppInstall) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("ocpp_install", __name__)
    for version in VERSIONS:
        add_action(routes, version, ACTION, handlers.get_certificate)
    return routes
