"""
The three signature suites of ISO 15118 and what belongs to each.

-2 knows P-256 with SHA-256 [V2G2-006], [V2G2-007]; -20 knows P-521 with SHA-512 [V2G20-2674] and
Ed448
[V2G20-2319].
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from pki.ids import Edition

PrivateKey = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey


class Suite(StrEnum):
    """A key type together with the only signature algorithm used with it."""

    P256 = "p256"
    P521 = "p521"
    ED448 = "ed448"

    @property
    def edition(self) -> Edition:
        """The edition of ISO 15118 whose certificates use this suite."""
        return _ISO2 if self is _P256 else _ISO20

    @property
    def signature_oid(self) -> str:
        """The dotted object identifier of the signature algorithm (RFC 5758, RFC 8410)."""
        return _SIGNATURE_OID[self]

    @property
    def hash(self) -> hashes.SHA256 | hashes.SHA512 | None:
        """The hash to give to a certificate builder; None for Ed448, which hashes by itself."""
        return _HASH[self]


_P256: Final = Suite.P256
_ISO2: Final = Edition.ISO2
_ISO20: Final = Edition.ISO20
"""Looking up a member of an enumeration takes a while, and its hash is Python's."""
_SIGNATURE_OID: Final = {
    Suite.P256: "1.2.840.10045.4.3.2",
    Suite.P521: "1.2.840.10045.4.3.4",
    Suite.ED448: "1.3.101.113",
}
_ECDSA: Final = {
    "secp256r1": ec.ECDSA(hashes.SHA256()),
    "secp521r1": ec.ECDSA(hashes.SHA512()),
}
"""Made once: a tenth of a signature's time."""
KEY_BITS: Final = {91: 26, 158: 25, 69: 12}
"""By the length of a SubjectPublicKeyInfo in its one encoding, of P-256, P-521 and Ed448: where the
content of its BIT STRING begins, behind the count of unused bits."""
_CURVES: Final = {Suite.P256: ec.SECP256R1(), Suite.P521: ec.SECP521R1()}
_HASH: Final[dict[Suite, hashes.SHA256 | hashes.SHA512 | None]] = {
    Suite.P256: hashes.SHA256(),
    Suite.P521: hashes.SHA512(),
    Suite.ED448: None,
}


def suite_of(key: object) -> Suite | None:
    """Return the suite of a public or private key, or None where ISO 15118 does not know it."""
    match key:
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            return {"secp256r1": Suite.P256, "secp521r1": Suite.P521}.get(key.curve.name)
        case ed448.Ed448PublicKey() | ed448.Ed448PrivateKey():
            return Suite.ED448
        case _:
            return None


def key_of(suite: Suite, octets: bytes) -> PublicKey | None:
    """Return the key of a suite whose point (uncompressed, without its 04) or Ed448 octets are
    those, or None where there is no such point.
    """
    try:
        if suite is Suite.ED448:
            return ed448.Ed448PublicKey.from_public_bytes(octets)
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[suite], b"\x04" + octets)
    except ValueError:
        return None


def generate(suite: Suite) -> PrivateKey:
    """Make a fresh private key of the suite."""
    match suite:
        case Suite.P256:
            return ec.generate_private_key(ec.SECP256R1())
        case Suite.P521:
            return ec.generate_private_key(ec.SECP521R1())
        case Suite.ED448:
            return ed448.Ed448PrivateKey.generate()


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign `data` with the algorithm that belongs to the key's suite (DER ECDSA or raw Ed448)."""
    if isinstance(key, ed448.Ed448PrivateKey):
        return key.sign(data)
    algorithm = _ECDSA.get(key.curve.name)
    if algorithm is None:
        raise ValueError(f"no suite uses the curve {key.curve.name}")
    return key.sign(data, algorithm)


def verifies(key: object, signature: bytes, data: bytes) -> bool:
    """Tell whether `signature` over `data` is good under `key`; a key of no suite is a no."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            algorithm = _ECDSA.get(key.curve.name)
            if algorithm is None:
                return False
            key.verify(signature, data, algorithm)
        elif isinstance(key, ed448.Ed448PublicKey):
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True
