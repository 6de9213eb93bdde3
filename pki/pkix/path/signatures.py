"""
One signature under one key, for every algorithm that a foreign PKI may use; it never raises.

`pki.pkix.suites` knows what ISO 15118 signs with; this knows what others sign with, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

_RSA: Final[dict[str, hashes.HashAlgorithm]] = {
    "1.2.840.113549.1.1.5": hashes.SHA1(),  # noqa: S303 - named to be judged, see Strength
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
}
_ECDSA: Final[dict[str, hashes.HashAlgorithm]] = {
    "1.2.840.10045.4.1": hashes.SHA1(),  # noqa: S303 - as above
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
_READY: Final = {oid: ec.ECDSA(digest) for oid, digest in _ECDSA.items()}
"""Made once: some of what a quick verification adds to the curve's own."""
_EDWARDS: Final = {"1.3.101.112": ed25519.Ed25519PublicKey, "1.3.101.113": ed448.Ed448PublicKey}
_FAILURES: Final = (
    InvalidSignature,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    OverflowError,
)
_PSS: Final = "1.2.840.113549.1.1.10"
_STRONG: Final = frozenset(("sha256", "sha384", "sha512"))
_CURVES: Final = frozenset(("secp256r1", "secp384r1", "secp521r1"))
_MAX_RSA_BITS: Final = 16_384
"""As OpenSSL: a longer modulus only costs time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """
    Keys and algorithms that count.

    Attributes:
        minimum_rsa_bits: RFC 5280 names none; 2048 is what everybody asks today.
        sha1: SHA-1 signatures count (old test suites).
    """

    minimum_rsa_bits: int = 2048
    sha1: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Octets, the signature over them, and the dotted identifier of its algorithm."""

    data: bytes
    signature: bytes
    algorithm: str
    pss: padding.PSS | None = None
    pss_digest: hashes.HashAlgorithm | None = None


def of_certificate(certificate: x509.Certificate) -> Signed | None:
    """Take a certificate's signature; None where its parameters cannot be read."""
    return _signed(certificate, certificate.tbs_certificate_bytes)


def of_crl(crl: x509.CertificateRevocationList) -> Signed | None:
    """Take a CRL's signature; None where its parameters cannot be read."""
    return _signed(crl, crl.tbs_certlist_bytes)


def _signed(item: x509.Certificate | x509.CertificateRevocationList, data: bytes) -> Signed | None:
    algorithm = item.signature_algorithm_oid.dotted_string
    pss = digest = None
    if algorithm == _PSS:
        try:
            pss, digest = item.signature_algorithm_parameters, item.signature_hash_algorithm
        except (UnsupportedAlgorithm, ValueError, TypeError):
            return None
    return Signed(
        data=data,
        signature=item.signature,
        algorithm=algorithm,
        pss=pss if isinstance(pss, padding.PSS) else None,
        pss_digest=digest,
    )


def verifies(key: object, item: Signed) -> bool:
    """Tell whether the signature is good; a key of another type or a step that fails is a no."""
    try:
        _verify(key, item)
    except _FAILURES:
        return False
    return True


def verifier(key: object, algorithm: str) -> Callable[[bytes, bytes], bool]:
    """
    Return what tells of a signature and its data the same as `verifies`, for one key.

    There is the least possible around the curve's own work.
    """
    ready = _READY.get(algorithm)
    if ready is None or not isinstance(key, ec.EllipticCurvePublicKey):
        return lambda signature, data: verifies(
            key, Signed(data=data, signature=signature, algorithm=algorithm)
        )
    verify = key.verify

    def good(signature: bytes, data: bytes) -> bool:
        try:
            verify(signature, data, ready)
        except _FAILURES:
            return False
        return True

    return good


def certifies(issuer_key: object, certificate: x509.Certificate) -> bool:
    """Tell whether a certificate's signature is good under a key."""
    item = of_certificate(certificate)
    return item is not None and verifies(issuer_key, item)


def weak_signature(item: Signed | None, strength: Strength) -> str | None:
    """Say why an algorithm does not count, or None."""
    if item is None:
        return "its signature algorithm cannot be read"
    digest = _RSA.get(item.algorithm) or _ECDSA.get(item.algorithm) or item.pss_digest
    if item.algorithm in _EDWARDS or (digest is not None and digest.name in _STRONG):
        return None
    if digest is not None and digest.name == "sha1" and strength.sha1:
        return None
    return f"it is signed with {item.algorithm}"


def weak_key(key: object, strength: Strength) -> str | None:
    """Say why a public key does not count, or None."""
    match key:
        case rsa.RSAPublicKey():
            good = strength.minimum_rsa_bits <= key.key_size <= _MAX_RSA_BITS
            return None if good else f"its RSA key has {key.key_size} bits"
        case ec.EllipticCurvePublicKey():
            return None if key.curve.name in _CURVES else f"its key is on {key.curve.name}"
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return None
        case _:
            return "its key is of a type that does not count"


# ----------------------------------------------------------------------


def _verify(key: object, item: Signed) -> None:
    match key:
        case rsa.RSAPublicKey() if item.algorithm in _RSA:
            key.verify(item.signature, item.data, padding.PKCS1v15(), _RSA[item.algorithm])
        case rsa.RSAPublicKey() if item.pss is not None and item.pss_digest is not None:
            key.verify(item.signature, item.data, item.pss, item.pss_digest)
        case ec.EllipticCurvePublicKey() if item.algorithm in _ECDSA:
            key.verify(item.signature, item.data, _READY[item.algorithm])
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            if not isinstance(key, _EDWARDS.get(item.algorithm, type(None))):
                raise InvalidSignature
            key.verify(item.signature, item.data)
        case _:
            raise InvalidSignature
