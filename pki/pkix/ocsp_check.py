"""
Foreign OCSP answers: read strictly, believed only from the issuer or its delegate (RFC 6960 3.2).

The answer is taken apart by our own reader: one answer may speak of several certificates, each
part with critical extensions of its own, which the general parser does not show.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from asn1crypto import x509 as asn1_x509

from pki.clock import format_time
from pki.errors import BadInput
from pki.pkix.certificate import Certificate, load
from pki.pkix.hashes import issuer_hashes, public_key_octets
from pki.pkix.ocsp_parse import Answer, Single, read_answer
from pki.pkix.path.signatures import (
    Strength,
    certifies,
    of_certificate,
    verifies,
    weak_key,
    weak_signature,
)

STRONG: Final = Strength()
NO_SKEW: Final = dt.timedelta()
MAX_DELEGATES: Final = 8
"""Certificates of an answer that are looked at."""

_OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"
_NONCE: Final = "1.3.6.1.5.5.7.48.1.2"
_SIGNING_USES: Final = frozenset(("digital_signature", "content_commitment"))
_HASHES: Final = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_HANDLED: Final = frozenset(
    (
        _NONCE,
        "1.3.6.1.5.5.7.48.1.3",  # crlReferences
        "1.3.6.1.5.5.7.48.1.6",  # archiveCutoff
        "1.3.6.1.5.5.7.48.1.9",  # extendedRevoke
        "1.3.6.1.4.1.11129.2.4.5",  # signed certificate timestamps: nothing depends on them
        "2.5.29.21",  # reasonCode and invalidityDate, as in CRL entries (4.4.5)
        "2.5.29.24",
    )
)
_DELEGATE_HANDLED: Final = frozenset(
    (
        "2.5.29.14",  # subjectKeyIdentifier
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.19",  # basicConstraints
        "2.5.29.35",  # authorityKeyIdentifier
        "2.5.29.37",  # extendedKeyUsage
        "1.3.6.1.5.5.7.48.1.5",  # ocsp-nocheck
    )
)


class OcspStatus(StrEnum):
    """What is known after an answer; only GOOD may lead to an acceptance."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    The certificate that is asked about.

    Attributes:
        serial: value octets of the INTEGER as they stand in the certificate; an answer repeats them
            even where they are not DER.
    """

    serial: bytes
    not_before: dt.datetime
    not_after: dt.datetime

    @classmethod
    def of(cls, certificate: Certificate) -> Target:
        """Take a parsed certificate."""
        number = certificate.serial
        return cls(
            serial=number.to_bytes(number.bit_length() // 8 + 1, signed=True),
            not_before=certificate.not_before,
            not_after=certificate.not_after,
        )

    @classmethod
    def read(cls, der: bytes) -> Target:
        """
        Take a certificate whose serial number the strict parser does not read.

        Raises:
            BadInput: `unreadable`.
        """
        try:
            tbs = asn1_x509.Certificate.load(der, strict=True)["tbs_certificate"]
            return cls(
                serial=tbs["serial_number"].contents,
                not_before=tbs["validity"]["not_before"].native,
                not_after=tbs["validity"]["not_after"].native,
            )
        except Exception as error:  # asn1crypto raises unrelated types on hostile input
            raise BadInput("unreadable", "The certificate cannot be read.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspAnswer:
    """
    What an answer says of one certificate, and why.

    Attributes:
        this_update: None where the answer could not be used; else what it says came from an
            authorised signer.
        signer: the issuer or its delegate, whose own status is the caller's question.
        reason: RFC 5280 reason name, or None.
    """

    status: OcspStatus
    detail: str
    this_update: dt.datetime | None = None
    next_update: dt.datetime | None = None
    produced_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    reason: str | None = None
    signer: Certificate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    at: dt.datetime
    max_age: dt.timedelta | None
    strength: Strength
    skew: dt.timedelta


def check(  # noqa: PLR0913 - one keyword per rule of the asking side
    der: bytes,
    target: Target,
    issuer: Certificate,
    *,
    at: dt.datetime,
    max_age: dt.timedelta | None = None,
    nonce: bytes | None = None,
    strength: Strength = STRONG,
    skew: dt.timedelta = NO_SKEW,
) -> OcspAnswer:
    """
    Say what an OCSP answer is worth for one certificate; never raises on what a peer sent.

    Args:
        target: the certificate, verified as issued by `issuer`.
        max_age: greatest age of thisUpdate; without it an answer without nextUpdate is not used.
        nonce: where given, the answer must repeat it.
        skew: how far this clock may be behind the responder's.
    """
    try:
        answer = read_answer(der)
    except BadInput as error:
        return _unusable(error.message.rstrip("."))
    terms = _Terms(at=at, max_age=max_age, strength=strength, skew=skew)
    signer = _signer(answer, issuer, terms)
    if isinstance(signer, str):
        return _unusable(signer)
    fault = _answer_fault(answer, target, terms) or _nonce_fault(answer, nonce)
    if fault is not None:
        return _unusable(fault)
    matching = [single for single in answer.singles if _meets(single, target, issuer)]
    return _worst(matching, answer, signer, terms)


def _unusable(why: str) -> OcspAnswer:
    return OcspAnswer(status=OcspStatus.UNKNOWN, detail=why)


# --- who signed ------------------------------------------------------------------------------


def _signer(answer: Answer, issuer: Certificate, terms: _Terms) -> Certificate | str:
    """Return the authorised signer (RFC 6960 4.2.2.2), or why there is none."""
    weak = weak_signature(answer.signature, terms.strength)
    if weak is not None:
        return weak
    if _is_named(answer, issuer) and _signed_by(answer, issuer, terms):
        return issuer
    why = "it is not signed by the issuer, and brings no certificate of its signer"
    for delegate in _delegates(answer):
        refusal = _delegate_fault(delegate, issuer, terms)
        if refusal is None and _signed_by(answer, delegate, terms):
            return delegate
        why = refusal or "its signature is not good"
    return why


def _signed_by(answer: Answer, signer: Certificate, terms: _Terms) -> bool:
    strong = weak_key(signer.public_key, terms.strength) is None
    return strong and verifies(signer.public_key, answer.signature)


def _is_named(answer: Answer, certificate: Certificate) -> bool:
    """Tell whether the responderID means this certificate: its name, or SHA-1 of its key."""
    if answer.responder_name is not None:
        return answer.responder_name == certificate.subject
    octets = public_key_octets(certificate.spki)
    return answer.responder_key == hashlib.sha1(octets, usedforsecurity=False).digest()


def _delegates(answer: Answer) -> list[Certificate]:
    found = []
    for der in answer.certificates[:MAX_DELEGATES]:
        try:
            certificate = load(der)
        except BadInput:
            continue  # what cannot be read cannot be the signer
        if _is_named(answer, certificate):
            found.append(certificate)
    return found


def _delegate_fault(delegate: Certificate, issuer: Certificate, terms: _Terms) -> str | None:
    """Say why a certificate may not answer for `issuer` (RFC 6960 4.2.2.2), or None."""
    name = delegate.subject_text
    if not delegate.not_before <= terms.at <= delegate.not_after:
        return f"{name} is not valid at this time"
    if _unknown_critical(delegate):
        return f"{name} has an unknown critical extension"
    return _usage_fault(delegate) or _issuance_fault(delegate, issuer, terms)


def _usage_fault(delegate: Certificate) -> str | None:
    if _OCSP_SIGNING not in (delegate.extended_key_usage or ()):
        return f"{delegate.subject_text} lacks the extendedKeyUsage OCSPSigning"
    if delegate.key_usage is not None and not delegate.key_usage & _SIGNING_USES:
        return f"keyUsage of {delegate.subject_text} lacks digitalSignature"
    return None


def _issuance_fault(delegate: Certificate, issuer: Certificate, terms: _Terms) -> str | None:
    if delegate.normal_issuer != issuer.normal_subject:
        return f"{delegate.subject_text} was not issued by the issuer itself"
    weak = weak_signature(of_certificate(delegate.x509), terms.strength)
    if weak is not None:
        return f"{delegate.subject_text}: {weak}"
    good = certifies(issuer.public_key, delegate.x509)
    return None if good else f"{delegate.subject_text} was not signed by the issuer"


def _unknown_critical(certificate: Certificate) -> bool:
    return any(
        extension.critical and extension.oid.dotted_string not in _DELEGATE_HANDLED
        for extension in certificate.extensions
    )


# --- what it says ----------------------------------------------------------------------------


def _answer_fault(answer: Answer, target: Target, terms: _Terms) -> str | None:
    unknown = answer.critical - _HANDLED
    if unknown:
        return f"it has the critical extension {min(unknown)}"
    produced = answer.produced_at
    if produced > terms.at + terms.skew:
        return f"it was produced at {format_time(produced)}, which is to come"
    if not target.not_before <= produced <= target.not_after:
        # outside the validity an issuer need not keep the status (RFC 6960 4.4.4)
        return f"it was produced at {format_time(produced)}, when the certificate was not valid"
    return None


def _nonce_fault(answer: Answer, nonce: bytes | None) -> str | None:
    if nonce is None or answer.nonce == nonce:
        return None
    return "it does not repeat the nonce"


def _meets(single: Single, target: Target, issuer: Certificate) -> bool:
    algorithm = _HASHES.get(single.hash_algorithm)
    if algorithm is None or single.serial != target.serial:
        return False
    return (single.name_hash, single.key_hash) == issuer_hashes(issuer, algorithm)


def _worst(
    matching: list[Single], answer: Answer, signer: Certificate, terms: _Terms
) -> OcspAnswer:
    """Of several statements on one certificate the worst counts: revoked, unknown, good."""
    if not matching:
        return _unusable("it says nothing about this certificate")
    faults = [_single_fault(single, terms) for single in matching]
    usable = [s for s, fault in zip(matching, faults, strict=True) if fault is None]
    if not usable:
        return _unusable(next(fault for fault in faults if fault is not None))
    single = min(usable, key=lambda one: _RANK[one.status])
    return OcspAnswer(
        status=OcspStatus(single.status),
        detail=f"the responder says {single.status}",
        this_update=single.this_update,
        next_update=single.next_update,
        produced_at=answer.produced_at,
        revoked_at=single.revoked_at,
        reason=single.reason,
        signer=signer,
    )


_RANK: Final = {"revoked": 0, "unknown": 1, "good": 2}


def _single_fault(single: Single, terms: _Terms) -> str | None:
    unknown = single.critical - _HANDLED
    if unknown:
        return f"it has the critical extension {min(unknown)}"
    if single.this_update > terms.at + terms.skew:
        return f"it begins at {format_time(single.this_update)}"
    if single.next_update is not None and single.next_update < terms.at:
        return f"it ended at {format_time(single.next_update)}"
    if single.next_update is None and terms.max_age is None:
        return "it does not say until when it holds"
    if terms.max_age is not None and terms.at - single.this_update > terms.max_age:
        return f"it is of {format_time(single.this_update)}, which is too old"
    return None
