"""Many decisions at once: as many queries as for one, and one commit for all of their receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pki import access
from pki.errors import PkiError
from pki.model import (
    ContractCheck,
    ContractEvidence,
    Decision,
    DecisionRecord,
    Principal,
    SeenCertificate,
)
from pki.ports import Deployment
from pki.validate import receipts, repeats
from pki.validate.after import require_own, seen_in
from pki.validate.decide import decide
from pki.validate.frame import Frame, concerned, read_frame
from pki.validate.gather import Gathered, gather_many
from pki.validate.lasting import Lasting, lasting
from pki.validate.render import to_json

Further = Callable[[Decision, ContractEvidence], dict[str, Any]]
"""What is asked behind a decision: the decision and the contract it found, to JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks what; `further` as in `pki.validate.validate`."""

    principal: Principal
    check: ContractCheck
    action: access.Action
    further: Further | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """
    One of many decisions.

    Attributes:
        told: it, as `pki.validate.render.to_json` has it.
        lasting: how long it may be repeated; None where it must be made anew each time.
    """

    decision: Decision
    told: dict[str, Any]
    lasting: Lasting | None


@dataclass(slots=True)
class _Kept:
    """What one commit is to keep."""

    records: list[DecisionRecord] = field(default_factory=list)
    seen: list[SeenCertificate] = field(default_factory=list)


def validate_many(
    deployment: Deployment, asked: Sequence[Asked], repeated: Sequence[DecisionRecord] = ()
) -> list[Decided | Exception]:
    """
    Decide as `validate` does, each for itself; what one of them raises is its result.

    Args:
        repeated: further receipts of the same commit.

    Raises:
        Unavailable: the store cannot be read or the receipts not written; nobody is accepted.
    """
    refused = [_refusal(one) for one in asked]
    allowed = [one for one, error in zip(asked, refused, strict=True) if error is None]
    kept = _Kept(records=list(repeated))
    results = iter(_decide_all(deployment, allowed, kept) if allowed else ())
    found = [error if error is not None else next(results) for error in refused]
    if kept.records:
        with deployment.store.write() as tx:
            tx.decisions.add_many(kept.records)
            for certificate in kept.seen:
                tx.evidence.see(certificate)
    return found


def _decide_all(
    deployment: Deployment, asked: Sequence[Asked], kept: _Kept
) -> list[Decided | Exception]:
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        desk = deployment.desk
        frame = desk.shared(tx, read_frame, concerned) if desk else read_frame(tx)
        gathered = gather_many(tx, frame, [one.check for one in asked], now)
    return [
        _decided(one, facts, frame, now, kept) for one, facts in zip(asked, gathered, strict=True)
    ]


def _decided(
    one: Asked, facts: Gathered, frame: Frame, now: dt.datetime, kept: _Kept
) -> Decided | Exception:
    chain, evidence, trust = facts.chain, facts.evidence, frame.trust
    verdict = decide(chain, one.check, evidence, trust, frame.policy, now)
    decision = Decision(decision_id=repeats.new_id(now), decided_at=now, verdict=verdict)
    try:
        require_own(one.principal, verdict)
        more = one.further(decision, evidence.contract) if one.further else None
    except Exception as error:  # noqa: BLE001 - told to whoever asked, and to nobody else
        return error
    told = to_json(decision)
    record = receipts.write(
        one.principal, one.check, chain, evidence, trust, frame.policy, decision, told, more
    )
    seen = seen_in(chain, evidence, trust, verdict, now)
    kept.records.append(record)
    kept.seen += seen
    lasts = None if seen else lasting(record, verdict, chain, evidence, frame, now)
    return Decided(decision=decision, told=told, lasting=lasts)


def _refusal(one: Asked) -> Exception | None:
    try:
        access.require(one.principal, one.action)
    except PkiError as error:
        return error
    return None
