"""
The contract decision: pure, total, deterministic.

The questions run in one fixed order and the first *no* is the fault. Nothing here reads a clock, a
store or a network; everything comes as an argument.
"""

from __future__ import annotations

import datetime as dt

from pki.model import (
    Accepted,
    Check,
    ContractCheck,
    DecisionPolicy,
    Evidence,
    Rejected,
    Trust,
)
from pki.validate import usual
from pki.validate.case import EXPIRES_SOON, Case, edition_of, make_case
from pki.validate.outcomes import OUTCOMES
from pki.validate.presented import Presented
from pki.validate.questions import (
    ALL_QUESTIONS,
    BARE_QUESTIONS,
    Answer,
    No,
    NotAsked,
    Yes,
    line,
)


def decide(  # noqa: PLR0913 - the signature that the architecture fixes
    chain: Presented,
    check: ContractCheck,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    now: dt.datetime,
) -> Accepted | Rejected:
    """Answer whether this contract may be used here and now, and why."""
    return decided(chain, check, evidence, trust, policy, now)[0]


def decided(  # noqa: PLR0913 - as decide
    chain: Presented,
    check: ContractCheck,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    now: dt.datetime,
) -> tuple[Accepted | Rejected, usual.Way | None]:
    """Return what `decide` does, and the way that led there where it is a usual one."""
    way = usual.way_of(chain, check, trust, policy)
    usually = usual.accepted(way, chain, check, evidence, now) if way is not None else None
    if usually is not None:
        return usually, way
    return _asked(chain, check, evidence, trust, policy, now), None


# ----------------------------------------------------------------------


def _asked(  # noqa: PLR0913 - as decide
    chain: Presented,
    check: ContractCheck,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    now: dt.datetime,
) -> Accepted | Rejected:
    """Ask one question after another."""
    case = make_case(chain, check, evidence, trust, policy, now)
    with_chain = check.chain is not None or check.unreadable is not None or bool(check.hash_data)
    checks: list[Check] = []
    refusal: No | None = None
    for name, clause, ask in ALL_QUESTIONS if with_chain else BARE_QUESTIONS:
        answer = ask(case)
        if type(answer) is Yes and not answer.notes:  # nearly always
            checks.append(line(name, "yes", answer.detail, clause))
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
    accepted = Accepted(
        emaid=case.emaid,
        edition=edition,
        checks=tuple(checks),
        path=case.status,
        with_chain=with_chain,
        account=account,
        expires_soon=_expires_soon(case),
    )
    usual.learn(case, accepted)
    return accepted


def _checks(name: str, clause: str, answer: Answer) -> list[Check]:
    match answer:
        case Yes(detail, notes):
            found = [line(name, "yes", detail, clause)]
            found.extend(line(name, "note", note, clause) for note in notes)
            return found
        case No(_, detail):
            return [line(name, "no", detail, clause)]
        case NotAsked(why):
            return [line(name, "not_asked", why, clause)]


def _expires_soon(case: Case) -> bool:
    edition = edition_of(case.leaf)
    if case.leaf is None or edition is None:
        return False
    return case.leaf.not_after - case.now <= EXPIRES_SOON[edition]
