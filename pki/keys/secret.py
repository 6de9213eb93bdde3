"""
Passphrases and PINs: from a file, from systemd, or asked for at the terminal.

Never from an argument or a variable, which every user of the host can read.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pki.errors import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """
    A secret, when it is called.

    Args:
        name: what it is, for messages and the prompt.
        path: file that holds it, read anew at each use; None: asked for once.
        shortest: octets that it must have.
        make: writes the file where there is none, or None.
    """

    name: str
    path: Path | None
    shortest: int = 1
    make: Callable[[Path], None] | None = None
    _asked: dict[str, bytes] = field(default_factory=dict, repr=False)

    def __call__(self) -> bytes:
        """Return the secret. Raises Unavailable (`key_unavailable`)."""
        secret = self._ask() if self.path is None else self._read(self.path)
        if len(secret) < self.shortest:
            raise Unavailable(
                "key_unavailable", f"The {self.name} is shorter than {self.shortest} octets."
            )
        return secret

    def _read(self, path: Path) -> bytes:
        try:
            if self.make is not None and not path.exists():
                self.make(path)
            return path.read_bytes().strip()
        except OSError as error:
            raise Unavailable(
                "key_unavailable",
                f"The {self.name} cannot be read from {path}: {error.strerror}.",
                hint="Check that the file is there and belongs to the user of the service.",
            ) from error

    def _ask(self) -> bytes:
        if "" not in self._asked:
            if not sys.stdin.isatty():
                raise Unavailable(
                    "key_unavailable",
                    f"The {self.name} is to be asked for, and there is no terminal.",
                    hint="Start from a terminal, or name a file or a systemd credential.",
                )
            self._asked[""] = getpass.getpass(f"{self.name}: ").encode()
        return self._asked[""]


def into_memory(secret: bytes) -> tuple[int, Path]:
    """
    Put a secret into memory that children may inherit; return its descriptor and its path.

    The path holds for whoever inherits the descriptor, and for nobody else.
    """
    descriptor = os.memfd_create("pnc-secret", 0)
    os.write(descriptor, secret)
    return descriptor, Path(f"/proc/self/fd/{descriptor}")
