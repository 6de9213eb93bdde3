"""Many certificates from one file: judged first, issued once, whatever happens between."""

from __future__ import annotations

import base64
import csv as tables
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from pki import audit, lookup, parties
from pki.bulk import Done, Fault, Form, Ready, issue_rows, prepare_rows, read_sheet
from pki.cli import main
from pki.cli.bulk_work import _plans_anew
from pki.errors import BadInput
from pki.issue import IssueRequest, place_many
from pki.issue.phases import _begin, _store_intents
from pki.model import IntentState, Role
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.services import Services
from pki.store.engines import open_backend
from tests.homes import ADMIN, make_home, opened
from tests.issue.test_issue import csr

ROOT = Path(__file__).resolve().parents[2]
CHARGERS = ("v2g-2", "cpo1-2", "cpo2-2")


def sheet(count: int, *, begin: int = 0) -> bytes:
    rows = (
        f"DEMOAC{n:08d},,{base64.b64encode(csr(f'DEMOAC{n:08d}')).decode()}"
        for n in range(begin, begin + count)
    )
    return ("emaid,not_after,csr\n" + "\n".join(rows) + "\n").encode()


def pnc(home: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--home", str(home), *words])
    return done.exit_code, done.output


def names(services: Services) -> list[str]:
    return sorted(r.common_name for r in lookup.search(services.deployment, ADMIN, limit=10_000,
                                                        owner="DEMOA"))  # fmt: skip


# --- the file ------------------------------------------------------------------------------------


def test_every_fault_of_a_file_has_its_line(small_home: Path, tmp_path: Path) -> None:
    good = base64.b64encode(csr("DEMOAC00000001")).decode()
    lines = [
        "emaid,not_after,csr",
        f"DEMOAC00000001,,{good}",
        f"DEMOAC00000002,,{good}",
        "DEMOAC00000003,tomorrow,",
        "DEMOAC00000004,",
        "nonsense,,",
        f"DEMOAC00000001,,{good}",
        "DEOTHC00000001,,",
        "DEMOAC00000005,,not base64!",
    ]
    source = tmp_path / "contracts.csv"
    source.write_text("\n".join(lines), "utf-8")
    out = tmp_path / "out"
    status, output = pnc(
        small_home, "contract", "issue", "--from", str(source), "--out", str(out), "--json"
    )
    assert status == 1
    report = json.loads(output[: output.rindex("}") + 1])
    assert [(fault["line"], fault["code"]) for fault in report["faults"]] == [
        (3, "common_name_mismatch"),
        (4, "invalid_time"),
        (5, "row_malformed"),
        (6, "invalid_emaid"),
        (7, "name_repeated"),
        (8, "account_unknown"),
        (9, "csr_unreadable"),
    ]
    assert (report["issued"], report["failed"], report["rows"]) == (0, 7, 8)
    with opened(small_home) as services:
        assert names(services) == []
    assert not list(out.glob("nonsense*"))  # no key for a name that nobody can have


def test_a_name_spelt_in_another_way_is_the_name_repeated() -> None:
    read = read_sheet(b"secc_id,not_after,csr\nDE*CPA*E1*2,,\nde*cpa*e12,,\nDECPAE3,,\n")
    assert [row.name for row in read.rows] == ["DE*CPA*E1*2", "DECPAE3"]
    assert [(fault.line, fault.code) for fault in read.faults] == [(3, "name_repeated")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "job_unreadable"),
        (b"emaid,csr\n", "job_unreadable"),
        (b"emaid,not_after,csr\n", "job_empty"),
        (b"\xff\xfe", "job_unreadable"),
        (b'emaid,not_after,csr\n"x', "job_unreadable"),
    ],
)
def test_what_is_no_job_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_sheet(data)
    assert caught.value.code == code


@given(st.binary(max_size=300))
def test_any_octets_are_a_job_or_refused(data: bytes) -> None:
    for octets in (data, b"emaid,not_after,csr\n" + data):
        try:
            read = read_sheet(octets)
        except BadInput:
            continue
        assert read.rows or read.faults


# --- the command line ----------------------------------------------------------------------------


def test_a_file_is_issued_once_also_if_run_twice(small_home: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "contracts.csv", tmp_path / "out"
    source.write_bytes(sheet(5))
    words = ("contract", "issue", "--from", str(source), "--out", str(out), "--json")
    for issued, before in ((5, 0), (0, 5)):
        status, output = pnc(small_home, *words)
        assert status == 0, output
        report = json.loads(output)
        assert (report["issued"], report["issuedBefore"]) == (issued, before)
        with (out / "issued.csv").open(encoding="utf-8", newline="") as file:
            told = list(tables.DictReader(file))
        assert [row["line"] for row in told] == ["2", "3", "4", "5", "6"]
        chain = (out / "DEMOAC00000003.pem").read_text("ascii")
        assert chain.count("BEGIN CERTIFICATE") == 3
        assert chain.startswith(told[3]["certificate"])
    with opened(small_home) as services:
        assert len(names(services)) == 5
        assert [r.problem for r in audit.verify(services.deployment.store) if r.problem] == []


def test_rows_without_a_csr_get_a_key_that_later_runs_keep(
    small_home: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "contracts.csv", tmp_path / "out"
    source.write_text("emaid,not_after,csr\nDEMOAC00000001,2027-06-30T00:00:00Z,\n", "utf-8")
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery", "utf-8")
    words = ("--from", str(source), "--out", str(out), "--passphrase-file", str(phrase))
    for _ in range(2):
        status, output = pnc(small_home, "issue", "--profile", "contract", *words)
        assert status == 0, output
    file = out / "DEMOAC00000001.key.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    key = load_pem_private_key(file.read_bytes(), b"correct horse battery")
    with opened(small_home) as services:
        (record,) = lookup.search(services.deployment, ADMIN, owner="DEMOA")
    assert load(record.der).public_key == key.public_key()
    assert f"{record.not_after:%Y-%m-%d}" == "2027-06-30"


def _signer(home: Path, tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    public = tmp_path / "operator.pem"
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with (home / "pnc.toml").open("a", encoding="utf-8") as file:
        file.write(f'[bulk]\nsigners = ["{public}"]\n')
    return key


def test_only_a_job_that_a_registered_key_signed_is_run(small_home: Path, tmp_path: Path) -> None:
    key = _signer(small_home, tmp_path)
    source, signed = tmp_path / "job.csv", tmp_path / "job.sig"
    source.write_bytes(sheet(3))
    words = ("bulk", "run", str(source), "--signature", str(signed), "--out", str(tmp_path / "o"))
    signed.write_bytes(key.sign(source.read_bytes() + b" ", ec.ECDSA(hashes.SHA256())))
    status, output = pnc(small_home, *words, "--processes", "1", "--json")
    assert (status, json.loads(output)["code"]) == (1, "job_not_signed")
    signed.write_bytes(key.sign(source.read_bytes(), ec.ECDSA(hashes.SHA256())))
    status, output = pnc(small_home, *words, "--processes", "1", "--json")
    assert status == 0, output
    report = json.loads(output)
    assert (report["issued"], report["signedBy"]) == (3, "operator.pem")
    assert report == json.loads((tmp_path / "o" / "report.json").read_text("utf-8"))


def test_no_plan_is_kept_from_when_the_tables_were_empty(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in (None, "-c work_mem=5MB"):
        if before is not None:
            monkeypatch.setenv("PGOPTIONS", before)
        with _plans_anew():
            engine = open_backend(postgres_url, 5).engine
            with engine.connect() as connection:
                mode = connection.exec_driver_sql("SHOW plan_cache_mode").scalar()
            engine.dispose()
        assert mode == "force_custom_plan"
        assert os.environ.get("PGOPTIONS") == before


# --- what a killed run leaves --------------------------------------------------------------------


def _ready(services: Services, data: bytes) -> tuple[str, list[Ready]]:
    read = read_sheet(data)
    judged = prepare_rows(services.deployment, ADMIN, Form(kind=read.kind), read.rows, None)
    return read.job, [each for each in judged if isinstance(each, Ready)]


@pytest.mark.parametrize("state", [IntentState.OPEN, IntentState.SIGNING])
def test_an_intent_that_was_left_behind_is_closed_and_its_row_issued(
    anywhere: Services, state: IntentState
) -> None:
    from pki.bulk.work import _identifier, _request  # noqa: PLC0415 - what a killed run had begun

    job, ready = _ready(anywhere, sheet(2))
    request: IssueRequest = _request(
        Form(kind=Kind.CONTRACT), ready[0], _identifier(job, ready[0].line, 0)
    )
    (placed,) = place_many(anywhere.deployment, [(ADMIN, request)])
    assert not isinstance(placed, Exception)
    left = _begin(anywhere.deployment, ADMIN, placed.order)
    assert not isinstance(left, Exception)
    _store_intents(anywhere.deployment, [left])
    if state is IntentState.SIGNING:
        with anywhere.deployment.store.write() as tx:
            tx.intents.move(left.intent.intent_id, IntentState.OPEN, state)
    for before in (False, True):
        outcomes = issue_rows(anywhere.deployment, ADMIN, job, Kind.CONTRACT, ready)
        assert [isinstance(o, Done) and o.before is before for o in outcomes] == [True, True]
    with anywhere.deployment.store.read() as tx:
        found = tx.intents.get(left.intent.intent_id)
    assert found is not None
    assert found.state is IntentState.ABANDONED
    assert lookup.intents(anywhere.deployment, ADMIN) == []
    assert len(names(anywhere)) == 2
    assert [r.problem for r in audit.verify(anywhere.deployment.store) if r.problem] == []


def test_a_row_whose_key_was_blocked_since_fails_alone(anywhere: Services) -> None:
    job, ready = _ready(anywhere, sheet(3))
    import hashlib  # noqa: PLC0415 - for this alone

    with anywhere.deployment.store.write() as tx:
        now = anywhere.deployment.clock.now()
        tx.certificates.block_key(hashlib.sha256(ready[1].keys.spki).digest(), now, "test")
    outcomes = issue_rows(anywhere.deployment, ADMIN, job, Kind.CONTRACT, ready)
    assert [o.code if isinstance(o, Fault) else "" for o in outcomes] == ["", "key_blocked", ""]


def test_i1_a_killed_job_is_run_again_and_issued_once(database_url: str, tmp_path: Path) -> None:
    """kill -9 of a run of two processes when it had issued something, then a run to the end."""
    home, out = tmp_path / "home", tmp_path / "out"
    make_home(home, *CHARGERS, database_url=database_url)
    with opened(home, database_url=database_url) as services:
        parties.add_party(services.deployment, ADMIN, Role.CPO, "DECPA", "Demo CPO")
    key = _signer(home, tmp_path)
    names = [f"DECPAS{number:08d}" for number in range(900)]
    rows = "\n".join(f"{name},,{base64.b64encode(csr(name)).decode()}" for name in names)
    source, signed = tmp_path / "job.csv", tmp_path / "job.sig"
    source.write_text(f"secc_id,not_after,csr\n{rows}\n", "utf-8")
    signed.write_bytes(key.sign(source.read_bytes(), ec.ECDSA(hashes.SHA256())))
    command = [sys.executable, "-m", "pki.cli", "--home", str(home), "bulk", "run", str(source)]
    command += ["--signature", str(signed), "--out", str(out), "--processes", "2", "--json"]
    environment = {"PNC_DATABASE_URL": database_url, "PATH": "/usr/bin:/bin"}

    def issued() -> int:
        with opened(home, database_url=database_url) as services:
            return len(names_of(services))

    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while process.poll() is None and not issued():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL  # it had not come to its end
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["issued"] + report["issuedBefore"] == 900
    with opened(home, database_url=database_url) as services:
        assert names_of(services) == names
        assert lookup.intents(services.deployment, ADMIN) == []
        assert [r.problem for r in audit.verify(services.deployment.store) if r.problem] == []
    with (out / "issued.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(tables.DictReader(file))) == 900


def names_of(services: Services) -> list[str]:
    found = lookup.search(services.deployment, ADMIN, kind=Kind.SECC, limit=10_000)
    return sorted(record.common_name for record in found)
