"""
Chains of others, checked in the order that the pools prescribe; the first error wins.

Dates of every certificate (shell model), status of each, then the path to an anchor of the pool and
the role of the leaf. Status follows the rules of the anchor's domain, as decisions do.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pki.errors import PolicyViolation
from pki.ids import Edition, Fingerprint
from pki.model import CertificateStatus, Domain, StaleRule, Status, StatusRule
from pki.pkix.certificate import Certificate, load
from pki.pkix.path import CONTRACT, NoPath, Path, find
from pki.ports import Transaction
from pki.validate import Frame, known_statuses, read_frame
from pki.validate.presented import Presented

OEM_DOMAINS: Final = frozenset((Domain.OEM, Domain.V2G))
MO_DOMAINS: Final = frozenset((Domain.MO, Domain.V2G))
CPS_DOMAINS: Final = frozenset((Domain.V2G,))
_ROLES: Final = {"CPO", "OEM", "CPS", "MO", "V2G"}
MAX_SIZE: Final = {Edition.ISO2: 800, Edition.ISO20: 1600}


parsed = lru_cache(maxsize=1024)(load)
"""For certificates of CAs, which come back with every request."""


class ChainFault(PolicyViolation):
    """
    A chain that does not hold.

    Codes: `certificate_expired`, `certificate_not_yet_valid`, `certificate_revoked`,
    `status_missing`, `wrong_role`, and those of `pki.pkix.path.PathFault`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    What a chain has to be.

    Attributes:
        domains: anchors that may end it.
        role: the DC that the leaf may carry; another role's is refused.
    """

    domains: frozenset[Domain]
    role: str


OEM: Final = Demand(domains=OEM_DOMAINS, role="OEM")
CONTRACTS: Final = Demand(domains=MO_DOMAINS, role="MO")
CPS: Final = Demand(domains=CPS_DOMAINS, role="CPS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Whoever judges chains within one transaction, at one time."""

    frame: Frame
    now: dt.datetime

    @classmethod
    def of(cls, tx: Transaction, now: dt.datetime) -> Judge:
        """Read what is trusted."""
        return cls(frame=read_frame(tx), now=now)

    def check(self, tx: Transaction, chain: tuple[Certificate, ...], demand: Demand) -> Path:
        """
        Return the path of a chain, leaf first.

        Raises:
            ChainFault: with the codes named there.
        """
        statuses = known_statuses(tx, self.frame, Presented(certificates=chain), self.now)
        for certificate in chain:
            self._dates(certificate)
        for certificate in chain:
            self._not_revoked(certificate, statuses.get(certificate.fingerprint))
        path = self._path(chain, demand)
        for certificate in path.certificates:
            self._dates(certificate)
        self._status_known(path, statuses, demand)
        self._role(path.leaf, demand)
        return path

    def _dates(self, certificate: Certificate) -> None:
        if self.now < certificate.not_before:
            raise ChainFault(
                "certificate_not_yet_valid",
                f"{certificate.subject_text} is valid from {certificate.not_before:%Y-%m-%d} on.",
            )
        if self.now > certificate.not_after:
            raise ChainFault(
                "certificate_expired",
                f"{certificate.subject_text} expired at {certificate.not_after:%Y-%m-%d}.",
            )

    def _not_revoked(self, certificate: Certificate, status: CertificateStatus | None) -> None:
        if status is not None and status.status is Status.REVOKED:
            raise ChainFault("certificate_revoked", f"{certificate.subject_text} is revoked.")

    def _path(self, chain: tuple[Certificate, ...], demand: Demand) -> Path:
        leaf = chain[0]
        if leaf.is_ca:
            raise ChainFault("wrong_role", f"{leaf.subject_text} is a CA, no leaf.")
        anchors = tuple(
            a.certificate for a in self.frame.trust.anchors if a.domains & demand.domains
        )
        found = find(leaf, chain[1:], anchors, CONTRACT, prefer=self._in_date)
        if isinstance(found, NoPath):
            raise ChainFault(
                found.fault.value,
                f"There is no path to a root of the pool: {found.detail}.",
                hint="`pnc root list` shows the roots.",
            )
        return found

    def _in_date(self, path: Path) -> bool:
        return all(c.not_before <= self.now <= c.not_after for c in path.certificates)

    def _status_known(
        self, path: Path, statuses: dict[Fingerprint, CertificateStatus], demand: Demand
    ) -> None:
        domain = self._domain(path.anchor, demand)
        rule = self.frame.policy.status.get(domain, StatusRule.REQUIRED)
        for certificate in path.certificates[:-1]:
            status = statuses.get(certificate.fingerprint)
            self._not_revoked(certificate, status)
            if rule is not StatusRule.REQUIRED:
                continue
            if status is None or self._is_stale(status, domain):
                raise ChainFault(
                    "status_missing",
                    f"Whether {certificate.subject_text} is revoked is not known.",
                    hint="Add a status source, or change the rule with `pnc trust policy`.",
                )

    def _domain(self, anchor: Certificate, demand: Demand) -> Domain:
        """Return the domain whose rules count: the demand's own before V2G."""
        domains = (
            next(a.domains for a in self.frame.trust.anchors if a.certificate == anchor)
            & demand.domains
        )
        return min(domains, key=lambda domain: domain is Domain.V2G)

    def _is_stale(self, status: CertificateStatus, domain: Domain) -> bool:
        if status.next_update is None or status.next_update >= self.now:
            return False
        return self.frame.policy.stale.get(domain, StaleRule.REFUSE) is not StaleRule.ACCEPT

    def _role(self, leaf: Certificate, demand: Demand) -> None:
        for component in leaf.domain_components:
            if component.upper() in _ROLES - {demand.role}:
                raise ChainFault(
                    "wrong_role",
                    f"{leaf.subject_text} has DC={component.upper()}, not {demand.role}.",
                )
