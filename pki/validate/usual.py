"""
The usual decision: a leaf of a known shape, on a way that was gone before, with nothing amiss.

The long way answers every question about a first leaf. What it said from the leaf's shape, its
issuers, trust and policy alone holds of every leaf like it, and is kept (`Way`). What differs from
leaf to leaf and from moment to moment is looked at here each time: signature, dates, size, EMAID,
status of each certificate, contract and account. Where any of it is not plainly good, nothing is
said here, so that every refusal and every note comes from the questions themselves.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from pki.ids import CheckDigit, Edition, Emaid, Fingerprint
from pki.model import (
    EMAID_TOKEN_TYPE,
    Accepted,
    Account,
    Check,
    ContractCheck,
    ContractEvidence,
    ContractState,
    DecisionPolicy,
    Evidence,
    PathStatus,
    Status,
    Trust,
)
from pki.pkix.certificate import Certificate
from pki.pkix.leaf_cut import digits_of
from pki.pkix.leaves import Alike
from pki.pkix.path import Route
from pki.validate.case import EXPIRES_SOON, ROUTES, Case, not_asked
from pki.validate.frame import Frame
from pki.validate.gather import Gathered
from pki.validate.presented import LEAVES, Presented
from pki.validate.profile import MAX_SIZE
from pki.validate.questions import account_line, same_emaid
from pki.validate.upper import Upper


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """
    An acceptance without notes, for all leaves of its shape on its route.

    Attributes:
        policy: under which it was given.
        text: the way up, behind the leaf's name.
        readable, between: its lines, but for those about path and account, which are the leaf's.
        path, account: clauses of these.
        issuers: their names and fingerprints; `anchor` is the last of these.
        soon: so long before its end a leaf expires soon.
        most: octets of a leaf of which no note is taken.
    """

    route: Route
    policy: DecisionPolicy
    readable: Check
    path: str
    text: str
    between: tuple[Check, ...]
    account: str
    upper: Upper
    issuers: tuple[tuple[str, Fingerprint], ...]
    anchor: Fingerprint
    edition: Edition
    soon: dt.timedelta
    most: int


def way_of(
    chain: Presented, check: ContractCheck, trust: Trust, policy: DecisionPolicy
) -> Way | None:
    """Return how leaves like the one that was presented are accepted, where that is known."""
    if check.chain is None or chain.by_hash or chain.fault is not None:
        return None
    route = ROUTES.route(chain.certificates, trust.identity)
    if route is None:
        return None
    way = route.ways.get(_names_emaid(check))
    if type(way) is not Way or (way.policy is not policy and way.policy != policy):
        return None
    return way


def accepted(
    way: Way, chain: Presented, check: ContractCheck, evidence: Evidence, now: dt.datetime
) -> Accepted | None:
    """Return the acceptance that the questions would come to, or None where they must be asked."""
    soon = expires_soon(way, chain, check, evidence.contract, now)
    if soon is None:
        return None
    leaf = cast("Alike", chain.certificates[0])
    path = _statuses(way, leaf, evidence, now)
    if path is None or not certified(way, leaf):
        return None
    return _accepted(way, leaf, evidence.contract, path, soon=soon)


def expires_soon(
    way: Way, chain: Presented, check: ContractCheck, found: ContractEvidence, now: dt.datetime
) -> bool | None:
    """
    Tell whether a leaf expires soon, or None where anything about it is not plainly in order.

    Nothing is said here of its signature, nor of the status of the path.
    """
    leaf, moment = chain.certificates[0], _moment(way, now)
    if type(leaf) is not Alike or moment is None:
        return None
    emaid, contract = leaf.emaid, found.contract
    if emaid is None or found.account is None or contract is None:
        return None
    if contract.state_at(now) is not _ACTIVE or emaid in contract.blocked:
        return None
    return leaf.ends <= moment.soon if _in_order(way, leaf, emaid, check, moment) else None


def certified(way: Way, leaf: Certificate) -> bool:
    """Tell whether the issuer of a way signed a leaf."""
    return ROUTES.certified(leaf, way.route)


def are_good(way: Way, facts: Gathered) -> bool:
    """Tell whether a leaf and its issuers are ours and known to be good, but for the anchor."""
    statuses, leaf = facts.statuses, facts.chain.certificates[0]
    if facts.foreign or statuses.others.get(leaf.fingerprint) is not statuses.good:
        return False
    if way.anchor in statuses.others:
        return False
    frame = statuses.frame
    good = frame.kept.get(way)
    if good is None:
        good = _issuers_are_good(way, frame)
        frame.kept.put(way, good)
    return good is True


def _issuers_are_good(way: Way, frame: Frame) -> bool:
    for _, name in way.issuers:
        if name in frame.blocked or frame.standing.get(name) is not None:
            return False
        if name not in frame.standing and name is not way.anchor:
            return False
    return True


def _accepted(
    way: Way, leaf: Alike, found: ContractEvidence, path: tuple[PathStatus, ...], *, soon: bool
) -> Accepted:
    account = cast("Account", found.account)
    path_line = _new(Check, ("path", "yes", leaf.subject_text + way.text, way.path))
    account_told = account_line(account.provider_id.value, account.name, way.account)
    draft: Any = _DRAFT(_Draft)
    draft.emaid = leaf.emaid
    draft.edition = way.edition
    draft.checks = (way.readable, path_line, *way.between, account_told)
    draft.path = path
    draft.with_chain = True
    draft.account = account
    draft.expires_soon = soon
    draft.__class__ = Accepted
    made: Accepted = draft
    return made


def learn(case: Case, verdict: Accepted) -> None:
    """Keep what an acceptance says of leaves like the one that it is about."""
    path, chain = case.path, case.presented
    if path is None or case.upper is None or case.emaid is None or chain.by_hash:
        return
    leaf = path.leaf if type(path.leaf) is Alike else LEAVES.read(path.leaf.der)
    route = ROUTES.route((leaf, *chain.certificates[1:]), case.trust.identity)
    if type(leaf) is not Alike or route is None or path.certificates[1:] != route.issuers:
        return
    held = route.ways.get(_names_emaid(case.check))
    if type(held) is Way and held.policy == case.policy:
        return  # it says the same, and others hold on to it
    way = _way(case, case.upper, case.emaid.edition, route, verdict)
    again = accepted(way, Presented((leaf,)), case.check, case.evidence, case.now)
    if again == verdict:  # no notes, nothing that was not asked
        route.ways[_names_emaid(case.check)] = way


# ----------------------------------------------------------------------


def _way(case: Case, upper: Upper, edition: Edition, route: Route, verdict: Accepted) -> Way:
    readable, path, *between, account = verdict.checks
    return Way(
        route=route,
        policy=case.policy,
        readable=readable,
        path=path.clause,
        text=upper.text,
        between=tuple(between),
        account=account.clause,
        upper=upper,
        issuers=tuple((issuer.subject_text, issuer.fingerprint) for issuer in route.issuers),
        anchor=route.issuers[-1].fingerprint,
        edition=edition,
        soon=EXPIRES_SOON[edition],
        most=MAX_SIZE[edition],
    )


def _names_emaid(check: ContractCheck) -> bool:
    return check.token is not None and check.token_type == EMAID_TOKEN_TYPE


@dataclass(frozen=True, slots=True)
class _Moment:
    """A time, and the end of a leaf that expires soon then (`pki.pkix.leaf_cut.digits_of`)."""

    now: bytes
    soon: bytes


@lru_cache(maxsize=256)
def _moment(way: Way, now: dt.datetime) -> _Moment | None:
    """Return a time, or None where not all issuers are in date or the digits do not do."""
    digits = digits_of(now)
    if digits is None or not (way.upper.not_before <= now <= way.upper.not_after):
        return None
    return _Moment(digits, digits_of(now + way.soon) or _CENTURY)


def _in_order(way: Way, leaf: Alike, emaid: Emaid, check: ContractCheck, moment: _Moment) -> bool:
    """Tell whether dates, size and EMAID of a leaf are as they should be."""
    if not (leaf.begins <= moment.now <= leaf.ends < _CENTURY):
        return False
    if len(leaf.der) > way.most or emaid.check_digit is _WRONG:
        return False
    token = check.token
    if token is None:
        return True
    if check.token_type != EMAID_TOKEN_TYPE:
        return False
    return token == emaid.presented or same_emaid(emaid, token)


def _statuses(
    way: Way, leaf: Alike, evidence: Evidence, now: dt.datetime
) -> tuple[PathStatus, ...] | None:
    """Return what is known of the path where all of it is good and fresh."""
    known = evidence.statuses.get
    found, last = [], None
    for subject, name in ((leaf.subject_text, leaf.fingerprint), *way.issuers):
        status = known(name)
        if status is None:
            if name is not way.anchor:
                return None
            status = not_asked(evidence.read_at)
        elif status is not last:  # one value mostly says it of all of them
            until = status.next_update
            if status.status is not _GOOD or (until is not None and until < now):
                return None
            last = status
        found.append(_new(PathStatus, (subject, name, status)))
    return tuple(found)


class _Draft(Accepted):
    """What becomes an `Accepted` once it is filled in, see `pki.quick`."""

    __slots__ = ()
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


_DRAFT: Final = _Draft.__new__
_new: Final = tuple.__new__
_CENTURY: Final = b"5"
"""Behind the digits of all UTCTimes before 2050."""
_ACTIVE: Final = ContractState.ACTIVE
_GOOD: Final = Status.GOOD
_WRONG: Final = CheckDigit.WRONG
"""Looking up a member of an enumeration takes a while."""
