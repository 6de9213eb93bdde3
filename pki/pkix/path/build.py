"""
The search for a path: candidates by name, in a promising order, with bounded work.

OpenSSL does not branch while it builds a path, so each complete candidate is handed to it alone.
Where several certificates could be the issuer, their signatures are tried one by one before the
search goes on, so that look-alikes cost one signature check each and not one per candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pki.pkix.certificate import Certificate, NormalName
from pki.pkix.path import links, names, openssl, structure
from pki.pkix.path.signatures import certifies
from pki.pkix.path.values import CONTRACT, NoPath, Path, PathFault, Rules

MAX_CERTIFICATES: Final = 10
"""Below the anchor; a V2G path has at most four."""
MAX_CANDIDATES: Final = 64
"""Complete paths that OpenSSL is asked about."""
MAX_STEPS: Final = 500
MAX_SIGNATURE_CHECKS: Final = 128
"""Of one search, those inside OpenSSL included; enough for ten roots of one name and their CAs."""

_Issuer = tuple[Certificate, bool]
"""Who could have issued a certificate, and whether a signature must tell."""


def find(
    leaf: Certificate,
    others: tuple[Certificate, ...],
    anchors: tuple[Certificate, ...],
    rules: Rules = CONTRACT,
    *,
    prefer: Callable[[Path], bool] | None = None,
) -> Path | NoPath:
    """
    Find a path from `leaf` through `others`, in any order, to one of `anchors` (RFC 5280 6.1).

    Work is bounded by MAX_CANDIDATES, MAX_STEPS and MAX_SIGNATURE_CHECKS whatever the input.

    Args:
        prefer: look on for a path of which it says True (all certificates in date, say), and fall
            back on the first path that verifies.
    """
    search = Search(leaf, others, anchors, rules)
    path: Path | None = None
    fault: NoPath | None = None
    for outcome in search.outcomes():
        if isinstance(outcome, NoPath):
            fault = fault or outcome
        elif prefer is None or prefer(outcome):
            return outcome
        else:
            path = path or outcome
    return path or fault or search.explanation()


class Search:
    """One search with its budget."""

    def __init__(
        self,
        leaf: Certificate,
        others: tuple[Certificate, ...],
        anchors: tuple[Certificate, ...],
        rules: Rules,
    ) -> None:
        self._leaf = leaf
        self._anchors = tuple(dict.fromkeys(anchors))
        held = frozenset(self._anchors)
        self._others = tuple(c for c in dict.fromkeys(others) if c not in held)
        self._rules = rules
        self._tried: dict[tuple[Certificate, Certificate], bool] = {}
        self._named: dict[tuple[NormalName, bytes | None, bool], list[_Issuer]] = {}
        self._candidates_left = MAX_CANDIDATES
        self._given_up = False
        self.signature_checks = 0

    def outcomes(self) -> Iterator[Path | NoPath]:
        """Yield what each complete candidate turned out to be, the most promising one first."""
        for candidate in self._candidates():
            outcome = structure.fault(candidate, self._rules) or self._verified(candidate)
            if outcome is None:
                break
            yield outcome

    def certain(self) -> tuple[Certificate, ...] | None:
        """Return the first complete candidate, if no signature of the leaf decides which it is."""
        issuers = (
            *self._issuers(self._leaf, self._anchors),
            *self._issuers(self._leaf, self._others),
        )
        sure = {issuer for issuer, doubtful in issuers if not doubtful}
        first = next(self._candidates(), None)
        return first if first is not None and first[1] in sure else None

    def explanation(self) -> NoPath:
        """Say why there was no candidate: the chain breaks off, or look-alikes had not signed."""
        failed = next((edge for edge, good in self._tried.items() if not good), None)
        if failed is not None:
            child, issuer = failed
            detail = f"{child.subject_text} is not signed by what is named {issuer.subject_text}"
            return NoPath(fault=PathFault.SIGNATURE_INVALID, detail=detail, certificate=child)
        top = self._break()
        detail = f"no certificate and no trust anchor is named as the issuer of {top.subject_text}"
        if self._given_up:
            detail = "the search for a path was given up, there are too many ways"
        return NoPath(fault=PathFault.NO_PATH, detail=detail, certificate=top)

    def _verified(self, candidate: tuple[Certificate, ...]) -> Path | NoPath | None:
        """Verify signatures, then compare names; None when the budget does not allow it."""
        cost = len(candidate)  # one per certificate below the anchor, one for a self-signed anchor
        if not self._candidates_left or self.signature_checks + cost > MAX_SIGNATURE_CHECKS:
            self._given_up = True
            return None
        self._candidates_left -= 1
        self.signature_checks += cost
        if links.are_needed(candidate):
            fault = links.verify(candidate)
        else:
            fault = openssl.verify(candidate, self._rules.at)
        return fault or names.fault(candidate) or Path(certificates=candidate)

    def _candidates(self) -> Iterator[tuple[Certificate, ...]]:
        """Yield complete paths, those first whose key identifiers agree."""
        if self._leaf in self._anchors:
            return
        stack: list[tuple[tuple[Certificate, ...], bool]] = [((self._leaf,), False)]
        for _ in range(MAX_STEPS):
            if not stack:
                return
            path, doubtful = stack.pop()
            if doubtful and not self._signed_by(path[-2], path[-1]):
                continue
            for anchor, unsure in self._issuers(path[-1], self._anchors):
                if not unsure or self._signed_by(path[-1], anchor):
                    yield (*path, anchor)
            if len(path) <= MAX_CERTIFICATES:
                issuers = self._issuers(path[-1], self._others)
                stack.extend(
                    ((*path, c), unsure) for c, unsure in reversed(issuers) if c not in path
                )
        self._given_up = bool(stack)

    def _issuers(self, child: Certificate, pool: tuple[Certificate, ...]) -> list[_Issuer]:
        """Return who could have issued `child`, best first, and whether each one is in doubt."""
        key = child.normal_issuer, child.authority_key_id, pool is self._anchors
        found = self._named.get(key)
        if found is None:  # look-alikes are asked again and again for one name
            found = self._named[key] = self._ranked(child, pool)
        return found

    def _ranked(self, child: Certificate, pool: tuple[Certificate, ...]) -> list[_Issuer]:
        named = [c for c in pool if c.normal_subject == child.normal_issuer]
        if len(named) == 1:
            return [(named[0], False)]
        named.sort(key=lambda issuer: self._rank(child, issuer))
        exact = [c for c in named if c.key_id is not None and c.key_id == child.authority_key_id]
        return [(c, exact != [c]) for c in named]

    def _rank(self, child: Certificate, issuer: Certificate) -> tuple[bool, bool, bool]:
        """Order issuers: the meant key first, then those in date, then the shorter way."""
        at = self._rules.at
        outdated = at is not None and not issuer.not_before <= at <= issuer.not_after
        far = all(anchor.normal_subject != issuer.normal_issuer for anchor in self._anchors)
        return openssl.key_ids_differ(child, issuer), outdated, far

    def _signed_by(self, child: Certificate, issuer: Certificate) -> bool:
        """Try one signature, once; with the budget spent nothing is signed by anybody."""
        known = self._tried.get((child, issuer))
        if known is not None:
            return known
        if self.signature_checks >= MAX_SIGNATURE_CHECKS:
            self._given_up = True
            return False
        self.signature_checks += 1
        good = certifies(issuer.public_key, child.x509)
        self._tried[child, issuer] = good
        return good

    def _break(self) -> Certificate:
        """Climb from the leaf to the first certificate that has no issuer."""
        top = self._leaf
        for _ in range(MAX_CERTIFICATES):
            issuers = [c for c, _ in self._issuers(top, self._others) if not c.self_issued]
            if not issuers or issuers[0] == top:
                break
            top = issuers[0]
        return top
