"""
OCPP 1.6 DataTransfer: Plug & Charge as the Open Charge Alliance carries it.

`data` is a JSON text whose object is that of OCPP 2.0.1, except that an idToken is a plain string.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from flask import Blueprint, Response, request

from pki.errors import BadInput
from pki.model import Principal
from pki.ports import Deployment
from pki.stations import VENDOR
from web import auth, ocpp_install, ocpp_stations, ocpp_status
from web.decision_routes import known
from web.decisions import Decisions
from web.hot import HotRequest
from web.limits import Limits
from web.logs import note_authorisation
from web.ocpp import REFERENCE, check_request, judge_answer, valid_answer
from web.ocpp_install import OcppInstall
from web.ocpp_stations import OcppStations, inner
from web.ocpp_status import OcppStatus
from web.parsing import MAX_OCPP_BODY, json_object

VERSION: Final = "1.6"
MESSAGE: Final = "DataTransfer"
LIKE: Final = "2.0.1"
"""The version whose schemas the carried objects follow."""

_EMAID: Final = "eMAID"
Json = dict[str, Any]
Handler = Callable[[Principal, Json], Json]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The handlers, over one installation."""

    deployment: Deployment
    decisions: Decisions
    stations: OcppStations
    install: OcppInstall
    status: OcppStatus
    limits: Limits

    def data_transfer(self) -> Response:
        """Unwrap what is carried, and wrap what is answered."""
        principal = auth.principal(self.deployment)
        body: Json = json_object(request, MAX_OCPP_BODY)
        check_request(VERSION, MESSAGE, body)
        headers: dict[str, str] = {}
        answer = self._answer(principal, body, headers)
        response = valid_answer(VERSION, MESSAGE, answer, MESSAGE)
        response.headers.update(headers)
        return response

    def _answer(self, principal: Principal, body: Json, headers: dict[str, str]) -> Json:
        if body["vendorId"] != VENDOR:
            return {"status": "UnknownVendorId"}
        handlers: dict[str, Handler] = {
            "Authorize": lambda _who, asked: self._authorize(asked, headers),
            ocpp_stations.ACTION: self._sign,
            ocpp_install.ACTION: lambda who, asked: self.install.answered(who, LIKE, asked),
            ocpp_status.SINGLE: lambda who, asked: self.status.answered(who, LIKE, asked),
        }
        action = body.get("messageId")
        if action not in handlers:
            return {"status": "UnknownMessageId"}
        try:
            asked = inner(body.get("data", ""))
            checked = _with_token_type(asked) if action == "Authorize" else asked
            check_request(LIKE, action, checked)
            found = handlers[action](principal, checked)
        except BadInput as error:
            return {"status": "Rejected", "data": _text({"code": error.code, "info": str(error)})}
        judge_answer(LIKE, action, found, action)
        return {"status": "Accepted", "data": _text(found)}

    def _sign(self, principal: Principal, asked: Json) -> Json:
        self.limits.check()
        return self.stations.signed(principal, VERSION, LIKE, asked)

    def _authorize(self, asked: Json, headers: dict[str, str]) -> Json:
        hot = HotRequest(
            method="POST",
            raw_path=f"/ocpp/{LIKE}/Authorize",
            headers={name.lower(): value for name, value in request.headers.items()},
            body=orjson.dumps(asked),
        )
        answer = self.decisions.one(hot, known=known, told=note_authorisation)
        headers[REFERENCE] = answer.headers[REFERENCE]
        found: Json = orjson.loads(answer.octets)
        return found


def _with_token_type(asked: Json) -> Json:
    token = asked.get("idToken")
    return asked | {"idToken": {"idToken": token, "type": _EMAID}} if type(token) is str else asked


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()


def blueprint(transfer: Transfer) -> Blueprint:
    """Return the route."""
    routes = Blueprint("ocpp_transfer", __name__)
    routes.add_url_rule(
        f"/ocpp/{VERSION}/{MESSAGE}", "data_transfer", transfer.data_transfer, methods=["POST"]
    )
    return routes
