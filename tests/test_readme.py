"""The walk of the README: every command is run and every output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WALK = re.compile(r"<!-- walk.*?<!-- end of walk -->", re.DOTALL)
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def _steps() -> list[tuple[str, str]]:
    """Return the commands of the walk with the output that the README shows."""
    section = WALK.search((ROOT / "README.md").read_text("utf-8"))
    assert section
    steps: list[tuple[str, str]] = []
    for line in "".join(BLOCK.findall(section[0])).splitlines():
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ "), ""))
        else:
            command, output = steps[-1]
            steps[-1] = (command, f"{output}{line}\n")
    return steps


def test_the_walk_prints_what_the_readme_shows(tmp_path: Path) -> None:
    steps = _steps()
    assert len(steps) >= 8
    marker = "-- end of step --"
    script = "set -euo pipefail\n" + "\n".join(
        f"{command} 2>/dev/null\necho '{marker}'" for command, _ in steps
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PNC_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{marker}\n")
    for (command, wanted), got in zip(steps, printed, strict=False):
        assert got == wanted, command


def test_the_readme_names_the_two_commands_and_the_licence() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for needed in ("./scripts/serve", "./scripts/test", "Apache-2.0", "PNC_PUBLIC_URL"):
        assert needed in text
    for command in ("scripts/serve", "scripts/test", ".ci/run", "scripts/lock"):
        assert os.access(ROOT / command, os.X_OK)
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
