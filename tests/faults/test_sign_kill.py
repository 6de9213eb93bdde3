"""kill -9 while a station's certificate is made: the station's next try gets one, and only one."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pki import lookup, parties
from pki.clock import FixedClock
from pki.model import MessageState, Reason, Role, StationMessage
from pki.pkix import pem
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Deployment
from pki.render_stations import message_json
from pki.revoke import revoke
from pki.stations import MessageFilter, messages
from pki.stations.signing import certify, finish
from tests.faults.sign_killer import OPERATOR, REQUEST_ID, asked
from tests.homes import ADMIN, opened
from tests.web.calling import csr as made_csr

ROOT = Path(__file__).resolve().parents[2]
LATER = dt.timedelta(minutes=2)
"""Behind the time in which somebody may still be at work."""


@pytest.fixture(scope="module")
def home(full_home_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose operator is registered, and the CSR of a station; not to be changed."""
    folder = tmp_path_factory.mktemp("stations")
    made = Path(shutil.copytree(full_home_template, folder / "home"))
    with opened(made) as services:
        parties.add_party(services.deployment, ADMIN, Role.CPO, "DECPA", "Charge Here")
    (made / "station.csr").write_text(made_csr("DECPAE1"), "utf-8")
    return made


@pytest.fixture(scope="module")
def steps(home: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many steps there are when nobody kills."""
    whole = Path(shutil.copytree(home, tmp_path_factory.mktemp("whole") / "home"))
    status, names = _kill_at(whole, 1000)
    assert status == 0
    return len(names)


def _kill_at(home: Path, step: int) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "tests.faults.sign_killer", str(home)]
    done = subprocess.run(
        [*command, str(home / "station.csr"), str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def _certificates(deployment: Deployment) -> list[str]:
    found = lookup.search(deployment, ADMIN, kind=Kind.SECC)
    return [record.fingerprint.value for record in found]


def _pending(deployment: Deployment) -> list[StationMessage]:
    return messages(deployment, OPERATOR, MessageFilter(state=MessageState.PENDING))


@pytest.mark.parametrize("from_the_end", [5, 3, 1])  # intent, certificate, message not committed
def test_the_next_try_hands_out_what_there_is_and_issues_once(
    home: Path, steps: int, from_the_end: int, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(home, tmp_path / "home"))
    status, _ = _kill_at(own, steps - from_the_end)
    assert status == -signal.SIGKILL
    with opened(own) as services:
        deployment = services.deployment
        left = _certificates(deployment)
        assert len(left) == (1 if from_the_end == 1 else 0)
        early = certify(deployment, OPERATOR, asked(own / "station.csr"))
        assert early.state is MessageState.MAKING  # somebody may still be at work
        after = replace(deployment, clock=FixedClock(deployment.clock.now() + LATER))
        message = certify(after, OPERATOR, asked(own / "station.csr"))
        assert message.state is MessageState.PENDING
        assert [message.certificate] == _certificates(deployment)
        assert left in ([], [message.certificate])
        assert certify(after, OPERATOR, asked(own / "station.csr")) == message
        assert [m.message_id for m in _pending(after)] == [message.message_id]


def test_what_was_issued_waits_for_its_station_without_another_try(
    home: Path, steps: int, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(home, tmp_path / "home"))
    status, _ = _kill_at(own, steps - 1)
    assert status == -signal.SIGKILL
    with opened(own) as services:
        deployment = services.deployment
        (made,) = _certificates(deployment)
        assert finish(deployment) == 0  # somebody may still be at work
        assert _pending(deployment) == []
        after = replace(deployment, clock=FixedClock(deployment.clock.now() + LATER))
        assert [finish(after), finish(after)] == [1, 0]
        (message,) = _pending(after)
        payload = json.loads(message.payload)
        assert (message.certificate, payload["certificateType"]) == (made, "V2GCertificate")
        assert payload["requestId"] == REQUEST_ID
        assert (
            load(pem.certificates(payload["certificateChain"], limit=3)[0]).fingerprint.value
            == made
        )
        assert certify(after, OPERATOR, asked(own / "station.csr")) == message


def test_a_job_leaves_alone_what_nobody_issued(home: Path, steps: int, tmp_path: Path) -> None:
    own = Path(shutil.copytree(home, tmp_path / "home"))
    _kill_at(own, steps - 3)
    with opened(own) as services:
        after = replace(
            services.deployment, clock=FixedClock(services.deployment.clock.now() + LATER)
        )
        assert (finish(after), _pending(after)) == (0, [])
        (left,) = messages(after, OPERATOR, MessageFilter(state=MessageState.MAKING))
        assert message_json(left)["payload"] is None


def test_what_was_revoked_meanwhile_is_not_handed_out(
    home: Path, steps: int, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(home, tmp_path / "home"))
    _kill_at(own, steps - 1)
    with opened(own) as services:
        (lost,) = _certificates(services.deployment)
        revoke(services.deployment, ADMIN, lost, Reason.SUPERSEDED)
        later = FixedClock(services.deployment.clock.now() + LATER)
        message = certify(
            replace(services.deployment, clock=later), OPERATOR, asked(own / "station.csr")
        )
        assert message.certificate not in (None, lost)
