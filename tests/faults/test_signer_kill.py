"""kill -9 of the signer at each step: nothing half-written, a listed intent, and on it goes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from pki import audit, lookup
from pki.errors import Unavailable
from pki.model import IntentState
from tests.homes import ADMIN
from tests.signing import beside, short_path, signer_process, signing
from tests.status import hosts

STEPS = ("before commit", "after commit", "before signature", "after signature", "before answer")
SPENT = 2
"""From this step on the intent is spent: nobody can tell whether there is a signature."""


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_i1_a_killed_signer_leaves_nothing_or_a_listed_intent(
    small_home: Path, tmp_path: Path, step: int
) -> None:
    url = f"sqlite:///{small_home / 'pnc.db'}"
    with short_path() as place, beside(tmp_path / "worker", place, url) as worker:
        command = [sys.executable, "-m", "tests.faults.signer_killer"]
        words = (str(small_home), str(place), str(step))
        with signer_process(small_home, place, *command, *words) as process:
            with pytest.raises(Unavailable) as caught:
                hosts.issued(worker)
            assert caught.value.code == "key_unavailable"
            assert process.wait(30) == -signal.SIGKILL
            shown, _ = process.communicate()
        assert shown.decode().splitlines()[-1] == f"{step} {STEPS[step - 1]}"
        orphans = lookup.intents(worker.deployment, ADMIN)
        assert [i.state for i in orphans] == ([IntentState.SIGNING] if step >= SPENT else [])
        assert all(report.problem is None for report in audit.verify(worker.deployment.store))
        with signing(small_home, place):  # the same worker, without a restart
            assert hosts.issued(worker)
        assert len(lookup.intents(worker.deployment, ADMIN)) == len(orphans)
