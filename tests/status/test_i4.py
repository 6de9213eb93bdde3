"""I4: never *good* for what was never issued, nor for what was revoked, whoever answers."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.model import CertificateRecord, Reason
from pki.revoke import release, revoke
from pki.services import Services
from tests.homes import ADMIN
from tests.status import hosts
from tests.status.hosts import GOOD, REVOKED, TRY_LATER, UNKNOWN

ROOT = Path(__file__).resolve().parents[2]
HOLD = Reason.CERTIFICATE_HOLD
SECOND = 1_000_000_000


# --- under load ----------------------------------------------------------------------------------


@dataclass
class History:
    """What happened to one certificate: (begin, end, status from then on), in nanoseconds."""

    events: list[tuple[int, int, str]] = field(default_factory=list)

    def hold(self, services: Services, record: CertificateRecord, reason: Reason = HOLD) -> None:
        begin = time.monotonic_ns()
        revoke(services.deployment, ADMIN, record.fingerprint.value, reason)
        self.events.append((begin, time.monotonic_ns(), REVOKED))

    def release(self, services: Services, record: CertificateRecord) -> None:
        begin = time.monotonic_ns()
        release(services.deployment, ADMIN, record.fingerprint.value)
        self.events.append((begin, time.monotonic_ns(), GOOD))

    def possible(self, asked: int, answered: int) -> set[str]:
        """Return what may be said by who asked and was answered at these times."""
        before = [status for _, end, status in self.events if end <= asked]
        during = {s for begin, end, s in self.events if end > asked and begin <= answered}
        return {before[-1] if before else GOOD} | during


def _start(home: Path, url: str, requests: list[bytes]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.status.asker", str(home), url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("".join(f"{request.hex()}\n" for request in requests) + "\n")
    process.stdin.flush()
    return process


def _said(process: subprocess.Popen[str]) -> list[tuple[int, int, int, str]]:
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    lines = [line.split() for line in output.splitlines() if line]
    return [(int(n), int(asked), int(answered), status) for n, asked, answered, status in lines]


def _disturb(services: Services, records: list[CertificateRecord]) -> list[History]:
    """Hold, release and revoke for some seconds."""
    histories = [History() for _ in records]
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        for record, history in zip(records, histories, strict=True):
            history.hold(services, record)
            time.sleep(0.02)
            history.release(services, record)
        time.sleep(0.05)
    for record, history in zip(records, histories, strict=True):
        history.hold(services, record, Reason.SUPERSEDED)
    time.sleep(1.2)
    return histories


def test_i4_nobody_says_good_after_a_revocation_returned_under_load(
    anywhere: Services, tmp_path: Path
) -> None:
    records = [hosts.issued(anywhere) for _ in range(3)]
    issuer = hosts.issuer_of(anywhere)
    requests = [hosts.request_about(issuer, record.serial.as_int) for record in records]
    url, home, other = anywhere.settings.database_url, anywhere.settings.home, tmp_path / "other"
    shutil.copytree(home / "keys", other / "keys")
    with ExitStack() as ending:
        running = [_start(place, url, requests) for place in (home, home, other)]
        for process in running:
            ending.callback(process.kill)
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        histories = _disturb(anywhere, records)
        *here, there = [_said(process) for process in running]
    answers = [(said, 0) for process in here for said in process] + [(s, SECOND) for s in there]
    wrong = [
        said
        for said, delay in answers
        if said[3] not in histories[said[0]].possible(said[1] - delay, said[2]) | {TRY_LATER}
    ]
    assert wrong == []
    late = sum(said[3] == TRY_LATER for said, _ in answers)
    assert late <= len(answers) // 50
    assert all({said[3] for said in process} >= {GOOD, REVOKED} for process in (*here, there))


# --- every interleaving --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing done to, or asked about, one certificate by one process."""

    action: str
    certificate: int = 0
    process: int = 0
    algorithm: str = "sha1"
    nonce: bool = False


_CHANGES = st.builds(
    Step,
    action=st.sampled_from(["hold", "release", "revoke", "issue"]),
    certificate=st.integers(0, 2),
    process=st.integers(0, 2),
)
_QUESTIONS = st.builds(
    Step,
    action=st.just("ask"),
    certificate=st.integers(0, 2),
    process=st.integers(0, 2),
    algorithm=st.sampled_from(["sha1", "sha256"]),
    nonce=st.booleans(),
)


class World:
    """Two processes of one host, a third on another host, and what they must say."""

    def __init__(self, processes: tuple[Services, ...]) -> None:
        self.processes = processes
        self.records: list[CertificateRecord | None] = [None] * 3
        self.expected: list[str] = [UNKNOWN] * 3
        self.final: list[bool] = [False] * 3
        self.unheard: set[int] = set()

    def act(self, step: Step) -> None:
        if step.action == "ask":
            self.check(step)
        else:
            self.change(step)
            # the other host hears of it in its own time
            self.unheard |= {2} if step.process < 2 else {0, 1}

    def change(self, step: Step) -> None:
        services, number = self.processes[step.process], step.certificate
        record, state = self.records[number], self.expected[number]
        on_hold = state == REVOKED and not self.final[number]
        if step.action == "issue" and record is None:
            self.records[number] = hosts.issued(services)
            self.expected[number] = GOOD
        elif step.action == "hold" and record is not None and state == GOOD:
            revoke(services.deployment, ADMIN, record.fingerprint.value, HOLD)
            self.expected[number] = REVOKED
        elif step.action == "revoke" and record is not None and not self.final[number]:
            reason = Reason.SUPERSEDED
            revoke(services.deployment, ADMIN, record.fingerprint.value, reason)
            self.expected[number], self.final[number] = REVOKED, True
        elif step.action == "release" and record is not None and on_hold:
            release(services.deployment, ADMIN, record.fingerprint.value)
            self.expected[number] = GOOD

    def check(self, step: Step) -> None:
        services, record = self.processes[step.process], self.records[step.certificate]
        serial = record.serial.as_int if record else (1 << 126) + secrets.randbits(100)
        if step.process in self.unheard:
            services.view.follow()  # its time is up now
            self.unheard.discard(step.process)
        request = hosts.request_about(
            hosts.issuer_of(services),
            serial,
            step.algorithm,
            nonce=secrets.token_bytes(16) if step.nonce else b"",
        )
        assert hosts.answer_to(services, request) == self.expected[step.certificate], step


@pytest.fixture
def processes(small: Services, tmp_path: Path) -> Iterator[tuple[Services, ...]]:
    """Two processes of one host and one of another."""
    with (
        hosts.same_host(small) as second,
        hosts.other_host(small, tmp_path / "other") as third,
    ):
        yield small, second, third


@settings(max_examples=25)
@given(steps=st.lists(st.one_of(_CHANGES, _QUESTIONS), min_size=5, max_size=25))
def test_i4_every_answer_is_the_one_of_its_moment_in_any_order_of_things(
    processes: tuple[Services, ...], steps: list[Step]
) -> None:
    world = World(processes)
    for number in range(2):
        world.act(Step(action="issue", certificate=number))
    for step in steps:
        world.act(step)
    for process in range(3):
        for number in range(3):
            world.check(Step(action="ask", certificate=number, process=process))
