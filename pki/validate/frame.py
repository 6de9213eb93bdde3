"""What decisions share until it changes: trust, policy, and the state of our own CAs."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from pki.ids import Fingerprint, SerialNumber
from pki.model import (
    Anchor,
    Change,
    ChangeKind,
    DecisionPolicy,
    Domain,
    Issuer,
    OwnIssuer,
    Revocation,
    SourceKind,
    Trust,
    TrustAnchor,
)
from pki.pkix.certificate import Certificate, load
from pki.pkix.recent import Recent
from pki.ports import Transaction
from pki.validate.turns import turns_of

MOST_LISTED: Final = 1000
"""Blocked keys that one process keeps."""

_KEPT: Final = 512

_parsed = lru_cache(maxsize=1024)(load)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """
    Read in one transaction, and good until the change log tells of a change to it.

    Attributes:
        standing: certificates of our own CAs and what was revoked of them.
        blocked: those of them and of the anchors whose key is blocked.
        listed: the SHA-256 of every blocked key; None where they are too many to be kept.
        certificates: issuer and serial of each.
        asked_responders: see `pki.model.Evidence`.
        evidence_issuers: identities of the CAs about whose certificates there is evidence.
        upper: our own CAs and the anchors by fingerprint.
        turns: when one of these begins or has ended, in order.
        kept: what decisions keep with it.
    """

    trust: Trust
    policy: DecisionPolicy
    standing: Mapping[Fingerprint, Revocation | None]
    blocked: frozenset[Fingerprint]
    listed: frozenset[bytes] | None
    certificates: frozenset[tuple[str, SerialNumber]]
    asked_responders: frozenset[bytes]
    evidence_issuers: frozenset[bytes]
    upper: Mapping[Fingerprint, Certificate]
    turns: tuple[dt.datetime, ...]
    kept: Recent[object, object] = field(
        default_factory=lambda: Recent(_KEPT), compare=False, repr=False
    )


def concerned(frame: Frame, change: Change) -> bool:
    """Tell whether a change makes a frame wrong."""
    match change.kind:
        case ChangeKind.REVOKED | ChangeKind.RELEASED:
            return (change.issuer_id, change.serial) in frame.certificates
        case ChangeKind.CONTRACT | ChangeKind.CLIENTS | ChangeKind.ROAMING:
            return False  # read for each decision
        case _:
            return True


def read_frame(tx: Transaction) -> Frame:
    """Read what is in force."""
    trust = trusted(tx)
    upper = (*(own.certificate for own in trust.pool), *(a.certificate for a in trust.anchors))
    keys = {c.fingerprint: hashlib.sha256(c.spki).digest() for c in upper}
    standings = tx.certificates.standings([own.certificate.fingerprint for own in trust.pool])
    listed = tx.certificates.all_blocked(MOST_LISTED)
    blocked = blocked_among(tx, listed, list(keys.values()))
    return Frame(
        trust=trust,
        policy=DecisionPolicy(
            version=trust.version, status=tx.trust.rules(), stale=tx.evidence.stale_rules()
        ),
        standing={name: standing.revocation for name, standing in standings.items()},
        blocked=frozenset(name for name, key in keys.items() if key in blocked),
        listed=listed,
        certificates=frozenset((s.issuer_id, s.serial) for s in standings.values()),
        asked_responders=frozenset(
            source.issuer_hash for source in tx.evidence.sources() if source.kind is SourceKind.OCSP
        ),
        evidence_issuers=tx.evidence.issuers(),
        upper={certificate.fingerprint: certificate for certificate in upper},
        turns=tuple(sorted(set(turns_of(upper)))),
    )


def blocked_among(
    tx: Transaction, listed: frozenset[bytes] | None, keys: list[bytes]
) -> Collection[bytes]:
    """Return those of the keys (SHA-256) that are blocked; the store is asked if need be."""
    return tx.certificates.keys_blocked(keys) if listed is None else listed.intersection(keys)


def trusted(tx: Transaction) -> Trust:
    """Return anchors and own CAs in force, parsed."""
    domains: dict[Fingerprint, set[Domain]] = {}
    anchors: dict[Fingerprint, Anchor] = {}
    for anchor in tx.trust.anchors():
        anchors[anchor.fingerprint] = anchor
        domains.setdefault(anchor.fingerprint, set()).add(anchor.domain)
    return Trust(
        version=tx.trust.version(),
        anchors=tuple(
            TrustAnchor(certificate=_parsed(a.der), domains=frozenset(domains[a.fingerprint]))
            for a in anchors.values()
        ),
        pool=tuple(_own(issuer) for issuer in tx.issuers.all() if issuer.certificate),
    )


def _own(issuer: Issuer) -> OwnIssuer:
    return OwnIssuer(
        issuer_id=issuer.issuer_id, kind=issuer.kind, certificate=_parsed(issuer.certificate)
    )
