#!/usr/bin/env python3
"""
How fast `pnc bulk run` issues a signed job of CSRs, everything on.

usage: bulk.py [--count N] [--processes P] [--sqlite]

A throw-away installation, its database a PostgreSQL of its own or with --sqlite a file; a job of N
charger certificates (secc) with their CSRs. Told are the rate by the clock, which means little
while others use the machine, and CPU for each certificate, user and system, of all processes: of
reading, judging every row, issuing, and writing what was issued.

What was learnt (two cores shared with seven others, load 12 to 15): 20,000 rows on PostgreSQL took
1,220 µs of CPU each in our processes and 170 in the database, so that two cores of their own would
do 1,400 a second, not the 5,000 that are wanted. Of it 220 µs judge a row (its CSR's signature is
verified then and not again), 460 issue it, and the start of three interpreters is 200 to 350.
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import parties
from pki.model import Role
from scripts.bench import homes, issue


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pnc-bench-")))
        database = stack.enter_context(issue.database(folder, sqlite=given.sqlite))
        _prepare(folder, database.url, given.count)
        before, stored, begun = _children(), database.cpu(), time.perf_counter()
        report = _run(folder, given.processes)
        wall = time.perf_counter() - begun
        own = (_children() - before) / given.count * 1e6
        stored = (database.cpu() - stored) / given.count * 1e6
    print(f"{report['issued']} issued, {report['failed']} failed, in {wall:.1f} s by the clock")
    print(f"{report['issued'] / wall:.0f} a second by the clock")
    print(f"{own:.0f} µs of CPU each in our processes, {stored:.0f} µs in the database")
    print(f"two cores of their own would do {2e6 / (own + stored):.0f} a second")
    return 0


def _prepare(folder: Path, url: str, count: int) -> None:
    home = folder / "home"
    homes.make(home, url or None, branches=homes.CHARGERS)
    with homes.opened(home) as services:
        parties.add_party(services.deployment, homes.ACTOR, Role.CPO, "DECPA", "Bench CPO")
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "operator.pem").write_bytes(public)
    with (home / "pnc.toml").open("a", encoding="utf-8") as file:
        file.write(f'[bulk]\nsigners = ["{folder / "operator.pem"}"]\n')
    rows = (_row(f"DECPAS{number:08d}") for number in range(count))
    job = ("secc_id,not_after,csr\n" + "".join(rows)).encode()
    (folder / "job.csv").write_bytes(job)
    (folder / "job.sig").write_bytes(key.sign(job, ec.ECDSA(hashes.SHA256())))


def _row(name: str) -> str:
    der = issue.csr(name).public_bytes(Encoding.DER)
    return f"{name},,{base64.b64encode(der).decode()}\n"


def _run(folder: Path, processes: int) -> dict[str, int]:
    words = [sys.executable, "-m", "pki.cli", "--home", str(folder / "home"), "bulk", "run"]
    words += [str(folder / "job.csv"), "--signature", str(folder / "job.sig")]
    words += ["--out", str(folder / "out"), "--processes", str(processes), "--json"]
    done = subprocess.run(words, cwd=homes.ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    report: dict[str, int] = json.loads(done.stdout)
    return report


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
