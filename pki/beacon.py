"""
A counter in a file that tells every process of a host that the change log grew.

Reading costs a look into mapped memory; whoever commits a change counts up before its call returns.
The counter is a hint only: views follow the change log of the database, which is the truth. So a
counter that cannot be written undoes no commit: it is told loudly, and found out by the next look.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pki.errors import Unavailable

_LOG: Final = logging.getLogger(__name__)
_SIZE: Final = 8


class Beacon:
    """
    The counter of one home directory; made on first use.

    Args:
        path: the file.
    """

    __slots__ = ("_file", "_listeners", "_map", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listeners: list[Callable[[], None]] = []
        self._map: mmap.mmap | None = None
        self._file: tuple[int, int] | None = None

    def value(self) -> int:
        """
        Return the count; processes of this host see a new one at once.

        Raises:
            Unavailable: `beacon_unavailable`.
        """
        mapped = self._map
        if mapped is None:
            return self.look()
        return int.from_bytes(mapped[:_SIZE])

    def look(self) -> int:
        """
        Return the count in the file that lies there now; dearer than `value`.

        A file that was removed or replaced would otherwise stay in sight for as long as this
        process lives, while others count in a new one. Raises as `value`.
        """
        with self._opened() as descriptor:
            return int.from_bytes(self._mapped(descriptor)[:_SIZE])

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` for every change that could not be announced."""
        self._listeners.append(listener)

    def announce(self) -> None:
        """
        Tell every process of a change that is committed; never raises.

        Where the file cannot be used, whoever mapped it before still hears; everybody else finds
        the change at the next look at the change log, as another host does.
        """
        try:
            self.count_up()
        except Unavailable as error:
            _LOG.error("a committed change could not be announced to this host: %s", error)
            if self._map is not None:
                self._add_one(self._map)  # unlocked: at worst two counts are one, seen at the look
            for listener in self._listeners:
                listener()

    def count_up(self) -> None:
        """Tell every process that something changed. Raises as `value`."""
        with self._opened() as descriptor:
            mapped = self._mapped(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                self._add_one(mapped)
            finally:
                # not left to the closing: a child forked meanwhile would go on holding the lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    @staticmethod
    def _add_one(mapped: mmap.mmap) -> None:
        # through the map: eight octets of mapped memory are written at one stroke
        mapped[:_SIZE] = (int.from_bytes(mapped[:_SIZE]) + 1).to_bytes(_SIZE)

    def _mapped(self, descriptor: int) -> mmap.mmap:
        found = os.fstat(descriptor)
        if self._map is None or (found.st_dev, found.st_ino) != self._file:
            self._map = mmap.mmap(descriptor, _SIZE)
            self._file = (found.st_dev, found.st_ino)
        return self._map

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the file of the path, however it came there, at its full size."""
        try:
            descriptor = self._open()
            try:
                if os.fstat(descriptor).st_size < _SIZE:
                    os.ftruncate(descriptor, _SIZE)
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise Unavailable(
                "beacon_unavailable",
                f"{self._path} cannot be used: {error.strerror}.",
                hint="Other processes of this host may learn of a change half a second late.",
            ) from error

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, flags, 0o600)
