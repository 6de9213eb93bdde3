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

from pki.ids import CheckDigit, Edition, Emaid, Fingerprint
from pki.model import (
    EMAID_TOKEN_TYPE,
    Accepted,
    CertificateStatus,
    Check,
    Contract,
    ContractCheck,
    ContractState,
    DecisionPolicy,
    Evidence,
    PathStatus,
    Status,
    Trust,
)
from pki.pkix.certificate import Certificate
from pki.pkix.path import Route
from pki.validate.case import EXPIRES_SOON, ROUTES, Case, not_asked
from pki.validate.presented import Presented
from pki.validate.profile import MAX_SIZE, emaid_of
from pki.validate.questions import account_line, same_emaid
from pki.validate.upper import Upper


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """
    An acceptance without notes, for all leaves of its shape on its route.

    Attributes:
        policy: under which it was given.
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
    route = _route(chain, trust)
    if route is None or check.chain is None:
        return None
    way = route.ways.get(_names_emaid(check))
    if not isinstance(way, Way) or (way.policy is not policy and way.policy != policy):
        return None
    return way


def accepted(
    way: Way, chain: Presented, check: ContractCheck, evidence: Evidence, now: dt.datetime
) -> Accepted | None:
    """Return the acceptance that the questions would come to, or None where they must be asked."""
    return _acceptance(way, chain.certificates[0], check, evidence, now)


def learn(case: Case, verdict: Accepted) -> None:
    """Keep what an acceptance says of leaves like the one that it is about."""
    route = _route(case.presented, case.trust)
    if route is None or case.path is None or case.upper is None or case.emaid is None:
        return
    if case.path.certificates[1:] != route.issuers:
        return
    readable, path, *between, account = verdict.checks
    edition = case.emaid.edition
    way = Way(
        route=route,
        policy=case.policy,
        readable=readable,
        path=path.clause,
        between=tuple(between),
        account=account.clause,
        upper=case.upper,
        issuers=tuple((issuer.subject_text, issuer.fingerprint) for issuer in route.issuers),
        anchor=route.issuers[-1].fingerprint,
        edition=edition,
        soon=EXPIRES_SOON[edition],
        most=MAX_SIZE[edition],
    )
    again = _acceptance(way, case.path.leaf, case.check, case.evidence, case.now)
    if again == verdict:  # no notes, nothing that was not asked
        route.ways[_names_emaid(case.check)] = way


# ----------------------------------------------------------------------


def _route(chain: Presented, trust: Trust) -> Route | None:
    if chain.fault is not None or chain.by_hash or not chain.certificates:
        return None
    return ROUTES.route(chain.certificates, trust.identity)


def _names_emaid(check: ContractCheck) -> bool:
    return check.token is not None and check.token_type == EMAID_TOKEN_TYPE


def _acceptance(
    way: Way, leaf: Certificate, check: ContractCheck, evidence: Evidence, now: dt.datetime
) -> Accepted | None:
    emaid, account = emaid_of(leaf), evidence.contract.account
    if emaid is None or account is None or not _in_order(way, leaf, emaid, check, now):
        return None
    path = _statuses(way, leaf, evidence, now)
    active = _is_active(evidence.contract.contract, emaid, now)
    if path is None or not active or not ROUTES.certified(leaf, way.route):
        return None
    return Accepted(
        emaid=emaid,
        edition=way.edition,
        checks=(
            way.readable,
            Check(
                question="path",
                answer="yes",
                detail=f"{leaf.subject_text}{way.upper.text}",
                clause=way.path,
            ),
            *way.between,
            account_line(account, way.account),
        ),
        path=path,
        with_chain=True,
        account=account,
        expires_soon=leaf.not_after - now <= way.soon,
    )


def _in_order(
    way: Way, leaf: Certificate, emaid: Emaid, check: ContractCheck, now: dt.datetime
) -> bool:
    """Tell whether dates, size and EMAID of a leaf are as they should be."""
    upper = way.upper
    if not (leaf.not_before <= now <= leaf.not_after):
        return False
    if not (upper.not_before <= now <= upper.not_after):
        return False
    if len(leaf.der) > way.most or emaid.check_digit is CheckDigit.WRONG:
        return False
    token = check.token if _names_emaid(check) else None
    return token is None or token == emaid.presented or same_emaid(emaid, token)


def _is_active(contract: Contract | None, emaid: Emaid, now: dt.datetime) -> bool:
    return (
        contract is not None
        and contract.state_at(now) is ContractState.ACTIVE
        and emaid not in contract.blocked
    )


def _statuses(
    way: Way, leaf: Certificate, evidence: Evidence, now: dt.datetime
) -> tuple[PathStatus, ...] | None:
    """Return what is known of the path where all of it is good and fresh."""
    found = []
    known = evidence.statuses.get
    for subject, name in ((leaf.subject_text, leaf.fingerprint), *way.issuers):
        status = known(name)
        if status is None and name is way.anchor:
            status = not_asked(evidence.read_at)
        elif status is None or status.status is not Status.GOOD or _is_stale(status, now):
            return None
        found.append(PathStatus(subject, name, status))
    return tuple(found)


def _is_stale(status: CertificateStatus, now: dt.datetime) -> bool:
    return status.next_update is not None and status.next_update < now
