"""
The X448 key beside an Ed448 key: an alternate subject public key ([V2G20-2534]).

An Ed448 provisioning certificate cannot receive a key by itself, so it carries a second one. The
text that we know names no object identifier; we use subjectAltPublicKeyInfo of X.509 (2019) 9.8.2,
whose value is a SubjectPublicKeyInfo.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

OID: Final = "2.5.29.72"


def extension(key: x448.X448PublicKey) -> x509.UnrecognizedExtension:
    """Return the extension that carries the key."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(OID), encoded(key))


def encoded(key: x448.X448PublicKey) -> bytes:
    """Return the DER SubjectPublicKeyInfo of an X448 key (RFC 8410)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def find(extensions: x509.Extensions) -> x448.X448PublicKey | None:
    """Return the X448 key of a certificate or a request; None where there is no readable one."""
    for found in extensions:
        if found.oid.dotted_string == OID and isinstance(found.value, x509.UnrecognizedExtension):
            return read(found.value.value)
    return None


def read(spki: bytes) -> x448.X448PublicKey | None:
    """Return an X448 key from its SubjectPublicKeyInfo; None for anything else."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, x448.X448PublicKey) and encoded(key) == spki else None
