"""
The documents of OPNC, as far as tests can hold answers against them.

Four faults of theirs are mended here: some operations declare no errors at all, two lists carry the
enumeration of their items, an object with two required members may have one, and one certificate is
bounded by the octets of its DER where characters of base64 are counted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

SERVICES: Final = {
    "rcp": "/opnc/v1/rcp",
    "pcp": "/opnc/v1/pcp",
    "cps": "/opnc/v1/cps",
    "ccp": "/opnc/v1/ccp",
    "pki": "/opnc/v1",
    "event": "",
}
"""Document to what stands before its paths."""

METHODS: Final = ("get", "put", "post", "delete")
_ERRORS: Final = ("400", "401", "403", "404", "500", "503")


def documents(vectors: Path) -> dict[str, dict[str, Any]]:
    """Return the documents, mended; those of EST are another test's."""
    folder = vectors.parent / "spec" / "opnc" / "bundled"
    found = {}
    for service in SERVICES:
        document = json.loads((folder / f"{service}.json").read_text("utf-8"))
        document["paths"] = {p: i for p, i in document["paths"].items() if "/est/" not in p}
        for item in document["paths"].values():
            for method in METHODS:
                if method in item:
                    for status in _ERRORS:
                        item[method]["responses"].setdefault(status, {"description": "An error."})
        _mend(document)
        found[service] = document
    return found


def _mend(value: Any) -> None:
    if isinstance(value, dict):
        if value.get("type") == "array" and "enum" in value:
            value["items"] = {"type": "string", "enum": value.pop("enum")}
        if value.get("maxProperties") == 1 and len(value.get("required", ())) > 1:
            del value["maxProperties"]
        if value.get("maxLength") == 800:
            value["maxLength"] = 2136
        for inner in value.values():
            _mend(inner)
    elif isinstance(value, list):
        for inner in value:
            _mend(inner)


def check(
    documents: dict[str, dict[str, Any]], service: str, method: str, path: str, answer: TestResponse
) -> None:
    """Hold an answer against the document of its service; `path` is the template."""
    responses = documents[service]["paths"][path][method.lower()]["responses"]
    declared = responses[str(answer.status_code)]
    schema = declared.get("content", {}).get("application/json", {}).get("schema")
    if schema is not None:
        Draft202012Validator(schema).validate(answer.json)
