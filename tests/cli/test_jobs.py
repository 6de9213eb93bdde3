"""`pnc jobs run` and `pnc release`, as an administrator and `pnc serve` use them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pki.model import IntentState, Reason
from pki.revoke import revoke
from tests.cli.test_cli import ok, refused, run
from tests.homes import ADMIN, MO_BRANCH, opened
from tests.status import hosts
from tests.status.hosts import wait_for
from tests.store import status_samples

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-m", "pki.cli", "--home"]
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([*sys.argv[1:], str(os.getpid())])
print(child.pid, flush=True)
sys.stdin.read()
"""
OURS = ("responders", "crls", "ocsp-answers")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PNC_")}


def _published(home: Path) -> int:
    with opened(home) as services:
        return hosts.number_of(services)


@contextmanager
def _runner(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*RUN, str(home), "jobs", "run", *words], cwd=ROOT, env=_environment(), text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_once_does_each_job_once(small_home: Path) -> None:
    done = ok(small_home, "jobs", "run", "--once", *OURS)
    assert done == {"responders": 0, "crls": len(MO_BRANCH), "ocsp-answers": 0}
    assert ok(small_home, "jobs", "run", "--once", "crls") == {"crls": 0}
    table = run(small_home, "jobs", "run", "--once", "crls")
    assert table.exit_code == 0
    assert "crls" in table.stdout


def test_once_leaves_alone_what_another_runner_holds(small_home: Path) -> None:
    with opened(small_home) as services:
        now = services.deployment.clock.now()
        with services.deployment.store.write() as tx:
            tx.leases.take("crls", "other", now, now.replace(year=now.year + 1))
    assert ok(small_home, "jobs", "run", "--once", "crls") == {"crls": None}
    assert "held elsewhere" in run(small_home, "jobs", "run", "--once", "crls").stdout


def test_a_crl_that_a_crash_cut_short_is_listed_as_an_intent(small_home: Path) -> None:
    intent = status_samples.crl_intent(
        7, issuer_id=hosts.LEAF_ISSUER, shard=0, state=IntentState.SIGNING
    )
    with opened(small_home) as services, services.deployment.store.write() as tx:
        tx.status.add_crl_intent(intent)
    (told,) = ok(small_home, "list", "--intents")
    assert (told["profile"], told["state"], told["number"]) == ("crl", "signing", 7)
    assert "number 7" in run(small_home, "list", "--intents").stdout
    assert ok(small_home, "jobs", "run", "--once", "crls") == {"crls": len(MO_BRANCH)}
    assert ok(small_home, "list", "--intents") == []


def test_a_job_that_does_not_exist_is_refused(small_home: Path) -> None:
    error = refused(small_home, "jobs", "run", "--once", "tea")
    assert error["code"] == "job_unknown"
    assert "crls" in error["hint"]


def test_a_failing_job_is_told(small_home: Path) -> None:
    for key in (small_home / "keys").glob("mo2-2*.pem"):
        key.unlink()
    error = refused(small_home, "jobs", "run", "--once", "crls")
    assert error["code"] == "key_missing"


def test_a_runner_survives_an_outage_and_a_signal_ends_it(small_home: Path) -> None:
    file = small_home / "pnc.db"
    with _runner(small_home, *OURS) as process:
        wait_for(lambda: _published(small_home) == 1, within=30)
        away = file.with_suffix(".away")
        file.rename(away)
        time.sleep(2.2)  # longer than the pause of the CRL job
        assert process.poll() is None
        away.rename(file)
        with opened(small_home) as services:
            record = hosts.issued(services)
            revoke(services.deployment, ADMIN, record.serial.value, Reason.SUPERSEDED)
        wait_for(lambda: _published(small_home) == 2, within=20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    with opened(small_home) as services, services.deployment.store.write() as tx:
        now = services.deployment.clock.now()
        assert all(tx.leases.take(name, "next", now, now) for name in OURS)


def test_with_parent_the_runner_ends_when_its_parent_does(small_home: Path) -> None:
    command = [*RUN, str(small_home), "jobs", "run", *OURS, "--with-parent"]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *command],
        cwd=ROOT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    runner = int(parent.stdout.readline())
    try:
        wait_for(lambda: _published(small_home) == 1, within=30)
        assert _lives(runner)
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
        wait_for(lambda: not _lives(runner), within=10)
    finally:
        parent.kill()
        if _lives(runner):
            os.kill(runner, signal.SIGKILL)


def test_a_runner_whose_parent_ended_before_it_began_ends_at_once(small_home: Path) -> None:
    """It asked for its parent's number itself once, and took init for the parent."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with _runner(small_home, *OURS, "--with-parent", str(gone.pid)) as process:
        assert process.wait(timeout=60) == 0


def test_a_runner_refuses_what_serve_refuses(small_home: Path) -> None:
    """Demo keys in production mode: each job once failed by itself, again and again."""
    phrase = small_home / "phrase"
    phrase.write_text("a passphrase of some length", "utf-8")
    production = {
        "PNC_MODE": "production",
        "PNC_KEY_PASSPHRASE_FILE": str(phrase),
        "PNC_SIGNER_SOCKET": str(small_home / "signer"),
    }
    done = subprocess.run(
        [*RUN, str(small_home), "jobs", "run", *OURS],
        cwd=ROOT,
        env=_environment() | production,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "demo keys" in done.stderr


def _lives(pid: int) -> bool:
    """Tell whether a process runs; an orphan that nobody reaps yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_release_is_dry_without_yes_and_only_for_what_is_on_hold(small_home: Path) -> None:
    with opened(small_home) as services:
        held, final = (hosts.issued(services) for _ in range(2))
        revoke(services.deployment, ADMIN, held.serial.value, Reason.CERTIFICATE_HOLD)
        revoke(services.deployment, ADMIN, final.serial.value, Reason.SUPERSEDED)
    body = ok(small_home, "release", held.serial.value)
    assert body["dryRun"] is True
    assert "--yes" in run(small_home, "release", held.serial.value).stdout
    body = ok(small_home, "release", held.serial.value, "--yes")
    assert body["dryRun"] is False
    with opened(small_home) as services:
        assert hosts.ask(services, held) == hosts.GOOD
        assert hosts.ask(services, final) == hosts.REVOKED
    for serial in (held.serial.value, final.serial.value):
        assert refused(small_home, "release", serial, "--yes")["code"] == "not_on_hold"
    assert refused(small_home, "release", "abc", "--yes")["code"] == "certificate_unknown"
