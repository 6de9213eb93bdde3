"""
Receipts: a decision is written down such that it can be explained and reached again (I7).

Kept are the presented octets, the statuses and contract facts that counted, and the fingerprints of
anchors. Anchors and CA certificates themselves are never deleted from the store.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

from pki import access, batches
from pki.clock import format_time, parse_time
from pki.errors import NotFound, PolicyViolation
from pki.ids import Edition, Emaid, Fingerprint, ProviderId, SerialNumber, quote
from pki.model import (
    Accepted,
    Account,
    CertificateStatus,
    Contract,
    ContractCheck,
    ContractEvidence,
    ContractState,
    Decision,
    DecisionPolicy,
    DecisionRecord,
    Domain,
    Evidence,
    Fault,
    HashData,
    OwnIssuer,
    Principal,
    Reason,
    Rejected,
    StaleRule,
    Status,
    StatusRule,
    Trust,
    TrustAnchor,
)
from pki.pkix.certificate import load
from pki.ports import Deployment, Transaction
from pki.validate import forms, repeats
from pki.validate.decide import decide
from pki.validate.presented import Presented
from pki.validate.render import to_json
from pki.validate.written import anchor_json, check_json, contract_json, policy_json, statuses_json

Json = dict[str, Any]
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """
    What a receipt says, and what deciding on its inputs says now.

    Attributes:
        recorded, replayed: verdicts as `POST /v1/contracts/validate` answers them.
    """

    recorded: Json
    replayed: Json

    @property
    def same(self) -> bool:
        """Tell whether the same verdict was reached."""
        return self.recorded == self.replayed


def write(  # noqa: PLR0913 - the inputs of `decide`, all of which the receipt keeps
    principal: Principal,
    check: ContractCheck,
    chain: Presented,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    decision: Decision,
    told: Json,
    authorisation: Json | None = None,
) -> DecisionRecord:
    """
    Return the receipt of a decision, and of the authorisation that followed it.

    Args:
        told: the decision as `to_json` has it.
    """
    verdict = decision.verdict
    record = {
        "format": _FORMAT,
        "now": format_time(decision.decided_at),
        "readAt": format_time(evidence.read_at),
        "check": check_json(check),
        "chain": [base64.b64encode(c.der).decode() for c in chain.certificates],
        "byHash": chain.by_hash,
        "chainFault": list(chain.fault) if chain.fault else None,
        "statuses": statuses_json(chain, evidence, verdict),
        "contract": contract_json(evidence.contract),
        "anchors": [anchor_json(anchor) for anchor in trust.anchors],
        "pool": [own.issuer_id for own in trust.pool],
        "trustVersion": trust.version,
        "policy": policy_json(policy),
        "verdict": told,
    }
    if authorisation is not None:
        record["authorisation"] = authorisation
    return DecisionRecord(
        decision_id=decision.decision_id,
        decided_at=decision.decided_at,
        accepted=isinstance(verdict, Accepted),
        fault=verdict.fault.value if isinstance(verdict, Rejected) else None,
        emaid=verdict.emaid.key if verdict.emaid else None,
        asked_by=principal.name,
        record=repeats.text(record),
    )


def find(deployment: Deployment, principal: Principal, decision_id: str) -> DecisionRecord:
    """Return a receipt. Raises NotFound (`decision_unknown`)."""
    access.require(principal, access.Action.READ_AUDIT)
    with deployment.store.read() as tx:
        return _get(tx, decision_id)


def _get(tx: Transaction, decision_id: str) -> DecisionRecord:
    found = forms.get(tx, decision_id)
    if found is None:
        raise NotFound(
            "decision_unknown",
            f"There is no decision {quote(decision_id)}.",
            hint="Receipts are kept for decisions.keep_days days.",
        )
    return found


def replay(deployment: Deployment, principal: Principal, decision_id: str) -> Replay:
    """
    Decide once more on the inputs of a receipt, as of then.

    Raises:
        NotFound: `decision_unknown`, `anchor_unknown` (its anchors were given by hand).
        PolicyViolation: `decision_without_certificate` (an RFID card was shown).
    """
    access.require(principal, access.Action.READ_AUDIT)
    with deployment.store.read() as tx:
        receipt = _get(tx, decision_id)
        told: Json = json.loads(receipt.record)
        if "verdict" not in told:
            raise PolicyViolation(
                "decision_without_certificate",
                "This is the receipt of an authorisation without a contract decision.",
                hint="`pnc decision show` tells what it says.",
            )
        trust = _trust(tx, told)
    check, chain = _check(told), _chain(told)
    evidence = Evidence(
        read_at=parse_time(told["readAt"]),
        statuses=_statuses(told, trust),
        contract=_contract(told),
    )
    now = parse_time(told["now"])
    verdict = decide(chain, check, evidence, trust, _policy(told), now)
    decision = Decision(decision_id=decision_id, decided_at=now, verdict=verdict)
    return Replay(recorded=told["verdict"], replayed=to_json(decision))


def prune(deployment: Deployment, keep: dt.timedelta) -> int:
    """
    Forget receipts that are older than `keep`, in batches; return how many.

    One that may have been repeated stays as long as the last repetition may.
    """
    before = deployment.clock.now() - keep
    originals = before - repeats.LONGEST
    return batches.each_apart(
        deployment, lambda tx, most: tx.decisions.prune(before, originals, most)
    )


# --- JSON to values ------------------------------------------------------------------------------


def _check(told: Json) -> ContractCheck:
    asked = told["check"]
    return ContractCheck(
        chain=_ders(told) if asked["presented"] else None,
        unreadable=asked["unreadable"],
        hash_data=tuple(
            HashData(
                algorithm=algorithm,
                issuer_name_hash=bytes.fromhex(name),
                issuer_key_hash=bytes.fromhex(key),
                serial=SerialNumber.parse(serial),
            )
            for algorithm, name, key, serial in asked["hashData"]
        ),
        token=asked["token"],
        token_type=asked["tokenType"],
        edition=Edition(asked["edition"]) if asked["edition"] else None,
        evse_id=asked["evseId"],
        station_id=asked["stationId"],
    )


def _ders(told: Json) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(text) for text in told["chain"])


def _chain(told: Json) -> Presented:
    fault = told["chainFault"]
    return Presented(
        certificates=tuple(load(der) for der in _ders(told)),
        fault=(Fault(fault[0]), fault[1]) if fault else None,
        by_hash=told["byHash"],
    )


def _statuses(told: Json, trust: Trust) -> dict[Fingerprint, CertificateStatus]:
    """Return the kept statuses; our own CAs that are not among them were good."""
    as_of = parse_time(told["readAt"])
    good = CertificateStatus(status=Status.GOOD, source="own", as_of=as_of)
    statuses = {own.certificate.fingerprint: good for own in trust.pool}
    for fingerprint, kept in told["statuses"].items():
        statuses[Fingerprint.parse(fingerprint)] = CertificateStatus(
            status=Status(kept["status"]),
            source=kept["source"],
            as_of=parse_time(kept["asOf"]),
            next_update=_time(kept["nextUpdate"]),
            reason=Reason(kept["reason"]) if kept["reason"] else None,
            revoked_at=_time(kept["revokedAt"]),
        )
    return statuses


def _time(text: str | None) -> dt.datetime | None:
    return parse_time(text) if text else None


def _contract(told: Json) -> ContractEvidence:
    kept = told["contract"]
    if kept["id"] is None:
        return ContractEvidence(ambiguous=kept["ambiguous"])
    account = kept["account"]
    return ContractEvidence(
        ambiguous=kept["ambiguous"],
        contract=Contract(
            contract_id=kept["id"],
            identifiers=_emaids(kept["identifiers"]),
            account=ProviderId.parse(kept["provider"]),
            state=ContractState(kept["state"]),
            created_at=parse_time(kept["createdAt"]),
            # receipts of contracts before they had a validity lack these
            valid_from=_time(kept.get("validFrom")),
            valid_until=_time(kept.get("validUntil")),
            blocked=_emaids(kept.get("blocked", [])),
        ),
        account=Account(
            provider_id=ProviderId.parse(account[0]),
            name=account[1],
            created_at=parse_time(account[2]),
        )
        if account
        else None,
    )


def _emaids(kept: list[list[str]]) -> tuple[Emaid, ...]:
    return tuple(Emaid.parse(text, Edition(edition)) for edition, text in kept)


def _trust(tx: Transaction, told: Json) -> Trust:
    pool = set(told["pool"])
    return Trust(
        version=told["trustVersion"],
        anchors=tuple(
            TrustAnchor(
                certificate=load(_anchor(tx, fingerprint)),
                domains=frozenset(Domain(domain) for domain in domains),
            )
            for fingerprint, domains in told["anchors"]
        ),
        pool=tuple(
            OwnIssuer(
                issuer_id=issuer.issuer_id,
                kind=issuer.kind,
                certificate=load(issuer.certificate),
            )
            for issuer in tx.issuers.all()
            if issuer.issuer_id in pool
        ),
    )


def _anchor(tx: Transaction, fingerprint: str) -> bytes:
    der = tx.trust.anchor_der(Fingerprint.parse(fingerprint))
    if der is None:
        raise NotFound(
            "anchor_unknown",
            f"The anchor {fingerprint} of this decision was given by hand and is not kept.",
        )
    return der


def _policy(told: Json) -> DecisionPolicy:
    kept = told["policy"]
    return DecisionPolicy(
        version=kept["version"],
        status={Domain(domain): StatusRule(rule) for domain, rule in kept["status"].items()},
        stale={Domain(domain): StaleRule(rule) for domain, rule in kept["stale"].items()},
        ask_contract=kept["askContract"],
        strict_check_digit=kept["strictCheckDigit"],
    )
