"""
A counter in a file that tells every process of a host that the change log grew.

Reading costs a look into mapped memory; whoever commits a change counts up before its call returns.
The counter is a hint only: views follow the change log of the database, which is the truth.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

_SIZE: Final = 8


class Beacon:
    """
    The counter of one home directory; made on first use.

    Args:
        path: the file.
    """

    __slots__ = ("_map", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None

    def value(self) -> int:
        """Return the count; processes of this host see a new one at once."""
        if self._map is None:
            self._map = self._open()
        return int.from_bytes(self._map[:_SIZE])

    def count_up(self) -> None:
        """Tell every process that something changed."""
        if self._map is None:
            self._map = self._open()
        with self._path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            count = int.from_bytes(self._map[:_SIZE]) + 1
            self._map[:_SIZE] = count.to_bytes(_SIZE)

    def _open(self) -> mmap.mmap:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < _SIZE:
                os.ftruncate(descriptor, _SIZE)
            return mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
