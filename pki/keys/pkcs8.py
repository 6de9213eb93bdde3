"""
Encrypted PKCS#8 (RFC 5958) under scrypt (RFC 7914) and AES-256-CBC, as `openssl pkcs8` reads it.

cryptography would take PBKDF2 with a fixed number of rounds. Here the parameters are ours, and one
derivation opens every file of a directory: they share a salt, and each has an IV of its own.
"""

from __future__ import annotations

import base64
import re
import secrets
import textwrap
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pki.pkix.der import SEQUENCE, DerError, children, element_at, encode

_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT: Final = bytes.fromhex("06092b06010401da47040b")
_AES256_CBC: Final = bytes.fromhex("060960864801650304012a")
_INTEGER: Final = 0x02
_OCTETS: Final = 0x04
_KEY: Final = 32
_BLOCK_BITS: Final = 128
_MOST: Final = 2**27
"""Octets that a derivation may take: a file must not fill our memory."""
_MOST_LANES: Final = 16
_KIND: Final = "ENCRYPTED PRIVATE " + "KEY"
_PEM: Final = re.compile(rb"-----BEGIN " + _KIND.encode() + rb"-----(.*?)-----END ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Work:
    """Parameters of scrypt: N, r and p."""

    n: int
    r: int = 8
    p: int = 1


STRONG: Final = Work(2**14, 8, 5)
"""For a passphrase that somebody chose: 16 MiB, a fifth of a second."""
RANDOM: Final = Work(2**10)
"""For one drawn at random, which nobody guesses however quick a guess is."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted key, and what its key derivation needs."""

    salt: bytes
    work: Work
    iv: bytes
    body: bytes


def derive(passphrase: bytes, salt: bytes, work: Work) -> bytes:
    """Return the AES key of a passphrase."""
    return Scrypt(salt=salt, length=_KEY, n=work.n, r=work.r, p=work.p).derive(passphrase)


def seal(key: bytes, derived: bytes, salt: bytes, work: Work) -> bytes:
    """Return the PEM of a PKCS#8 key, encrypted under what `derive` gave for salt and work."""
    iv = secrets.token_bytes(16)
    padder = padding.PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(AES(derived), CBC(iv)).encryptor()
    body = encryptor.update(padder.update(key) + padder.finalize()) + encryptor.finalize()
    numbers = b"".join(_integer(value) for value in (work.n, work.r, work.p))
    kdf = _sequence(_SCRYPT, _sequence(encode(_OCTETS, salt), numbers))
    scheme = _sequence(_AES256_CBC, encode(_OCTETS, iv))
    algorithm = _sequence(_PBES2, _sequence(kdf, scheme))
    text = base64.b64encode(_sequence(algorithm, encode(_OCTETS, body))).decode()
    lines = "\n".join(textwrap.wrap(text, 64))
    return f"-----BEGIN {_KIND}-----\n{lines}\n-----END {_KIND}-----\n".encode()


def read(pem: bytes) -> Sealed | None:
    """
    Return what `seal` wrote, or None for a key that is encrypted otherwise.

    Raises:
        ValueError: the parameters would take more memory or time than we give.
    """
    found = _PEM.search(pem)
    try:
        return _read(base64.b64decode(found[1])) if found else None
    except (DerError, IndexError):
        return None


def open_sealed(sealed: Sealed, derived: bytes) -> bytes:
    """Return the PKCS#8 key. Raises ValueError where the passphrase is another."""
    decryptor = Cipher(AES(derived), CBC(sealed.iv)).decryptor()
    unpadder = padding.PKCS7(_BLOCK_BITS).unpadder()
    padded = decryptor.update(sealed.body) + decryptor.finalize()
    return unpadder.update(padded) + unpadder.finalize()


def _read(der: bytes) -> Sealed | None:
    """Take EncryptedPrivateKeyInfo apart; DerError or IndexError where it is another."""
    algorithm, body = _inside(der)
    scheme, parameters = _inside(algorithm)
    derivation, cipher = _inside(parameters)
    kdf, given = _inside(derivation)
    name, iv = _inside(cipher)
    if (scheme, kdf, name) != (_PBES2, _SCRYPT, _AES256_CBC):
        return None
    salt, *numbers = _inside(given)
    n, r, p = (int.from_bytes(_value(number)) for number in numbers[:3])
    if 128 * n * r > _MOST or not 0 < p <= _MOST_LANES:
        raise ValueError("scrypt would take too much")
    return Sealed(_value(salt), Work(n, r, p), _value(iv), _value(body))


def _sequence(*parts: bytes) -> bytes:
    return encode(SEQUENCE, b"".join(parts))


def _integer(value: int) -> bytes:
    return encode(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def _inside(der: bytes) -> list[bytes]:
    outer = element_at(der, 0, len(der))
    return [der[part.start : part.end] for part in children(der, outer)]


def _value(der: bytes) -> bytes:
    element = element_at(der, 0, len(der))
    return der[element.body : element.end]
