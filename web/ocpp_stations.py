"""
OCPP SignCertificate, and the messages that wait for stations.

A CSMS forwards SignCertificate as it came, fetches what waits at `/ocpp/pending`, sends it to the
station, and posts the station's answer. What the station is called stands in `X-Station-Id` or in
`?station=`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, g, request

from pki import stations
from pki.errors import (
    BadInput,
    Conflict,
    ConsentNeeded,
    NotAllowed,
    NotFound,
    PkiError,
    PolicyViolation,
)
from pki.model import MessageState, Principal
from pki.ports import Deployment
from pki.render_stations import message_json
from pki.stations import Asked, MessageFilter, signing
from web import auth
from web.answers import JSON, json_answer
from web.checks import hash_data
from web.metrics import Metrics
from web.ocpp import VERSIONS, add_action, check_answer, check_request, schema, valid_answer
from web.parsing import (
    MAX_OCPP_BODY,
    MAX_STATION_ID,
    Fields,
    json_object,
    json_of,
    one_of,
    page_size,
    query,
    station_header,
    station_text,
)
from web.repeated import once

ACTION: Final = "SignCertificate"
PATH: Final = "/ocpp/pending"
PAGE: Final = frozenset(("station", "action", "state", "after", "limit"))
ASK: Final = frozenset(("station", "version", "action", "payload", "operator", "lifeSeconds"))
ERROR: Final = frozenset(("errorCode", "errorDescription", "errorDetails"))
_REASONS: Final = {
    BadInput: "InvalidCSR",
    PolicyViolation: "InvalidCSR",
    NotAllowed: "NotEnabled",
    NotFound: "NotFound",
    Conflict: "DuplicateRequestId",
}
"""Reason codes of OCPP's own list for what the CA refuses; the rest of an answer says more."""

_TOLD_ON: Final = frozenset(("role_not_allowed", "operator_missing"))
"""What the CSMS has to mend, not the station."""


@dataclass(frozen=True, slots=True)
class OcppStations:
    """The handlers, over one installation."""

    deployment: Deployment
    metrics: Metrics

    def sign_certificate(self, version: str) -> Response:
        """Answer a SignCertificateRequest."""
        principal = auth.principal(self.deployment)
        body: dict[str, Any] = json_object(request, MAX_OCPP_BODY)
        check_request(version, ACTION, body)
        answer = self.signed(principal, version, version, body)
        return valid_answer(version, ACTION, answer, ACTION)

    def signed(
        self, principal: Principal, version: str, like: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        """
        Return the SignCertificateResponse.

        Args:
            version: that the station speaks.
            like: whose schema the body follows: OCPP 1.6 borrows that of 2.0.1.

        Raises:
            PkiError: what no station can mend.
        """
        root = hash_data(body["hashRootCertificate"]) if "hashRootCertificate" in body else None
        if root is None and "hashRootCertificate" in body:
            return _rejected(like, "InvalidValue", "hashRootCertificate names nothing")
        asked = signing.SignRequest(
            version=version,
            station_id=_station(),
            request=body["csr"].encode(),
            use=body.get("certificateType"),
            request_id=body.get("requestId"),
            root=root,
        )
        try:
            message = signing.certify(self.deployment, principal, asked)
        except ConsentNeeded:  # what somebody decides comes as a CertificateSigned, or not at all
            return {"status": "Accepted"}
        except PkiError as error:
            reason = _REASONS.get(type(error))
            if reason is None or error.code in _TOLD_ON:
                raise
            g.fault = error.code  # for the line of the log
            return _rejected(like, reason, f"{error.code}: {error}")
        self.metrics.queued(message.action)
        return {"status": "Accepted"}

    def pending(self) -> Response:
        """Return a page of messages, those that wait where no state is named."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit = page_size(fields)
        wanted = MessageFilter(
            station_id=_named(fields.text("station")),
            action=fields.text("action"),
            state=_state(fields),
        )
        after = fields.text("after")
        found = stations.messages(self.deployment, principal, wanted, after=after, limit=limit)
        more = found[-1].message_id if len(found) == limit else None
        return json_answer({"messages": [message_json(m) for m in found], "next": more})

    def ask(self) -> Response:
        """Put a message before a station."""
        return once(self.deployment, self._asked)

    def _asked(
        self, through: Deployment, principal: Principal, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        message = stations.ask(through, principal, asked_of(body))
        self.metrics.queued(message.action)
        return 201, message_json(message)

    def message(self, message_id: str) -> Response:
        """Return one message."""
        principal = auth.principal(self.deployment)
        return json_answer(message_json(stations.message(self.deployment, principal, message_id)))

    def result(self, message_id: str) -> Response:
        """Keep what the station answered."""
        principal = auth.principal(self.deployment)
        body = json_object(request, MAX_OCPP_BODY)
        found = stations.message(self.deployment, principal, message_id)
        told = answer_of(found.version, found.action, body)
        return json_answer(
            message_json(stations.answer(self.deployment, principal, message_id, told))
        )


def asked_of(body: Mapping[str, object]) -> Asked:
    """
    Read what is asked of a station.

    Raises:
        BadInput: as `Fields` raises, `invalid_header`, `schema_violation`.
    """
    fields = Fields.of(body, ASK)
    version = fields.text("version") or "2.0.1"
    action = fields.needed("action")
    payload = fields.values.get("payload")
    if not isinstance(payload, dict):
        raise BadInput("wrong_type", "payload is not an object.", data={"field": "payload"})
    if action in stations.ACTIONS and version in stations.VERSIONS:  # else the verb says so
        check_request(_schema_of(version), action, payload)
    life = fields.values.get("lifeSeconds", int(stations.LIFE.total_seconds()))
    if type(life) is not int or not 0 < life <= int(stations.LONGEST_LIFE.total_seconds()):
        raise BadInput("invalid_life", "lifeSeconds is a number of seconds, at most 30 days.")
    return Asked(
        station_id=_needed(_named(fields.needed("station"))),
        version=version,
        action=action,
        payload=payload,
        operator=fields.text("operator"),
        life=dt.timedelta(seconds=life),
    )


def answer_of(version: str, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what a station answered, or its CALLERROR; of OCPP 1.6, what its DataTransfer carried.

    Raises:
        BadInput: `schema_violation`, `json_invalid`.
    """
    told = dict(body)
    if "errorCode" in told:
        return dict(Fields.of(told, ERROR).values)
    if version == "1.6":
        check_answer("1.6", "DataTransfer", told)
        if told["status"] != "Accepted":
            return told
        told = inner(told.get("data", ""))
    check_answer(_schema_of(version), action, told)
    return told


def inner(text: str) -> dict[str, Any]:
    """
    Return the object that a DataTransfer carries as text, read as strictly as a body.

    Raises:
        BadInput: as `web.parsing.json_object`.
    """
    octets = text.encode("utf-8", "replace")
    found: dict[str, Any] = json_of({"content-type": JSON}, octets, MAX_OCPP_BODY)
    return found


def _schema_of(version: str) -> str:
    return "2.0.1" if version == "1.6" else version


def _rejected(like: str, reason: str, info: str) -> dict[str, Any]:
    kinds = schema(like, f"{ACTION}Response")["definitions"]
    longest: int = kinds["StatusInfoType"]["properties"]["additionalInfo"]["maxLength"]
    told = {"reasonCode": reason, "additionalInfo": info[:longest]}
    return {"status": "Rejected", "statusInfo": told}


def _station() -> str:
    """Return what the CSMS calls the station. Raises BadInput (`station_missing`)."""
    named = request.args.get("station")
    return _needed(station_header(request.headers, "X-Station-Id") or _named(named))


def _named(text: str | None) -> str | None:
    return None if text is None else station_text("station", text)


def _needed(station: str | None) -> str:
    if station is None:
        raise BadInput(
            "station_missing",
            "It is not said which station this is about.",
            hint=f"Send X-Station-Id (or ?station=), 1 to {MAX_STATION_ID} characters.",
        )
    return station


def _state(fields: Fields) -> MessageState | None:
    """Return the state that is asked for; `all` filters none."""
    text = fields.text("state")
    if text == "all":
        return None
    return one_of("state", text or MessageState.PENDING, MessageState, tuple(MessageState))


def blueprint(handlers: OcppStations) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("ocpp_stations", __name__)
    for version in VERSIONS:
        add_action(routes, version, ACTION, handlers.sign_certificate)
    for method, path, handler in (
        ("GET", PATH, handlers.pending),
        ("POST", PATH, handlers.ask),
        ("GET", f"{PATH}/<message_id>", handlers.message),
        ("POST", f"{PATH}/<message_id>/result", handlers.result),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
