"""One verdict, told in every language: our own JSON, OCPP, ISO 15118-2, ISO 15118-20."""

from __future__ import annotations

from typing import Any

from pki.clock import format_time
from pki.model import Accepted, Check, Decision, PathStatus, Rejected
from pki.validate.outcomes import ACCEPTED, EXPIRES_SOON, OUTCOMES, Outcome

Json = dict[str, Any]


def outcome(verdict: Accepted | Rejected) -> Outcome:
    """Return the row of the table that a verdict stands in."""
    match verdict:
        case Accepted(expires_soon=soon):
            return EXPIRES_SOON if soon else ACCEPTED
        case Rejected(fault=fault):
            return OUTCOMES[fault]


def to_ocpp(verdict: Accepted | Rejected) -> Json:
    """Return the AuthorizeResponse (OCPP 2.0.1 and 2.1), valid against its schema."""
    row = outcome(verdict)
    answer: Json = {"idTokenInfo": {"status": row.token_status}}
    if verdict.with_chain:
        answer["certificateStatus"] = row.certificate_status
    return answer


def to_json(decision: Decision) -> Json:
    """Return the explained verdict as `POST /v1/contracts/validate` answers it."""
    verdict, row = decision.verdict, outcome(decision.verdict)
    rejected = verdict if isinstance(verdict, Rejected) else None
    return {
        "decisionId": decision.decision_id,
        "decidedAt": format_time(decision.decided_at),
        "accepted": rejected is None,
        "emaid": verdict.emaid.key if verdict.emaid else None,
        "edition": verdict.edition.value if verdict.edition else None,
        "fault": rejected.fault.value if rejected is not None else None,
        "explanation": rejected.explanation if rejected is not None else f"{row.meaning}.",
        "checks": [_check(check) for check in verdict.checks],
        "ocpp": to_ocpp(verdict),
        "iso15118_2": row.iso2,
        "iso15118_20": row.iso20,
        "emsp": _emsp(verdict),
        "evidence": [_evidence(status) for status in verdict.path],
        "expiresSoon": isinstance(verdict, Accepted) and verdict.expires_soon,
    }


def _check(check: Check) -> Json:
    return {
        "question": check.question,
        "answer": check.answer,
        "detail": check.detail,
        "clause": check.clause,
    }


def _emsp(verdict: Accepted | Rejected) -> Json | None:
    if verdict.account is None:
        return None
    return {"providerId": verdict.account.provider_id.value, "name": verdict.account.name}


def _evidence(path: PathStatus) -> Json:
    status = path.status
    return {
        "subject": path.subject,
        "fingerprint": path.fingerprint.value,
        "status": status.status.value,
        "source": status.source,
        "asOf": format_time(status.as_of),
        "nextUpdate": format_time(status.next_update) if status.next_update else None,
        "reason": status.reason.value if status.reason else None,
        "revokedAt": format_time(status.revoked_at) if status.revoked_at else None,
    }
