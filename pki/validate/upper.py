"""What holds of a path whatever its leaf: asked once for its issuers, remembered by content."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

from pki.model import Domain, Trust
from pki.pkix.certificate import Certificate
from pki.pkix.profiles import Kind
from pki.validate import profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Upper:
    """
    The issuers of a path, anchor last, under one trust.

    Attributes:
        text: how the way up reads behind the leaf's name.
        domains: what the anchor is trusted for.
        kind: of the leaf's issuer where it is a CA of ours.
        unlimited: the first CA below the anchor that has no keyUsage, or None.
        not_before, not_after: when all of them are valid.
        fault2, fault20: what breaks the profile below a leaf of -2 and of -20, or None.
        notes: what deviates without being refused.
        ours: for each, whether it is a CA of ours, under whatever certificate.
    """

    text: str
    domains: frozenset[Domain]
    kind: Kind | None
    unlimited: Certificate | None
    not_before: dt.datetime
    not_after: dt.datetime
    fault2: str | None
    fault20: str | None
    notes: tuple[str, ...]
    ours: tuple[bool, ...]


@lru_cache(maxsize=1024)
def upper_of(issuers: tuple[Certificate, ...], trust: Trust) -> Upper:
    """Return what holds of the issuers of a path."""
    anchor = issuers[-1]
    kinds = {own.certificate: own.kind for own in trust.pool}
    keys = {(own.certificate.spki, own.certificate.subject) for own in trust.pool}
    return Upper(
        text="".join(f" ← {issuer.subject_text}" for issuer in issuers),
        domains=frozenset(d for a in trust.anchors if a.certificate == anchor for d in a.domains),
        kind=kinds.get(issuers[0]),
        unlimited=next((c for c in issuers[:-1] if c.key_usage is None), None),
        not_before=max(issuer.not_before for issuer in issuers),
        not_after=min(issuer.not_after for issuer in issuers),
        fault2=profile.upper_fault(issuers, is_iso20=False),
        fault20=profile.upper_fault(issuers, is_iso20=True),
        notes=profile.upper_notes(issuers[:-1]),
        ours=tuple((issuer.spki, issuer.subject) in keys for issuer in issuers),
    )
