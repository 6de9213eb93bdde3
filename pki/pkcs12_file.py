"""A certificate, its chain and its key in one PKCS#12 file (RFC 7292)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from pki.errors import BadInput, PolicyViolation
from pki.pkix import build
from pki.pkix.suites import PrivateKey

MIN_PASSPHRASE: Final = 12
"""Octets, as of every passphrase."""

_ENCRYPTED: Final = (b"BEGIN ENCRYPTED PRIVATE", b"Proc-Type: 4,ENCRYPTED")


def is_encrypted(pem: bytes) -> bool:
    """Tell whether a key in PEM needs a passphrase."""
    return any(mark in pem for mark in _ENCRYPTED)


def private_key(pem: bytes, passphrase: bytes | None) -> PrivateKey:
    """
    Read a private key in PEM, the first where there are several.

    Raises:
        BadInput: `key_unreadable`, also for a wrong passphrase.
    """
    try:
        key = load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(
            "key_unreadable", "The key is no private key in PEM, or its passphrase is another."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey):
        raise BadInput("key_unreadable", "The key is of a kind that we do not certify.")
    return key


def write(name: str, chain: Sequence[bytes], key: PrivateKey, passphrase: bytes) -> bytes:
    """
    Return a PKCS#12 file under AES-256.

    Args:
        chain: DER, the certificate of the key first.

    Raises:
        PolicyViolation: `key_mismatch`.
        BadInput: `passphrase_short`.
    """
    if len(passphrase) < MIN_PASSPHRASE:
        raise BadInput(
            "passphrase_short", f"The passphrase has fewer than {MIN_PASSPHRASE} octets."
        )
    leaf, *others = [x509.load_der_x509_certificate(der) for der in chain]
    held = key.public_key()
    if build.spki(held) != build.spki(leaf.public_key()):  # type: ignore[arg-type]  # ours
        raise PolicyViolation("key_mismatch", "The key is not the one of this certificate.")
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, leaf, others, BestAvailableEncryption(passphrase)
    )
