"""
Secrets of others that we must be able to say again, encrypted at rest (AES-256-GCM).

The storage key lies in one file of the home, itself encrypted under the passphrase of the key
files, so that neither a copy of the database nor one of the home alone gives a secret away.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pki.errors import Unavailable

_SALT: Final = 16
_NONCE: Final = 12
_KEY: Final = 32
_WRAPPING: Final = b"pnc storage key"


@dataclass(frozen=True, slots=True)
class FileVault:
    """
    A vault whose key is made on first use.

    Args:
        path: file of the storage key.
        passphrase: gives the passphrase that the file is encrypted under.
    """

    path: Path
    passphrase: Callable[[], bytes] = field(repr=False)
    _held: dict[str, AESGCM] = field(default_factory=dict, repr=False)

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt for a context. Raises Unavailable (`key_unavailable`)."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher().encrypt(nonce, secret, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for that context. Raises Unavailable (`key_unavailable`)."""
        try:
            return self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise _unavailable("A stored secret cannot be decrypted with this key.") from error

    def _cipher(self) -> AESGCM:
        if "key" not in self._held:
            self._held["key"] = AESGCM(self._key())
        return self._held["key"]

    def _key(self) -> bytes:
        try:
            if not self.path.exists():
                self._make()
            wrapped = self.path.read_bytes()
        except OSError as error:
            raise _unavailable("The storage key cannot be read or written.") from error
        salt, nonce, sealed = wrapped[:_SALT], wrapped[_SALT:][:_NONCE], wrapped[_SALT + _NONCE :]
        try:
            return self._wrapping(salt).decrypt(nonce, sealed, _WRAPPING)
        except (InvalidTag, ValueError) as error:
            raise _unavailable("The storage key cannot be opened.") from error

    def _make(self) -> None:
        """Write a new key; where another process was first, its key counts."""
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        sealed = self._wrapping(salt).encrypt(nonce, secrets.token_bytes(_KEY), _WRAPPING)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(salt + nonce + sealed)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, self.path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink(missing_ok=True)

    def _wrapping(self, salt: bytes) -> AESGCM:
        scrypt = Scrypt(salt=salt, length=_KEY, n=2**14, r=8, p=1)
        return AESGCM(scrypt.derive(self.passphrase()))


def _unavailable(message: str) -> Unavailable:
    return Unavailable(
        "key_unavailable", message, hint="Check the passphrase and the permissions of the home."
    )
