"""OPCP, OPNC and webhooks as `/openapi.json` tells them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from web import openapi_admin
from web.answers import JSON
from web.ocpi_contracts import PATH as OCPI_CONTRACTS
from web.openapi_pool_schemas import SCHEMAS
from web.openapi_words import MEANING, body, good, parameter
from web.schemas import TEXT, Schema, many, ref

_ERRORS: Final = (400, 401, 403, 404, 500, 503)
_PATHS: Final = {
    "root_id": "Id of a root.",
    "pcid": "PCID of a car.",
    "emaid": "EMAID of a contract.",
    "reference": "PCID with GET, EMAID with DELETE.",
    "webhook_id": "Id of a webhook.",
    "delivery_id": "Id of a delivery.",
}
_NAMESPACE: Final = ("xsdMsgDefNamespace", "query", "Edition, under any of its labels.")
_ROOT: Final = ("cpsV2GRootCertificateFingerprint", "query", "V2G root of the CPS chain.")
_SESSION: Final = ("sessionID", "query", "Hexadecimal, at most eight octets.")
_EXI: Final = ("alwaysReturnEXI", "header", "false: a refusal is JSON.")
_SKIP: Final = ("X-Skip-Revocation", "header", "true: nothing is revoked.")
_CONFIRM: Final = ("confirmFingerprint", "query", "SHA-256 of the root, once more.")


@dataclass(frozen=True, slots=True)
class _Operation:
    method: str
    path: str
    summary: str
    asks: str | None = None
    gives: str | None = None
    status: int = 200
    parameters: tuple[tuple[str, str, str], ...] = ()
    approval: bool = False


_OPCP: Final = (
    _Operation(
        "get",
        "/v1/root/rootCerts",
        "Roots of the pool.",
        gives="OpcpRoots",
        parameters=(("rootType", "query", "mo, v2g, oem or pe."),),
    ),
    _Operation(
        "put",
        "/v1/root/rootCerts",
        "Add a root.",
        "OpcpNewRoot",
        "OpcpRootAnswer",
        approval=True,
    ),
    _Operation("get", "/v1/root/rootCerts/{root_id}", "One root.", gives="OpcpRootAnswer"),
    _Operation(
        "delete",
        "/v1/root/rootCerts/{root_id}",
        "Remove a root.",
        parameters=(_CONFIRM,),
        approval=True,
    ),
    _Operation("put", "/v1/oem/provCerts", "Deposit a car.", "OpcpDeposit", "OpcpVehicle"),
    _Operation(
        "get",
        "/v1/oem/provCerts/{pcid}",
        "The chain of a car.",
        gives="OpcpVehicleAnswer",
        parameters=(("signatureAlgorithm", "query", "secp256r1, secp521r1 or ed448."),),
    ),
    _Operation("delete", "/v1/oem/provCerts/{pcid}", "Remove a car and its contracts."),
    _Operation("get", "/v1/oem/provCerts/lookupVehicle/{pcid}", "Does the pool know a car?"),
    _Operation(
        "put",
        "/v1/cps/contractData/signed",
        "Sign a contract that an eMSP made.",
        "OpcpContractData",
        "OpcpSigned",
        201,
    ),
    _Operation(
        "put",
        "/v1/cps/signedContractData",
        "The same in its older form, given back only.",
        "OpcpOlderContractData",
        "OpcpSigned",
    ),
    _Operation(
        "put",
        "/v1/cps/forward/signedContractData",
        "The same in its older form, into the pool.",
        "OpcpOlderContractData",
        "Empty",
        201,
    ),
    _Operation(
        "put",
        "/v1/cps/generate/signedContractData",
        "Make a contract.",
        "ContractOrder",
        "OpcpSigned",
        201,
    ),
    _Operation("get", "/cps/signer", "Leaves that sign.", gives="OpcpSigners"),
    _Operation(
        "post",
        "/v1/ccp/signedContractData",
        "A contract for a car.",
        "InstallationOrder",
        "OpcpInstallation",
        parameters=(_EXI,),
    ),
    _Operation(
        "put",
        "/v1/ccp/signedContractData",
        "Deposit a signed contract.",
        "OpcpBundle",
        "Empty",
        201,
    ),
    _Operation(
        "get",
        "/v1/ccp/signedContractData/{reference}",
        "Contracts of a car.",
        gives="OpcpContracts",
        parameters=(_NAMESPACE, _ROOT),
    ),
    _Operation(
        "delete",
        "/v1/ccp/signedContractData/{reference}",
        "Take a contract from the pool.",
        parameters=(_SKIP,),
    ),
    _Operation(
        "get",
        "/v1/ccp/lookupContract/{emaid}",
        "Where a contract lies.",
        gives="OpcpContracts",
        parameters=(_NAMESPACE, _ROOT),
    ),
    _Operation(
        "get",
        "/v1/ccp/provideSignedContractData/{emaid}/{pcid}",
        "A contract for the maker's back end.",
        gives="OpcpProvided",
        parameters=(_SESSION, _NAMESPACE, _ROOT),
    ),
    _Operation(
        "post",
        "/v1/ccp/signedContractData/{pcid}/{emaid}/default",
        "Make a contract the default.",
    ),
    _Operation(
        "put",
        "/v1/ccp/signedContractData/priorities/{emaid}/{pcid}",
        "Make a contract the default, as the edition of 2022 has it.",
        parameters=(("priority", "query", "1."),),
    ),
)
_OPNC: Final = (
    _Operation(
        "get",
        "/rcp/rootcertificates",
        "Roots of the pool.",
        gives="OpncRoots",
        parameters=(("pkiType", "query", "emsp, v2g, oem or pe."),),
    ),
    _Operation("put", "/rcp/rootcertificates", "Add a root.", "OpncRoot", approval=True),
    _Operation("get", "/rcp/rootcertificates/{root_id}", "One root.", gives="OpncRootAnswer"),
    _Operation(
        "delete",
        "/rcp/rootcertificates/{root_id}",
        "Remove a root.",
        parameters=(_CONFIRM,),
        approval=True,
    ),
    _Operation("put", "/pcp/provisioningcertificates", "Deposit a car.", "OpncVehicle"),
    _Operation(
        "get",
        "/pcp/provisioningcertificates/{pcid}",
        "The chain of a car.",
        gives="OpncVehicleAnswer",
    ),
    _Operation("delete", "/pcp/provisioningcertificates/{pcid}", "Remove a car and its contracts."),
    _Operation("get", "/pcp/lookupvehicle/{pcid}", "Does the pool know a car?"),
    _Operation(
        "put",
        "/cps/contractData/sign",
        "Sign a contract that an eMSP made.",
        "OpncBundle",
        "OpncSignedAnswer",
        201,
    ),
    _Operation(
        "put",
        "/cps/contractData/generateandsign",
        "Make a contract.",
        "ContractOrder",
        None,
        201,
    ),
    _Operation("get", "/cps/cpsCertificates", "Leaves that sign.", gives="OpncSigners"),
    _Operation(
        "post",
        "/ccp/signedcontractdata",
        "A contract for a car.",
        "InstallationOrder",
        "OpncSignedList",
        parameters=(_EXI,),
    ),
    _Operation(
        "put", "/ccp/signedcontractdata", "Deposit a signed contract.", "OpncSigned", None, 201
    ),
    _Operation(
        "delete",
        "/ccp/signedcontractdata/{emaid}",
        "Take a contract from the pool.",
        parameters=(_SKIP,),
    ),
    _Operation(
        "get",
        "/ccp/signedcontractdata/{emaid}/{pcid}",
        "A contract for the maker's back end.",
        gives="OpncSignedList",
        parameters=(_SESSION, _NAMESPACE, _ROOT),
    ),
    _Operation(
        "post",
        "/ccp/signedcontractdata/{emaid}/{pcid}/setdefault",
        "Make a contract the default.",
    ),
    _Operation(
        "get",
        "/ccp/contractData/emaid/{emaid}",
        "Where a contract lies.",
        gives="OpncContracts",
        parameters=(_NAMESPACE, _ROOT),
    ),
    _Operation(
        "get",
        "/ccp/contractData/pcid/{pcid}",
        "Contracts of a car.",
        gives="OpncContracts",
        parameters=(_NAMESPACE, _ROOT),
    ),
    _Operation(
        "post",
        "/pki/revokeCertificate",
        "Revoke a certificate.",
        "OpncRevocation",
        approval=True,
    ),
)
_HOOKS: Final = (
    _Operation("get", "/endpoints", "Webhooks of the caller.", gives="Webhooks"),
    _Operation("post", "/endpoints", "Register a webhook.", "WebhookOrder", "Webhook", 201),
    _Operation("get", "/endpoints/{webhook_id}", "One webhook.", gives="Webhook"),
    _Operation("put", "/endpoints/{webhook_id}", "Change a webhook.", "WebhookOrder", "Webhook"),
    _Operation("delete", "/endpoints/{webhook_id}", "Forget a webhook."),
)
_OWN_HOOKS: Final = (
    _Operation(
        "get",
        "/v1/webhook/endpoints/{webhook_id}/deliveries",
        "What a webhook was told, newest first.",
        gives="Deliveries",
        parameters=(
            ("before", "query", "`next` of the page before."),
            ("limit", "query", "Deliveries on a page."),
        ),
    ),
    _Operation(
        "post",
        "/v1/webhook/deliveries/{delivery_id}/redeliver",
        "Tell an event again.",
        gives="Delivery",
        status=202,
    ),
)


def components() -> Schema:
    """Return the named schemas."""
    return SCHEMAS | {"Webhooks": many(ref("Webhook")), "Empty": {"type": "object"}}


def paths() -> Schema:
    """Return the paths."""
    found: Schema = {}
    for prefix, operations in (
        ("", _OPCP),
        ("/opnc/v1", _OPNC),
        ("/v1/webhook", _HOOKS),
        ("/opnc/v1/event", _HOOKS),
        ("", _OWN_HOOKS),
    ):
        for operation in operations:
            item = found.setdefault(prefix + operation.path, _item(operation.path))
            item[operation.method] = _described(operation)
    found[OCPI_CONTRACTS] = {
        "post": {
            "summary": "A contract for a car, in an envelope of OCPI.",
            "requestBody": body("OcpiContractOrder"),
            "responses": {
                str(status): good("An envelope, errors included.", ref("OcpiAnswer"))
                for status in (200, 400, 401, 413, 415, 500, 503)
            },
        }
    }
    return found


def _item(path: str) -> Schema:
    names = re.findall(r"\{(\w+)\}", path)
    if not names:
        return {}
    return {"parameters": [parameter(name, "path", TEXT, _PATHS[name]) for name in names]}


def _described(operation: _Operation) -> Schema:
    success = {"description": "Done."}
    if operation.gives is not None:
        success = good("Done.", ref(operation.gives))
    errors = {str(status): _error(status, operation) for status in _ERRORS}
    described: Schema = {
        "summary": operation.summary,
        "parameters": [
            parameter(name, where, TEXT, meaning) for name, where, meaning in operation.parameters
        ],
        "responses": {str(operation.status): success}
        | errors
        | (openapi_admin.proposed() if operation.approval else {}),
    }
    if operation.asks is not None:
        described["requestBody"] = body(operation.asks)
    return described


def _error(status: int, operation: _Operation) -> Schema:
    """Return an error; a refused installation carries the EXI for the car."""
    form = ref("PoolError")
    if status in (400, 404) and operation.asks == "InstallationOrder" and operation.gives:
        form = {"anyOf": [form, ref(f"{operation.gives}Refused")]}
    return {"description": MEANING[status], "content": {JSON: {"schema": form}}}
