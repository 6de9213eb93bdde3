"""`scripts/revoke_key.py`: the blast radius of a key, and its revocation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki.pkix.suites import Suite, generate
from tests.cli.test_cli import ok

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "revoke_key.py"


def _run(home: Path, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--home", str(home), "--json", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_certificate_of_a_lost_key_falls_together(small_home: Path, tmp_path: Path) -> None:
    key: Any = generate(Suite.P256)
    serials = []
    for emaid in ("DEMOAC00000001", "DEMOAC00000002"):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, emaid)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        file = tmp_path / f"{emaid}.csr"
        file.write_bytes(request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        words = ("contract", "issue", "--emaid", emaid, "--csr", str(file))
        serials.append(ok(small_home, *words)["serialNumber"])
    preview = _run(small_home, serials[0])
    assert (preview["dryRun"], len(preview["siblings"]), preview["keyBlocked"]) == (True, 1, True)
    assert ok(small_home, "show", serials[1])["revocation"] is None
    assert _run(small_home, serials[0], "--yes")["dryRun"] is False
    for serial in serials:
        assert ok(small_home, "show", serial)["revocation"]["reason"] == "keyCompromise"


def test_a_ca_shows_what_was_issued_below_it(small_home: Path) -> None:
    ok(small_home, "contract", "issue", "--emaid", "DEMOAC00000001")
    sub = next(i for i in ok(small_home, "issuer", "list") if i["name"] == "mo1-2")
    preview = _run(small_home, sub["fingerprint"], "--reason", "cACompromise")
    assert set(preview["issuersBelow"]) == {"mo1-2.g1", "mo2-2.g1"}
    assert preview["certificatesBelow"] >= 2
