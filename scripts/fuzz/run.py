#!/usr/bin/env python3
"""
Fuzz one door of the service with atheris (coverage-guided; libFuzzer inside).

usage: run.py TARGET [--seconds N | --runs N] [--seed N] [--vectors DIR] [--corpus DIR]

TARGET   certificate, leaf, pem, csr, crl, ocsp-request, ocsp-answer, exi, ids, validate-body,
         authorize-body; `all` runs one after the other
--runs   inputs to try; with --seed the same ones every time (what the tests run)
--seconds  how long to look, 300 by default
--vectors  more seeds: the folder of test vectors
--corpus   keep what was found there, and begin with it the next time

Exits 1 when an input crashed, took more than 20 seconds or more than 1 GiB of memory; libFuzzer
writes that input to a file and names it. Such an input goes to `scripts/fuzz/seeds/TARGET`, where
every run begins with it, once it is mended.

How this and the tests with hypothesis divide the work: hypothesis makes well-formed input (chains
with one defect, whole messages, JSON of the right shape) and asks for the right answer; atheris
makes octets that follow the branches of our own readers and asks only that there is an answer. Both
mutate certificates, CRLs, OCSP requests and EXI octet by octet; there hypothesis is the smoke test
of each run, and atheris the long look.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

NAMES: Final = ("certificate", "leaf", "pem", "csr", "crl", "ocsp-request", "ocsp-answer", "exi",
                "ids", "validate-body", "authorize-body")  # fmt: skip
SECONDS: Final = 300
TIMEOUT: Final = 20
"""Seconds for one input, on a machine that may be slow; what takes a tenth of it is no hang."""
MEMORY: Final = 1024
"""MiB of the whole process."""
MAX_LENGTH: Final = 8192


def main() -> int:
    """Run one target, or all of them one after the other; return 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=(*NAMES, "all"))
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    names = NAMES if options.target == "all" else (options.target,)
    limit = f"-max_total_time={options.seconds}"
    if options.runs is not None:
        limit = f"-runs={options.runs}"
    with tempfile.TemporaryDirectory() as folder:
        seeds, found = Path(folder) / "seeds", options.corpus or Path(folder) / "found"
        for name in names:
            _gather(name, options.vectors, seeds / name)
            (found / name).mkdir(parents=True, exist_ok=True)
        return _fuzz(names, seeds, found, [limit, f"-seed={options.seed}"])


def _fuzz(names: tuple[str, ...], seeds: Path, found: Path, options: list[str]) -> int:
    """Hand over to a process of its own, which libFuzzer takes over in turn."""
    limits = [f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY}", f"-max_len={MAX_LENGTH}"]
    program = str(Path(__file__).with_name("one.py"))
    command = [sys.executable, program, ",".join(names), str(seeds), str(found)]
    done = subprocess.run(  # noqa: S603 - our own program, with what argparse has checked
        [*command, *limits, "-print_final_stats=1", *options], check=False
    )
    return int(done.returncode != 0)


# --- seeds -------------------------------------------------------------------------------------


def _gather(target: str, vectors: Path | None, folder: Path) -> None:
    """Put the seeds of a target into one folder."""
    shutil.copytree(Path(__file__).parent / "seeds" / target, folder)
    for number, data in enumerate(_from_vectors(target, vectors) if vectors else ()):
        if len(data) <= MAX_LENGTH:
            (folder / f"vector-{number}").write_bytes(data)


def _from_vectors(target: str, vectors: Path) -> Iterator[bytes]:
    if target == "exi":
        yield from _streams(vectors / "exi")
        return
    if target == "ocsp-answer":
        cases = json.loads((vectors / "path" / "bssl_ocsp.json").read_text("utf-8"))["cases"]
        yield from (base64.b64decode(case["response"]["der"]) for case in cases)
        return
    manifest = json.loads((vectors / "malformed" / "manifest.json").read_text("utf-8"))
    for case in manifest["cases"]:
        if case["kind"] == target:
            yield (vectors / "malformed" / case["file"]).read_bytes()


def _streams(folder: Path) -> Iterator[bytes]:
    for file in sorted(folder.rglob("*.json")):
        case = json.loads(file.read_text("utf-8"))
        if isinstance(case, dict) and "exi_hex" in case:
            schema = str(case.get("schema"))
            kind = 2 if "xmldsig" in schema else 1 if "-20" in schema else 0
            first = kind + (129 if case.get("mode") == "fragment" else 0)
            yield bytes((first - first % 3 + kind,)) + bytes.fromhex(case["exi_hex"])


if __name__ == "__main__":
    sys.exit(main())
