"""The contract decision at session start: parse, gather once, decide purely, record once."""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets

from pki import access
from pki.clock import format_time
from pki.errors import NotAllowed
from pki.model import (
    Accepted,
    ContractCheck,
    Decision,
    DecisionPolicy,
    DecisionRecord,
    Domain,
    Evidence,
    Principal,
    Rejected,
    Role,
    StatusRule,
    Trust,
    TrustAnchor,
)
from pki.pkix.certificate import Certificate
from pki.ports import Deployment
from pki.validate import presented
from pki.validate.decide import decide
from pki.validate.gather import gather
from pki.validate.presented import Presented
from pki.validate.render import to_json

__all__ = ["decide", "validate", "without_store"]


def validate(  # noqa: PLR0913 - who, what, and the two ways to ask otherwise
    deployment: Deployment,
    principal: Principal,
    check: ContractCheck,
    *,
    action: access.Action = access.Action.VALIDATE,
    at: dt.datetime | None = None,
    anchors: tuple[Certificate, ...] = (),
) -> Decision:
    """
    Decide whether a contract may be used here and now, and keep the receipt.

    Args:
        at: decide as of this time (command line).
        anchors: trust only these, for contracts, and ask no status of foreign certificates.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed` (an eMSP asks for its own contracts
            only).
        Unavailable: the store cannot be read or the receipt not written; never an acceptance.
    """
    access.require(principal, action)
    now = at or deployment.clock.now()
    with deployment.store.read() as tx:
        chain, evidence, trust, policy = gather(tx, check, now)
    if anchors:
        trust, policy = _given(anchors, trust), _not_asked(policy)
    verdict = decide(chain, check, evidence, trust, policy, now)
    _require_own(principal, verdict)
    decision = Decision(decision_id=secrets.token_hex(12), decided_at=now, verdict=verdict)
    with deployment.store.write() as tx:
        tx.decisions.add(_receipt(principal, check, chain, evidence, trust, policy, decision))
    return decision


def without_store(
    check: ContractCheck, anchors: tuple[Certificate, ...], now: dt.datetime
) -> Decision:
    """Decide on the chain alone: status, contract and account are not asked, no receipt is kept."""
    trust = _given(anchors, Trust(version=0, anchors=()))
    policy = _not_asked(DecisionPolicy(ask_contract=False))
    verdict = decide(presented.read(check), check, Evidence(read_at=now), trust, policy, now)
    return Decision(decision_id=secrets.token_hex(12), decided_at=now, verdict=verdict)


def _given(anchors: tuple[Certificate, ...], trust: Trust) -> Trust:
    domains = frozenset((Domain.MO,))
    return Trust(
        version=trust.version,
        anchors=tuple(TrustAnchor(certificate=c, domains=domains) for c in anchors),
        pool=trust.pool,
    )


def _not_asked(policy: DecisionPolicy) -> DecisionPolicy:
    return DecisionPolicy(
        version=policy.version,
        status=dict.fromkeys(Domain, StatusRule.NOT_ASKED),
        ask_contract=policy.ask_contract,
        strict_check_digit=policy.strict_check_digit,
    )


def _require_own(principal: Principal, verdict: Accepted | Rejected) -> None:
    """An eMSP learns nothing of contracts that are not its own."""
    if principal.role is not Role.EMSP:
        return
    provider = verdict.emaid.provider.value if verdict.emaid else None
    if provider not in principal.parties:
        raise NotAllowed("party_not_allowed", "This client may ask for its own contracts only.")


def _receipt(  # noqa: PLR0913 - the inputs of `decide`, all of which the receipt keeps
    principal: Principal,
    check: ContractCheck,
    chain: Presented,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    decision: Decision,
) -> DecisionRecord:
    """Write down inputs and result, such that the decision can be reached again from them (I7)."""
    verdict = decision.verdict
    contract = evidence.contract.contract
    record = {
        "now": format_time(decision.decided_at),
        "check": _check_json(check),
        "chain": [base64.b64encode(c.der).decode() for c in chain.certificates],
        "statuses": {
            fingerprint.value: {
                "status": status.status.value,
                "source": status.source,
                "asOf": format_time(status.as_of),
                "reason": status.reason.value if status.reason else None,
                "revokedAt": format_time(status.revoked_at) if status.revoked_at else None,
            }
            for fingerprint, status in evidence.statuses.items()
            if any(p.fingerprint == fingerprint for p in verdict.path)
        },
        "contract": contract.contract_id if contract else None,
        "contractState": contract.state.value if contract else None,
        "ambiguous": evidence.contract.ambiguous,
        "account": verdict.account.provider_id.value if verdict.account else None,
        "anchors": [a.certificate.fingerprint.value for a in trust.anchors],
        "trustVersion": trust.version,
        "policy": {domain.value: rule.value for domain, rule in policy.status.items()},
        "verdict": to_json(decision),
    }
    return DecisionRecord(
        decision_id=decision.decision_id,
        decided_at=decision.decided_at,
        accepted=isinstance(verdict, Accepted),
        fault=verdict.fault.value if isinstance(verdict, Rejected) else None,
        emaid=verdict.emaid.key if verdict.emaid else None,
        asked_by=principal.name,
        record=json.dumps(record, sort_keys=True, separators=(",", ":")),
    )


def _check_json(check: ContractCheck) -> dict[str, object]:
    return {
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
