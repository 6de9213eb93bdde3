"""`pnc ceremony`: rehearsed, done, and signed by a root on another machine."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_cli import ok, run
from tests.homes import make_home

HIERARCHY = Path(__file__).resolve().parents[2] / "certs" / "hierarchies" / "demo.toml"


def test_a_file_is_rehearsed_and_then_done(small_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "roll.toml"
    file.write_text('[ceremony]\ntitle = "Roll"\n[[rollover]]\nissuer = "mo2-2"\n')
    assert ok(small_home, "ceremony", "run", str(file))["dryRun"]
    assert len(ok(small_home, "issuer", "list")) == 3
    done = ok(small_home, "ceremony", "run", str(file), "--yes")
    assert done["lines"][0].startswith("prepare: mo2-2.g2 (status_only)")
    kept = ok(small_home, "ceremony", "list")["ceremonies"]
    assert list(kept) == [done["ceremonyId"]]


def test_files_travel_to_an_offline_root_and_back(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    make_home(there, "v2g-2")
    make_home(here, "mo-2")
    root, asked, answered = (str(tmp_path / name) for name in ("root", "request", "answer"))
    ok(there, "ceremony", "introduce", "v2g-2", "--out", root)
    ok(here, "ceremony", "accept", root, "--yes")
    ok(here, "ceremony", "request", str(HIERARCHY), "--name", "cpo1-2", "--out", asked)
    assert ok(there, "ceremony", "sign", asked)["dryRun"]
    assert "out_missing" in run(there, "ceremony", "sign", asked, "--yes").stderr
    signed = ok(there, "ceremony", "sign", asked, "--out", answered, "--yes")
    accepted = ok(here, "ceremony", "accept", answered, "--yes")
    assert accepted["files"] == signed["files"]
    states = {issuer["name"]: issuer["state"] for issuer in ok(here, "issuer", "list")}
    assert states["cpo1-2"] == states["v2g-2"] == "active"
    told = json.loads(run(here, "doctor", "--json").stdout)
    assert told["keys"]["health"] == "well"  # the root's key is missing here on purpose
    assert run(here, "recheck", "--json").exit_code == 0
    assert "out_exists" in run(there, "ceremony", "introduce", "v2g-2", "--out", root).stderr
