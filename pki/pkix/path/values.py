"""What a search for a path takes and gives: demands, paths, and why there is none."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pki.pkix.certificate import Certificate
from pki.pkix.path.signatures import Strength

ANY_POLICY: Final = "2.5.29.32.0"


class PathFault(StrEnum):
    """
    Why no path could be accepted; under `CONTRACT` rules one of the first six.

    The others name what the generic profile asks as well, with the words of a decision's faults.
    """

    NO_PATH = "no_path"
    SIGNATURE_INVALID = "signature_invalid"
    ISSUER_IS_LEAF = "issuer_is_leaf"
    ISSUER_NOT_CA = "issuer_not_ca"
    PATH_LENGTH = "path_length"
    PROFILE = "profile"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    STATUS_MISSING = "status_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInputs:
    """The policy inputs of RFC 5280 6.1.1 (c) to (f)."""

    acceptable: frozenset[str] = frozenset((ANY_POLICY,))
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    What a profile asks of every candidate besides signatures, names and constraints.

    Attributes:
        at: every certificate, the anchor included, must be valid then; None: dates are not asked.
        eku: extended key usage that leaf, CAs and anchor must allow where they limit usages.
        max_intermediates: greatest number of CAs between leaf and anchor, self-issued ones apart.
        strength: keys and signature algorithms that count; None: not asked.
        exact_anchor: the anchor's basicConstraints must be critical (RFC 5280 4.2.1.9).
        policies: RFC 5280 6.1.1.
    """

    at: dt.datetime | None = None
    eku: str | None = None
    max_intermediates: int | None = None
    strength: Strength | None = None
    exact_anchor: bool = False
    policies: PolicyInputs = field(default_factory=PolicyInputs)


CONTRACT: Final = Rules()
"""The contract decision asks dates, keys and algorithms itself, in its own order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A verified path, leaf first, anchor last."""

    certificates: tuple[Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        """The certificate that was asked about."""
        return self.certificates[0]

    @property
    def anchor(self) -> Certificate:
        """The trust anchor."""
        return self.certificates[-1]

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """What lies between leaf and anchor."""
        return self.certificates[1:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPath:
    """The fault of the most promising candidate, with the certificate that it concerns."""

    fault: PathFault
    detail: str
    certificate: Certificate
