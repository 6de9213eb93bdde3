"""The contract certificate pool of OPCP: installation, deposit, look-up, delivery to a maker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import Response, g, request

from pki.errors import BadInput, NotFound
from pki.ids import Edition
from pki.model import Bundle
from pki.ports import Deployment
from pki.provision import ccp, cps, life
from pki.provision.install import Asked, Installation, install
from pki.v2g import messages, xml
from pki.v2g.namespaces import edition_of
from web import auth, opcp_render, pools
from web.answers import json_answer
from web.parsing import Fields

AT_MOST: Final = 8
NOT_FOUND: Final = frozenset(
    (
        "vehicle_unknown",
        "no_contract",
        "contract_not_active",
        "vehicle_key",
        "bundle_ended",
        "no_listed_root",
        "not_renewed",
    )
)
"""Refusals of an installation that say: there is nothing for this car."""


@dataclass(frozen=True, slots=True)
class Contracts:
    """`/v1/ccp`."""

    deployment: Deployment

    def install(self) -> Response:
        """Answer a car's request; a refusal is EXI too, unless the caller wants JSON."""
        fields, outcome = installed(self.deployment)
        label = fields.needed("xsdMsgDefNamespace")
        if outcome.refusal is None:
            found = [_message(a.exi, a.bundle, label) for a in outcome.answers]
            return json_answer({"CCPResponse": {"emaidContent": found}})
        refuse_in_json(outcome, "Contract or Vehicle not found.")
        message = {
            "certificateInstallationRes": opcp_render.base64_of(outcome.refusal.exi),
            "xsdMsgDefNamespace": label,
        }
        body = {"CCPResponse": {"emaidContent": [{"messageDef": message}]}}
        return json_answer(body, 404 if outcome.refusal.code in NOT_FOUND else 400)

    def store(self) -> Response:
        """Take a bundle that a provisioning service signed."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        edition = pools.edition(fields)
        data = pools.octets(fields, "signedContractDataXML", longest=pools.MAX_MESSAGE)
        cps.store_signed(
            self.deployment,
            principal,
            messages.encode(xml.read(data, edition)),
            edition=edition,
            pcid=fields.needed("pcid"),
            emaid=fields.needed("emaid"),
            metadata=pools.metadata(fields),
        )
        return json_answer({}, 201)

    def delete(self, reference: str) -> Response:
        """Take a contract from the pool, by EMAID."""
        revoking = not pools.header_flag("X-Skip-Revocation", default=False)
        principal = auth.principal(self.deployment)
        life.delete(self.deployment, principal, reference, revoking=revoking)
        return Response(status=200)

    def of_car(self, reference: str) -> Response:
        """Return the contracts of a car, by PCID."""
        found = ccp.by_pcid(self.deployment, auth.principal(self.deployment), reference)
        return self._table(found)

    def of_emaid(self, emaid: str) -> Response:
        """Return where a contract lies."""
        found = ccp.by_emaid(self.deployment, auth.principal(self.deployment), emaid)
        return self._table(found)

    def _table(self, held: list[ccp.Held]) -> Response:
        selected = pools.selected(held)
        if not selected:
            raise NotFound("contract_unknown", "The contract is not found.")
        names = {b: pools.cps_root_name(self.deployment, b) for b in {h.bundle.root for h in held}}
        found = [opcp_render.contract_json(h, names[h.bundle.root]) for h in selected]
        return json_answer({"XMLContracts": found})

    def provide(self, emaid: str, pcid: str) -> Response:
        """Give a contract to the back end of the car's maker."""
        principal = auth.principal(self.deployment)
        label = _label()
        answer = ccp.provide(
            self.deployment,
            principal,
            pcid,
            emaid,
            session_id=pools.session_id(request.args.get("sessionID")),
            edition=edition_of(label),
            root=pools.asked_root(),
        )
        body = {
            "certificateInstallationRes": opcp_render.base64_of(answer.exi),
            "xsdMsgDefNamespace": label,
            "cpsV2GRootCertificateFingerprint": answer.bundle.root.value,
        }
        return json_answer(body)

    def set_default(self, pcid: str, emaid: str) -> Response:
        """Make a contract the one that a -2 car gets."""
        ccp.set_default(self.deployment, auth.principal(self.deployment), pcid, emaid)
        return Response(status=200)

    def set_priority(self, emaid: str, pcid: str) -> Response:
        """Make a contract the first; the edition of 2022 has priorities, of which 1 counts here."""
        principal = auth.principal(self.deployment)
        if request.args.get("priority") != "1":
            raise BadInput("priority_unsupported", "Only priority=1, the default, is kept here.")
        ccp.set_default(self.deployment, principal, pcid, emaid)
        return Response(status=200)


def _label() -> str:
    return request.args.get("xsdMsgDefNamespace") or opcp_render.NAMESPACES[Edition.ISO2]


def installed(deployment: Deployment) -> tuple[Fields, Installation]:
    """Read a request for contracts and answer it."""
    principal = auth.principal(deployment)
    fields = pools.body()
    edition = pools.edition(fields)
    exi = pools.octets(fields, "certificateInstallationReq", longest=pools.MAX_MESSAGE)
    try:
        outcome = install(deployment, principal, exi, edition, Asked(at_most=AT_MOST))
    except BadInput as error:
        message = f"EXI format is invalid! {error.message}"
        raise BadInput(error.code, message, data=error.data) from error
    if outcome.refusal is not None:
        g.fault = outcome.refusal.code  # for the line of the log
    return fields, outcome


def refuse_in_json(outcome: Installation, nothing: str) -> None:
    """Raise a refusal as an error where the caller wants no EXI."""
    if outcome.refusal is None or pools.header_flag("alwaysReturnEXI", default=True):
        return
    refusal = outcome.refusal
    explained = f"{refusal.response_code}: {refusal.explanation}."
    if refusal.code in NOT_FOUND:
        raise NotFound(refusal.code, nothing, hint=explained)
    raise BadInput(refusal.code, explained)


def _message(exi: bytes, bundle: Bundle, label: str) -> dict[str, Any]:
    message = {
        "certificateInstallationRes": opcp_render.base64_of(exi),
        "emaid": bundle.emaid.normalised,
        "cpsV2GRootCertificateFingerprint": bundle.root.value,
        "xsdMsgDefNamespace": label,
    }
    return {"messageDef": message | ({"metaData": bundle.metadata} if bundle.metadata else {})}
