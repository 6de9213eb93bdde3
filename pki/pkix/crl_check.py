"""
Foreign CRLs: checked once against their issuer, then asked by serial number.

Asking a CRL is only safe behind the full check (RFC 5280 6.3.3): signature and cRLSign of the
issuer, freshness, scope, and extensions that nobody here understands. Delta, indirect and partial
CRLs (by reason, for attribute certificates) are refused: their silence says nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography import x509

from pki.clock import format_time
from pki.pkix.certificate import Certificate
from pki.pkix.crl_parse import (
    MAX_CRL_SIZE,
    Crl,
    Revoked,
    directory_name,
    point_names,
    read,
    value_of,
)
from pki.pkix.path.signatures import Signed, Strength, verifies, weak_key, weak_signature

__all__ = [
    "MAX_CRL_SIZE",
    "Crl",
    "CrlAnswer",
    "CrlIndex",
    "CrlRefused",
    "CrlStatus",
    "Revoked",
    "check",
    "read",
]

STRONG: Final = Strength()
NO_SKEW: Final = dt.timedelta()


class CrlStatus(StrEnum):
    """What a CRL says about a certificate; only GOOD may lead to an acceptance."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlAnswer:
    """What is known of one certificate."""

    status: CrlStatus
    detail: str
    revoked: Revoked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRefused:
    """Why a CRL is not used; REJECT where it breaks the rules, UNKNOWN where it says nothing."""

    status: CrlStatus
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlIndex:
    """A CRL that passed every check, and who signed it."""

    crl: Crl
    signer: Certificate

    def status_of(self, certificate: Certificate) -> CrlAnswer:
        """Answer for a certificate whose path was verified under one of the CRL's issuers."""
        scope = _scope_fault(self.crl, certificate)
        if scope is not None:
            return scope
        entry = self.crl.entries.get(certificate.serial)
        if entry is not None:
            when = format_time(entry.at)
            return CrlAnswer(status=CrlStatus.REVOKED, detail=f"revoked at {when}", revoked=entry)
        return CrlAnswer(status=CrlStatus.GOOD, detail="not on the CRL of its issuer")


def check(  # noqa: PLR0913 - one keyword per rule of the importing side
    crl: Crl,
    issuers: tuple[Certificate, ...],
    *,
    at: dt.datetime,
    max_age: dt.timedelta | None = None,
    minimum_number: int | None = None,
    strength: Strength = STRONG,
    skew: dt.timedelta = NO_SKEW,
) -> CrlIndex | CrlRefused:
    """
    Check a CRL once, such that certificates of its issuer can be looked up in it.

    Args:
        issuers: verified certificates of the CRL's issuer: all its keys, old and new.
        max_age: greatest age of thisUpdate; a CRL without nextUpdate is refused without it.
        minimum_number: cRLNumber of the CRL held before; a lower one is an old CRL played back.
        skew: how far this clock may be behind the issuer's.
    """
    signer = _signer(crl, issuers, strength)
    if isinstance(signer, CrlRefused):
        return signer
    why = crl.unusable or _stale(crl, at, max_age, skew) or _played_back(crl, minimum_number)
    return CrlIndex(crl=crl, signer=signer) if why is None else _silent(why)


def _silent(why: str) -> CrlRefused:
    return CrlRefused(status=CrlStatus.UNKNOWN, detail=why)


def _signer(
    crl: Crl, issuers: tuple[Certificate, ...], strength: Strength
) -> Certificate | CrlRefused:
    """RFC 5280 6.3.3 (f) and (g): who of the issuers signed it, and whether it may."""
    named = [issuer for issuer in issuers if issuer.normal_subject == crl.issuer]
    if not named:
        return _silent("it is the CRL of another issuer")
    weak = weak_signature(crl.signature, strength)
    if weak is not None or crl.signature is None:
        return _silent(weak or "it has no signature")
    signers = [c for c in named if _signed_by(c, crl.signature, strength)]
    for signer in signers:
        if signer.key_usage is None or "crl_sign" in signer.key_usage:
            return signer
    if signers:
        return CrlRefused(status=CrlStatus.REJECT, detail="the issuer's keyUsage lacks cRLSign")
    return _silent("no issuer's key verifies its signature")


def _signed_by(issuer: Certificate, signature: Signed, strength: Strength) -> bool:
    strong = weak_key(issuer.public_key, strength) is None
    return strong and verifies(issuer.public_key, signature)


def _stale(
    crl: Crl, at: dt.datetime, max_age: dt.timedelta | None, skew: dt.timedelta
) -> str | None:
    if crl.this_update > at + skew:
        return f"it begins at {format_time(crl.this_update)}"
    if crl.next_update is not None and crl.next_update < at:
        return f"the next one was due at {format_time(crl.next_update)}"
    if crl.next_update is None and max_age is None:
        return "it does not say until when it holds"
    if max_age is not None and at - crl.this_update > max_age:
        return f"it is of {format_time(crl.this_update)}, which is too old"
    return None


def _played_back(crl: Crl, minimum_number: int | None) -> str | None:
    if minimum_number is None or (crl.number is not None and crl.number >= minimum_number):
        return None
    return f"its number {crl.number} is lower than {minimum_number}, which was seen before"


# --- scope -----------------------------------------------------------------------------------


def _scope_fault(crl: Crl, certificate: Certificate) -> CrlAnswer | None:
    """RFC 5280 6.3.3 (b): say why the CRL does not cover the certificate, or None."""
    if certificate.normal_issuer != crl.issuer:
        return CrlAnswer(status=CrlStatus.UNKNOWN, detail="it has another issuer")
    if crl.only_users and certificate.version < 3:  # noqa: PLR2004 - X.509 v3
        detail = "before version 3 a certificate does not say whether it is a user's"
        return CrlAnswer(status=CrlStatus.REJECT, detail=detail)
    if (crl.only_users and certificate.is_ca) or (crl.only_cas and not certificate.is_ca):
        kind = "users" if crl.only_users else "CAs"
        return CrlAnswer(status=CrlStatus.UNKNOWN, detail=f"the CRL is for {kind} only")
    if _point_meets(crl, certificate):
        return None
    detail = "the certificate names another distribution point"
    return CrlAnswer(status=CrlStatus.UNKNOWN, detail=detail)


def _point_meets(crl: Crl, certificate: Certificate) -> bool:
    """Tell whether one complete distribution point of the certificate is the CRL's."""
    points = value_of(certificate.extensions, x509.CRLDistributionPoints)
    issuer = certificate.normal_issuer
    if points is None:
        return crl.names is None or directory_name(issuer) in crl.names
    complete = [p for p in points if p.crl_issuer is None and p.reasons is None]
    if crl.names is None:
        return bool(complete)
    named = [point_names(p.full_name, p.relative_name, issuer) for p in complete]
    return any(names & crl.names for names in named if names is not None)
