"""One verdict, three renderings: the table in code is the one in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pki.cli import main
from pki.model import Accepted, Decision, Fault, Rejected
from pki.validate import outcomes
from pki.validate.render import to_json, to_ocpp
from tests.builders import NOW
from web.ocpp import schema

DOCUMENT = Path(outcomes.__file__).with_name("OUTCOMES.md")


def _documented() -> dict[str, list[str]]:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    assert cells[0] == list(outcomes.COLUMNS)
    return {row[0]: row[1:] for row in cells[2:]}


def _rejected(fault: Fault) -> Rejected:
    return Rejected(
        emaid=None, edition=None, checks=(), path=(), with_chain=True, account=None,
        fault=fault, explanation=f"{outcomes.OUTCOMES[fault].meaning}: why.",
    )  # fmt: skip


def _accepted(*, soon: bool) -> Accepted:
    return Accepted(
        emaid=None, edition=None, checks=(), path=(), with_chain=True, account=None,
        expires_soon=soon,
    )  # fmt: skip


VERDICTS: dict[str, Accepted | Rejected] = {
    "": _accepted(soon=False),
    "(expires soon)": _accepted(soon=True),
    **{fault.value: _rejected(fault) for fault in Fault},
}


def test_the_documentation_holds_the_table_of_the_code() -> None:
    assert DOCUMENT.read_text("utf-8").endswith("\n\n" + outcomes.markdown())
    assert list(_documented()) == list(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_every_verdict_is_rendered_as_documented(name: str) -> None:
    verdict = VERDICTS[name]
    told = to_json(Decision(decision_id="d", decided_at=NOW, verdict=verdict))
    status, token, iso2, iso20, meaning = _documented()[name]
    assert to_ocpp(verdict) == told["ocpp"]
    assert told["ocpp"] == {"idTokenInfo": {"status": token}, "certificateStatus": status}
    assert (told["iso15118_2"], told["iso15118_20"]) == (iso2, iso20)
    assert told["explanation"].startswith(meaning)
    assert told["accepted"] is (name not in set(Fault))


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_every_word_for_ocpp_is_one_of_its_schema(version: str) -> None:
    known = schema(version, "AuthorizeResponse")["definitions"]
    for status, token, *_ in _documented().values():
        assert status in known["AuthorizeCertificateStatusEnumType"]["enum"]
        assert token in known["AuthorizationStatusEnumType"]["enum"]


def test_the_command_shows_the_table() -> None:
    done = CliRunner().invoke(main, ["decision", "outcomes", "--json"])
    shown = json.loads(done.output)["outcomes"]
    assert [list(row.values()) for row in shown] == [[k, *v] for k, v in _documented().items()]
    wide = CliRunner(env={"COLUMNS": "300"}).invoke(main, ["decision", "outcomes"])
    assert "FAILED_ContractCanceled" in wide.output
