"""What both editions' envelopes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.errors import BadInput

OTHER_INFO: Final = b"\x01UV"
"""AlgorithmID 01, PartyUInfo "U", PartyVInfo "V", without length fields [V2G2-818]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """
    An encrypted private key and the ephemeral public key that its receiver needs.

    Attributes:
        encrypted_key: IV, ciphertext and, in -20, the tag.
        dh_public_key: the ephemeral public key in the form of the message.
    """

    encrypted_key: bytes
    dh_public_key: bytes


def bad(code: str, what: str) -> BadInput:
    """Return the error of an envelope that cannot be opened; its receiver discards everything."""
    return BadInput(f"envelope_{code}", f"{what}.")


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the uncompressed point: 04, X, Y."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_point(curve: ec.EllipticCurve, octets: bytes) -> ec.EllipticCurvePublicKey:
    """
    Read an uncompressed point of the curve.

    Raises:
        BadInput: `envelope_point`, for another form or a point that is not on the curve.
    """
    if len(octets) != 1 + 2 * ((curve.key_size + 7) // 8):
        raise bad("point", "The ephemeral public key is not an uncompressed point of the curve")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, octets)
    except ValueError as error:
        raise bad("point", "The ephemeral public key is not a point of the curve") from error


def scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the private scalar, big-endian, as wide as the field."""
    return key.private_numbers().private_value.to_bytes((key.curve.key_size + 7) // 8)


def read_scalar(
    curve: ec.EllipticCurve, octets: bytes, public: ec.EllipticCurvePublicKey
) -> ec.EllipticCurvePrivateKey:
    """
    Read a decrypted scalar and prove that it belongs to the contract certificate's key.

    Raises:
        BadInput: `envelope_key`, out of range or another key's [V2G2-823], [V2G20-2507].
    """
    try:
        key = ec.derive_private_key(int.from_bytes(octets), curve)
    except ValueError as error:
        raise bad("key", "The decrypted private key is out of range") from error
    if key.public_key() != public:
        raise bad("key", "The decrypted private key is not that of the contract certificate")
    return key
