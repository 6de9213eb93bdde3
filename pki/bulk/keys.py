"""Keys that are made here for rows without a CSR: one encrypted file each, kept over every run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pki.errors import BadInput
from pki.pkix import build
from pki.pkix.suites import PublicKey, Suite, generate, suite_of

_SAFE: Final = re.compile(r"[^A-Za-z0-9.-]")


def file_name(name: str) -> str:
    """Return a name as it can stand in a directory: `DE*CPA*E1` becomes `DE_CPA_E1`."""
    return _SAFE.sub("_", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """
    Where keys are written.

    Attributes:
        passphrase: encrypts each; None leaves them in clear, which demo mode alone may.
    """

    directory: Path
    suite: Suite
    passphrase: bytes | None = field(repr=False)

    def spki(self, name: str) -> bytes:
        """
        Return the public key of a name, made now or by an earlier run.

        Raises:
            BadInput: `key_file_unreadable`.
        """
        path = self.directory / f"{file_name(name)}.key.pem"
        try:
            return build.spki(self._kept(path) if path.exists() else self._made(path))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput("key_file_unreadable", f"The key in {path} cannot be used.") from error

    def _kept(self, path: Path) -> PublicKey:
        key = load_pem_private_key(path.read_bytes(), self.passphrase)
        public = key.public_key()
        if not isinstance(public, PublicKey) or suite_of(public) is not self.suite:
            raise ValueError("another suite")
        return public

    def _made(self, path: Path) -> PublicKey:
        key = generate(self.suite)
        way = BestAvailableEncryption(self.passphrase) if self.passphrase else NoEncryption()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, way)
        # complete or absent: a run that is killed must not leave half a key
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        return key.public_key()
