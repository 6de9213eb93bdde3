"""
Secrets of others that we must be able to say again, encrypted at rest (AES-256-GCM).

The storage key lies in one file of the home, itself encrypted under the passphrase of the key
files, so that neither a copy of the database nor one of the home alone gives a secret away.

While the key is rotated there are several: the newest that is in force seals, every one unseals.
`storage.key` is the first, `storage.g2.key` the second; `storage.g2.next` is made and not yet in
force, so that it can be brought to every host before any of them seals with it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pki.errors import Conflict, Unavailable

_SALT: Final = 16
_NONCE: Final = 12
_KEY: Final = 32
_WRAPPING: Final = b"pnc storage key"
_GENERATION: Final = re.compile(r"\.g([2-9]|[1-9][0-9]{1,3})\.(key|next)")


@dataclass(frozen=True, slots=True, order=True)
class _Found:
    """One file of a storage key."""

    generation: int
    path: Path
    in_force: bool


@dataclass(frozen=True, slots=True)
class FileVault:
    """
    A vault whose key is made on first use.

    Args:
        path: file of the first storage key.
        passphrase: gives the passphrase that the file is encrypted under.
    """

    path: Path
    passphrase: Callable[[], bytes] = field(repr=False)
    _held: dict[int, AESGCM] = field(default_factory=dict, repr=False)

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt for a context. Raises Unavailable (`key_unavailable`)."""
        nonce = secrets.token_bytes(_NONCE)
        sealing = self._sealing()
        return nonce + self._cipher(sealing).encrypt(nonce, secret, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for that context. Raises Unavailable (`key_unavailable`)."""
        for found in reversed(self._files()):
            secret = self._opened(found, sealed, context)
            if secret is not None:
                return secret
        raise _unavailable("A stored secret cannot be decrypted with this key.")

    # --- rotation --------------------------------------------------------------------------------

    @property
    def generations(self) -> tuple[int, ...]:
        """Numbers of the keys in force, the one that seals last."""
        return tuple(found.generation for found in self._files() if found.in_force)

    @property
    def prepared(self) -> int | None:
        """Number of the key that was made and does not seal yet."""
        last = self._files()[-1]
        return None if last.in_force else last.generation

    def prepare(self) -> int:
        """Make the next key; it unseals from now on. Raises Conflict (`rotation_underway`)."""
        last = self._files()[-1]
        if not last.in_force:
            raise Conflict("rotation_underway", f"Storage key {last.generation} is prepared.")
        number = last.generation + 1
        self._write(lambda: _make(self._named(number, "next"), self._wrapped()))
        return number

    def switch(self) -> int:
        """Seal with the prepared key from now on. Raises Conflict (`not_prepared`)."""
        last = self._files()[-1]
        if last.in_force:
            raise Conflict("not_prepared", "No next storage key is prepared.")
        self._write(lambda: last.path.replace(self._named(last.generation, "key")))
        return last.generation

    def is_newest(self, sealed: bytes, context: str) -> bool:
        """Tell whether something is sealed with the key that seals now."""
        return self._opened(self._sealing(), sealed, context) is not None

    def retire(self) -> tuple[int, ...]:
        """
        Remove every key that no longer seals; return their numbers.

        What only they could open is lost: call it when all is sealed anew.
        """
        old = [found for found in self._files() if found.in_force][:-1]
        for found in old:
            self._write(found.path.unlink)
            self._held.pop(found.generation, None)
        return tuple(found.generation for found in old)

    # --- files -----------------------------------------------------------------------------------

    def _files(self) -> list[_Found]:
        """Return the keys of this home, oldest first; looked for each time, since others rotate."""
        try:
            found = [_Found(1, self.path, in_force=True)] if self.path.exists() else []
            for path in self.path.parent.glob(f"{self.path.stem}.g*"):
                match = _GENERATION.fullmatch(path.name.removeprefix(self.path.stem))
                if match:
                    number, state = match.groups()
                    found.append(_Found(int(number), path, in_force=state == "key"))
            if not found:
                _make(self.path, self._wrapped())
                return [_Found(1, self.path, in_force=True)]
        except OSError as error:
            raise _unavailable("The storage key cannot be read or written.") from error
        return sorted(found)

    def _sealing(self) -> _Found:
        return [found for found in self._files() if found.in_force][-1]

    def _named(self, number: int, state: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.g{number}.{state}")

    def _write(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            raise _unavailable("The storage key cannot be written.") from error

    def _opened(self, found: _Found, sealed: bytes, context: str) -> bytes | None:
        try:
            return self._cipher(found).decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except (InvalidTag, ValueError):
            return None

    def _cipher(self, found: _Found) -> AESGCM:
        if found.generation not in self._held:
            self._held[found.generation] = AESGCM(self._key(found.path))
        return self._held[found.generation]

    def _key(self, path: Path) -> bytes:
        try:
            wrapped = path.read_bytes()
        except OSError as error:
            raise _unavailable("The storage key cannot be read or written.") from error
        salt, nonce, sealed = wrapped[:_SALT], wrapped[_SALT:][:_NONCE], wrapped[_SALT + _NONCE :]
        try:
            return self._wrapping(salt).decrypt(nonce, sealed, _WRAPPING)
        except (InvalidTag, ValueError) as error:
            raise _unavailable("The storage key cannot be opened.") from error

    def _wrapped(self) -> bytes:
        """Return a new key, encrypted."""
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        sealed = self._wrapping(salt).encrypt(nonce, secrets.token_bytes(_KEY), _WRAPPING)
        return salt + nonce + sealed

    def _wrapping(self, salt: bytes) -> AESGCM:
        scrypt = Scrypt(salt=salt, length=_KEY, n=2**14, r=8, p=1)
        return AESGCM(scrypt.derive(self.passphrase()))


def _make(path: Path, content: bytes) -> None:
    """Write a new file; where another process was first, its content counts."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)


def _unavailable(message: str) -> Unavailable:
    return Unavailable(
        "key_unavailable", message, hint="Check the passphrase and the permissions of the home."
    )
