"""
The contract decision: pure, total, deterministic.

The questions run in one fixed order and the first *no* is the fault. Nothing here reads a clock, a
store or a network; everything comes as an argument.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from pki.ids import Edition
from pki.model import (
    Accepted,
    Check,
    ContractCheck,
    DecisionPolicy,
    Evidence,
    Rejected,
    Trust,
)
from pki.validate.case import Case, edition_of, make_case, path_status
from pki.validate.outcomes import OUTCOMES
from pki.validate.presented import Presented
from pki.validate.questions import (
    CHAIN_NOT_ASKED,
    CHAIN_QUESTIONS,
    CONTRACT_QUESTIONS,
    Answer,
    No,
    NotAsked,
    Yes,
)

EXPIRES_SOON: Final = {Edition.ISO2: dt.timedelta(days=21), Edition.ISO20: dt.timedelta(days=14)}
"""[V2G2-690]: 21 days as deployed stations count; [V2G20-2218]: 14 days."""


def decide(  # noqa: PLR0913 - the signature that the architecture fixes
    chain: Presented,
    check: ContractCheck,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    now: dt.datetime,
) -> Accepted | Rejected:
    """Answer whether this contract may be used here and now, and why."""
    case = make_case(chain, check, evidence, trust, policy, now)
    with_chain = check.chain is not None or check.unreadable is not None or bool(check.hash_data)
    about_chain = CHAIN_QUESTIONS if with_chain else CHAIN_NOT_ASKED
    checks: list[Check] = []
    refusal: No | None = None
    for name, clause, ask in (*about_chain, *CONTRACT_QUESTIONS):
        answer = ask(case)
        checks.extend(_checks(name, clause, answer))
        if isinstance(answer, No):
            refusal = answer
            break
    status = path_status(case)
    account = evidence.contract.account
    edition = case.emaid.edition if case.emaid else edition_of(case.leaf)
    if refusal is not None:
        return Rejected(
            emaid=case.emaid,
            edition=edition,
            checks=tuple(checks),
            path=status,
            with_chain=with_chain,
            account=account,
            fault=refusal.fault,
            explanation=f"{OUTCOMES[refusal.fault].meaning}: {refusal.detail}.",
        )
    return Accepted(
        emaid=case.emaid,
        edition=edition,
        checks=tuple(checks),
        path=status,
        with_chain=with_chain,
        account=account,
        expires_soon=_expires_soon(case),
    )


# ----------------------------------------------------------------------


def _checks(name: str, clause: str, answer: Answer) -> list[Check]:
    match answer:
        case Yes(detail, notes):
            found = [Check(question=name, answer="yes", detail=detail, clause=clause)]
            return found + [
                Check(question=name, answer="note", detail=note, clause=clause) for note in notes
            ]
        case No(_, detail):
            return [Check(question=name, answer="no", detail=detail, clause=clause)]
        case NotAsked(why):
            return [Check(question=name, answer="not_asked", detail=why, clause=clause)]


def _expires_soon(case: Case) -> bool:
    edition = edition_of(case.leaf)
    if case.leaf is None or edition is None:
        return False
    return case.leaf.not_after - case.now <= EXPIRES_SOON[edition]
