"""
The signature suites of messages; which of them count is the verifier's policy, not the message's.

-2: P-256 with SHA-256. -20: P-521 with SHA-512 [V2G20-1000], Ed448 with SHAKE256 of 64 octets.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, utils

from pki.ids import Edition

CANONICAL_EXI: Final = "http://www.w3.org/TR/canonical-exi/"
_ED448_SIGNATURE: Final = 114
_DIGEST_512: Final = 64


class SuiteName(StrEnum):
    """A key type together with its hash."""

    ECDSA_P256_SHA256 = "ecdsa-p256-sha256"
    ECDSA_P521_SHA512 = "ecdsa-p521-sha512"
    ED448_SHAKE256 = "ed448-shake256"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSuite:
    """
    One algorithm and how XML names it.

    Attributes:
        method, digest_method: URIs of SignatureMethod and DigestMethod.
        value_size: octets of SignatureValue.
    """

    name: SuiteName
    method: str
    digest_method: str
    value_size: int

    def digest(self, data: bytes) -> bytes:
        """Return the digest that a reference carries."""
        match self.name:
            case SuiteName.ECDSA_P256_SHA256:
                return hashlib.sha256(data).digest()
            case SuiteName.ECDSA_P521_SHA512:
                return hashlib.sha512(data).digest()
            case SuiteName.ED448_SHAKE256:
                return hashlib.shake_256(data).digest(_DIGEST_512)

    def raw(self, signature: bytes) -> bytes:
        """Turn a signer's output into a SignatureValue: DER ECDSA to r and s, Ed448 as it is."""
        if self.name is SuiteName.ED448_SHAKE256:
            return signature
        half = self.value_size // 2
        r, s = utils.decode_dss_signature(signature)
        return r.to_bytes(half) + s.to_bytes(half)

    def verifies(self, key: object, value: bytes, data: bytes) -> bool:
        """Tell whether a SignatureValue of the right size is good; a foreign key is a no."""
        if suite_for(key) is not self:
            return False
        try:
            if isinstance(key, ed448.Ed448PublicKey):
                key.verify(value, data)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                half = self.value_size // 2
                r, s = int.from_bytes(value[:half]), int.from_bytes(value[half:])
                key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(self._hash()))
        except InvalidSignature:
            return False
        return True

    def _hash(self) -> hashes.HashAlgorithm:
        small = self.name is SuiteName.ECDSA_P256_SHA256
        return hashes.SHA256() if small else hashes.SHA512()


P256: Final = MessageSuite(
    name=SuiteName.ECDSA_P256_SHA256,
    method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    digest_method="http://www.w3.org/2001/04/xmlenc#sha256",
    value_size=64,
)
P521: Final = MessageSuite(
    name=SuiteName.ECDSA_P521_SHA512,
    method="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
    digest_method="http://www.w3.org/2001/04/xmlenc#sha512",
    value_size=132,
)
ED448: Final = MessageSuite(
    name=SuiteName.ED448_SHAKE256,
    method="urn:iso:std:iso:15118:-20:Security:xmldsig#Ed448",
    digest_method="urn:iso:std:iso:15118:-20:Security:xmlenc#SHAKE256",
    value_size=_ED448_SIGNATURE,
)

Policy = frozenset[MessageSuite]
"""The suites that a verifier accepts."""

POLICIES: Final[dict[Edition, Policy]] = {
    Edition.ISO2: frozenset({P256}),
    Edition.ISO20: frozenset({P521, ED448}),
}


def suite_for(key: object) -> MessageSuite | None:
    """Return the suite of a public key, or None where no message is signed with such a key."""
    match key:
        case ed448.Ed448PublicKey():
            return ED448
        case ec.EllipticCurvePublicKey():
            return {"secp256r1": P256, "secp521r1": P521}.get(key.curve.name)
        case _:
            return None
