"""
The envelope of ISO 15118-20, [V2G20-2492] to [V2G20-2535]: AES-256-GCM over P-521 or X448.

No two open implementations agree on key derivation, additional data and the forms of the second
suite. What is open is therefore an `InteropProfile`, and both sides must use the same one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pki.errors import PolicyViolation
from pki.ids import Pcid
from pki.v2g.envelope.base import OTHER_INFO, Envelope, bad, point, read_point, read_scalar, scalar

ContractKey = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
ContractPublic = ec.EllipticCurvePublicKey | ed448.Ed448PublicKey
ReceiverPublic = ec.EllipticCurvePublicKey | x448.X448PublicKey
ReceiverKey = ec.EllipticCurvePrivateKey | x448.X448PrivateKey

_CURVE: Final = ec.SECP521R1()
_KEY: Final = 32
_IV: Final = 12
_TAG: Final = 16
_P521_SCALAR: Final = 66
_X448_OCTETS: Final = 56
_FILLED: Final = 133
_PREFIX: Final = b"\x04"


class Kdf(StrEnum):
    """How the key comes from the shared secret."""

    CONCAT_SHA512 = "concat-sha512"  # OtherInfo 01 55 56, the reading of [V2G20-2535]
    CONCAT_SHA512_BARE = "concat-sha512-bare"  # no OtherInfo
    HKDF_SHA256 = "hkdf-sha256"


class Aad(StrEnum):
    """What the tag covers besides the key."""

    PCID_AND_KEY_ID = "pcid-and-key-id"  # text: PCID, key identifier in upper-case hexadecimal
    KEY_ID = "key-id"  # the key identifier's octets
    NONE = "none"


class DhForm(StrEnum):
    """How an X448 public key stands in DHPublicKey."""

    PREFIXED = "prefixed"  # 04 and 56 octets [V2G20-2495]
    BARE = "bare"  # 56 octets
    FILLED = "filled"  # as PREFIXED, zeros up to the 133 octets of the schema


class SeedForm(StrEnum):
    """
    Which octet of the 57 of an Ed448 private key is left out of the 56 of the field.

    The sender chooses keys in which that octet is zero, so that nothing is lost.
    """

    WITHOUT_LAST = "without-last"
    WITHOUT_FIRST = "without-first"


@dataclass(frozen=True, slots=True, kw_only=True)
class InteropProfile:
    """One reading of the open points; the defaults are those of the text that we know."""

    name: str
    kdf: Kdf = Kdf.CONCAT_SHA512
    aad: Aad = Aad.PCID_AND_KEY_ID
    dh_form: DhForm = DhForm.PREFIXED
    seed_form: SeedForm = SeedForm.WITHOUT_LAST


TEXT_2022: Final = InteropProfile(name="iso15118-20-text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """
    For whom and what an envelope is made.

    Attributes:
        pcid: of the car.
        key_id: subjectKeyIdentifier of the contract certificate, as it stands there.
    """

    pcid: Pcid
    key_id: bytes


def seal_iso20(
    contract_key: ContractKey,
    receiver: ReceiverPublic,
    binding: Binding,
    profile: InteropProfile = TEXT_2022,
) -> Envelope:
    """
    Encrypt a contract's private key for a car, with a fresh ephemeral key and IV.

    Args:
        receiver: of the provisioning certificate: its P-521 key, or the X448 key beside an Ed448
            one.

    Raises:
        PolicyViolation: `envelope_suite`, where contract and receiver do not share a suite
            [V2G20-2709]; `envelope_seed`, for an Ed448 key that the field cannot carry.
    """
    ephemeral: ReceiverKey = (
        x448.X448PrivateKey.generate()
        if isinstance(receiver, x448.X448PublicKey)
        else ec.generate_private_key(_CURVE)
    )
    return _seal(contract_key, receiver, binding, profile, ephemeral, secrets.token_bytes(_IV))


def _seal(  # noqa: PLR0913 - the known answers fix what is drawn at random elsewhere
    contract_key: ContractKey,
    receiver: ReceiverPublic,
    binding: Binding,
    profile: InteropProfile,
    ephemeral: ReceiverKey,
    iv: bytes,
) -> Envelope:
    plaintext = _plaintext(contract_key, receiver, profile)
    key = derive_key(_exchange(ephemeral, receiver), profile)
    ciphertext = AESGCM(key).encrypt(iv, plaintext, _aad(binding, profile))
    return Envelope(
        encrypted_key=iv + ciphertext,
        dh_public_key=_write_public(ephemeral.public_key(), profile),
    )


def open_iso20(
    envelope: Envelope,
    receiver_key: ReceiverKey,
    contract_public: ContractPublic,
    binding: Binding,
    profile: InteropProfile = TEXT_2022,
) -> ContractKey:
    """
    Decrypt as the car does.

    Raises:
        BadInput: `envelope_size`, `envelope_point`, `envelope_tag`, `envelope_key`.
        PolicyViolation: `envelope_suite`.
    """
    second = _is_second_suite(contract_public, receiver_key)
    size = _IV + (_X448_OCTETS if second else _P521_SCALAR) + _TAG
    if len(envelope.encrypted_key) != size:
        raise bad("size", f"The encrypted key has not {size} octets")
    sender = _read_public(envelope.dh_public_key, profile, second=second)
    iv, ciphertext = envelope.encrypted_key[:_IV], envelope.encrypted_key[_IV:]
    key = derive_key(_exchange(receiver_key, sender), profile)
    try:
        plaintext = AESGCM(key).decrypt(iv, ciphertext, _aad(binding, profile))
    except InvalidTag as error:
        raise bad("tag", "The tag does not match: another receiver, or altered") from error
    if isinstance(contract_public, ed448.Ed448PublicKey):
        return _read_seed(plaintext, contract_public, profile)
    return read_scalar(_CURVE, plaintext, contract_public)


def derive_key(secret: bytes, profile: InteropProfile) -> bytes:
    """Return the 32 octets of the AES key."""
    match profile.kdf:
        case Kdf.HKDF_SHA256:
            return HKDF(hashes.SHA256(), _KEY, salt=None, info=None).derive(secret)
        case Kdf.CONCAT_SHA512 | Kdf.CONCAT_SHA512_BARE:
            info = OTHER_INFO if profile.kdf is Kdf.CONCAT_SHA512 else b""
            return ConcatKDFHash(hashes.SHA512(), _KEY, info).derive(secret)


def generate_ed448(profile: InteropProfile = TEXT_2022) -> ed448.Ed448PrivateKey:
    """Make an Ed448 contract key that the 56 octets of the field can carry (448 random bits)."""
    return ed448.Ed448PrivateKey.from_private_bytes(
        _whole_seed(secrets.token_bytes(_X448_OCTETS), profile)
    )


def _whole_seed(octets: bytes, profile: InteropProfile) -> bytes:
    last = profile.seed_form is SeedForm.WITHOUT_LAST
    return octets + b"\x00" if last else b"\x00" + octets


def _aad(binding: Binding, profile: InteropProfile) -> bytes | None:
    match profile.aad:
        case Aad.PCID_AND_KEY_ID:
            return (binding.pcid.value + binding.key_id.hex().upper()).encode("ascii")
        case Aad.KEY_ID:
            return binding.key_id
        case Aad.NONE:
            return None


def _is_second_suite(contract: ContractKey | ContractPublic, receiver: object) -> bool:
    """Tell Ed448 with X448 from P-521 with P-521; anything else is refused."""
    if isinstance(contract, ed448.Ed448PrivateKey | ed448.Ed448PublicKey):
        if isinstance(receiver, x448.X448PrivateKey | x448.X448PublicKey):
            return True
    elif (
        isinstance(receiver, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey)
        and contract.curve.name == receiver.curve.name == _CURVE.name
    ):
        return False
    raise PolicyViolation(
        "envelope_suite", "Contract and provisioning certificate are not of one -20 suite."
    )


def _plaintext(key: ContractKey, receiver: ReceiverPublic, profile: InteropProfile) -> bytes:
    _is_second_suite(key, receiver)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return scalar(key)
    seed = key.private_bytes_raw()
    octets = seed[:-1] if profile.seed_form is SeedForm.WITHOUT_LAST else seed[1:]
    if _whole_seed(octets, profile) != seed:
        raise PolicyViolation(
            "envelope_seed",
            "The octet of this Ed448 key that the field leaves out is not zero.",
            hint="Make the key with generate_ed448.",
        )
    return octets


def _read_seed(
    plaintext: bytes, public: ed448.Ed448PublicKey, profile: InteropProfile
) -> ed448.Ed448PrivateKey:
    key = ed448.Ed448PrivateKey.from_private_bytes(_whole_seed(plaintext, profile))
    if key.public_key() != public:
        raise bad("key", "The decrypted private key is not that of the contract certificate")
    return key


def _exchange(own: ReceiverKey, other: ReceiverPublic) -> bytes:
    """Return the shared secret: 66 octets of P-521 or 56 of X448."""
    if isinstance(own, x448.X448PrivateKey) and isinstance(other, x448.X448PublicKey):
        try:
            return own.exchange(other)
        except ValueError as error:  # a point of small order
            raise bad("point", "The ephemeral public key leads to no secret") from error
    if isinstance(own, ec.EllipticCurvePrivateKey) and isinstance(other, ec.EllipticCurvePublicKey):
        return own.exchange(ec.ECDH(), other)
    raise TypeError("keys of two suites")


def _write_public(key: ReceiverPublic, profile: InteropProfile) -> bytes:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return point(key)
    octets = key.public_bytes_raw()
    match profile.dh_form:
        case DhForm.PREFIXED:
            return _PREFIX + octets
        case DhForm.BARE:
            return octets
        case DhForm.FILLED:
            return (_PREFIX + octets).ljust(_FILLED, b"\x00")


def _read_public(octets: bytes, profile: InteropProfile, *, second: bool) -> ReceiverPublic:
    if not second:
        return read_point(_CURVE, octets)
    begin = 0 if profile.dh_form is DhForm.BARE else len(_PREFIX)
    raw = octets[begin : begin + _X448_OCTETS]
    if len(raw) == _X448_OCTETS:
        key = x448.X448PublicKey.from_public_bytes(raw)
        if _write_public(key, profile) == octets:
            return key
    raise bad("point", "The ephemeral public key is not in the form of the profile")
