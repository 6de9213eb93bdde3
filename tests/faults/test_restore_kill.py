"""kill -9 while a backup is restored leaves no home; the same command makes it afterwards (I10)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pki import backup
from pki.services import Services
from tests.backup.test_backup import PHRASE, Place, saved
from tests.homes import opened
from tests.status import hosts

ROOT = Path(__file__).resolve().parents[2]
NEVER = 1000


def test_i10_kill_while_a_backup_is_restored_leaves_no_home(
    small: Services, tmp_path: Path
) -> None:
    for _ in range(20):
        hosts.issued(small)
    archive = tmp_path / "backup"
    data = saved(small, archive)
    reads = 1 + 2 * ((len(data) >> 20) + 1)  # the head, then length and content of each piece
    steps = [*range(1, reads + 1), NEVER]
    words = [str(archive), PHRASE.decode(), str(tmp_path / "out"), ",".join(map(str, steps))]
    (tmp_path / "out").mkdir()
    output = subprocess.run(
        [sys.executable, "-m", "tests.faults.restore_killer", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    killed = [f"{step} {-signal.SIGKILL}" for step in steps[:-1]]
    assert output.splitlines() == [*killed, f"{NEVER} 0"]
    for step in steps:
        place = Place(tmp_path / "out" / str(step) / "home", None)
        assert place.home.exists() == (step == NEVER)
        if step != NEVER:
            place.restore(data)
        with opened(place.home) as running:
            assert not any(check.problem for check in backup.run(running.deployment))
        assert [path.name for path in place.home.parent.iterdir()] == ["home"]
