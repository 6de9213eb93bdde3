"""An authorisation as JSON, for answers and receipts, and back."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from pki.clock import format_time, parse_time
from pki.model import (
    Allowed,
    Authorisation,
    AuthorisationFault,
    Check,
    CredentialKind,
    Decision,
    Whitelist,
)
from pki.validate.render import outcome

Json = dict[str, Any]

_CONTRACT_STATUS: Final = frozenset(("Blocked", "Expired", "Unknown"))


def to_ocpp(decision: Decision | None, found: Authorisation) -> Json:
    """Return the AuthorizeResponse of OCPP 2.0.1 and 2.1, valid against its schema."""
    answer: Json = {"idTokenInfo": {"status": found.token_status}}
    if decision is not None and decision.verdict.with_chain:
        answer["certificateStatus"] = _certificate_status(decision, found)
    return answer


def _certificate_status(decision: Decision, found: Authorisation) -> str:
    """Return what became of the certificate: good, unless its contract is not (C07.FR.13)."""
    if found.fault is AuthorisationFault.CONTRACT:
        return outcome(decision.verdict).certificate_status
    return _of_good(found)


def _of_good(found: Authorisation) -> str:
    return "ContractCancelled" if found.token_status in _CONTRACT_STATUS else "Accepted"


def to_ocpp_of_accepted(found: Authorisation) -> Json:
    """Return what `to_ocpp` does behind the acceptance of a chain."""
    return {"idTokenInfo": {"status": found.token_status}, "certificateStatus": _of_good(found)}


def to_json(found: Authorisation) -> Json:
    """Return the explained verdict."""
    return {
        "reference": found.reference,
        "at": format_time(found.at),
        "allowed": found.allowed.value,
        "fault": found.fault.value if found.fault else None,
        "explanation": found.explanation,
        "tokenStatus": found.token_status,
        "cpo": found.cpo,
        "emsp": found.emsp,
        "kind": found.kind.value if found.kind else None,
        "contractId": found.contract_id,
        "contract": found.contract,
        "evseId": found.evse_id,
        "agreement": {"agreementId": found.agreement[0], "version": found.agreement[1]}
        if found.agreement
        else None,
        "tariff": found.tariff,
        "whitelist": found.rule.value if found.rule else None,
        "asked": found.asked,
        "fallback": found.fallback,
        "emspReference": found.emsp_reference,
        "checks": [
            {"question": check.question, "answer": check.answer, "detail": check.detail}
            for check in found.checks
        ],
    }


def from_json(told: Json) -> Authorisation:
    """Return the verdict that `to_json` wrote."""
    agreement = told["agreement"]
    at: dt.datetime = parse_time(told["at"])
    return Authorisation(
        reference=told["reference"],
        at=at,
        allowed=Allowed(told["allowed"]),
        fault=AuthorisationFault(told["fault"]) if told["fault"] else None,
        explanation=told["explanation"],
        token_status=told["tokenStatus"],
        cpo=told["cpo"],
        emsp=told["emsp"],
        kind=CredentialKind(told["kind"]) if told["kind"] else None,
        contract_id=told["contractId"],
        contract=told["contract"],
        evse_id=told["evseId"],
        agreement=(agreement["agreementId"], agreement["version"]) if agreement else None,
        tariff=told["tariff"],
        rule=Whitelist(told["whitelist"]) if told["whitelist"] else None,
        asked=told["asked"],
        fallback=told["fallback"],
        emsp_reference=told["emspReference"],
        checks=tuple(
            Check(question=c["question"], answer=c["answer"], detail=c["detail"], clause="")
            for c in told["checks"]
        ),
    )
