"""
The contract decision: pure, total, deterministic.

The questions run in one fixed order and the first *no* is the fault. Nothing here reads a clock, a
store or a network; everything comes as an argument.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Final, Literal

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
from pki.validate.case import Case, edition_of, make_case
from pki.validate.outcomes import OUTCOMES
from pki.validate.presented import Presented
from pki.validate.questions import (
    ALL_QUESTIONS,
    BARE_QUESTIONS,
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
    checks: list[Check] = []
    refusal: No | None = None
    for name, clause, ask in ALL_QUESTIONS if with_chain else BARE_QUESTIONS:
        answer = ask(case)
        if type(answer) is Yes and not answer.notes:  # nearly always
            checks.append(_check(name, "yes", answer.detail, clause))
            continue
        checks.extend(_checks(name, clause, answer))
        if isinstance(answer, No):
            refusal = answer
            break
    account = evidence.contract.account
    edition = case.emaid.edition if case.emaid else edition_of(case.leaf)
    if refusal is not None:
        return Rejected(
            emaid=case.emaid,
            edition=edition,
            checks=tuple(checks),
            path=case.status,
            with_chain=with_chain,
            account=account,
            fault=refusal.fault,
            explanation=f"{OUTCOMES[refusal.fault].meaning}: {refusal.detail}.",
        )
    return Accepted(
        emaid=case.emaid,
        edition=edition,
        checks=tuple(checks),
        path=case.status,
        with_chain=with_chain,
        account=account,
        expires_soon=_expires_soon(case),
    )


# ----------------------------------------------------------------------


def _checks(name: str, clause: str, answer: Answer) -> list[Check]:
    match answer:
        case Yes(detail, notes):
            found = [_check(name, "yes", detail, clause)]
            found.extend(_check(name, "note", note, clause) for note in notes)
            return found
        case No(_, detail):
            return [_check(name, "no", detail, clause)]
        case NotAsked(why):
            return [_check(name, "not_asked", why, clause)]


@lru_cache(maxsize=1024)
def _check(
    question: str, answer: Literal["yes", "no", "not_asked", "note"], detail: str, clause: str
) -> Check:
    """Return one line of a verdict; most are the same in every verdict."""
    return Check(question=question, answer=answer, detail=detail, clause=clause)


def _expires_soon(case: Case) -> bool:
    edition = edition_of(case.leaf)
    if case.leaf is None or edition is None:
        return False
    return case.leaf.not_after - case.now <= EXPIRES_SOON[edition]
