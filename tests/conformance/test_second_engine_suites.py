"""
A second engine over the public suites: it agrees with ours, or the difference is explained.

The verifier of `cryptography` is asked where it applies, `pyhanko-certvalidator` where CRLs or
policies are asked for. What is explained stands in `second_engine.toml` by engine, reason and id.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from pki.clock import parse_time
from scripts import judges_path
from scripts.judging import Json, octets, timed
from scripts.vectors import PATH
from tests.conformance.cases import suite
from tests.conformance.second_engines import ENGINES, Question

CASES = [
    case for name in ("pkits", "limbo", "bettertls", "bssl_chain") for case in suite(name, PATH)
]
TABLE: list[Json] = tomllib.loads(
    (Path(__file__).parent / "second_engine.toml").read_text("utf-8")
)["explained"]
EXPLAINED = {name: entry for entry in TABLE for name in entry["ids"]}


def _engine(case: Json) -> str:
    """Name the engine that can be asked at all."""
    with_policies = case["policy"] is not None or case["class"] == "policy"
    return "pyhanko" if with_policies or case["revocation"] == "required" else "cryptography"


def _question(folder: Path, case: Json) -> Question:
    demands = judges_path._demands(case)
    return Question(
        leaf=octets(folder, case["leaf"]),
        intermediates=[octets(folder, item) for item in case["intermediates"]],
        anchors=[octets(folder, item) for item in case["anchors"]],
        crls=[octets(folder, item) for item in case["crls"]],
        at=parse_time(case["time"]),
        policies=demands.policies,
        revocation=case["revocation"] == "required",
        eku=case["eku"],
        max_intermediates=case["max_intermediates"],
    )


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_both_engines_agree_or_the_difference_is_explained(folder: Path, case: Json) -> None:
    ours = timed(lambda: judges_path.judge_path(folder, case))
    other = ENGINES[_engine(case)](_question(folder, case))
    explained = EXPLAINED.get(case["id"])
    assert (other != (ours.answer == "accept")) is (explained is not None), ours.detail
    assert explained is None or explained["engine"] == _engine(case)


def test_every_explanation_names_cases_of_the_suites_once_and_a_reason(vectors: Path) -> None:
    assert vectors.is_dir()
    assert len(TABLE) > 0
    known = {case["id"] for _, case in (c.values for c in CASES)}
    named = Counter(name for entry in TABLE for name in entry["ids"])
    assert set(named) <= known
    assert max(named.values()) == 1
    assert all(entry["engine"] in ENGINES and entry["reason"] for entry in TABLE)
