"""Trust anchors and what a decision trusts."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from pki.ids import Fingerprint
from pki.pkix.certificate import Certificate
from pki.pkix.profiles import Kind


class Domain(StrEnum):
    """What a trust anchor is trusted for; CPS chains end at `v2g`."""

    V2G = "v2g"
    MO = "mo"
    OEM = "oem"
    PE = "pe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A trust anchor of one domain; kept after removal so that decisions can be replayed."""

    fingerprint: Fingerprint
    domain: Domain
    der: bytes
    added_at: dt.datetime
    added_by: str
    removed_at: dt.datetime | None = None


class StatusRule(StrEnum):
    """Whether the status of a foreign certificate must be known."""

    REQUIRED = "required"
    NOT_REQUIRED = "not-required"
    NOT_ASKED = "not-asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchor:
    """An anchor, parsed, with every domain it serves."""

    certificate: Certificate
    domains: frozenset[Domain]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """
    What a decision trusts.

    Attributes:
        version: grows by one with every change of anchors or policies.
        pool: certificates of our own CAs, to complete and to recognise paths.
        identity: SHA-256 over all of that: two with the same one trust the same.
    """

    version: int
    anchors: tuple[TrustAnchor, ...]
    pool: tuple[OwnIssuer, ...] = ()
    identity: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make the identity."""
        told = [str(self.version)]
        for anchor in self.anchors:
            told += (anchor.certificate.fingerprint.value, *sorted(anchor.domains), "")
        for own in self.pool:
            told += (own.issuer_id, own.kind, own.certificate.fingerprint.value, "")
        object.__setattr__(self, "identity", hashlib.sha256("\n".join(told).encode()).digest())

    def __hash__(self) -> int:
        """Hash the identity; hashing every certificate anew would take longer than a decision."""
        return hash(self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIssuer:
    """The certificate of a CA of ours, parsed, with the kind that its row names."""

    issuer_id: str
    kind: Kind
    certificate: Certificate
