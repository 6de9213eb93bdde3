"""
The generic RFC 5280 profile: what a path must meet that is not a contract's.

Foreign chains, test suites and other services are judged by it; the search is the same as for
contract chains. Where the revocation status is demanded, each certificate below the anchor needs a
CRL that covers it, signed by its issuer under the same anchor (RFC 5280 6.3.3).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from pki.pkix.certificate import Certificate
from pki.pkix.crl_check import (
    Crl,
    CrlAnswer,
    CrlIndex,
    CrlRefused,
    CrlStatus,
    check,
)
from pki.pkix.path import NoPath, Path, PathFault, PolicyInputs, Rules, Search
from pki.pkix.path.signatures import Strength

MAX_CRL_CHECKS: Final = 256
"""Signatures of CRLs that one validation tries."""
MAX_SIGNER_SEARCHES: Final = 16
"""Candidates that are looked at for paths of CRL signers that are not the issuer's own key."""


class Revocation(StrEnum):
    """Whether the status of every certificate of the path is demanded."""

    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """
    What the caller asks of a path.

    Attributes:
        eku: extended key usage that leaf, CAs and anchor must allow where they limit usages.
        max_intermediates: CAs below the anchor, self-issued ones apart.
        policies: RFC 5280 6.1.1 (c) to (f).
        strength: RSA from 2048 bits, P-256, P-384, P-521, Ed25519, Ed448; SHA-256 or better.
    """

    eku: str | None = None
    max_intermediates: int | None = None
    revocation: Revocation = Revocation.NONE
    policies: PolicyInputs = field(default_factory=PolicyInputs)
    strength: Strength = field(default_factory=Strength)


def validate(  # noqa: PLR0913 - chain, trust, time, demands and what answers them
    leaf: Certificate,
    intermediates: tuple[Certificate, ...],
    anchors: tuple[Certificate, ...],
    *,
    at: dt.datetime,
    demands: Demands,
    crls: tuple[Crl, ...] = (),
) -> Path | NoPath:
    """
    Validate a chain as RFC 5280 section 6 says; nothing is fetched and no clock is read.

    The anchor's own validity, constraints, usages and policies bind the path as well. Delta CRLs
    and indirect CRLs are refused.
    """
    rules = Rules(
        at=at,
        eku=demands.eku,
        max_intermediates=demands.max_intermediates,
        strength=demands.strength,
        exact_anchor=True,
        policies=demands.policies,
    )
    search = Search(leaf, intermediates, anchors, rules)
    statuses = _Statuses(intermediates, crls, at, demands.strength)
    first: NoPath | None = None
    for outcome in search.outcomes():
        fault = outcome if isinstance(outcome, NoPath) else None
        if isinstance(outcome, Path) and demands.revocation is Revocation.REQUIRED:
            fault = statuses.fault(outcome)
        if isinstance(outcome, Path) and fault is None:
            return outcome
        first = first or fault
    return first or search.explanation()


class _Statuses:
    """The CRLs of one validation: each one is checked once per issuer's key, then asked."""

    def __init__(
        self,
        pool: tuple[Certificate, ...],
        crls: tuple[Crl, ...],
        at: dt.datetime,
        strength: Strength,
    ) -> None:
        self._pool = pool
        self._crls = crls
        self._at = at
        self._strength = strength
        self._checked: dict[tuple[int, Certificate], CrlIndex | CrlRefused] = {}
        self._searches_left = MAX_SIGNER_SEARCHES

    def fault(self, path: Path, busy: tuple[Certificate, ...] = ()) -> NoPath | None:
        """
        Return the first certificate of a path that is revoked or of unknown status.

        Args:
            busy: signers of CRLs whose own status is being asked, who cannot vouch for themselves.
        """
        for certificate, issuer in pairwise(path.certificates):
            answer = self._answer(certificate, issuer, path.anchor, busy)
            if answer.status is CrlStatus.GOOD:
                continue
            revoked = answer.status is CrlStatus.REVOKED
            return NoPath(
                fault=PathFault.REVOKED if revoked else PathFault.STATUS_MISSING,
                detail=f"{certificate.subject_text}: {answer.detail}",
                certificate=certificate,
            )
        return None

    def _answer(
        self,
        certificate: Certificate,
        issuer: Certificate,
        anchor: Certificate,
        busy: tuple[Certificate, ...],
    ) -> CrlAnswer:
        """Ask every CRL of the issuer; of several usable ones the worst counts."""
        found = CrlAnswer(status=CrlStatus.UNKNOWN, detail="no CRL of its issuer is at hand")
        mine = [n for n, crl in enumerate(self._crls) if crl.issuer == certificate.normal_issuer]
        if any(self._crls[number].is_delta for number in mine):
            # not understood, and it could revoke what the complete CRL does not
            return CrlAnswer(status=CrlStatus.UNKNOWN, detail="its issuer has a delta CRL")
        for number in mine:
            answer = self._ask(number, certificate, (issuer, anchor), busy)
            if answer.status is CrlStatus.REVOKED:
                return answer
            if found.status is not CrlStatus.GOOD:
                found = answer
        return found

    def _ask(
        self,
        number: int,
        certificate: Certificate,
        above: tuple[Certificate, Certificate],
        busy: tuple[Certificate, ...],
    ) -> CrlAnswer:
        """Ask one CRL, signed by the issuer's key or by another certified key of that name."""
        issuer, anchor = above
        index = self._index(number, issuer)
        if isinstance(index, CrlIndex):
            return index.status_of(certificate)
        for signer in self._other_keys(issuer, certificate, busy):
            other = self._index(number, signer)
            if isinstance(other, CrlIndex) and self._is_trusted(signer, anchor, busy):
                return other.status_of(certificate)
        return CrlAnswer(status=index.status, detail=index.detail)

    def _index(self, number: int, signer: Certificate) -> CrlIndex | CrlRefused:
        known = self._checked.get((number, signer))
        if known is None and len(self._checked) >= MAX_CRL_CHECKS:
            return CrlRefused(status=CrlStatus.UNKNOWN, detail="too many CRLs and signers")
        if known is None:
            known = check(self._crls[number], (signer,), at=self._at, strength=self._strength)
            self._checked[number, signer] = known
        return known

    def _other_keys(
        self, issuer: Certificate, certificate: Certificate, busy: tuple[Certificate, ...]
    ) -> list[Certificate]:
        """Return other certificates of the issuer's name; none that would vouch for itself."""
        excluded = (issuer, certificate, *busy)
        named = (c for c in self._pool if c.normal_subject == issuer.normal_subject)
        return [c for c in named if c not in excluded]

    def _is_trusted(
        self, signer: Certificate, anchor: Certificate, busy: tuple[Certificate, ...]
    ) -> bool:
        """Validate the signer's own path, to the same anchor, its status included (6.3.3 (f))."""
        rules = Rules(at=self._at, strength=self._strength, exact_anchor=True)
        search = Search(signer, self._pool, (anchor,), rules)
        for outcome in search.outcomes():
            if not self._searches_left:
                return False
            self._searches_left -= 1
            if isinstance(outcome, Path) and self.fault(outcome, (*busy, signer)) is None:
                return True
        return False
