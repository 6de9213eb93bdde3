"""kill -9 at each step of status work: no number goes back, nothing waits, nothing is wrong."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pki import audit, lookup
from pki.model import CertificateRecord, IntentState, Reason
from pki.revoke import revoke
from pki.services import Services
from pki.status import StatusPolicy, crls, responders
from pki.status.refresh import refresh_answers
from tests.homes import ADMIN, opened
from tests.status import hosts
from tests.status.hosts import MovableClock

ROOT = Path(__file__).resolve().parents[2]
COMMIT = ["before commit", "after commit"]
SIGNATURE = ["before signature", "after signature"]
STEPS = {
    "crl": [*COMMIT, *COMMIT, *SIGNATURE, *COMMIT],  # intent, its spending, the CRL
    "responder": [*COMMIT, *SIGNATURE, *COMMIT, *COMMIT],  # intent, certificate, known to the view
    "answers": [*SIGNATURE, *COMMIT] * 2,
}


def _prepare(home: Path) -> list[CertificateRecord]:
    """Publish a CRL, revoke one certificate that is not on it, ask for two others."""
    with opened(home) as services:
        assert _publish(services) == 1
        _revoked(services)
        records = [hosts.issued(services) for _ in range(2)]
        assert [hosts.ask(services, record) for record in records] == [hosts.GOOD] * 2
    return records


def _publish(services: Services) -> int:
    issuer = hosts.issuer_of(services)
    return crls.publish(services.deployment, ADMIN, issuer, 0, StatusPolicy()).number


def _revoked(services: Services) -> int:
    record = hosts.issued(services)
    revoke(services.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    return record.serial.as_int


@pytest.fixture(scope="module")
def killed(
    small_home_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, list[CertificateRecord]]]:
    """Do a piece of work once for each of its steps, and once to its end, killed at that step."""
    folder = tmp_path_factory.mktemp("killed")
    home = Path(shutil.copytree(small_home_template, folder / "home"))
    records = _prepare(home)
    done: set[str] = set()

    def kill(work: str) -> tuple[Path, list[CertificateRecord]]:
        if work not in done:
            _kill_everywhere(home, work, folder / work)
            done.add(work)
        return folder / work, records

    return kill


def _kill_everywhere(home: Path, work: str, out: Path) -> None:
    names = STEPS[work]
    steps = ",".join(str(step) for step in range(1, len(names) + 2))
    command = [sys.executable, "-m", "tests.faults.status_killer", str(home), work, steps, str(out)]
    output = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    expected = [f"{n}|{-signal.SIGKILL}|{','.join(names[:n])}" for n in range(1, len(names) + 1)]
    assert output.splitlines() == [*expected, f"{len(names) + 1}|0|{','.join(names)}"]


def _intact(services: Services) -> bool:
    return not any(report.problem for report in audit.verify(services.deployment.store))


def _states(services: Services) -> list[str]:
    with services.deployment.store.read() as tx:
        rows = tx.status._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            "SELECT state FROM crl_intents ORDER BY number"
        )
        return [row[0] for row in rows.all()]


@pytest.mark.parametrize("step", range(1, len(STEPS["crl"]) + 2))
def test_i1_kill_while_a_crl_is_made_never_takes_its_number_back(
    killed: Callable[[str], tuple[Path, list[CertificateRecord]]], step: int
) -> None:
    folder, _ = killed("crl")
    committed = step >= len(STEPS["crl"])
    with opened(folder / str(step)) as services:
        assert hosts.number_of(services) == (2 if committed else 1)
        assert len(hosts.listed(services)) == (1 if committed else 0)
        begun = _states(services)[1:]
        expected = {1: [], 2: ["open"], 3: ["open"]}
        assert begun == (["completed"] if committed else expected.get(step, ["signing"]))
        left = [i.state.value for i in lookup.crl_intents(services.deployment, ADMIN)]
        assert left == [state for state in begun if state != "completed"]
        assert _intact(services)
        serial = _revoked(services)
        assert _publish(services) == 2 + len(begun)
        assert len(hosts.listed(services)) == 2
        assert serial in hosts.listed(services)
        unfinished = {IntentState.OPEN, IntentState.SIGNING}
        assert unfinished.isdisjoint(IntentState(state) for state in _states(services))
        assert _intact(services)


@pytest.mark.parametrize("step", range(1, len(STEPS["responder"]) + 2))
def test_kill_while_a_responder_is_made_leaves_the_old_one_at_work(
    killed: Callable[[str], tuple[Path, list[CertificateRecord]]], step: int
) -> None:
    folder, (record, _) = killed("responder")
    with opened(folder / str(step)) as services:
        assert hosts.ask(services, record, nonce=bytes(16)) == hosts.GOOD
        with services.deployment.store.read() as tx:
            before = [r for r in tx.status.responders() if r.issuer_id == record.issuer_id]
        assert len(before) == (2 if step >= len(STEPS["responder"]) else 1)
        issuer = hosts.issuer_of(services)
        made = responders.make(services.deployment, ADMIN, issuer)
        assert made.key_label not in {responder.key_label for responder in before}
        request = hosts.request_about(issuer, record.serial.as_int, nonce=bytes(16))
        assert made.der in services.answers.respond(request).der
        assert _intact(services)


@pytest.mark.parametrize("step", range(1, len(STEPS["answers"]) + 2))
def test_i4_kill_during_a_refresh_leaves_no_wrong_answer(
    killed: Callable[[str], tuple[Path, list[CertificateRecord]]], step: int
) -> None:
    folder, records = killed("answers")
    clock = MovableClock()
    clock.at += StatusPolicy().validity / 2
    with opened(folder / str(step), clock=clock) as services:
        revoke(services.deployment, ADMIN, records[0].fingerprint.value, Reason.SUPERSEDED)
        expected = [hosts.REVOKED, hosts.GOOD]
        assert [hosts.ask(services, record) for record in records] == expected
        refresh_answers(services.deployment, services.view, services.answers)
        assert [hosts.ask(services, record) for record in records] == expected
