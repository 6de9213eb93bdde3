"""
Private keys as encrypted PKCS#8 files: the stand-in until keys live in hardware.

One file per key, `<label>.pem`, mode 0600, in a directory of mode 0700. Written to a temporary
name and
linked into place, so that a crash leaves the whole file or none, and an existing key is never
replaced.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from pki.errors import BadInput, Conflict, Unavailable
from pki.pkix.suites import PrivateKey, PublicKey, Suite, generate, sign, suite_of

_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)


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
    """

    directory: Path
    passphrase: Callable[[], bytes] = field(repr=False)
    _held: dict[str, FileSigner] = field(default_factory=dict, repr=False)

    def create(self, label: str, suite: Suite) -> FileSigner:
        """Make and keep a key. Raises Conflict (`key_exists`), Unavailable (`key_unavailable`)."""
        path = self._path(label)
        key = generate(suite)
        encryption = BestAvailableEncryption(self.passphrase())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
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
            key = load_pem_private_key(path.read_bytes(), self.passphrase())
        except FileNotFoundError as error:
            raise Unavailable("key_missing", f"There is no key called {label}.") from error
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(
                "key_unavailable",
                f"The key {label} cannot be opened.",
                hint="Check the passphrase and the permissions of the key directory.",
            ) from error
        suite = suite_of(key)
        if suite is None:
            raise Unavailable("key_unavailable", f"The key {label} is of no known suite.")
        return FileSigner(suite, key)  # type: ignore[arg-type]  # suite_of knows its type

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
