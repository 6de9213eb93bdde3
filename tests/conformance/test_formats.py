"""Files of vectors are held to their format: what is not understood is told, not passed over."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.conformance import main
from tests.builders import NOW, chain

CHAIN = chain()


def _item(der: bytes) -> dict[str, str]:
    return {"der": base64.b64encode(der).decode()}


def _case(**changes: Any) -> dict[str, Any]:
    case = {
        "id": "made::1",
        "class": "core",
        "anchors": [_item(CHAIN.root.der)],
        "intermediates": [_item(made.der) for made in CHAIN.sub_cas],
        "leaf": _item(CHAIN.leaf.der),
        "crls": [],
        "revocation": "none",
        "time": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        "eku": None,
        "max_intermediates": None,
        "policy": None,
        "expected": "accept",
    }
    return {name: value for name, value in {**case, **changes}.items() if value is not ...}


def _written(folder: Path, *cases: object, name: str = "made.json") -> Path:
    file = folder / name
    file.write_text(json.dumps({"format": 1, "suite": "made", "cases": cases}), "utf-8")
    return file


def _run(kind: str, path: Path) -> int:
    try:
        return main([kind, str(path)])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_a_file_and_its_folder_are_judged_and_counted_by_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "leaf.der").write_bytes(CHAIN.leaf.der)
    wrong = _case(id="made::2", expected="reject")
    apart = {"id": "made::3", "class": "profile", "expected": "reject"}
    file = _written(tmp_path, _case(leaf={"file": "leaf.der"}), wrong, _case(**apart))
    for path in (file, tmp_path):
        assert _run("path", path) == 1
        told = capsys.readouterr().out.splitlines()
        assert told[0].startswith("FAILED made::2: wanted reject, got accept")
        assert told[1].startswith("NOT SCORED made::3: wanted reject, got accept")
        assert told[2:] == [
            "core: 1 passed, 1 failed, 0 skipped",
            "profile: 0 passed, 0 failed, 1 skipped",
            "1 passed, 1 failed, 1 skipped",
        ]


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"class": "odd"}, '"class" is not one of core, anchor, policy, crl-ext, dsa, profile'),
    ({"class": ...}, 'lacks "class"'),
    ({"expected": "perhaps"}, '"expected" is not one of accept, reject'),
    ({"v2g_expected": "maybe"}, '"v2g_expected" is not one of accept, reject'),
    ({"revocation": "soft"}, '"revocation" is not one of required, none'),
    ({"time": "yesterday"}, '"time" is not a time in UTC'),
    ({"leaf": {"der": "!!"}}, '"leaf" is not {"file": path} or {"der": base64}'),
    ({"leaf": {"file": "gone.der"}}, "there is no file gone.der beside it"),
    ({"anchors": [{"file": "gone.der"}]}, "there is no file gone.der beside it"),
    ({"anchors": {}}, '"anchors" is not a list'),
    ({"policy": {"initial_policy_set": []}}, '"policy" is not an object of four policy inputs'),
    ({"max_intermediates": "2"}, '"max_intermediates" is not a number or null'),
    ({"id": ""}, '"id" is not a text'),
]


@pytest.mark.parametrize(("changes", "told"), BROKEN, ids=[told for _, told in BROKEN])
def test_a_case_that_is_not_understood_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], told: str
) -> None:
    _written(tmp_path, _case(id="made::0"), _case(**changes))
    assert _run("path", tmp_path) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert "made.json" in captured.err
    assert not captured.out  # nothing was judged before


@pytest.mark.parametrize("kind", ["path", "crl", "ocsp"])
@pytest.mark.parametrize("text", ["{bad", "[]", '{"cases": {}}', '{"cases": [1]}', "\xff"])
def test_a_file_of_no_format_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, text: str
) -> None:
    (tmp_path / "odd.json").write_bytes(text.encode("latin-1"))
    assert _run(kind, tmp_path) == 2
    assert "odd.json" in capsys.readouterr().err


def test_neither_a_path_that_is_missing_nor_one_without_cases_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("path", tmp_path / "none") == 2
    assert _run("crl", _written(tmp_path, _case())) == 1
    assert "holds no case of kind crl" in capsys.readouterr().err


def test_two_cases_of_one_name_and_a_case_of_another_kind_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _written(tmp_path, _case(), name="a.json")
    _written(tmp_path, _case(), name="b.json")
    assert _run("path", tmp_path) == 2
    assert "there are two cases made::1" in capsys.readouterr().err
    assert _run("path", _written(tmp_path, _case(), {"id": "made::9"})) == 2
    assert 'case made::9: lacks "anchors"' in capsys.readouterr().err
