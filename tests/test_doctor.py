"""`pnc doctor` finds what each check is for and says what to do; `pnc recheck` misses nothing."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pytest

from pki import doctor, recheck
from pki.clock import FixedClock
from pki.doctor import CHECKS, Finding, Health, Place
from pki.errors import BadInput, NotAllowed, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import ApprovalPolicy, Principal, Proposal, ProposalState, Role
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Deployment, Signer
from pki.services import Services
from pki.store.db import Database
from tests.cli.test_cli import ok, refused, run
from tests.databases import sqlite_url
from tests.homes import ADMIN, EMAID, opened

CONTRACT = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)


def _find(services: Services, name: str, deployment: Deployment | None = None) -> Finding:
    (found,) = doctor.examine(deployment or services.deployment, ADMIN, services.place(), (name,))
    return found


def _at(services: Services, **later: float) -> Deployment:
    moved = FixedClock(services.deployment.clock.now() + dt.timedelta(**later))
    return replace(services.deployment, clock=moved)


def test_a_kept_home_is_well(small: Services) -> None:
    for job in small.jobs():
        if job.name in ("crls", "audit"):
            job.work()
    small.settings.home.chmod(0o700)
    findings = doctor.examine(small.deployment, ADMIN, small.place())
    assert [finding.check for finding in findings] == list(CHECKS)
    ill = {f.check: f for f in findings if f.health is not Health.WELL}
    assert set(ill) <= {"settings", "disk"}
    assert ill["settings"].health is Health.WARNING
    assert "DEMO" in ill["settings"].found
    assert ill["settings"].advice
    assert all(finding.advice is None for finding in findings if finding.check not in ill)


def test_a_schema_that_is_not_ours(small: Services, tmp_path: Path) -> None:
    (tmp_path / "pnc.db").touch()
    empty = replace(small.deployment, store=Database(sqlite_url(tmp_path)))
    found = _find(small, "database", empty)
    assert found.health is Health.FAILED
    assert "pnc init" in str(found.advice)


def test_a_clock_that_went_back(small: Services) -> None:
    found = _find(small, "clock", _at(small, hours=-1))
    assert found.health is Health.FAILED
    assert "to come" in found.found


@pytest.mark.parametrize(("days", "health"), [(365 * 60, Health.FAILED), (0, Health.WELL)])
def test_certificates_that_end(small: Services, days: int, health: Health) -> None:
    assert _find(small, "certificates", _at(small, days=days)).health is health


def test_a_responder_that_nobody_renews(small: Services) -> None:
    with small.deployment.store.read() as tx:
        ends = min(r.not_after for r in tx.status.responders())
    late = replace(small.deployment, clock=FixedClock(ends - dt.timedelta(days=1)))
    found = _find(small, "certificates", late)
    assert "OCSP responder" in found.found
    assert found.health is Health.WARNING


@dataclass(frozen=True)
class _Gone:
    """Keys whose home is gone."""

    def create(self, label: str, suite: Suite) -> Signer:
        raise Unavailable("key_unavailable", f"The token is gone: {label}, {suite}.")

    def signer(self, label: str) -> Signer:
        raise Unavailable("key_unavailable", f"The token is gone: {label}.")


def test_intents_and_proposals_that_nobody_finished(small: Services) -> None:
    gone = replace(small.deployment, keys=_Gone())
    with pytest.raises(Unavailable):
        issue(gone, ADMIN, CONTRACT)
    assert _find(small, "intents").health is Health.WELL  # it may be under way
    found = _find(small, "intents", _at(small, hours=1))
    assert found.health is Health.WARNING
    assert "not finished" in found.found
    now = small.deployment.clock.now()
    with small.deployment.store.write() as tx:
        tx.proposals.add(
            Proposal(
                proposal_id="p",
                act="{}",
                sha256=b"",
                proposed_by="x",
                proposed_at=now,
                expires_at=now,
                required=1,
                sequence=1,
                state=ProposalState.RUNNING,
            )
        )
    assert _find(small, "intents").health is Health.FAILED


def test_crls_that_are_not_there_or_old(small: Services) -> None:
    assert _find(small, "status").health is Health.WARNING
    next(job for job in small.jobs() if job.name == "crls").work()
    assert _find(small, "status").health is Health.WELL
    found = _find(small, "status", _at(small, days=30))
    assert found.health is Health.FAILED
    assert "jobs run" in str(found.advice)


def test_keys_that_cannot_be_used(small: Services) -> None:
    assert _find(small, "keys", replace(small.deployment, keys=_Gone())).health is Health.FAILED
    (small.settings.home / "keys" / "mo2-2.g1.pem").unlink()
    found = _find(small, "keys")
    assert (found.health, "mo2-2.g1" in found.found) == (Health.FAILED, True)


@pytest.mark.parametrize("name", [".", "keys", "keys/mo2-2.g1.pem", "pnc.db"])
def test_files_that_others_reach(small: Services, name: str) -> None:
    small.settings.home.chmod(0o700)
    assert _find(small, "files").health is Health.WELL
    (small.settings.home / name).chmod(0o755)
    found = _find(small, "files")
    assert found.health is Health.FAILED
    assert "chmod" in str(found.advice)


def test_settings_and_people_that_are_missing(small: Services) -> None:
    alone = replace(small.deployment, approvals=ApprovalPolicy(required=2))
    assert _find(small, "settings", alone).health is Health.FAILED
    place = replace(small.place(), weaknesses=())
    (found,) = doctor.examine(small.deployment, ADMIN, place, ("settings",))
    assert found.health is Health.WELL


class _Usage(NamedTuple):
    """As `shutil.disk_usage` returns it."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("free", "health"),
    [(1 << 20, Health.FAILED), (1 << 30, Health.WARNING), (1 << 40, Health.WELL)],
)
def test_a_disk_that_is_full(
    small: Services, monkeypatch: pytest.MonkeyPatch, free: int, health: Health
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(free, 0, free))
    assert _find(small, "disk").health is health


def _sql(home: Path, statement: str) -> None:
    database = sqlite3.connect(home / "pnc.db")
    try:
        database.executescript(statement)
        database.commit()
    finally:
        database.close()


def test_a_record_that_was_changed_or_is_not_signed(small_home: Path) -> None:
    with opened(small_home) as services:
        assert "no checkpoint was signed yet" in _find(services, "audit").found
        next(job for job in services.jobs() if job.name == "audit").work()
        assert _find(services, "audit").health is Health.WELL
    _sql(small_home, "UPDATE audit SET actor = 'x' WHERE chain = 'admin' AND sequence = 1")
    with opened(small_home) as services:
        assert _find(services, "audit").health is Health.FAILED


def test_only_auditors_and_administrators_examine(small: Services) -> None:
    place = Place(home=small.settings.home, secret=(), weaknesses=(), checkpoint_seconds=600)
    for role in set(Role) - {Role.ADMIN, Role.AUDITOR}:
        with pytest.raises(NotAllowed):
            doctor.examine(small.deployment, Principal(name="x", role=role), place)
    with pytest.raises(BadInput, match="no check"):
        doctor.examine(small.deployment, ADMIN, place, ("hair",))


def test_exit_statuses_and_forms_of_the_command(small_home: Path) -> None:
    warned = run(small_home, "doctor", "settings", "database", "--json")
    assert warned.exit_code == 4
    body = json.loads(warned.stdout)
    assert {name: each["health"] for name, each in body.items()} == {
        "settings": "warning",
        "database": "well",
    }
    assert run(small_home, "doctor", "database").exit_code == 0
    (small_home / "keys" / "mo2-2.g1.pem").unlink()
    failed = run(small_home, "doctor")
    assert failed.exit_code == 1
    assert "what to do" in failed.stdout
    assert refused(small_home, "doctor", "hair")["code"] == "check_unknown"


# --- recheck -------------------------------------------------------------------------------------


def test_everything_is_checked_once_and_then_what_is_new(anywhere: Services) -> None:
    first = recheck.recheck(anywhere.deployment, ADMIN, full=True)
    assert first.wrong == ()
    with anywhere.deployment.store.read() as tx:
        total = sum(tx.certificates.count(issuer.issuer_id) for issuer in tx.issuers.all())
    assert first.checked == total
    assert recheck.recheck(anywhere.deployment, ADMIN).checked == 0
    issue(anywhere.deployment, ADMIN, CONTRACT)
    assert recheck.remaining(anywhere.deployment, ADMIN) > 0
    assert recheck.recheck(anywhere.deployment, ADMIN).checked == 1
    assert recheck.remaining(anywhere.deployment, ADMIN) == 0
    assert recheck.recheck(anywhere.deployment, ADMIN, anew=True).checked == total + 1


def _stop(_: int) -> None:
    raise KeyboardInterrupt


def test_a_run_that_is_cut_short_goes_on(small: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        issue(small.deployment, ADMIN, CONTRACT)
    monkeypatch.setattr(recheck, "_AT_ONCE", 3)
    total = recheck.remaining(small.deployment, ADMIN)
    with pytest.raises(KeyboardInterrupt):
        recheck.recheck(small.deployment, ADMIN, progress=_stop)
    assert recheck.remaining(small.deployment, ADMIN) == total - 3
    seen: list[int] = []
    recheck.recheck(small.deployment, ADMIN, progress=seen.append)
    assert sum(seen) == total - 3


_TAMPERINGS: dict[str, str] = {
    "it is missing": "DELETE FROM certificates WHERE kind = 'contract'",
    "it cannot be read": "UPDATE certificates SET der = x'3000' WHERE kind = 'contract'",
    "it was changed": (
        "UPDATE certificates SET der = "
        "(SELECT der FROM certificates WHERE kind = 'ocsp' AND issuer_id = 'mo2-2.g1') "
        "WHERE kind = 'contract'"
    ),
    "its signature does not verify": (
        "UPDATE certificates SET der = "
        "(SELECT der FROM certificates WHERE kind = 'ocsp' AND issuer_id = 'mo-2.g1') "
        "WHERE kind = 'contract'"
    ),
}


@pytest.mark.parametrize("problem", _TAMPERINGS)
def test_what_does_not_hold_is_told(small_home: Path, problem: str) -> None:
    with opened(small_home) as services:
        record = issue(services.deployment, ADMIN, CONTRACT).record
    _sql(small_home, _TAMPERINGS[problem])
    done = run(small_home, "recheck", "--json")
    assert done.exit_code == 1
    (wrong,) = json.loads(done.stdout)["wrong"]
    assert wrong["fingerprint"] == record.fingerprint.value
    assert any(each.startswith(problem) for each in wrong["problems"])
    assert ok(small_home, "recheck")["checked"] == 0


def test_only_administrators_move_the_marks(small: Services) -> None:
    act: Callable[..., object]
    for act in (recheck.recheck, recheck.remaining):
        with pytest.raises(NotAllowed):
            act(small.deployment, Principal(name="x", role=Role.CPO, parties=("DEABC",)))
