"""Runs a piece of Python against a store in processes of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `code` with the repository's packages importable."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complaints(code: str, argument: str, *, processes: int = 3) -> list[str]:
    """Run `code` in several processes at once; return what each that failed wrote to stderr."""
    running = [start(code, argument) for _ in range(processes)]
    try:
        ended = [process.communicate(timeout=60)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    return [text for process, text in zip(running, ended, strict=True) if process.returncode]
