"""Every case of the public suites, judged as `scripts/conformance.py` judges it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import judges_path
from scripts.judging import Json, timed
from scripts.vectors import CRL, OCSP, PATH
from tests.conformance.cases import DIFFERENCES, ROOT, VECTORS, suite

CHAINS = [c for name in ("pkits", "limbo", "bettertls", "bssl_chain") for c in suite(name, PATH)]
CONTRACTS = [c for c in CHAINS if c.values[1] is None or "v2g_expected" in c.values[1]]


@pytest.mark.parametrize(("folder", "case"), CHAINS)
def test_a_chain_is_answered_as_expected_or_as_listed(folder: Path, case: Json) -> None:
    seen = timed(lambda: judges_path.judge_path(folder, case))
    listed = DIFFERENCES.get(case["id"])
    assert seen.answer == (case["expected"] if listed is None else listed["got"]), seen.detail
    assert judges_path.scored(case, seen).result != "failed"


@pytest.mark.parametrize(("folder", "case"), CONTRACTS)
def test_the_contract_decision_is_stricter_where_the_suite_says_so(
    folder: Path, case: Json
) -> None:
    seen = timed(lambda: judges_path.judge_contract(folder, case))
    assert seen.answer == case["v2g_expected"], seen.detail


@pytest.mark.parametrize(("folder", "case"), suite("bssl_crl", CRL))
def test_a_crl_says_what_the_suite_says(folder: Path, case: Json) -> None:
    seen = timed(lambda: judges_path.judge_crl(folder, case))
    assert seen.answer == case["expected"], seen.detail


@pytest.mark.parametrize(("folder", "case"), suite("bssl_ocsp", OCSP))
def test_an_ocsp_answer_is_worth_what_the_suite_says(folder: Path, case: Json) -> None:
    seen = timed(lambda: judges_path.judge_ocsp(folder, case))
    assert seen.answer == case["expected"], seen.detail


def test_every_listed_difference_is_a_case_of_its_class(vectors: Path) -> None:
    assert vectors == VECTORS.parent
    cases = {case["id"]: case for _, case in (c.values for c in CHAINS)}
    for name, listed in DIFFERENCES.items():
        assert cases[name]["class"] == listed["class"], name
        assert cases[name]["expected"] == listed["wanted"] != listed["got"], name


def test_no_difference_is_listed_that_the_suites_forbid() -> None:
    for name, listed in DIFFERENCES.items():
        assert listed["class"] in {"policy", "crl-ext", "dsa", "profile"}, name
        assert listed["clause"], name
        assert listed["class"] == "profile" or listed["got"] == "reject", name


@pytest.mark.parametrize("kind", ["path", "crl", "ocsp"])
def test_the_script_judges_a_folder(vectors: Path, kind: str) -> None:
    done = _script(kind, vectors / "path")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"[1-9]\d* passed, 0 failed, \d+ skipped", done.stdout.splitlines()[-1])


def test_the_script_does_not_pass_a_folder_without_cases(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text('{"cases": []}', "utf-8")
    assert _script("path", tmp_path).returncode == 1


def _script(kind: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "conformance.py"), kind, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
