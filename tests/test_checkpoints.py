"""Checkpoints and exports: what somebody does to the record shows in the file alone."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from pki import access, audit, clients, trust
from pki.audit import checkpoints, export, offline
from pki.audit.checkpoints import Sealer
from pki.clock import FixedClock
from pki.errors import BadInput, NotAllowed
from pki.issue import IssueRequest, issue
from pki.model import AuditEntry, AuditQuery, Domain, Principal, Reason, Role, StatusRule
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from pki.store.db import Database
from tests.cli.test_cli import ok, refused, run
from tests.homes import ADMIN, EMAID, opened

ROOT = Path(__file__).resolve().parent.parent
Lines = list[dict[str, Any]]


def _rule(services: Services, times: int = 1) -> None:
    for _ in range(times):
        trust.set_rule(services.deployment, ADMIN, Domain.MO, StatusRule.REQUIRED)


def _pem(spki: bytes) -> bytes:
    return load_der_public_key(spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _pems(services: Services) -> list[bytes]:
    with services.deployment.store.read() as tx:
        return [_pem(spki) for spki in checkpoints.public_keys(tx).values()]


def _verified(services: Services) -> offline.Verifier:
    keys = offline.read_keys(_pems(services))
    return offline.verify(export.lines(services.deployment, ADMIN), keys)


def _sealing(services: Services, entries: int) -> Services:
    """Return the installation with a checkpoint in every transaction that completes so many."""
    deployment = services.deployment
    sealer = Sealer(keys=deployment.keys, clock=deployment.clock, entries=entries)
    store = Database(services.settings.database_url, before_commit=sealer.seal)
    return replace(services, deployment=replace(deployment, store=store), database=store)


# --- making --------------------------------------------------------------------------------------


def test_the_job_vouches_for_every_chain_and_only_for_what_is_new(anywhere: Services) -> None:
    assert checkpoints.keep(anywhere.deployment) == 4
    assert checkpoints.keep(anywhere.deployment) == 0
    found = _verified(anywhere)
    assert found.problems == []
    assert {
        n: s.signed == s.entries for n, s in found.chains.items() if n != "admin"
    } == dict.fromkeys(("mo-2.g1", "mo1-2.g1", "mo2-2.g1"), True)
    _rule(anywhere)
    assert checkpoints.keep(anywhere.deployment) == 1
    assert _verified(anywhere).chains["admin"].signed == _verified(anywhere).chains["admin"].entries
    assert not any(report.problem for report in audit.verify(anywhere.deployment.store))


def test_a_checkpoint_is_written_in_the_transaction_that_makes_it_due(anywhere: Services) -> None:
    checkpoints.keep(anywhere.deployment)
    sealing = _sealing(anywhere, 10)
    before = _verified(anywhere).chains["admin"].entries
    try:
        _rule(sealing, 11)
        with sealing.deployment.store.read() as tx:
            last = tx.audit.last_checkpoint("admin")
        assert last is not None
        assert last.sequence // 10 == (before + 11) // 10
        assert last.sequence > before
        with pytest.raises(ZeroDivisionError):
            _roll_back_many(sealing, last.at)
        with sealing.deployment.store.read() as tx:
            assert tx.audit.last_checkpoint("admin") == last
    finally:
        sealing.database.close()
    assert _verified(anywhere).problems == []


def _roll_back_many(services: Services, at: dt.datetime) -> None:
    with services.deployment.store.write() as tx:
        for _ in range(10):
            audit.note(tx, at, "x", "x", "x")
        raise ZeroDivisionError


def test_a_change_is_never_refused_for_want_of_the_audit_key(small: Services) -> None:
    checkpoints.keep(small.deployment)
    for path in (small.settings.home / "keys").glob("audit-*"):
        path.unlink()
    with opened(small.settings.home) as again:
        sealing = _sealing(again, 10)
        _rule(sealing, 11)
        sealing.database.close()
        assert checkpoints.keep(again.deployment) == 1  # with a key of its own
        assert len(_pems(again)) == 2
        assert _verified(again).problems == []


def test_a_new_key_signs_and_the_old_one_still_counts(small: Services) -> None:
    checkpoints.keep(small.deployment)
    kid = checkpoints.rotate(small.deployment, ADMIN).kid
    checkpoints.keep(small.deployment)
    with small.deployment.store.read() as tx:
        last = tx.audit.last_checkpoint("admin")
    assert last is not None
    assert last.kid == kid
    assert _verified(small).problems == []
    newest = offline.read_keys(_pems(small)[:1])
    problems = offline.verify(export.lines(small.deployment, ADMIN), newest).problems
    assert all("key that was not given" in problem for problem in problems)
    assert problems


# --- tampering -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(
    small_home_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lines, bytes]:
    """An export of a home in which something happened, with entries behind the last checkpoint."""
    import shutil  # noqa: PLC0415

    home = Path(shutil.copytree(small_home_template, tmp_path_factory.mktemp("audit") / "home"))
    with opened(home) as services:
        wanted = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
        serials = [issue(services.deployment, ADMIN, wanted).record.serial.value for _ in range(2)]
        checkpoints.keep(services.deployment)
        revoke(services.deployment, ADMIN, serials[0], Reason.SUPERSEDED)
        _rule(services)
        checkpoints.keep(services.deployment)
        revoke(services.deployment, ADMIN, serials[1], Reason.SUPERSEDED)
        (pem,) = _pems(services)
        lines = [json.loads(line) for line in export.lines(services.deployment, ADMIN)]
    return lines, pem


def _problems(lines: Lines, pem: bytes) -> list[str]:
    return offline.verify(map(json.dumps, lines), offline.read_keys([pem])).problems


def _entries(lines: Lines, chain: str) -> Lines:
    return [line for line in lines if line["kind"] == "entry" and line["chain"] == chain]


def _reseal(lines: Lines, chain: str) -> None:
    """Compute every hash of a chain anew, as somebody could who writes it anew."""
    previous = bytes(32).hex()
    for entry in _entries(lines, chain):
        entry["previousHash"] = previous
        told = (entry["actor"], entry["action"], entry["subject"], entry["details"])
        at = dt.datetime.fromisoformat(entry["at"])
        sealed = audit.entry_hash(chain, entry["sequence"], at, told, bytes.fromhex(previous))
        entry["entryHash"] = previous = sealed.hex()


def _counted(lines: Lines) -> None:
    lines[-1]["entries"] = sum(line["kind"] == "entry" for line in lines)


def _drop(lines: Lines, chain: str, *numbers: int) -> None:
    for entry in [_entries(lines, chain)[number] for number in numbers]:
        lines.remove(entry)
    _counted(lines)


def _edit(lines: Lines, chain: str) -> None:
    _entries(lines, chain)[1]["actor"] = "somebody else"


def _rewrite(lines: Lines, chain: str) -> None:
    _edit(lines, chain)
    _reseal(lines, chain)


def _drop_and_renumber(lines: Lines, chain: str) -> None:
    _drop(lines, chain, 1)
    for number, entry in enumerate(_entries(lines, chain), start=1):
        entry["sequence"] = number
    _reseal(lines, chain)


def _swap(lines: Lines, chain: str) -> None:
    one, two = _entries(lines, chain)[1:3]
    i, j = lines.index(one), lines.index(two)
    lines[i], lines[j] = two, one


def _move_apart(lines: Lines, chain: str) -> None:
    entry = _entries(lines, chain)[-1]
    lines.remove(entry)
    lines.insert(len(lines) - 1 if chain == "admin" else 8, entry)


def _drop_chain(lines: Lines, chain: str) -> None:
    _drop(lines, chain, *range(len(_entries(lines, chain))))


def _cut_behind(lines: Lines, chain: str) -> None:
    """Cut a chain at an entry that a checkpoint vouches for."""
    while _entries(lines, chain)[-1]["action"] not in ("certificate.issue", offline.CHECKPOINT):
        _drop(lines, chain, -1)
    _drop(lines, chain, -1)


def _own_checkpoint(lines: Lines, chain: str) -> None:
    """Write the chain anew, and sign it with a key of one's own."""
    _rewrite(lines, chain)
    for line in lines:
        if line["kind"] == "checkpoint" and line["chain"] == chain:
            line["entryHash"] = _entries(lines, chain)[line["sequence"] - 1]["entryHash"]


def _add_entry(lines: Lines, chain: str) -> None:
    last = _entries(lines, chain)[-1]
    lines.insert(lines.index(last), dict(last))
    _counted(lines)


_TAMPERINGS: tuple[Callable[[Lines, str], None], ...] = (
    _edit,
    _rewrite,
    _drop_and_renumber,
    _swap,
    _move_apart,
    _drop_chain,
    _cut_behind,
    _own_checkpoint,
    _add_entry,
)


@pytest.mark.parametrize("chain", ["admin", "mo2-2.g1"])
@pytest.mark.parametrize("tamper", _TAMPERINGS)
def test_tampering_shows_in_the_file(
    record: tuple[Lines, bytes], tamper: Callable[[Lines, str], None], chain: str
) -> None:
    lines, pem = json.loads(json.dumps(record[0])), record[1]
    assert _problems(lines, pem) == []
    tamper(lines, chain)
    assert _problems(lines, pem)


@pytest.mark.parametrize("kind", ["audit", "checkpoint", "end"])
def test_a_file_without_its_parts_is_refused(record: tuple[Lines, bytes], kind: str) -> None:
    lines, pem = record
    assert _problems([line for line in lines if line["kind"] != kind], pem)


def test_a_file_cut_anywhere_is_refused(record: tuple[Lines, bytes]) -> None:
    lines, pem = record
    for length in range(len(lines)):
        assert _problems(lines[:length], pem), length


def test_any_changed_member_of_any_entry_or_checkpoint_is_found(
    record: tuple[Lines, bytes],
) -> None:
    lines, pem = record
    for number, line in enumerate(lines):
        if line["kind"] in ("entry", "checkpoint"):
            for name, value in line.items():
                changed = value + 1 if isinstance(value, int) else f"{value}0"
                if name in ("kind", "publicKey"):
                    continue
                other = [*lines[:number], line | {name: changed}, *lines[number + 1 :]]
                assert _problems(other, pem), (number, name)


def test_what_is_behind_the_last_checkpoint_is_counted_as_unsigned(
    record: tuple[Lines, bytes],
) -> None:
    lines, pem = record
    found = offline.verify(map(json.dumps, lines), offline.read_keys([pem]))
    state = found.chains["mo2-2.g1"]
    assert state.signed == state.entries - 1


@given(st.lists(st.text(max_size=80) | st.sampled_from(["{}", '{"kind":"entry"}', "[]", "1"])))
def test_no_file_makes_the_verifier_fail(lines: list[str]) -> None:
    assert offline.verify(lines, {}).problems


# --- the commands --------------------------------------------------------------------------------


def test_export_key_and_verify_from_a_shell(small_home: Path, tmp_path: Path) -> None:
    out, key = tmp_path / "audit.jsonl", tmp_path / "audit.pem"
    assert refused(small_home, "audit", "key")["code"] == "audit_key_unknown"
    assert ok(small_home, "audit", "export", "--out", str(out))["lines"] > 10
    key.write_text(run(small_home, "audit", "key").stdout)
    nowhere = tmp_path / "nowhere"
    words = ("audit", "verify", str(out), "--key", str(key))
    assert ok(nowhere, *words)["intact"] is True
    assert refused(nowhere, "audit", "verify", str(out))["code"] == "key_missing"
    assert ok(small_home, "audit", "verify")["checkpoints"]["problems"] == []
    script = [sys.executable, str(ROOT / "scripts/verify_audit.py"), str(out), "--key", str(key)]
    good = subprocess.run(script, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "intact")
    out.write_text(out.read_text().replace("cli:", "CLI:").replace('"test"', '"best"'))
    bad = subprocess.run(script, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (bad.returncode, bad.stdout.splitlines()[-1]) == (1, "broken")
    done = run(nowhere, *words)
    assert done.exit_code == 1
    assert "audit_broken" in done.stderr
    assert run(small_home, "audit", "rotate-key").exit_code == 0
    assert len(ok(small_home, "audit", "key")) == 1
    assert ok(small_home, "audit", "rotate-key", "--yes")["kid"] in ok(small_home, "audit", "key")


def test_a_changed_checkpoint_in_the_database_is_found(small_home: Path) -> None:
    import sqlite3  # noqa: PLC0415

    with opened(small_home) as services:
        checkpoints.keep(services.deployment)
    with sqlite3.connect(small_home / "pnc.db") as database:
        database.execute("UPDATE audit_checkpoints SET entry_hash = x'00'")
    database.close()
    done = run(small_home, "audit", "verify")
    assert done.exit_code == 1
    assert "signature over admin" in done.stderr


# --- search --------------------------------------------------------------------------------------


def test_searches_page_without_gap_newest_first(anywhere: Services) -> None:
    later = replace(
        anywhere.deployment, clock=FixedClock(anywhere.deployment.clock.now() + dt.timedelta(1))
    )
    trust.set_rule(later, ADMIN, Domain.PE, StatusRule.REQUIRED)
    everything = export.search(later, ADMIN, AuditQuery(), 500).entries
    assert everything[0].subject == "pe"
    found: list[AuditEntry] = []
    place = None
    while True:
        page = export.search(later, ADMIN, AuditQuery(before=place), 3)
        found += page.entries
        if page.following is None:
            break
        place = export.parse_mark(page.following)
    assert tuple(found) == everything
    for name in ("chain", "actor", "action", "subject"):
        wanted = getattr(everything[2], name)
        some = export.search(later, ADMIN, AuditQuery(**{name: wanted}), 500).entries
        assert some == tuple(e for e in everything if getattr(e, name) == wanted)
    edge = everything[0].at
    assert len(export.search(later, ADMIN, AuditQuery(since=edge), 9).entries) == 1
    assert export.search(later, ADMIN, AuditQuery(until=edge), 500).entries == everything[1:]


def test_only_auditors_and_administrators_read_the_record(small: Services) -> None:
    for role in set(Role) - {Role.ADMIN, Role.AUDITOR}:
        caller = Principal(name="x", role=role, parties=("DEMOA",))
        with pytest.raises(NotAllowed):
            export.search(small.deployment, caller, AuditQuery(), 1)
        with pytest.raises(NotAllowed):
            list(export.lines(small.deployment, caller))
    auditor = Principal(name="x", role=Role.AUDITOR)
    assert export.search(small.deployment, auditor, AuditQuery(), 1).entries


@given(st.text(max_size=60))
def test_any_text_is_a_mark_or_a_named_fault(text: str) -> None:
    codes = []
    try:
        export.parse_mark(text)
    except BadInput as error:
        codes.append(error.code)
    assert codes in ([], ["invalid_mark"])


# --- secrets -------------------------------------------------------------------------------------


def test_nothing_secret_is_in_the_record(small_home: Path) -> None:
    with opened(small_home) as services:
        deployment = services.deployment
        _, token = clients.add(deployment, ADMIN, Role.CPO, ("DEABC",))
        issued = issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=EMAID))
        checkpoints.keep(deployment)
        passphrase = (small_home / "keys" / "passphrase").read_text().strip()
        text = "\n".join(export.lines(deployment, ADMIN))
    assert issued.record.serial.value in text
    assert token not in text
    assert access.token_hash(token).hex() not in text
    assert passphrase not in text
    for word in ("PRIVATE KEY", "pnc_", "passphrase", "secret", "password"):
        assert word not in text
