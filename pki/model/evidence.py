"""Evidence of foreign certificates' status: fetched ahead, verified, kept with its freshness."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pki.ids import Fingerprint
from pki.model.certificates import Reason
from pki.model.trust import Domain

CLOCK_SKEW: Final = dt.timedelta(minutes=1)
"""How far our clock may be behind that of a foreign CA."""


class SourceKind(StrEnum):
    """How a source answers."""

    CRL = "crl"
    OCSP = "ocsp"


class StaleRule(StrEnum):
    """What evidence past its nextUpdate does to a decision."""

    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSource:
    """
    Where the status of one foreign CA's certificates is fetched; configured, never discovered.

    Attributes:
        issuer: DER certificate of that CA, under whose key the answers verify.
        issuer_hash: see `pki.pkix.hashes.identity`.
        problem: why the last attempt failed, or None.
    """

    source_id: str
    domain: Domain
    kind: SourceKind
    url: str
    issuer: bytes
    issuer_hash: bytes
    added_at: dt.datetime
    added_by: str
    fetched_at: dt.datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCrl:
    """A verified foreign CRL: serials that it does not list are good while it is fresh."""

    issuer_hash: bytes
    number: int | None
    this_update: dt.datetime
    next_update: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignStatus:
    """
    What verified evidence says of one foreign certificate.

    Attributes:
        serial: hexadecimal; foreign serials may be longer than ours, or negative.
        origin: the kind of source it came from.
        revoked: False is *good*.
        response: the verified OCSP answer itself, to be passed on; None where a CRL said so.
    """

    issuer_hash: bytes
    serial: str
    origin: SourceKind
    revoked: bool
    this_update: dt.datetime
    next_update: dt.datetime
    reason: Reason | None = None
    revoked_at: dt.datetime | None = None
    response: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCertificate:
    """A foreign certificate of a decided path, whose status is asked ahead of its next session."""

    fingerprint: Fingerprint
    issuer_hash: bytes
    der: bytes
    seen_at: dt.datetime
    not_after: dt.datetime
