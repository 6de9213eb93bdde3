"""Everything that the questions of a decision look at, and what follows from it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pki.errors import BadInput
from pki.ids import Edition, Emaid
from pki.model import (
    EMAID_TOKEN_TYPE,
    CertificateStatus,
    ContractCheck,
    DecisionPolicy,
    Domain,
    Evidence,
    PathStatus,
    StaleRule,
    Status,
    StatusRule,
    Trust,
)
from pki.pkix import path as paths
from pki.pkix.certificate import Certificate
from pki.validate import profile
from pki.validate.presented import Presented

CONTRACT_DOMAINS: Final = frozenset((Domain.MO, Domain.V2G))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that the questions look at."""

    presented: Presented
    check: ContractCheck
    evidence: Evidence
    trust: Trust
    policy: DecisionPolicy
    now: dt.datetime
    path: paths.Path | None
    no_path: paths.NoPath | None
    emaid: Emaid | None

    @property
    def leaf(self) -> Certificate | None:
        """The presented or named contract certificate."""
        return self.presented.leaf


def make_case(  # noqa: PLR0913 - as decide
    chain: Presented,
    check: ContractCheck,
    evidence: Evidence,
    trust: Trust,
    policy: DecisionPolicy,
    now: dt.datetime,
) -> Case:
    """Build the path and read the EMAID, so that the questions only look."""
    found: paths.Path | paths.NoPath | None = None
    if chain.leaf is not None and chain.fault is None:
        found = _find_path(chain, trust, _usable(evidence, now))
    return Case(
        presented=chain,
        check=check,
        evidence=evidence,
        trust=trust,
        policy=policy,
        now=now,
        path=found if isinstance(found, paths.Path) else None,
        no_path=found if isinstance(found, paths.NoPath) else None,
        emaid=profile.emaid_of(chain.leaf) if chain.leaf else _token_emaid(check, evidence),
    )


def _usable(evidence: Evidence, now: dt.datetime) -> Callable[[paths.Path], bool]:
    """
    Return what a path should be where there are several.

    A rolled-over or cross-certified CA then wins over its expired or revoked sibling.
    """

    def usable(path: paths.Path) -> bool:
        return all(
            c.not_before <= now <= c.not_after
            and not _known_revoked(evidence.statuses.get(c.fingerprint))
            for c in path.certificates
        )

    return usable


def _known_revoked(status: CertificateStatus | None) -> bool:
    return status is not None and status.status is Status.REVOKED


def _find_path(
    chain: Presented, trust: Trust, prefer: Callable[[paths.Path], bool]
) -> paths.Path | paths.NoPath:
    """Look for a path to a contract anchor, then to any, so that a wrong role can be named."""
    others = (*chain.certificates[1:], *(own.certificate for own in trust.pool))
    wanted = tuple(a.certificate for a in trust.anchors if a.domains & CONTRACT_DOMAINS)
    first = paths.find(chain.certificates[0], others, wanted, prefer=prefer)
    rest = tuple(a.certificate for a in trust.anchors if not a.domains & CONTRACT_DOMAINS)
    if isinstance(first, paths.Path) or first.fault is not paths.PathFault.NO_PATH or not rest:
        return first
    second = paths.find(chain.certificates[0], others, rest, prefer=prefer)
    return second if isinstance(second, paths.Path) else first


def _token_emaid(check: ContractCheck, evidence: Evidence) -> Emaid | None:
    contract = evidence.contract.contract
    if check.token is None or check.token_type != EMAID_TOKEN_TYPE:
        return None
    for edition in (check.edition,) if check.edition else (Edition.ISO2, Edition.ISO20):
        try:
            emaid = Emaid.parse(check.token, edition)
        except BadInput:
            continue
        if contract is None or emaid in contract.identifiers:
            return emaid
    return None


def edition_of(leaf: Certificate | None) -> Edition | None:
    """Return the edition that the leaf's key belongs to."""
    return leaf.suite.edition if leaf and leaf.suite else None


def anchor_domains(case: Case) -> frozenset[Domain]:
    """Return what the anchor of the path is trusted for."""
    if case.path is None:
        return frozenset()
    anchor = case.path.anchor
    return frozenset(d for a in case.trust.anchors if a.certificate == anchor for d in a.domains)


def status_rule(case: Case) -> StatusRule:
    """Return the strictest rule of the contract domains that the anchor serves."""
    domains = anchor_domains(case) & CONTRACT_DOMAINS
    rules = {case.policy.status.get(domain, StatusRule.REQUIRED) for domain in domains}
    for rule in (StatusRule.REQUIRED, StatusRule.NOT_REQUIRED, StatusRule.NOT_ASKED):
        if rule in rules:
            return rule
    return StatusRule.REQUIRED


def path_status(case: Case) -> tuple[PathStatus, ...]:
    """Return what is known of every certificate of the path, leaf first, anchor last."""
    if case.path is None:
        return ()
    chain = case.path.certificates
    issuers = (*chain[1:], None)
    rule = status_rule(case)
    return tuple(
        PathStatus(
            subject=certificate.subject_text,
            fingerprint=certificate.fingerprint,
            status=_status(case, certificate, issuer, rule),
        )
        for certificate, issuer in zip(chain, issuers, strict=True)
    )


def _status(
    case: Case, certificate: Certificate, issuer: Certificate | None, rule: StatusRule
) -> CertificateStatus:
    known = case.evidence.statuses.get(certificate.fingerprint)
    if known is not None:
        return replace(known, status=Status.UNKNOWN) if _is_stale(case, known, rule) else known
    as_of = case.evidence.read_at
    if issuer is not None and _is_ours(case, issuer):
        return CertificateStatus(status=Status.UNKNOWN, source="own", as_of=as_of)
    asked = rule is StatusRule.REQUIRED and issuer is not None
    return CertificateStatus(
        status=Status.UNKNOWN if asked else Status.NOT_ASKED, source="none", as_of=as_of
    )


def _is_stale(case: Case, known: CertificateStatus, rule: StatusRule) -> bool:
    """Tell whether evidence is past its nextUpdate where that counts; *revoked* never grows old."""
    if known.status is not Status.GOOD or known.next_update is None:
        return False
    domains = anchor_domains(case) & CONTRACT_DOMAINS
    accepted = all(case.policy.stale.get(domain) is StaleRule.ACCEPT for domain in domains)
    return rule is StatusRule.REQUIRED and case.now > known.next_update and not accepted


def _is_ours(case: Case, issuer: Certificate) -> bool:
    return any(
        own.certificate.spki == issuer.spki and own.certificate.subject == issuer.subject
        for own in case.trust.pool
    )
