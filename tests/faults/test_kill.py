"""kill -9 at each step of an issuance leaves nothing, or a listed intent (I1, I2, I3)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pki import audit, lookup
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, IntentState, Reason
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened

ROOT = Path(__file__).resolve().parents[2]
STEPS = [
    "before commit",  # intent, which is spent
    "after commit",
    "before signature",
    "after signature",
    "before commit",  # certificate
    "after commit",
]


def _kill_at(home: Path, step: int) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killer", str(home), str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    names = [line.split(" ", 1)[1] for line in done.stdout.splitlines()]
    return done.returncode, names


def _contracts(services: Services) -> list[CertificateRecord]:
    return lookup.search(services.deployment, ADMIN, kind=Kind.CONTRACT)


def test_the_steps_are_the_ones_that_are_killed_at(small_home: Path) -> None:
    status, names = _kill_at(small_home, len(STEPS) + 1)
    assert (status, names) == (0, STEPS)


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_i1_kill_leaves_nothing_or_a_listed_intent(small_home: Path, step: int) -> None:
    status, names = _kill_at(small_home, step)
    assert status == -signal.SIGKILL
    assert len(names) == step
    with opened(small_home) as services:
        intents = lookup.intents(services.deployment, ADMIN)
        certificates = _contracts(services)
        expected = {1: (0, 0), len(STEPS): (0, 1)}.get(step, (1, 0))
        assert (len(intents), len(certificates)) == expected
        assert all(intent.state is IntentState.SIGNING for intent in intents)


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_i3_the_audit_chains_verify_and_issuing_goes_on_after_a_kill(
    small_home: Path, step: int
) -> None:
    _kill_at(small_home, step)
    with opened(small_home) as services:
        assert [r.problem for r in audit.verify(services.deployment.store) if r.problem] == []
        before = len(_contracts(services))
        issue(services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=EMAID))
        assert len(_contracts(services)) == before + 1
        assert [r.problem for r in audit.verify(services.deployment.store) if r.problem] == []


def test_revoke_acts_on_an_intent_that_a_kill_left_behind(small_home: Path) -> None:
    _kill_at(small_home, STEPS.index("after signature") + 1)
    with opened(small_home) as services:
        (intent,) = lookup.intents(services.deployment, ADMIN)
        report = revoke(
            services.deployment, ADMIN, intent.serial.value, Reason.CESSATION_OF_OPERATION
        )
        assert report.from_intent
        assert lookup.intents(services.deployment, ADMIN) == []
        with services.deployment.store.read() as tx:
            assert tx.certificates.revocation(intent.issuer_id, intent.serial) is not None
