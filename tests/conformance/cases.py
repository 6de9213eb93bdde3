"""The vectors of `shared/vectors/path` as parameters of tests; skipped, by name, where absent."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts.judging import Json
from scripts.vectors import Format, cases

ROOT = Path(__file__).resolve().parent.parent.parent
VECTORS = Path(os.environ.get("PNC_VECTORS") or ROOT / "../shared/vectors").resolve() / "path"
DIFFERENCES: dict[str, Json] = {
    entry["id"]: entry
    for entry in tomllib.loads((Path(__file__).parent / "disagreements.toml").read_text("utf-8"))[
        "difference"
    ]
}


def suite(name: str, wanted: Format) -> list[Any]:
    """Return (folder, case) for every case of one file."""
    file = VECTORS / f"{name}.json"
    if not file.is_file():
        reason = f"PNC_VECTORS: there is no {file.name} in {VECTORS}"
        return [pytest.param(None, None, id=name, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(folder, case, id=case["id"]) for folder, case in cases(file, wanted)]
