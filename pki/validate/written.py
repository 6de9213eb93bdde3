"""The inputs of a decision as its receipt has them, in JSON."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pki.clock import format_time
from pki.model import (
    Accepted,
    ContractCheck,
    ContractEvidence,
    DecisionPolicy,
    Evidence,
    Rejected,
    Status,
    TrustAnchor,
)
from pki.validate.presented import Presented

Json = dict[str, Any]


def check_json(check: ContractCheck) -> Json:
    """Return what was asked, but for the chain."""
    return {
        "presented": check.chain is not None,
        "unreadable": check.unreadable,
        "hashData": [
            [h.algorithm, h.issuer_name_hash.hex(), h.issuer_key_hash.hex(), h.serial.value]
            for h in check.hash_data
        ],
        "token": check.token,
        "tokenType": check.token_type,
        "edition": check.edition.value if check.edition else None,
        "evseId": check.evse_id,
        "stationId": check.station_id,
    }


def statuses_json(chain: Presented, evidence: Evidence, verdict: Accepted | Rejected) -> Json:
    """Keep the statuses of what was presented and of the path, and whatever was not good."""
    named = {c.fingerprint for c in chain.certificates} | {p.fingerprint for p in verdict.path}
    return {
        fingerprint.value: {
            "status": status.status.value,
            "source": status.source,
            "asOf": format_time(status.as_of),
            "nextUpdate": format_time(status.next_update) if status.next_update else None,
            "reason": status.reason.value if status.reason else None,
            "revokedAt": format_time(status.revoked_at) if status.revoked_at else None,
        }
        for fingerprint, status in evidence.statuses.items()
        if fingerprint in named or status.status is not Status.GOOD
    }


def contract_json(evidence: ContractEvidence) -> Json:
    """Return contract and account."""
    contract, account = evidence.contract, evidence.account
    return {
        "ambiguous": evidence.ambiguous,
        "id": contract.contract_id if contract else None,
        "state": contract.state.value if contract else None,
        "identifiers": [[i.edition.value, i.presented] for i in contract.identifiers]
        if contract
        else [],
        "createdAt": format_time(contract.created_at) if contract else None,
        "validFrom": _time_text(contract.valid_from if contract else None),
        "validUntil": _time_text(contract.valid_until if contract else None),
        "blocked": [[i.edition.value, i.presented] for i in contract.blocked] if contract else [],
        "provider": contract.account.value if contract else None,
        "account": [account.provider_id.value, account.name, format_time(account.created_at)]
        if account
        else None,
    }


def _time_text(value: dt.datetime | None) -> str | None:
    return format_time(value) if value else None


def anchor_json(anchor: TrustAnchor) -> list[Any]:
    """Return the fingerprint of an anchor, and its domains."""
    return [anchor.certificate.fingerprint.value, sorted(domain.value for domain in anchor.domains)]


def policy_json(policy: DecisionPolicy) -> Json:
    """Return what the operator demanded."""
    return {
        "version": policy.version,
        "status": {domain.value: rule.value for domain, rule in policy.status.items()},
        "stale": {domain.value: rule.value for domain, rule in policy.stale.items()},
        "askContract": policy.ask_contract,
        "strictCheckDigit": policy.strict_check_digit,
    }
