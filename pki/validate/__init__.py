"""The contract decision at session start: parse, gather once, decide purely, record once."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Final

from pki import access
from pki.model import (
    ContractCheck,
    Decision,
    DecisionPolicy,
    DecisionRecord,
    Domain,
    Evidence,
    Principal,
    SeenCertificate,
    StatusRule,
    Trust,
    TrustAnchor,
)
from pki.pkix.certificate import Certificate
from pki.ports import Deployment
from pki.validate import presented, receipts, repeats
from pki.validate.after import require_own, seen_in
from pki.validate.decide import decide
from pki.validate.files import EvidenceFiles, statuses
from pki.validate.frame import Frame, read_frame
from pki.validate.gather import gather, known_statuses
from pki.validate.lasting import Lasting
from pki.validate.many import Asked, Behind, Decided, Further, validate_many
from pki.validate.receipts import Replay, find, prune, replay
from pki.validate.render import to_json

__all__ = [
    "Asked",
    "Behind",
    "Decided",
    "EvidenceFiles",
    "Frame",
    "Further",
    "Lasting",
    "Replay",
    "decide",
    "find",
    "known_statuses",
    "prune",
    "read_frame",
    "replay",
    "validate",
    "validate_many",
    "without_store",
]

_NO_FILES: Final = EvidenceFiles()


def validate(  # noqa: PLR0913 - who, what, and the two ways to ask otherwise
    deployment: Deployment,
    principal: Principal,
    check: ContractCheck,
    *,
    action: access.Action = access.Action.VALIDATE,
    at: dt.datetime | None = None,
    anchors: tuple[Certificate, ...] = (),
    files: EvidenceFiles = _NO_FILES,
    further: Further | None = None,
) -> Decision:
    """
    Decide whether a contract may be used here and now, and keep the receipt.

    Args:
        at: decide as of this time (command line).
        anchors: trust only these, for contracts, and ask no status of foreign certificates.
        files: CRLs and OCSP answers that count as evidence besides what the store holds.
        further: asks on behind the decision, in no transaction; its answer goes into the receipt.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed` (an eMSP asks for its own contracts
            only).
        Unavailable: the store cannot be read or the receipt not written; never an acceptance.
    """
    access.require(principal, action)
    now = at or deployment.clock.now()
    with deployment.store.read() as tx:
        chain, evidence, trust, policy = gather(tx, check, now, deployment.desk)
    if anchors:
        trust, policy = _given(anchors, trust), _not_asked(policy)
    told = statuses(files, chain, trust, now)
    evidence = replace(evidence, statuses=told | dict(evidence.statuses))
    verdict = decide(chain, check, evidence, trust, policy, now)
    require_own(principal, verdict)
    decision = Decision(decision_id=repeats.new_id(now), decided_at=now, verdict=verdict)
    more = further(decision, evidence.contract) if further else None
    explained = to_json(decision)
    record = receipts.write(
        principal, check, chain, evidence, trust, policy, decision, explained, more
    )
    _keep(deployment, record, seen_in(chain, evidence, trust, verdict, now))
    return decision


def _keep(deployment: Deployment, record: DecisionRecord, seen: list[SeenCertificate]) -> None:
    """Store a receipt, and foreign certificates whose status is asked ahead from now on."""
    if deployment.desk is not None:
        deployment.desk.keep(record, seen)
        return
    with deployment.store.write() as tx:
        tx.decisions.add(record)
        for certificate in seen:
            tx.evidence.see(certificate)


def without_store(
    check: ContractCheck,
    anchors: tuple[Certificate, ...],
    now: dt.datetime,
    files: EvidenceFiles = _NO_FILES,
) -> Decision:
    """
    Decide on the chain alone, with evidence from files; contract and account are not asked.

    No receipt is kept.
    """
    trust = _given(anchors, Trust(version=0, anchors=()))
    policy = _not_asked(DecisionPolicy(ask_contract=False))
    chain = presented.read(check)
    evidence = Evidence(read_at=now, statuses=statuses(files, chain, trust, now))
    verdict = decide(chain, check, evidence, trust, policy, now)
    return Decision(decision_id=repeats.new_id(now), decided_at=now, verdict=verdict)


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
