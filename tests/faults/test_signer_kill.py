"""kill -9 of the signer at each step: nothing half-written, a listed intent, and on it goes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pki import audit, lookup
from pki.errors import Unavailable
from pki.model import IntentState
from tests.homes import ADMIN
from tests.signing import ROOT, beside, short_path, signing, wait_for
from tests.status import hosts

STEPS = ("before commit", "after commit", "before signature", "after signature", "before answer")
SPENT = 2
"""From this step on the intent is spent: nobody can tell whether there is a signature."""


def test_i1_a_killed_signer_leaves_nothing_or_a_listed_intent(
    small_home_template: Path, tmp_path: Path
) -> None:
    homes = [tmp_path / str(step) for step in range(1, len(STEPS) + 1)]
    for home in homes:
        shutil.copytree(small_home_template, home)
    rounds = [word for home in homes for word in (str(home), home.name)]
    with short_path() as place:
        killer = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.signer_killer", str(place), *rounds],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for step, home in enumerate(homes, 1):
            _killed_at(step, home, place, killer)
        killer.communicate(timeout=30)
        for step, home in enumerate(homes, 1):
            _goes_on(step, home, place)


def _killed_at(step: int, home: Path, place: Path, killer: subprocess.Popen[str]) -> None:
    assert killer.stdout is not None
    wait_for(place, killer)
    with beside(home, place) as worker:
        with pytest.raises(Unavailable) as caught:
            hosts.issued(worker)
        assert caught.value.code == "key_unavailable"
        shown = [killer.stdout.readline().strip() for _ in range(step + 1)]
        named = [f"{number} {name}" for number, name in enumerate(STEPS[:step], 1)]
        assert shown == [*named, f"ended {-signal.SIGKILL}"]
        orphans = lookup.intents(worker.deployment, ADMIN)
        assert [i.state for i in orphans] == ([IntentState.SIGNING] if step >= SPENT else [])
        assert all(report.problem is None for report in audit.verify(worker.deployment.store))


def _goes_on(step: int, home: Path, place: Path) -> None:
    """Issue again with a signer that lives, and leave the orphan as it is."""
    with beside(home, place) as worker:
        with pytest.raises(Unavailable):
            hosts.issued(worker)
        with signing(home, place):  # the same worker, without a restart
            assert hosts.issued(worker)
        assert len(lookup.intents(worker.deployment, ADMIN)) == (1 if step >= SPENT else 0)
