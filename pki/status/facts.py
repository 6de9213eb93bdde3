"""What the store says of the certificates that an OCSP request names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pki.errors import BadInput
from pki.ids import SerialNumber
from pki.model import CertificateRecord, Revocation
from pki.pkix.ocsp import CertId
from pki.ports import Transaction
from pki.status.view import KnownIssuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What is needed of a certificate; its record would take three times the memory."""

    issuer_id: str
    serial: SerialNumber
    not_after: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one read said about one CertID (DER, as asked)."""

    cert_id: bytes
    known: KnownIssuer
    issued: Issued | None
    revocation: Revocation | None


def again(facts: Facts, cert_id: CertId) -> Facts:
    """Return what is known already, for a CertID that names the same certificate."""
    return Facts(
        cert_id=cert_id.raw, known=facts.known, issued=facts.issued, revocation=facts.revocation
    )


def asked(tx: Transaction, cert_id: CertId, named: tuple[KnownIssuer, ...]) -> Facts:
    """Return what is known under any of the generations that a CertID names."""
    try:
        serial = SerialNumber.from_int(cert_id.serial)
    except BadInput:  # zero, negative, overlong: nobody issued that
        serial = None
    for known in named:
        facts = facts_of(tx, cert_id.raw, serial, known)
        if facts.issued is not None or facts.revocation is not None:
            return facts
    return facts


def facts_of(
    tx: Transaction, cert_id: bytes, serial: SerialNumber | None, known: KnownIssuer
) -> Facts:
    """Return what is known of one serial of one generation; None is a serial that cannot be."""
    issuer_id = known.issuer.issuer_id
    record = tx.certificates.by_issuer_serial(issuer_id, serial) if serial else None
    return Facts(
        cert_id=cert_id,
        known=known,
        issued=_issued(record) if record else None,
        revocation=tx.certificates.revocation(issuer_id, serial) if serial else None,
    )


def _issued(record: CertificateRecord) -> Issued:
    return Issued(issuer_id=record.issuer_id, serial=record.serial, not_after=record.not_after)
