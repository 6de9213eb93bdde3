"""A CRL of a hundred thousand entries: soon made, in memory that does not grow with it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from cryptography import x509

from tests.homes import opened
from tests.status import hosts, seeding

ROOT = Path(__file__).resolve().parents[2]
COUNT = 100_000
HANG = 60
MOST_MEMORY = 400 * 1024
"""Kibibytes."""
PUBLISH = """
import re, sys
from pathlib import Path
from pki.status import StatusPolicy, crls
from tests.homes import ADMIN, opened
from tests.status.hosts import issuer_of
with opened(Path(sys.argv[1])) as services:
    for _ in range(2):  # the second is compared with the first
        crls.publish(services.deployment, ADMIN, issuer_of(services), 0, StatusPolicy())
# not ru_maxrss, which a child takes over from the process that forked it
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_a_hundred_thousand_entries_are_published_soon_and_in_bounded_memory(
    small_home: Path,
) -> None:
    with opened(small_home) as services:
        issuer, now = hosts.issuer_of(services), services.deployment.clock.now()
        seeding.revoke_very_many(services.database, issuer, COUNT, now=now)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH, str(small_home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    took = time.monotonic() - begun
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < MOST_MEMORY
    assert took < HANG
    with opened(small_home) as services:
        with services.deployment.store.read() as tx:
            record = tx.status.crl(hosts.LEAF_ISSUER, 0)
        assert record is not None
        assert (record.number, record.entries) == (2, COUNT)
        der = hosts.crl_of(services)
        key = x509.load_der_x509_certificate(issuer.certificate).public_key()
    read = x509.load_der_x509_crl(der)
    assert read.is_signature_valid(key)  # type: ignore[arg-type]
    assert len(read) == COUNT
    assert record.octets == len(der)
