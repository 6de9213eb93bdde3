"""
Private keys as encrypted PKCS#8 files: the stand-in until keys live in hardware.

One file per key, `<label>.pem`, mode 0600, in a directory of mode 0700. Written to a temporary
name and linked into place, so that a crash leaves the whole file or none, and an existing key is
never replaced. What one process writes shares a salt, so that a passphrase is stretched once and
not once for each key.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from pki.errors import BadInput, Conflict, Unavailable
from pki.keys import pkcs8
from pki.keys.pkcs8 import STRONG, Work
from pki.pkix.suites import PrivateKey, PublicKey, Suite, generate, sign, suite_of

_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
_SALT: Final = 16


@dataclass(frozen=True, slots=True)
class FileSigner:
    """A signer whose key was read from a file; the key does not show in its representation."""

    suite: Suite
    key: PrivateKey = field(repr=False)

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self.key.public_key()

    @property
    def quick(self) -> bool:
        """Signing needs the processor alone; P-521 and Ed448 take it ten times as long as P-256."""
        return self.suite is Suite.P256

    def sign(self, data: bytes) -> bytes:
        """Sign with the suite's own algorithm."""
        return sign(self.key, data)


@dataclass(frozen=True, slots=True)
class FileKeys:
    """
    `Keys` over a directory.

    Args:
        directory: made on first use.
        passphrase: gives the passphrase that encrypts every key, when a key is first used.
        work: how much work a guess at the passphrase of a new key is.
    """

    directory: Path
    passphrase: Callable[[], bytes] = field(repr=False)
    work: Work = STRONG
    _held: dict[str, FileSigner] = field(default_factory=dict, repr=False)
    _derived: dict[tuple[bytes, bytes, Work], bytes] = field(default_factory=dict, repr=False)

    def create(self, label: str, suite: Suite) -> FileSigner:
        """Make and keep a key. Raises Conflict (`key_exists`), Unavailable (`key_unavailable`)."""
        path = self._path(label)
        key = generate(suite)
        pem = self._sealed(key)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_new(path, pem)
        except FileExistsError as error:
            raise Conflict("key_exists", f"There is a key called {label} already.") from error
        except OSError as error:
            raise Unavailable("key_unavailable", f"The key {label} cannot be written.") from error
        self._held[label] = FileSigner(suite, key)
        return self._held[label]

    def signer(self, label: str) -> FileSigner:
        """Return a kept key's signer. Raises Unavailable (`key_missing`, `key_unavailable`)."""
        if label not in self._held:
            self._held[label] = self._load(label)
        return self._held[label]

    def _load(self, label: str) -> FileSigner:
        path = self._path(label)
        try:
            key = self._opened(path.read_bytes())
        except FileNotFoundError as error:
            raise Unavailable("key_missing", f"There is no key called {label}.") from error
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Unavailable(
                "key_unavailable",
                f"The key {label} cannot be opened.",
                hint="Check the passphrase and the permissions of the key directory.",
            ) from error
        suite = suite_of(key)
        if suite is None:
            raise Unavailable("key_unavailable", f"The key {label} is of no known suite.")
        return FileSigner(suite, key)  # type: ignore[arg-type]  # suite_of knows its type

    def _sealed(self, key: PrivateKey) -> bytes:
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        passphrase = self.passphrase()
        salt = self._shared_salt()
        return pkcs8.seal(plain, self._derive(passphrase, salt, self.work), salt, self.work)

    def _shared_salt(self) -> bytes:
        """Return the salt of a key that lies here already, else a new one."""
        for _, salt, work in tuple(self._derived):
            if work == self.work:
                return salt
        with suppress(OSError, ValueError):
            for path in self.directory.glob("*.pem"):
                sealed = pkcs8.read(path.read_bytes())
                if sealed is not None and sealed.work == self.work:
                    return sealed.salt
        return secrets.token_bytes(_SALT)

    def _opened(self, pem: bytes) -> object:
        sealed = pkcs8.read(pem)
        if sealed is None:  # written by an older version or by other hands
            return load_pem_private_key(pem, self.passphrase())
        derived = self._derive(self.passphrase(), sealed.salt, sealed.work)
        return load_der_private_key(pkcs8.open_sealed(sealed, derived), None)

    def _derive(self, passphrase: bytes, salt: bytes, work: Work) -> bytes:
        known = passphrase, salt, work
        if known not in self._derived:
            self._derived[known] = pkcs8.derive(passphrase, salt, work)
        return self._derived[known]

    def _path(self, label: str) -> Path:
        if not _LABEL.fullmatch(label):
            raise BadInput(
                "invalid_key_label", "A key label has lower-case letters, digits, . _ -."
            )
        return self.directory / f"{label}.pem"


def _write_new(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
        _sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
