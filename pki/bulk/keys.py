"""
Keys that are made here for rows without a CSR: one encrypted file each, kept over every run.

The file of an Ed448 key whose certificate carries an X448 key as well holds both.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pki.errors import BadInput
from pki.pkix import build
from pki.pkix.profiles import Profile
from pki.pkix.suites import PrivateKey, Suite, generate, suite_of

_SAFE: Final = re.compile(r"[^A-Za-z0-9.-]")
_BLOCK: Final = re.compile(rb"-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n")


def file_name(name: str) -> str:
    """Return a name as it can stand in a directory: `DE*CPA*E1` becomes `DE_CPA_E1`."""
    return _SAFE.sub("_", name)


class RowKeys(NamedTuple):
    """
    The public keys of a row, as they go from process to process.

    Attributes:
        spki: DER SubjectPublicKeyInfo.
        alternate: octets of the X448 key beside it, where the certificate shall carry one.
    """

    spki: bytes
    alternate: bytes | None = None


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

    def of(self, name: str, profile: Profile) -> RowKeys:
        """
        Return the keys of a name, made now or by an earlier run.

        Raises:
            BadInput: `key_file_unreadable`.
        """
        path = self.directory / f"{file_name(name)}.key.pem"
        double = build.needs_alternate_key(profile, self.suite)
        try:
            if path.exists():
                return self._kept(path, double=double)
            return self._made(path, double=double)
        except (OSError, ValueError, TypeError) as error:
            raise BadInput("key_file_unreadable", f"The key in {path} cannot be used.") from error

    def _kept(self, path: Path, *, double: bool) -> RowKeys:
        blocks = _BLOCK.findall(path.read_bytes())
        key, *others = (load_pem_private_key(block, self.passphrase) for block in blocks)
        if suite_of(key) is not self.suite or not isinstance(key, PrivateKey):
            raise ValueError("another suite")
        alternates = [each for each in others if isinstance(each, x448.X448PrivateKey)]
        if not len(others) == len(alternates) == double:
            raise ValueError("not the keys of the profile")
        return _public(key, alternates[0] if double else None)

    def _made(self, path: Path, *, double: bool) -> RowKeys:
        key = generate(self.suite)
        alternate = x448.X448PrivateKey.generate() if double else None
        way = BestAvailableEncryption(self.passphrase) if self.passphrase else NoEncryption()
        blocks = [
            each.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, way)
            for each in (key, alternate)
            if each is not None
        ]
        # complete or absent: a run that is killed must not leave half a key
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(blocks))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        return _public(key, alternate)


def _public(key: PrivateKey, alternate: x448.X448PrivateKey | None) -> RowKeys:
    other = alternate.public_key().public_bytes_raw() if alternate is not None else None
    return RowKeys(spki=build.spki(key.public_key()), alternate=other)
