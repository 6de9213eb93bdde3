"""`pnc backup`, `pnc restore` and their scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.test_cli import ok, run
from tests.homes import EMAID

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def test_a_backup_is_drilled_restored_and_confirmed(small_home: Path, tmp_path: Path) -> None:
    ok(small_home, "contract", "issue", "--emaid", EMAID)
    phrase, archive = tmp_path / "phrase", tmp_path / "backup"
    phrase.write_text("correct horse battery\n")
    named = ("--passphrase-file", str(phrase))
    head = ok(small_home, "backup", str(archive), *named)["auditHead"]
    drilled = subprocess.run(
        [sys.executable, str(SCRIPTS / "restore_drill.py"), str(archive), *named, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    checks = json.loads(drilled.stdout)["checks"]
    assert {check["problem"] for check in checks} == {None}
    assert "refuses to sign" in {check["name"] for check in checks}
    there = tmp_path / "there"
    assert ok(there, "restore", "run", str(archive), *named)["auditHead"] == head
    assert "restore_unconfirmed" in run(there, "contract", "issue", "--emaid", EMAID).stderr
    assert "restore_unconfirmed" in run(there, "serve", "--port", "18913").stderr
    assert ok(there, "restore", "confirm")["dryRun"]
    assert ok(there, "restore", "confirm", "--head", head[:16])["dryRun"] is False
    assert ok(there, "contract", "issue", "--emaid", EMAID)["serialNumber"]
    assert ok(there, "restore", "check")["checks"]
    damaged = archive.read_bytes()[:-7]
    archive.write_bytes(damaged)
    assert "backup_torn" in run(tmp_path / "x", "restore", "drill", str(archive), *named).stderr
