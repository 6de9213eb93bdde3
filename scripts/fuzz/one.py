#!/usr/bin/env python3
"""
The process in which atheris runs: targets one after the other, each in a fork; see run.py.

usage: one.py NAME[,NAME…] SEEDS FOUND [libFuzzer options]

libFuzzer never gives its process back, and instrumenting our modules takes seconds: so they are
imported once, and every target gets a copy of the process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

with atheris.instrument_imports(include=["pki", "web", "asn1crypto"], enable_loader_override=False):
    from scripts.fuzz.targets import TARGETS


def main(names: list[str], seeds: Path, found: Path, options: list[str]) -> int:
    """Fuzz every named target; return 1 if one of them failed."""
    failed = [name for name in names if _failed(name, seeds / name, found / name, options)]
    if failed:
        print("FAILED " + " ".join(failed), file=sys.stderr)
    return int(bool(failed))


def _failed(name: str, seeds: Path, found: Path, options: list[str]) -> bool:
    print(f"== {name}", file=sys.stderr, flush=True)
    child = os.fork()
    if child == 0:
        atheris.Setup([sys.argv[0], *options, str(found), str(seeds)], TARGETS[name])
        atheris.Fuzz()
        os._exit(1)  # never reached: libFuzzer ends the process, with 0 where nothing was found
    return os.waitpid(child, 0)[1] != 0


if __name__ == "__main__":
    listed, seeds_folder, found_folder, *rest = sys.argv[1:]
    sys.exit(main(listed.split(","), Path(seeds_folder), Path(found_folder), rest))
