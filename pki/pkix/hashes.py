"""CertID hashes (RFC 6960 4.1.1), which OCPP's CertificateHashDataType shares."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from pki.pkix.certificate import Certificate
from pki.pkix.der import children, element_at


@lru_cache(maxsize=4096)
def issuer_hashes(issuer: Certificate, algorithm: str) -> tuple[bytes, bytes]:
    """
    Return (issuerNameHash, issuerKeyHash) that certificates of `issuer` carry.

    The key hash covers the subjectPublicKey octets without tag, length and unused-bits octet.
    `algorithm` is a name that hashlib knows (`sha1`, `sha256`, `sha384`, `sha512`).
    """
    name = hashlib.new(algorithm, issuer.subject, usedforsecurity=False).digest()
    key = hashlib.new(algorithm, public_key_octets(issuer.spki), usedforsecurity=False).digest()
    return name, key


def public_key_octets(spki: bytes) -> bytes:
    """Return the value of the subjectPublicKey BIT STRING of a SubjectPublicKeyInfo."""
    _, bits = children(spki, element_at(spki, 0, len(spki)))
    return spki[bits.body + 1 : bits.end]


def identity(certificate: Certificate) -> bytes:
    """Return SHA-256 over subject and public key: a CA under whatever certificate it shows."""
    return hashlib.sha256(certificate.subject + certificate.spki).digest()
