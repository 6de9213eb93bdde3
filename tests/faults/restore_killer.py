"""
Processes that restore a backup and kill themselves (SIGKILL), each at another step.

usage: python -m tests.faults.restore_killer ARCHIVE PHRASE OUT STEPS

A step is a read of the archive. For each of the STEPS (separated by commas, counted from 1) a child
restores into OUT/step/home. Prints step and exit status of the child; the last step that is never
reached ends with 0.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

from pki import backup, services
from pki.clock import SystemClock
from pki.settings.values import default_database


class Fused(io.BytesIO):
    """The archive, whose readers die at the chosen read."""

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(data)
        self.left = at

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)


def work(data: bytes, phrase: bytes, home: Path, step: int) -> None:
    home.parent.mkdir()
    backup.restore(
        Fused(data, step),
        phrase,
        home,
        lambda place: services.database_at(default_database(place)),
        SystemClock(),
    )


def main(archive: Path, phrase: bytes, out: Path, steps: list[int]) -> None:
    for step in steps:
        child = os.fork()
        if child == 0:
            work(archive.read_bytes(), phrase, out / str(step) / "home", step)
            os._exit(0)
        print(step, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2].encode(),
        Path(sys.argv[3]),
        [int(step) for step in sys.argv[4].split(",")],
    )
