"""Agreements, credentials, ranges and contract terms from the command line."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_cli import ok, refused
from tests.homes import EMAID

CSV = """cpo,emsp,id,countries,kinds,sessions,until
DE*CPA,DE-MOA,north,DE NL,emaid;rfid,2,2099-01-01
*,DEMOA,south,,,,
"""


def _agreements(home: Path) -> list[tuple[str, int, str]]:
    return [(a["agreementId"], a["version"], a["state"]) for a in ok(home, "agreement", "list")]


def test_an_old_demo_home_gets_the_demo_agreement_once(small_home: Path) -> None:
    assert _agreements(small_home) == []
    ok(small_home, "init")
    assert _agreements(small_home) == [("demo", 1, "active")]
    shown = ok(small_home, "agreement", "withdraw", "demo")
    assert (shown["dryRun"], _agreements(small_home)) == (True, [("demo", 1, "active")])
    ok(small_home, "agreement", "withdraw", "demo", "--yes")
    ok(small_home, "init")
    assert _agreements(small_home) == [("demo", 2, "withdrawn")]


def test_a_csv_file_is_written_whole(small_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(CSV)
    assert ok(small_home, "agreement", "import", str(file))["dryRun"]
    assert _agreements(small_home) == []
    written = ok(small_home, "agreement", "import", str(file), "--yes")["agreements"]
    assert written[0]["countries"] == ["DE", "NL"]
    assert written[0]["kinds"] == ["emaid", "rfid"]
    assert [name for name, *_ in _agreements(small_home)] == ["north", "south"]


def test_a_csv_file_with_faults_names_every_line_and_writes_nothing(
    small_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    lines = ("DEX,DEMOA,a,,,,", "DECPA,DEMOA,b,,card,,", "DECPA,DEMOA,c,,,x,", "DECPA,DEMOA,c,,,,")
    bad = "\n".join((*lines, "DECPA,DEMOA,c,,,,", "DECPA,DEMOA", "DECPA,DEMOA,d,,,,1999-01-01"))
    file.write_text(CSV + bad)
    error = refused(small_home, "agreement", "import", str(file), "--yes")
    assert error["code"] == "invalid_csv"
    numbers = [fault.partition(":")[0] for fault in error["faults"]]
    assert numbers == ["line 4", "line 5", "line 6", "line 8", "line 9", "line 10"]
    assert _agreements(small_home) == []
    for text in ("cpo\nDECPA\n", "cpo,emsp,price\n", '"cpo,emsp\n', ""):
        file.write_text(text)
        assert refused(small_home, "agreement", "import", str(file))["code"] == "invalid_csv"
    file.write_bytes(b"cpo,emsp\n\xff,\n")
    assert refused(small_home, "agreement", "import", str(file))["code"] == "invalid_csv"


def test_credentials_and_terms_of_a_contract(small_home: Path) -> None:
    ok(small_home, "contract", "add", EMAID)
    card = ok(small_home, "credential", "add", EMAID, "rfid", "04:a2", "--whitelist", "NEVER")
    assert (card["uid"], card["whitelist"]) == ("04:a2", "NEVER")
    blocked = ok(small_home, "credential", "set", EMAID, "rfid", "04A2", "blocked")
    assert blocked["state"] == "blocked"
    kinds = [each["kind"] for each in ok(small_home, "credential", "list", EMAID)]
    assert kinds == ["emaid", "rfid"]
    terms = ok(small_home, "contract", "terms", EMAID, "--until", "2030-01-01")
    assert terms["validUntil"] == "2030-01-01T00:00:00Z"
    terms = ok(small_home, "contract", "terms", EMAID, "--until", "-", "--whitelist", "ALWAYS")
    assert (terms["validUntil"], terms["whitelist"]) == (None, "ALWAYS")


def test_ranges_hubs_and_emsps(small_home: Path) -> None:
    ok(small_home, "emsp", "add", "FR-MOB")
    ok(small_home, "party", "add", "NLHUB", "--role", "hub", "--name", "Hub")
    party = ok(small_home, "party", "set", "FRMOB", "--role", "emsp", "--hub", "NLHUB")
    assert party["hub"] == "NLHUB"
    ported = ok(small_home, "range", "add", "emaid", "DE-MOA-C1", "FRMOB", "--from", "2030-01-01")
    assert (ported["prefix"], ported["portedFrom"]) == ("DEMOAC1", "DEMOA")
    assert ok(small_home, "range", "list") == [ported]
    unknown = refused(small_home, "range", "add", "emaid", "DE", "NLXXX")
    assert unknown["code"] == "party_unknown"
    token = small_home / "hook.token"
    token.write_text("s3cret\n", "utf-8")
    hook = ("--realtime-url", "https://e.example/ask")
    emsp = ok(small_home, "emsp", "set", "FRMOB", *hook, "--realtime-token-file", str(token))
    assert (emsp["realtimeUrl"], emsp["realtimeToken"]) == ("https://e.example/ask", True)
    assert not ok(small_home, "emsp", "set", "FRMOB", *hook)["realtimeToken"]
    lonely = refused(small_home, "emsp", "set", "FRMOB", "--realtime-token-file", str(token))
    assert lonely["code"] == "invalid_token"
    assert ok(small_home, "session", "list") == []
    made = ok(small_home, "agreement", "add", "DE*CPA", "*", "--evse", "DE*CPA*E1")
    assert made["evseGroups"] == ["DECPAE1"]
