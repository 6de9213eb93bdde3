"""
The third way to a contract: a car's EXI in, an OCPI envelope out.

SAP's and others' back ends ask so where their contract service is Gireve's, ElaadNL's or Vedecom's:
`15118SchemaVersion` and `exiRequest` in, `status` and `exiResponse` back. The caller is a client of
ours with its bearer token; no registration of OCPI is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, g

from pki.ports import Deployment
from pki.provision.install import install
from web import auth, pools
from web.ocpi_answers import answer

PATH: Final = "/ocpi/contracts/exi"


@dataclass(frozen=True, slots=True)
class OcpiContracts:
    """The handler, over one installation."""

    deployment: Deployment

    def install(self) -> Response:
        """Answer a car's request for its contract; a refusal is *Failed* with EXI for the car."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        edition = pools.edition(fields, "15118SchemaVersion")
        exi = pools.octets(fields, "exiRequest", longest=pools.MAX_MESSAGE)
        outcome = install(self.deployment, principal, exi, edition)
        if outcome.refusal is not None:
            g.fault = outcome.refusal.code  # for the line of the log
            return answer({"status": "Failed", "exiResponse": pools.text(outcome.refusal.exi)})
        return answer({"status": "Accepted", "exiResponse": pools.text(outcome.answers[0].exi)})


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the route."""
    routes = Blueprint("ocpi_contracts", __name__)
    handler = OcpiContracts(deployment).install
    routes.add_url_rule(PATH, "install", handler, methods=["POST"])
    return routes
