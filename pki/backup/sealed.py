"""
A stream encrypted under a passphrase (scrypt, AES-256-GCM), in pieces that cannot be exchanged,
left out or cut off: each one's nonce holds its number, and whether it is the last.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pki.errors import BadInput

MIN_PASSPHRASE: Final = 12
"""Octets."""
_MAGIC: Final = b"pnc backup 1\n"
_SALT: Final = 16
_PREFIX: Final = 7
_TAG: Final = 16
_PIECE: Final = 1024 * 1024
_LENGTH: Final = struct.Struct(">I")


def _cipher(passphrase: bytes, salt: bytes) -> AESGCM:
    if len(passphrase) < MIN_PASSPHRASE:
        raise BadInput(
            "passphrase_short", f"The passphrase has fewer than {MIN_PASSPHRASE} octets."
        )
    return AESGCM(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase))


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)


@dataclass(slots=True)
class SealedWriter:
    """
    Takes octets like a file and writes them encrypted; without `finish` the stream is torn.

    Raises:
        BadInput: `passphrase_short`.
    """

    file: BinaryIO
    passphrase: bytes = field(repr=False)
    _waiting: bytearray = field(default_factory=bytearray, repr=False)
    _number: int = 0
    _head: bytes = b""
    _key: AESGCM | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Write the head."""
        self._head = _MAGIC + secrets.token_bytes(_SALT + _PREFIX)
        self._key = _cipher(self.passphrase, self._head[len(_MAGIC) :][:_SALT])
        self.file.write(self._head)

    def write(self, data: bytes) -> int:
        """Take some octets."""
        self._waiting += data
        while len(self._waiting) > _PIECE:
            self._put(bytes(self._waiting[:_PIECE]), last=False)
            del self._waiting[:_PIECE]
        return len(data)

    def flush(self) -> None:
        """Do nothing: pieces are written when they are full."""

    def finish(self) -> None:
        """Write the last piece."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, piece: bytes, *, last: bool) -> None:
        assert self._key is not None  # noqa: S101 - for the type checker: made above
        nonce = _nonce(self._head[-_PREFIX:], self._number, last=last)
        sealed = self._key.encrypt(nonce, piece, self._head)
        self.file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


@dataclass(slots=True)
class SealedReader:
    """
    Gives back what a `SealedWriter` took, like a file.

    Raises:
        BadInput: `backup_unreadable` (no backup, another passphrase, changed), `backup_torn` (its
            end is missing).
    """

    file: BinaryIO
    passphrase: bytes = field(repr=False)
    _held: bytes = field(default=b"", repr=False)
    _number: int = 0
    _ended: bool = False
    _head: bytes = b""
    _key: AESGCM | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Read the head."""
        self._head = self.file.read(len(_MAGIC) + _SALT + _PREFIX)
        if len(self._head) < len(_MAGIC) + _SALT + _PREFIX or not self._head.startswith(_MAGIC):
            raise BadInput("backup_unreadable", "This is no backup of this program.")
        self._key = _cipher(self.passphrase, self._head[len(_MAGIC) :][:_SALT])

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` octets, or all; none at the end."""
        while not self._ended and (size < 0 or len(self._held) < size):
            self._held += self._next()
        taken = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(taken) :]
        return taken

    def _next(self) -> bytes:
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        if not _TAG <= length <= _PIECE + _TAG:
            raise _changed()
        sealed = self._exactly(length)
        for last in (False, True):
            piece = self._opened(sealed, last=last)
            if piece is not None:
                self._number += 1
                self._ended = last
                return piece
        raise _changed()

    def _opened(self, sealed: bytes, *, last: bool) -> bytes | None:
        assert self._key is not None  # noqa: S101 - as above
        nonce = _nonce(self._head[-_PREFIX:], self._number, last=last)
        try:
            return self._key.decrypt(nonce, sealed, self._head)
        except InvalidTag:
            return None

    def _exactly(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise BadInput(
                "backup_torn",
                "The backup ends in the middle; it was cut off or never finished.",
                hint="Use another backup.",
            )
        return data


def _changed() -> BadInput:
    return BadInput(
        "backup_unreadable",
        "The backup cannot be decrypted: another passphrase, or it was changed.",
    )
