"""No wrong verdict while certificates, contracts, trust and workers change; see the script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_verdict_is_wrong_while_everything_changes() -> None:
    words = ["--minutes", "0.2", "--workers", "2", "--callers", "3"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "soak_validate.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 wrong" in done.stdout
