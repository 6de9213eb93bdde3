#!/usr/bin/env python3
"""
How fast `pnc bulk run` issues a signed job of CSRs, everything on.

usage: bulk.py [--count N] [--processes P] [--sqlite] [--kill SECONDS]

A throw-away installation, its database a PostgreSQL of its own or with --sqlite a file; a job of N
charger certificates (secc) with their CSRs. Told are the rate by the clock, which means little
while others use the machine, and CPU for each certificate, user and system, of all processes: of
reading, judging every row, issuing, and writing what was issued. With --kill the run is killed so
many seconds after its begin, and the one that is measured goes on from there; then every row must
have one certificate and the audit chains must verify.

What was learnt (two cores shared with five others, load 4 to 7, which takes a fifth more CPU):

* 100,000 rows on PostgreSQL at that load: 345 µs of CPU each in our processes, in two runs, and 118
  and 168 in the database. On a quiet machine, 60,000 rows: 306 and 143, 4,000 a second by the clock
  and 4,450 of two cores of their own, not yet the 5,000 that are wanted. It was 1,220 and 170. In
  process, in chunks as here, 6,000 rows take 320, of it 67 in the database: what the run adds is
  starting (1.6 s), reading, reporting, and a database that has grown.
* Half a second of that was compiling, where Python was told to keep no bytecode: now the benchmark
  compiles as an installation does. Since then two indexes of serials went, one of contracts holds
  those alone that have one (15 to 25 in the database), a key is not loaded to be written (9), and
  chunks have 1,000 rows in place of 400 (12 of ours, 10 of the database's: a group costs some 6 ms
  whatever its size). 40,000 rows, both compiled, in turn at loads of 10 to 12: 532 and 542 before,
  482 and 506 after, 3,700 and 4,050 a second of two cores. It was not measured on a quiet machine;
  5,000 are not shown.
* Of the database's time in chunks three fifths are entries of indexes, some 3 each; a sixth foreign
  keys, a fifth the change of state of intents. A table of what is unfinished in its place, or half
  empty pages for it, gave nothing that could be measured.
* A statement that PostgreSQL planned while its tables were empty, and keeps prepared, reads the
  whole of them at every chunk: 715 in the database at 100,000 rows, until autovacuum has analysed
  them after a minute. So the job has its statements planned each time.
* A kill of the whole after a minute, 100,000 rows: 35,600 had been issued, the next run issued
  64,400, no row twice, and all chains verified.
* Of the 280 µs in process 95 are arithmetic: a CSR's signature is verified once (72 with its key,
  which is new each time) and the certificate signed (23). `keys.prove = "each"` adds 65.
* What it was: reading a CSR by the strict parser (80 beside the verification; now it is cut and
  written anew), names and keys written to be looked at (60: subject, key id, canonical key), IN
  lists of 400 that SQLAlchemy and psycopg spread one by one (80), a transaction of its own to spend
  intents (45), rows bound value by value and copied as text (45), three interpreters (200 at 20,000
  rows; they are forked now), rows and records sent between processes (30), one leaf of 256 linted
  in full (12; now of 1,024), the garbage collector (15).
* Contracts take five times as long as chargers, 1,960 µs in process with the database's 680 (it
  was 4,260): each has nine statements of its own, for its eMSP, its like, itself, its credential
  and the audit log.
"""

from __future__ import annotations

import argparse
import base64
import compileall
import csv
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

from pki import audit, parties
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
    parser.add_argument("--kill", type=float, metavar="SECONDS")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pnc-bench-")))
        database = stack.enter_context(issue.database(folder, sqlite=given.sqlite))
        _prepare(folder, database.url, given.count)
        if given.kill is not None:
            _killed(folder, given.processes, given.kill)
        before, stored, begun = _children(), database.cpu(), time.perf_counter()
        report = _run(folder, given.processes)
        wall = time.perf_counter() - begun
        own = (_children() - before) / report["issued"] * 1e6
        stored = (database.cpu() - stored) / report["issued"] * 1e6
        if given.kill is not None:
            _check(folder, given.count)
            print(f"{report['issuedBefore']} were issued before the kill, each once")
    print(f"{report['issued']} issued, {report['failed']} failed, in {wall:.1f} s by the clock")
    print(f"{report['issued'] / wall:.0f} a second by the clock")
    print(f"{own:.0f} µs of CPU each in our processes, {stored:.0f} µs in the database")
    print(f"two cores of their own would do {2e6 / (own + stored):.0f} a second")
    return 0


def _prepare(folder: Path, url: str, count: int) -> None:
    compileall.compile_dir(homes.ROOT / "pki", quiet=1)  # as whatever installs it does
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


def _killed(folder: Path, processes: int, seconds: float) -> None:
    process = subprocess.Popen(  # noqa: S603 - ours
        _command(folder, processes), cwd=homes.ROOT, stdout=subprocess.DEVNULL
    )
    time.sleep(seconds)
    process.kill()
    if process.wait() >= 0:
        raise SystemExit("The run came to its end before it was killed.")


def _check(folder: Path, count: int) -> None:
    """Hold store, table and audit chains against the job: one certificate for each row."""
    with homes.opened(folder / "home") as services:
        reports = audit.verify(services.deployment.store)
        (cpo,) = (r.chain for r in reports if r.chain.startswith("cpo2-2"))
        with services.deployment.store.read() as tx:
            issued = tx.certificates.count(cpo)
    with (folder / "out" / "issued.csv").open(encoding="utf-8", newline="") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    broken = [report.problem for report in reports if report.problem]
    # the CA's own responder has a certificate as well
    if broken or issued != count + 1 or len(names) != count:
        raise SystemExit(f"{issued} certificates, {len(names)} names, {broken}")


def _run(folder: Path, processes: int) -> dict[str, int]:
    done = subprocess.run(  # noqa: S603 - ours
        _command(folder, processes), cwd=homes.ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    report: dict[str, int] = json.loads(done.stdout)
    return report


def _command(folder: Path, processes: int) -> list[str]:
    words = [sys.executable, "-m", "pki.cli", "--home", str(folder / "home"), "bulk", "run"]
    words += [str(folder / "job.csv"), "--signature", str(folder / "job.sig")]
    return [*words, "--out", str(folder / "out"), "--processes", str(processes), "--json"]


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
