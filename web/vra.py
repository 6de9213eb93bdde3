"""Registration of charging points before they enrol, as EVerest's OPCP client sends it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, request

from pki.clock import format_time
from pki.enrol import registration
from pki.model import EndEntity
from pki.ports import Deployment
from web import auth, pools
from web.answers import json_answer
from web.parsing import page_size, query

PATH: Final = "/v1/vra/cpo/endEntities"
TEXTS: Final = (
    "manufacture",
    "deviceName",
    "deviceSWVersion",
    "evseSerialNumber",
    "evseISOversion",
    "ocppVersion",
    "chargeBoxSerialNumber",
)


@dataclass(frozen=True, slots=True)
class Vra:
    """The handlers, over one installation."""

    deployment: Deployment

    def put(self) -> Response:
        """Register a charging point, in place of what was registered under its name."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        details: dict[str, Any] = {name: fields.text(name) for name in TEXTS}
        details["evseID"] = list(pools.texts(fields, "evseID", registration.MAX_EVSES) or ())
        kept = {name: value for name, value in details.items() if value is not None}
        name = fields.needed("commonName")
        return json_answer(_json(registration.register(self.deployment, principal, name, kept)))

    def list(self) -> Response:
        """Return a page of the caller's charging points."""
        principal = auth.principal(self.deployment)
        fields = query(request, ("after", "limit"))
        limit = page_size(fields)
        found = registration.entities(
            self.deployment, principal, after=fields.text("after"), limit=limit
        )
        more = found[-1].secc_id.key if len(found) == limit else None
        return json_answer({"endEntities": [_json(one) for one in found], "next": more})

    def remove(self, name: str) -> Response:
        """Take a registration back."""
        principal = auth.principal(self.deployment)
        registration.forget(self.deployment, principal, name)
        return Response(status=200)


def _json(entity: EndEntity) -> dict[str, Any]:
    return {
        "commonName": entity.secc_id.value,
        **json.loads(entity.details),
        "registeredAt": format_time(entity.registered_at),
    }


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("vra", __name__)
    vra = Vra(deployment)
    routes.add_url_rule(PATH, "put", vra.put, methods=["PUT"])
    routes.add_url_rule(PATH, "list", vra.list, methods=["GET"])
    routes.add_url_rule(f"{PATH}/<name>", "remove", vra.remove, methods=["DELETE"])
    return routes
