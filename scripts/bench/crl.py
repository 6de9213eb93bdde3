#!/usr/bin/env python3
"""
Measure CRLs from the database to the database, beside two peers.

usage: crl.py [--sizes N,N,...] [--peers N] [--postgres DIR] [--rounds R]

For each size a throw-away home gets that many revocations, in SQLite or, with --postgres, in a
PostgreSQL of its own whose data lie in DIR. A process of its own publishes a CRL, then R more,
each after one more revocation: read, written, linted by pkilint, compared with its predecessor,
signed, verified, and stored in chunks, durably. Every entry has a time of its own and one of
several reasons. Shown are the CPU seconds of that process and of PostgreSQL (medians), the
microseconds for an entry, which tell whether it is linear, and the peak of memory.

The peers write the same entries (--peers of them, 0: none): `openssl ca -gencrl` from its text
file, and `CertificateRevocationListBuilder` of cryptography from objects made before. Neither lints
or compares.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from rich.progress import track
from sqlalchemy import insert

from pki.clock import SystemClock
from pki.ids import SerialNumber
from pki.model import Reason, Revocation
from pki.services import Services
from pki.status import crls
from pki.store.engines import open_backend
from pki.store.schema import revocations
from scripts.bench import homes
from scripts.bench.processes import tree_cpu

_BATCH: Final = 10_000
_FIRST: Final = 1 << 126
_SPREAD: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835
_REASONS: Final = ("superseded", "keyCompromise", "unspecified", "cessationOfOperation")
_OPENSSL: Final = """\
[ca]
default_ca = it
[it]
database = {folder}/index.txt
certificate = {folder}/ca.pem
private_key = {folder}/key.pem
default_md = sha256
default_crl_days = 7
crlnumber = {folder}/number
crl_extensions = more
[more]
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Seconds of CPU and MiB."""

    entries: int
    ours: float
    database: float
    wall: float
    peak: float


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--peers", type=int, default=100_000)
    parser.add_argument("--postgres", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.publish:
        _publish(given.publish, given.rounds, given.postgres)
        return 0
    sizes = [int(size) for size in given.sizes.split(",")]
    found = [_measure(size, given.rounds, given.postgres) for size in sizes]
    for one in found:
        each = (one.ours + one.database) / one.entries * 1e6
        print(
            f"{one.entries} entries: {one.ours:.3f} s of CPU, PostgreSQL {one.database:.3f} s, "
            f"wall {one.wall:.2f} s, {each:.2f} µs an entry, peak {one.peak:.0f} MiB"
        )
    if given.peers:
        _compare(found, given.peers)
    return 0


def _revocation(number: int, now: dt.datetime) -> tuple[int, str, dt.datetime]:
    """Return serial, reason and time of one of the entries that everybody writes."""
    serial = _FIRST | number * _SPREAD % _FIRST
    return serial, _REASONS[number % len(_REASONS)], now - dt.timedelta(seconds=number % 9_000_000)


# --- ours ----------------------------------------------------------------------------------------


def _measure(size: int, rounds: int, directory: Path | None) -> Measured:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pnc-crl-")))
        folder = directory / str(size) if directory else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        url = stack.enter_context(homes.postgres(folder))
        homes.make(home, url or None)
        with homes.opened(home) as services:
            _load(services, size)
        command = [sys.executable, __file__, "--publish", home, "--rounds", rounds]
        command += ["--postgres", folder] if folder else []
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise SystemExit(done.stderr)
    return Measured(entries=size, **json.loads(done.stdout))


def _load(services: Services, size: int) -> None:
    issuer, now = homes.issuer(services).issuer_id, services.deployment.clock.now()
    backend = open_backend(services.settings.database_url, 60.0)
    with backend.engine.connect() as connection:
        for at in track(range(0, size, _BATCH), f"Loading {size}", transient=True):
            rows = (_revocation(n, now) for n in range(at, min(size, at + _BATCH)))
            connection.exec_driver_sql("BEGIN")
            connection.execute(insert(revocations), [_row(issuer, *row, now) for row in rows])
            connection.commit()
        connection.exec_driver_sql("VACUUM ANALYZE" if backend.path is None else "ANALYZE")
        connection.commit()
    backend.engine.dispose()


def _row(
    issuer: str, serial: int, reason: str, at: dt.datetime, now: dt.datetime
) -> dict[str, object]:
    return {
        "issuer_id": issuer,
        "serial": f"{serial:x}",
        "reason": reason,
        "revoked_at": at,
        "revoked_by": "bench",
        "not_after": now + dt.timedelta(days=365),
    }


def _publish(home: Path, rounds: int, postgres: Path | None) -> None:
    """Publish one CRL and R more; print what one of these took."""
    postmaster = int((postgres / "postmaster.pid").read_text().split()[0]) if postgres else 0
    taken: list[tuple[float, float, float]] = []
    with homes.opened(home) as services:
        issuer = homes.issuer(services)
        now = services.deployment.clock.now()
        for number in range(rounds + 1):
            with services.deployment.store.write() as tx:
                tx.certificates.revoke(_one_more(issuer.issuer_id, number, now))
            before = (time.process_time(), _cpu_of(postmaster), time.perf_counter())
            crls.publish(services.deployment, homes.ACTOR, issuer, 0, services.settings.status)
            after = (time.process_time(), _cpu_of(postmaster), time.perf_counter())
            taken.append((after[0] - before[0], after[1] - before[1], after[2] - before[2]))
    ours, database, wall = (median(each) for each in zip(*taken[1:], strict=True))
    status = Path("/proc/self/status").read_text("ascii")
    peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    print(json.dumps({"ours": ours, "database": database, "wall": wall, "peak": peak}))


def _one_more(issuer_id: str, number: int, now: dt.datetime) -> Revocation:
    serial, reason, at = _revocation(-1 - number, now)
    return Revocation(
        issuer_id=issuer_id,
        serial=SerialNumber.from_int(serial),
        reason=Reason(reason),
        revoked_at=at,
        revoked_by="bench",
    )


def _cpu_of(postmaster: int) -> float:
    return tree_cpu(postmaster) if postmaster else 0.0


# --- peers ---------------------------------------------------------------------------------------


def _compare(found: list[Measured], count: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with tempfile.TemporaryDirectory(prefix="pnc-crl-") as folder:
        peers = {
            "openssl ca -gencrl": _openssl(key, count, Path(folder)),
            "cryptography's builder": _builder(key, count),
        }
    same = next((one for one in found if one.entries == count), None)
    for name, seconds in peers.items():
        times = f", {seconds / (same.ours + same.database):.1f} times ours" if same else ""
        print(f"{name}, {count} entries: {seconds:.2f} s of CPU{times}")


_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bench CA")])


def _openssl(key: ec.EllipticCurvePrivateKey, count: int, folder: Path) -> float:
    """Return the CPU seconds of `openssl ca -gencrl`."""
    now = SystemClock().now()
    lines = []
    for number in range(count):
        serial, reason, at = _revocation(number, now)
        why = "" if reason == "unspecified" else f",{reason}"
        lines.append(
            f"R\t351231235959Z\t{at:%y%m%d%H%M%SZ}{why}\t{serial:X}\tunknown\t/CN={number}"
        )
    (folder / "index.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "number").write_text("01\n", "ascii")
    builder = x509.CertificateBuilder(_NAME, _NAME, key.public_key(), 1)
    builder = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=30))
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = builder.add_extension(key_id, critical=False).sign(key, hashes.SHA256())
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    (folder / "ca.cnf").write_text(_OPENSSL.format(folder=folder), "utf-8")
    command = ["openssl", "ca", "-gencrl", "-config", str(folder / "ca.cnf"), "-out"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, str(folder / "crl.pem")], check=True, capture_output=True)  # noqa: S603 - our own words
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    made = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    if len(made) != count:
        raise SystemExit("openssl wrote another number of entries")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _builder(key: ec.EllipticCurvePrivateKey, count: int) -> float:
    """Return the CPU seconds of cryptography's builder, from its first entry to the signed CRL."""
    now = SystemClock().now()
    builder = x509.CertificateRevocationListBuilder(_NAME, now, now + dt.timedelta(days=7))
    begun = time.process_time()
    for number in track(range(count), "cryptography's builder", transient=True):
        serial, reason, at = _revocation(number, now)
        entry = x509.RevokedCertificateBuilder(serial, at)
        if reason != "unspecified":
            flag = x509.CRLReason(x509.ReasonFlags(reason))
            entry = entry.add_extension(flag, critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    made = builder.sign(key, hashes.SHA256())
    taken = time.process_time() - begun
    if len(made) != count:
        raise SystemExit("cryptography wrote another number of entries")
    return taken


if __name__ == "__main__":
    sys.exit(main())
