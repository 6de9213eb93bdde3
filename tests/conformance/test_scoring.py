"""How chains are scored by class, with a judge that answers wrongly on purpose."""

from __future__ import annotations

import pytest

from scripts.judges_path import scored
from scripts.judging import Verdict, timed

TABLE = [
    # class, expected, answer, result, reported
    ("core", "accept", "accept", "passed", False),
    ("core", "accept", "reject", "failed", False),
    ("core", "reject", "accept", "failed", False),
    ("anchor", "reject", "accept", "failed", False),
    ("policy", "reject", "accept", "failed", False),
    ("policy", "accept", "reject", "skipped", True),
    ("crl-ext", "accept", "reject", "skipped", True),
    ("dsa", "reject", "reject", "passed", False),
    ("dsa", "reject", "broken", "failed", False),
    ("profile", "reject", "accept", "skipped", True),
    ("profile", "reject", "reject", "skipped", False),
    ("profile", "accept", "broken", "failed", False),
]


@pytest.mark.parametrize(("group", "wanted", "answer", "result", "reported"), TABLE)
def test_a_class_decides_what_a_difference_means(
    group: str,
    wanted: str,
    answer: str,
    result: str,
    reported: bool,  # noqa: FBT001 - a table
) -> None:
    case = {"id": "x", "class": group, "expected": wanted}
    outcome = scored(case, Verdict(answer, "why"))
    assert (outcome.result, bool(outcome.report)) == (result, reported)


def test_a_crash_is_no_answer() -> None:
    def crash() -> Verdict:
        raise RuntimeError("boom")

    assert timed(crash) == Verdict("broken", "RuntimeError: boom")


def test_control_characters_are_no_answer() -> None:
    assert timed(lambda: Verdict("reject", "a\x1b[2Jb")).answer == "broken"
