"""`pnc rotate` and `scripts/rotate_key.py`: dry by default, a step at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.test_cli import ok, run
from tests.homes import EMAID

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "rotate_key.py"


def test_a_ca_is_rotated_step_by_step_and_only_with_yes(small_home: Path) -> None:
    ok(small_home, "contract", "issue", "--emaid", EMAID)
    (shown,) = ok(small_home, "rotate", "ca", "mo2-2")["rotations"]
    assert (shown["dryRun"], shown["step"], shown["new"]) == (True, "prepare", "mo2-2.g2")
    (plan,) = ok(small_home, "rotate", "ca", "mo2-2", "--plan", "--yes")["rotations"]
    assert plan["dryRun"]
    assert "DEMOA" in {effect["who"] for effect in plan["effects"]}
    assert len(ok(small_home, "issuer", "list")) == 3
    for step in ("prepare", "switch"):
        (done,) = ok(small_home, "rotate", "ca", "mo2-2", "--yes")["rotations"]
        assert (done["dryRun"], done["step"]) == (False, step)
    refused = run(small_home, "rotate", "ca", "mo2-2", "--yes")
    assert "rotation_too_early" in refused.stderr
    issued = ok(small_home, "contract", "issue", "--emaid", EMAID)
    assert issued["issuer"] == "mo2-2.g2" or issued.get("issuerId") == "mo2-2.g2"


def test_the_script_does_what_the_command_does(small_home: Path) -> None:
    words = [sys.executable, str(SCRIPT), "--home", str(small_home), "responder", "mo2-2", "--json"]
    for extra, dry in (([], True), (["--yes"], False)):
        done = subprocess.run(
            [*words, *extra], capture_output=True, text=True, timeout=60, check=True
        )
        (told,) = json.loads(done.stdout)["rotations"]
        assert (told["key"], told["dryRun"], told["new"]) == (
            "responder mo2-2.g1",
            dry,
            "ocsp.mo2-2.g1.2",
        )
