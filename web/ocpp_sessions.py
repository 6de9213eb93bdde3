"""Sessions as OCPP tells them (TransactionEvent), and the real-time hook in CitrineOS's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, request

from pki import sessions
from pki.authorize import Roaming, authorize
from pki.clock import format_time, parse_time
from pki.model import ContractCheck
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.logs import note_authorisation
from web.metrics import Metrics
from web.ocpp import REFERENCE, VERSIONS, add_action, check_request, valid_answer
from web.parsing import MAX_OCPP_BODY, Fields, json_object, station_header

MESSAGE: Final = "TransactionEvent"
HOOK: Final = "/citrineos/realtime"
HOOK_FIELDS: Final = frozenset(
    (
        "tenantPartnerId",
        "idToken",
        "idTokenType",
        "locationId",
        "stationId",
        "ocppConnectionName",
        "evseId",
        "connectorId",
    )
)


@dataclass(frozen=True, slots=True)
class OcppSessions:
    """The handlers, over one installation."""

    deployment: Deployment
    roaming: Roaming
    metrics: Metrics

    def transaction_event(self, version: str) -> Response:
        """Record begin and end of a session; authorise what it shows, or tie it to what was."""
        principal = auth.principal(self.deployment)
        body: dict[str, Any] = json_object(request, MAX_OCPP_BODY)
        check_request(version, MESSAGE, body)
        event = _event(body)
        found = sessions.record(self.deployment, self.roaming, principal, event)
        answer: dict[str, Any] = {}
        if found.authorisation is not None and body.get("idToken") is not None:
            answer["idTokenInfo"] = {"status": found.authorisation.token_status}
        response = valid_answer(version, MESSAGE, answer, found.session.session_id)
        if found.session.reference is not None:
            response.headers[REFERENCE] = found.session.reference
        return response

    def realtime(self) -> Response:
        """Answer a CSMS that asks about a token of ours as CitrineOS does."""
        principal = auth.principal(self.deployment)
        fields = Fields.of(json_object(request), HOOK_FIELDS)
        check = ContractCheck(
            token=fields.needed("idToken"),
            token_type=fields.needed("idTokenType"),
            evse_id=station_header(request.headers, "X-Evse-Id"),
            station_id=fields.text("stationId") or fields.text("ocppConnectionName"),
        )
        found = authorize(self.deployment, self.roaming, principal, check)
        note_authorisation(found)
        self.metrics.authorised({("hook", found.outcome): 1})
        told = found.authorisation
        data = {"allowed": told.allowed.value, "reason": told.explanation}
        answer = {"timestamp": format_time(told.at), "data": data}
        return json_answer(answer, headers={REFERENCE: told.reference})


def _event(body: dict[str, Any]) -> sessions.Event:
    """
    Read a TransactionEventRequest that its schema has passed.

    Raises:
        BadInput: `invalid_header`, `invalid_time`.
    """
    token = body.get("idToken")
    info = body["transactionInfo"]
    station = station_header(request.headers, "X-Station-Id")
    evse = station_header(request.headers, "X-Evse-Id")
    check = None
    if token is not None and body["eventType"] != "Ended":  # an end may show another card
        check = ContractCheck(
            token=token["idToken"], token_type=token["type"], evse_id=evse, station_id=station
        )
    return sessions.Event(
        station_id=station or "",
        external_id=info["transactionId"],
        at=parse_time(body["timestamp"]),
        evse_id=evse,
        reference=station_header(request.headers, REFERENCE),
        check=check,
        ended=body["eventType"] == "Ended",
        stop_reason=info.get("stoppedReason"),
    )


def blueprint(deployment: Deployment, roaming: Roaming, metrics: Metrics) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("ocpp_sessions", __name__)
    handlers = OcppSessions(deployment, roaming, metrics)
    for version in VERSIONS:
        add_action(routes, version, MESSAGE, handlers.transaction_event)
    routes.add_url_rule(HOOK, "citrineos_realtime", handlers.realtime, methods=["POST"])
    return routes
