"""`pnc approve`: from the first administrators to a trust anchor that two people wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pki.cli.output import PROPOSED
from pki.pkix import pem
from tests.builders import Spec, make
from tests.cli.test_cli import ok, refused, run

NAMES = ("alice", "bob")


@pytest.fixture
def home(small_home: Path, tmp_path: Path) -> Path:
    """A home where one other person must approve, with two administrators and their tokens."""
    (small_home / "pnc.toml").write_text("[approvals]\nrequired = 1\n")
    for name in NAMES:
        made = ok(small_home, "client", "token")
        (tmp_path / name).write_text(made["token"] + "\n")
        words = ("--role", "admin", "--id", f"admin-{name}", "--token-hash", made["tokenHash"])
        assert "token" not in ok(small_home, "client", "add", *words)
    return small_home


def _as(home: Path, name: str) -> dict[str, str]:
    return {"PNC_TOKEN_FILE": str(home.parent / name)}


def _proposed(home: Path, name: str, *words: str) -> Any:
    done = run(home, *words, "--json", env=_as(home, name))
    assert done.exit_code == PROPOSED, done.output
    return json.loads(done.stdout)


def test_an_anchor_is_proposed_looked_at_and_approved(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_text(pem.encode(make(Spec(common_name="Another Root")).der))
    words = ("trust", "add", str(file), "--domain", "v2g")
    assert refused(home, *words)["code"] == "person_needed"
    told = _proposed(home, "alice", *words)
    found = told["proposalId"]
    assert len(ok(home, "trust", "list")) == 1
    shown = ok(home, "approve", "show", found)
    assert (shown["verb"], shown["proposedBy"]) == ("trust.add", "admin-alice")
    assert shown["arguments"]["domain"] == "v2g"
    assert [p["proposalId"] for p in ok(home, "approve", "list", "--state", "pending")] == [found]
    accept = ("approve", "accept", found)
    dry = run(home, *accept, env=_as(home, "bob"))
    assert "Nothing was approved" in dry.output
    exact = (*accept, "--sha256", told["sha256"])
    assert refused(home, *exact, env=_as(home, "alice"))["code"] == "own_proposal"
    assert refused(home, *exact)["code"] == "person_needed"
    other = "01" if told["sha256"].endswith("00") else "00"
    wrong = (*accept, "--sha256", told["sha256"][:-2] + other)
    assert refused(home, *wrong, env=_as(home, "bob"))["code"] == "not_what_was_proposed"
    done = run(home, *exact, "--json", env=_as(home, "bob"))
    assert json.loads(done.stdout)["state"] == "done", done.output
    assert len(ok(home, "trust", "list")) == 2
    assert refused(home, "approve", "run", found, env=_as(home, "bob"))["code"] == "proposal_ended"


def test_a_rejection_ends_it(home: Path) -> None:
    words = ("trust", "policy", "mo", "--status", "not-required")
    found = _proposed(home, "bob", *words)["proposalId"]
    done = run(home, "approve", "reject", found, "--json", env=_as(home, "alice"))
    assert json.loads(done.stdout)["state"] == "rejected"


def test_a_clients_token_is_shown_at_the_proposal_and_good_after_it(home: Path) -> None:
    told = _proposed(home, "alice", "client", "add", "--role", "cpo", "--party", "DE*ABC")
    (home.parent / "cpo").write_text(told["token"])
    assert refused(home, "trust", "list", env=_as(home, "cpo"))["code"] == "token_invalid"
    words = ("approve", "accept", told["proposalId"], "--sha256", told["sha256"])
    assert run(home, *words, env=_as(home, "bob")).exit_code == 0
    assert refused(home, "trust", "list", env=_as(home, "cpo"))["code"] == "role_not_allowed"
    assert refused(home, "client", "add", "--role", "admin", env=_as(home, "bob"))["code"] == (
        "token_hash_missing"
    )


@pytest.mark.parametrize("value", ["", "zz", "00" * 31])
def test_refuses_what_is_no_hash(home: Path, value: str) -> None:
    error = refused(home, "client", "add", "--role", "hub", "--token-hash", value or "x")
    assert error["code"] == "invalid_token_hash"


def test_refuses_a_token_file_that_is_not_there(home: Path) -> None:
    error = refused(home, "approve", "list", env=_as(home, "nobody"))
    assert error["code"] == "token_file_unreadable"
