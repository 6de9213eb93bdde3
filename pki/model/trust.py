"""Trust anchors and what a decision trusts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
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
    """

    version: int
    anchors: tuple[TrustAnchor, ...]
    pool: tuple[OwnIssuer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnIssuer:
    """The certificate of a CA of ours, parsed, with the kind that its row names."""

    issuer_id: str
    kind: Kind
    certificate: Certificate
