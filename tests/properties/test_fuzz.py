"""Every fuzz target, shortly and the same way each time; `scripts/fuzz/run.py` looks for longer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pki.errors import BadInput, Unavailable
from scripts.fuzz import targets
from scripts.fuzz.run import NAMES

ROOT = Path(__file__).resolve().parent.parent.parent
RUNS = 1500
SEEDS = [
    pytest.param(name, file, id=f"{name}-{file.name}")
    for name in NAMES
    for file in sorted((targets.SEEDS / name).iterdir())
]


def test_every_target_has_its_seeds() -> None:
    assert set(NAMES) == set(targets.TARGETS) == {folder.name for folder in targets.SEEDS.iterdir()}


@pytest.mark.parametrize(("name", "file"), SEEDS)
def test_a_seed_is_answered(name: str, file: Path) -> None:
    targets.TARGETS[name](file.read_bytes())


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 14), reason="atheris is not made for it"
)
def test_a_short_run_of_every_target_finds_nothing(tmp_path: Path) -> None:
    script = str(ROOT / "scripts" / "fuzz" / "run.py")
    done = subprocess.run(
        [sys.executable, script, "all", "--runs", str(RUNS), "--seed", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    counted = re.findall(r"^== (\S+)$|number_of_executed_units: (\d+)$", done.stderr, re.MULTILINE)
    assert [name for name, _ in counted if name] == list(NAMES)
    assert min(int(units) for _, units in counted if units) >= RUNS
    assert not list(tmp_path.iterdir())


def test_a_fault_of_ours_is_no_answer() -> None:
    def down() -> None:
        raise Unavailable("store", "The store is out of reach.")

    with pytest.raises(AssertionError):
        targets._tried(down)
    with pytest.raises(ZeroDivisionError):
        targets._tried(lambda: 1 // 0)


def test_an_unreadable_message_is_no_answer() -> None:
    def spoilt() -> None:
        raise BadInput("unreadable", "a\x1b[2J")

    with pytest.raises(AssertionError):
        targets._tried(spoilt)


def test_leaves_are_read_by_cutting_before_they_are_fuzzed() -> None:
    assert targets._LEAVES.size > 0
    read = [targets._LEAVES.read(f.read_bytes()) for f in (targets.SEEDS / "leaf").iterdir()]
    assert all(leaf.shape is not None for leaf in read)


def test_an_identifier_that_changes_when_it_is_read_again_is_no_answer() -> None:
    with pytest.raises(AssertionError):
        targets._same(lambda text: text + "x", "a")
