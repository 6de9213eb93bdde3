"""What the verbs of an emergency return."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from pki.ids import Fingerprint
from pki.model import Domain, Living, Reason
from pki.revoke import RevocationReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Radius:
    """
    What falls with a certificate: the certificate itself, and for a CA all below it.

    Attributes:
        report: what the revocation itself does, or did; None where it was done before.
        issuers: our CAs that fall, from the top down.
        touched: living certificates below, by kind and owner.
        contracts, chargers: by different names.
        cars: with a provisioning or vehicle certificate below.
        bundles_for: cars for which a contract bundle waits that falls.
        emsps: providers whose contracts fall.
    """

    subject: str
    fingerprint: Fingerprint
    report: RevocationReport | None
    issuers: tuple[str, ...]
    touched: tuple[Living, ...]
    certificates: int
    contracts: int
    chargers: int
    cars: int
    bundles_for: int
    emsps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRadius:
    """
    What is no longer trusted without a foreign root.

    Attributes:
        cars: with a provisioning chain that ends at it.
        bundles: that are made for cars that hold it as V2G root.
        sources: of status in its domains.
    """

    fingerprint: Fingerprint
    subject: str
    domains: tuple[Domain, ...]
    cars: int
    bundles: int
    sources: int
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """
    How far a bulk re-issue is.

    Attributes:
        done: certificates that were looked at.
        replaced: issued anew for the same key. renewed: contracts made anew with a new key.
        earlier: had a successor already.
        left: by code, what could not be replaced; it needs somebody's hands.
    """

    done: int = 0
    replaced: int = 0
    renewed: int = 0
    earlier: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    An emergency as it is kept until its last certificate is replaced.

    Attributes:
        issuers: that fell, from the top down.
        ended_at: None while there is something to do.
    """

    reference: str
    reason: Reason
    issuers: tuple[str, ...]
    fingerprints: tuple[str, ...]
    begun_at: dt.datetime
    progress: Progress
    ended_at: dt.datetime | None = None
