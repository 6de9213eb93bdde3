"""The questions of the contract decision, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from pki.clock import format_time
from pki.errors import BadInput
from pki.ids import CheckDigit, Edition, Emaid, quote
from pki.model import (
    EMAID_TOKEN_TYPE,
    Check,
    ContractState,
    Fault,
    PathStatus,
    Status,
    StatusRule,
)
from pki.validate import profile
from pki.validate.case import Case


@dataclass(frozen=True, slots=True)
class No:
    """The answer that rejects."""

    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class Yes:
    """The answer that goes on; `notes` are deviations that do not refuse."""

    detail: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAsked:
    """A question that this input or policy does not ask."""

    why: str


Answer = Yes | No | NotAsked
Question = tuple[str, str, Callable[[Case], Answer]]
"""Name, clause, and the function that answers."""


@lru_cache(maxsize=64)
def _yes(detail: str) -> Yes:
    """Return an answer without notes; there are few, and each is given again and again."""
    return Yes(detail)


@lru_cache(maxsize=1024)
def line(
    question: str, answer: Literal["yes", "no", "not_asked", "note"], detail: str, clause: str
) -> Check:
    """Return one line of a verdict; most are the same in every verdict."""
    return Check(question=question, answer=answer, detail=detail, clause=clause)


def _readable(case: Case) -> Answer:
    fault = case.presented.fault
    if fault is not None:
        return No(*fault)
    certificates = case.presented.certificates
    what = "named by hash data" if case.presented.by_hash else "presented"
    deviations = tuple(d for c in certificates if c.deviations for d in c.deviations)
    told = f"{len(certificates)} certificates {what}"
    return Yes(told, deviations) if deviations else _yes(told)


def _path(case: Case) -> Answer:
    if case.no_path is not None:
        return No(Fault(case.no_path.fault.value), case.no_path.detail)
    if case.path is None or case.upper is None:
        return No(Fault.NO_PATH, "there is nothing to build a path from")
    if case.presented.by_hash and not set(case.presented.certificates) <= set(
        case.path.certificates
    ):
        return No(Fault.HASH_DATA_UNKNOWN, "the hash data name certificates of different paths")
    issuer = case.upper.unlimited
    if issuer is not None:
        detail = f"{issuer.subject_text} lacks keyCertSign and cannot issue"
        return No(Fault.ISSUER_NOT_CA, detail)
    return Yes(f"{case.path.leaf.subject_text}{case.upper.text}")


def _role(case: Case) -> Answer:
    if case.path is None or case.upper is None:
        return NotAsked("there is no path")
    if not case.domains:
        named = ", ".join(sorted(case.upper.domains))
        return No(Fault.WRONG_ROLE, f"its path ends at an anchor that is trusted for {named} only")
    wrong = profile.wrong_role(case.path, case.upper.kind)
    return No(Fault.WRONG_ROLE, wrong) if wrong else _yes("a contract certificate")


def _profile(case: Case) -> Answer:
    if case.path is None or case.upper is None:
        return NotAsked("there is no path")
    leaf, upper = case.path.leaf, case.upper
    above = upper.fault20 if leaf.suite and leaf.suite.edition is Edition.ISO20 else upper.fault2
    fault = profile.leaf_fault(leaf) or above
    if fault:
        return No(Fault.PROFILE, fault)
    notes = (*profile.leaf_notes(leaf), *upper.notes, *profile.usage_notes(leaf))
    return Yes("as the profile asks", notes) if notes else _yes("as the profile asks")


def _begun(case: Case) -> Answer:
    if (
        case.path
        and case.upper
        and max(case.path.leaf.not_before, case.upper.not_before) > case.now
    ):
        certificate = next(c for c in case.path.certificates if c.not_before > case.now)
        detail = f"{certificate.subject_text} begins at {format_time(certificate.not_before)}"
        return No(Fault.NOT_YET_VALID, detail)
    return _yes("every certificate of the path has begun")


def _unexpired(case: Case) -> Answer:
    if case.path and case.upper and min(case.path.leaf.not_after, case.upper.not_after) < case.now:
        certificate = next(c for c in case.path.certificates if c.not_after < case.now)
        detail = f"{certificate.subject_text} ended at {format_time(certificate.not_after)}"
        return No(Fault.EXPIRED, detail)
    return _yes("no certificate of the path has expired")


def _emaid(case: Case) -> Answer:
    token = case.check.token
    if case.evidence.contract.ambiguous and case.leaf is None:
        detail = (
            f"{quote(token or '')} is a -2 identifier and a -20 identifier of different contracts"
        )
        return No(Fault.EMAID_AMBIGUOUS, detail)
    digit = _wrong_check_digit(case)
    if digit and case.policy.strict_check_digit:
        return No(Fault.EMAID_MISMATCH, digit)
    notes = (digit,) if digit else ()
    if case.leaf is None:
        return Yes("names at most one contract", notes)
    if token is None:
        return NotAsked("no EMAID was presented beside the chain")
    wrong = _wrong_token(case, token)
    if wrong:
        return No(Fault.EMAID_MISMATCH, wrong)
    return Yes("equal after normalising", notes) if notes else _yes("equal after normalising")


def _wrong_token(case: Case, token: str) -> str | None:
    """Say why what was presented beside a chain is not the EMAID of its leaf, or None."""
    if case.check.token_type != EMAID_TOKEN_TYPE:
        return f"a token of type {quote(case.check.token_type)} was presented beside the chain"
    if case.emaid is None or not same_emaid(case.emaid, token):
        return f"{quote(token)} against {case.emaid or 'none'}"
    return None


def _wrong_check_digit(case: Case) -> str | None:
    if case.emaid is None or case.emaid.check_digit is not CheckDigit.WRONG:
        return None
    return f"the check digit of {case.emaid} should be {case.emaid.check_character}"


def same_emaid(emaid: Emaid, token: str) -> bool:
    """Tell whether what was presented beside a chain names the contract of its leaf."""
    try:
        return Emaid.parse(token, emaid.edition) == emaid
    except BadInput:
        return False


def _unrevoked(case: Case) -> Answer:
    if case.path is None:
        return NotAsked(_NO_CHAIN)
    for entry in case.status:
        status = entry.status
        if status.status is Status.REVOKED:
            when = format_time(status.revoked_at) if status.revoked_at else "an unknown time"
            return No(
                Fault.REVOKED, f"{entry.subject}, {status.reason or 'unspecified'}, at {when}"
            )
    return _yes("no certificate of the path is known as revoked")


def _status_known(case: Case) -> Answer:
    if case.path is None:
        return NotAsked(_NO_CHAIN)
    rule = case.rule
    below = case.status[:-1]
    for entry in below:
        missing = entry.status.status is Status.UNKNOWN
        if missing and (entry.status.source == "own" or rule is StatusRule.REQUIRED):
            return No(Fault.STATUS_MISSING, _missing(entry))
    foreign = [entry for entry in below if entry.status.status is Status.NOT_ASKED]
    if foreign and len(foreign) == len(below):
        return NotAsked(f"status of foreign certificates: {rule.value}")
    notes: tuple[str, ...] = ()
    if foreign:
        notes = (f"{len(foreign)} foreign certificates not asked",)
    notes += tuple(
        f"{_stale(entry)}, which the policy accepts"
        for entry in below
        if entry.status.next_update is not None and entry.status.next_update < case.now
    )
    told = "every required status is known and good"
    return Yes(told, notes) if notes else _yes(told)


def _stale(entry: PathStatus) -> str:
    until = entry.status.next_update
    since = format_time(until) if until else "long ago"
    return f"the evidence about {entry.subject} is stale since {since}"


def _missing(entry: PathStatus) -> str:
    match entry.status.source:
        case "own":
            return f"our own CA did not issue {entry.subject}"
        case "foreign":
            return _stale(entry)
        case _:
            return f"nobody answers for {entry.subject}"


def _contract(case: Case) -> Answer:
    if not case.policy.ask_contract:
        return NotAsked("no contract store at hand")
    contract = case.evidence.contract.contract
    if contract is None:
        return No(Fault.CONTRACT_UNKNOWN, _unknown_contract(case))
    state = contract.state_at(case.now)
    fault = _CONTRACT_FAULTS.get(state)
    if fault is not None:
        return No(fault, f"{case.emaid} is {state.value}")
    if case.emaid in contract.blocked:
        return No(Fault.CONTRACT_BLOCKED, f"this credential of {case.emaid} is blocked")
    return _yes("active")


_NO_CHAIN: Final = "neither a chain nor hash data were presented"


def _unknown_contract(case: Case) -> str:
    if case.emaid is not None:
        return f"no contract {case.emaid} is registered for ISO 15118-{case.emaid.edition.value}"
    if case.check.token_type != EMAID_TOKEN_TYPE:
        return f"tokens of type {quote(case.check.token_type)} name no contract here"
    return f"{quote(case.check.token or '')} is no contract identifier"


def _account(case: Case) -> Answer:
    if not case.policy.ask_contract:
        return NotAsked("no account store at hand")
    account = case.evidence.contract.account
    if account is None:
        provider = case.emaid.provider.value if case.emaid else "unknown"
        return No(Fault.ACCOUNT_UNKNOWN, f"provider {provider}")
    return _yes(_told(account.provider_id.value, account.name))


@lru_cache(maxsize=1024)
def account_line(provider: str, name: str, clause: str) -> Check:
    """Return the line of a verdict about an account that is there."""
    return line("account", "yes", _told(provider, name), clause)


def _told(provider: str, name: str) -> str:
    return f"{provider} ({name})"


_CONTRACT_FAULTS: Final = {
    ContractState.BLOCKED: Fault.CONTRACT_BLOCKED,
    ContractState.SUSPENDED: Fault.CONTRACT_SUSPENDED,
    ContractState.ENDED: Fault.CONTRACT_ENDED,
}

CHAIN_QUESTIONS: Final[tuple[Question, ...]] = (
    ("readable", "RFC 5280 4.1; OCPP 2.0.1 C07.FR.06", _readable),
    ("path", "RFC 5280 6.1; [V2G2-884], [V2G20-1001]", _path),
    ("role", "[V2G2-925]; [V2G20-2329]", _role),
    ("profile", "[V2G2-108]; [V2G20-2588], [V2G20-2323]", _profile),
    ("not_yet_valid", "[V2G2-824]; [V2G20-2213]", _begun),
    ("expired", "OCPP 2.0.1 C07.FR.15; [V2G20-2212]", _unexpired),
)
CHAIN_NOT_ASKED: Final[tuple[Question, ...]] = tuple(
    (name, clause, lambda _: NotAsked(_NO_CHAIN)) for name, clause, _ in CHAIN_QUESTIONS
)
"""For a token alone: each question keeps its place, and says why it was not asked."""
CONTRACT_QUESTIONS: Final[tuple[Question, ...]] = (
    ("emaid", "[V2G2-108]; OCPP 2.0.1 C07.FR.01", _emaid),
    ("revoked", "OCPP 2.0.1 C07.FR.05; [V2G20-2214]", _unrevoked),
    ("status_known", "OCPP 2.0.1 C07.FR.17", _status_known),
    ("contract", "OCPP 2.0.1 C07.FR.13", _contract),
    ("account", "OCPP 2.0.1 C07.FR.13; [V2G20-2211]", _account),
)
ALL_QUESTIONS: Final = (*CHAIN_QUESTIONS, *CONTRACT_QUESTIONS)
BARE_QUESTIONS: Final = (*CHAIN_NOT_ASKED, *CONTRACT_QUESTIONS)
