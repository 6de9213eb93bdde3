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
from pki.validate import presented, profile
from pki.validate.presented import Presented
from pki.validate.upper import Upper, upper_of

CONTRACT_DOMAINS: Final = frozenset((Domain.MO, Domain.V2G))

EXPIRES_SOON: Final = {Edition.ISO2: dt.timedelta(days=21), Edition.ISO20: dt.timedelta(days=14)}
"""[V2G2-690]: 21 days as deployed stations count; [V2G20-2218]: 14 days."""

ROUTES: Final = paths.Routes(presented.LEAVES)
"""Remembers what verified, by content: the same question has the same answer without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    Everything that the questions look at.

    Attributes:
        upper: what holds of the path above its leaf; None where there is no path.
        domains: the contract domains among those that the anchor serves.
        rule: the strictest status rule of these.
        status: what is known of every certificate of the path, leaf first, anchor last.
    """

    presented: Presented
    check: ContractCheck
    evidence: Evidence
    trust: Trust
    policy: DecisionPolicy
    now: dt.datetime
    path: paths.Path | None
    no_path: paths.NoPath | None
    emaid: Emaid | None
    upper: Upper | None
    domains: frozenset[Domain]
    rule: StatusRule
    status: tuple[PathStatus, ...]

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
    leaf = chain.leaf
    looked = _Looked(evidence, trust, now)
    found: paths.Path | paths.NoPath | None = None
    if leaf is not None:
        found = _find_path(chain, trust, looked.usable)
    path = found if isinstance(found, paths.Path) else None
    upper = looked.upper(path) if path else None
    domains = upper.domains & CONTRACT_DOMAINS if upper else frozenset()
    rule = _strictest(policy, domains)
    staleness = _staleness(policy, domains, rule, now)
    return Case(
        presented=chain,
        check=check,
        evidence=evidence,
        trust=trust,
        policy=policy,
        now=now,
        path=path,
        no_path=found if isinstance(found, paths.NoPath) else None,
        emaid=profile.emaid_of(leaf) if leaf else _token_emaid(check, evidence),
        upper=upper,
        domains=domains,
        rule=rule,
        status=_path_status(path, upper, looked.statuses, evidence.read_at, staleness)
        if path and upper
        else (),
    )


class _Looked:
    """What evidence and trust say of the path that was looked at last."""

    def __init__(self, evidence: Evidence, trust: Trust, now: dt.datetime) -> None:
        self._evidence = evidence
        self._trust = trust
        self._now = now
        self._path: paths.Path | None = None
        self._upper: Upper | None = None
        self.statuses: list[CertificateStatus | None] = []

    def upper(self, path: paths.Path) -> Upper:
        """Return what holds of the issuers; `statuses` are those of this path from now on."""
        if self._path is path and self._upper is not None:
            return self._upper
        known = self._evidence.statuses
        self._path = path
        self._upper = upper_of(path.certificates[1:], self._trust)
        self.statuses = [known.get(c.fingerprint) for c in path.certificates]
        return self._upper

    def usable(self, path: paths.Path) -> bool:
        """
        Tell whether a path is as it should be, where there are several.

        A rolled-over or cross-certified CA then wins over its expired or revoked sibling.
        """
        leaf, upper, now = path.certificates[0], self.upper(path), self._now
        if not (leaf.not_before <= now <= leaf.not_after):
            return False
        if not (upper.not_before <= now <= upper.not_after):
            return False
        return not any(map(_known_revoked, self.statuses))


def _known_revoked(status: CertificateStatus | None) -> bool:
    return status is not None and status.status is Status.REVOKED


def _find_path(
    chain: Presented, trust: Trust, prefer: Callable[[paths.Path], bool]
) -> paths.Path | paths.NoPath:
    """Look for a path to a contract anchor, then to any, so that a wrong role can be named."""

    def pool() -> tuple[tuple[Certificate, ...], tuple[Certificate, ...]]:
        wanted = tuple(a.certificate for a in trust.anchors if a.domains & CONTRACT_DOMAINS)
        return tuple(own.certificate for own in trust.pool), wanted

    first = ROUTES.find(chain.certificates, pool, trust.identity, prefer)
    rest = tuple(a.certificate for a in trust.anchors if not a.domains & CONTRACT_DOMAINS)
    if isinstance(first, paths.Path) or first.fault is not paths.PathFault.NO_PATH or not rest:
        return first
    others = (*chain.certificates[1:], *pool()[0])
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


def _strictest(policy: DecisionPolicy, domains: frozenset[Domain]) -> StatusRule:
    """Return the strictest rule of the contract domains that the anchor serves."""
    if not policy.status:
        return StatusRule.REQUIRED
    rules = {policy.status.get(domain, StatusRule.REQUIRED) for domain in domains}
    for rule in (StatusRule.REQUIRED, StatusRule.NOT_REQUIRED, StatusRule.NOT_ASKED):
        if rule in rules:
            return rule
    return StatusRule.REQUIRED


@dataclass(frozen=True, slots=True)
class _Staleness:
    """Whether status must be known, and since when evidence is too old; None: it never is."""

    required: bool
    since: dt.datetime | None


def _staleness(
    policy: DecisionPolicy, domains: frozenset[Domain], rule: StatusRule, now: dt.datetime
) -> _Staleness:
    required = rule is StatusRule.REQUIRED
    accepted = bool(policy.stale) and all(
        policy.stale.get(domain) is StaleRule.ACCEPT for domain in domains
    )
    return _Staleness(required, now if required and not accepted else None)


def _path_status(
    path: paths.Path,
    upper: Upper,
    statuses: list[CertificateStatus | None],
    read_at: dt.datetime,
    staleness: _Staleness,
) -> tuple[PathStatus, ...]:
    """Return what is known of every certificate of the path, leaf first, anchor last."""
    found: list[PathStatus] = []
    last = len(upper.ours)
    for at, (certificate, known) in enumerate(zip(path.certificates, statuses, strict=True)):
        if known is None:
            ours = at < last and upper.ours[at]
            status = _unknown(read_at, ours=ours, asked=staleness.required and at < last)
        else:
            status = _aged(known, staleness) if known.next_update is not None else known
        found.append(
            PathStatus(
                subject=certificate.subject_text,
                fingerprint=certificate.fingerprint,
                status=status,
            )
        )
    return tuple(found)


def _unknown(as_of: dt.datetime, *, ours: bool, asked: bool) -> CertificateStatus:
    if ours:
        return CertificateStatus(status=Status.UNKNOWN, source="own", as_of=as_of)
    if asked:
        return CertificateStatus(status=Status.UNKNOWN, source="none", as_of=as_of)
    return not_asked(as_of)


def not_asked(as_of: dt.datetime) -> CertificateStatus:
    """Return the status of a certificate that nobody is asked about."""
    return CertificateStatus(status=Status.NOT_ASKED, source="none", as_of=as_of)


def _aged(known: CertificateStatus, staleness: _Staleness) -> CertificateStatus:
    """Take evidence past its nextUpdate for unknown where that counts; *revoked* never ages."""
    if known.next_update is None or known.status is not Status.GOOD or staleness.since is None:
        return known
    return replace(known, status=Status.UNKNOWN) if staleness.since > known.next_update else known
