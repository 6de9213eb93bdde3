"""
The envelope of ISO 15118-2 (SP 800-56A one-pass Diffie-Hellman, [V2G2-814] to [V2G2-823]).

P-256, ConcatKDF with SHA-256, AES-128-CBC without padding. There is no MAC: the signature of the
provisioning service over the bundle is the only protection of its integrity.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from pki.errors import PolicyViolation
from pki.v2g.envelope.base import OTHER_INFO, Envelope, bad, point, read_point, read_scalar, scalar

_CURVE: Final = ec.SECP256R1()
_KEY: Final = 16
_IV: Final = 16
_SCALAR: Final = 32


def seal_iso2(
    contract_key: ec.EllipticCurvePrivateKey, receiver: ec.EllipticCurvePublicKey
) -> Envelope:
    """
    Encrypt a contract's private key for a car, with a fresh ephemeral key and IV.

    Args:
        receiver: key of the provisioning certificate (installation [V2G2-820]), or of the contract
            certificate that is replaced (update [V2G2-821]).

    Raises:
        PolicyViolation: `envelope_suite`, where one of the keys is not of P-256.
    """
    ephemeral = ec.generate_private_key(_CURVE)
    return _seal(contract_key, receiver, ephemeral, secrets.token_bytes(_IV))


def _seal(
    contract_key: ec.EllipticCurvePrivateKey,
    receiver: ec.EllipticCurvePublicKey,
    ephemeral: ec.EllipticCurvePrivateKey,
    iv: bytes,
) -> Envelope:
    _require_p256(contract_key.curve, receiver.curve)
    encryptor = _cipher(ephemeral, receiver, iv).encryptor()
    ciphertext = encryptor.update(scalar(contract_key)) + encryptor.finalize()
    return Envelope(encrypted_key=iv + ciphertext, dh_public_key=point(ephemeral.public_key()))


def open_iso2(
    envelope: Envelope,
    receiver_key: ec.EllipticCurvePrivateKey,
    contract_public: ec.EllipticCurvePublicKey,
) -> ec.EllipticCurvePrivateKey:
    """
    Decrypt as the car does.

    Args:
        contract_public: key of the contract certificate that came along.

    Raises:
        BadInput: `envelope_size`, `envelope_point`, `envelope_key` (another receiver's envelope
            ends here, since nothing else tells).
        PolicyViolation: `envelope_suite`, where one of the keys is not of P-256.
    """
    _require_p256(receiver_key.curve, contract_public.curve)
    if len(envelope.encrypted_key) != _IV + _SCALAR:
        raise bad("size", f"The encrypted key has not {_IV + _SCALAR} octets")
    sender = read_point(_CURVE, envelope.dh_public_key)
    iv, ciphertext = envelope.encrypted_key[:_IV], envelope.encrypted_key[_IV:]
    decryptor = _cipher(receiver_key, sender, iv).decryptor()
    return read_scalar(_CURVE, decryptor.update(ciphertext) + decryptor.finalize(), contract_public)


def _cipher(
    own: ec.EllipticCurvePrivateKey, other: ec.EllipticCurvePublicKey, iv: bytes
) -> Cipher[modes.CBC]:
    secret = own.exchange(ec.ECDH(), other)
    kdf = ConcatKDFHash(algorithm=hashes.SHA256(), length=_KEY, otherinfo=OTHER_INFO)
    return Cipher(algorithms.AES128(kdf.derive(secret)), modes.CBC(iv))


def _require_p256(*curves: ec.EllipticCurve) -> None:
    if any(curve.name != _CURVE.name for curve in curves):
        raise PolicyViolation("envelope_suite", "An envelope of ISO 15118-2 is made with P-256.")
