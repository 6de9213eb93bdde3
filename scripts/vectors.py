"""
The format of path, CRL and OCSP vectors (README of `shared/vectors/path`), held to before judging.

A file that is not of it is refused with the case and the member that are wrong: a case that is not
understood must not look like one that passed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pki.clock import parse_time
from pki.errors import BadInput
from scripts.judging import Json


class BadVectors(Exception):
    """What is wrong, with its file and case."""


@dataclass(frozen=True, slots=True)
class Member:
    """What a member of a case must be, in words and as a question."""

    words: str
    holds: Callable[[Any], bool]

    def or_null(self) -> Member:
        """Allow null as well."""
        return Member(f"{self.words} or null", lambda v: v is None or self.holds(v))


@dataclass(frozen=True, slots=True)
class Format:
    """
    One kind of cases.

    Attributes:
        kind: as on the command line.
        mark: the member by which its cases are told from others.
        optional: members that may be missing.
    """

    kind: str
    mark: str
    members: Mapping[str, Member]
    optional: Mapping[str, Member]


def _one_of(*words: str) -> Member:
    return Member(f"one of {', '.join(words)}", lambda v: isinstance(v, str) and v in words)


def _is_time(value: Any) -> bool:  # noqa: ANN401 - of JSON
    try:
        return bool(parse_time(value))
    except (BadInput, TypeError, AttributeError):
        return False


def _is_item(value: Any) -> bool:  # noqa: ANN401 - as above
    if not isinstance(value, dict):
        return False
    if "file" in value:
        return isinstance(value["file"], str)
    try:
        return bool(base64.b64decode(value["der"], validate=True))
    except (KeyError, TypeError, ValueError, binascii.Error):
        return False


def _is_policy(value: Any) -> bool:  # noqa: ANN401 - as above
    flags = ("require_explicit", "inhibit_mapping", "inhibit_any")
    return (
        isinstance(value, dict)
        and isinstance(value.get("initial_policy_set"), list)
        and all(isinstance(value.get(flag), bool) for flag in flags)
    )


_TEXT: Final = Member("a text", lambda v: isinstance(v, str) and bool(v))
_NUMBER: Final = Member("a number", lambda v: isinstance(v, int) and not isinstance(v, bool))
_TIME: Final = Member("a time in UTC such as 2026-01-31T12:00:00Z", _is_time)
_ITEM: Final = Member('{"file": path} or {"der": base64}', _is_item)
_ITEMS: Final = Member(
    "a list of such items: " + _ITEM.words,
    lambda v: isinstance(v, list) and all(map(_is_item, v)),
)
_ANSWER: Final = _one_of("accept", "reject")

CLASSES: Final = ("core", "anchor", "policy", "crl-ext", "dsa", "profile")
PATH: Final = Format(
    "path",
    "anchors",
    {
        "id": _TEXT,
        "class": _one_of(*CLASSES),
        "anchors": _ITEMS,
        "intermediates": _ITEMS,
        "leaf": _ITEM,
        "crls": _ITEMS,
        "revocation": _one_of("required", "none"),
        "time": _TIME,
        "eku": _TEXT.or_null(),
        "max_intermediates": _NUMBER.or_null(),
        "policy": Member("an object of four policy inputs", _is_policy).or_null(),
        "expected": _ANSWER,
    },
    {"v2g_expected": _ANSWER},
)
CRL: Final = Format(
    "crl",
    "crl",
    {
        "id": _TEXT,
        "issuers": _ITEMS,
        "leaf": _ITEM,
        "crl": _ITEM,
        "time": _TIME,
        "max_age_days": _NUMBER,
        "expected": _one_of("good", "revoked", "unknown", "reject"),
    },
    {},
)
OCSP: Final = Format(
    "ocsp",
    "response",
    {
        "id": _TEXT,
        "issuer": _ITEM,
        "leaf": _ITEM,
        "response": _ITEM,
        "time": _TIME,
        "max_age_days": _NUMBER,
        "expected": _one_of("good", "revoked", "unknown"),
    },
    {"request": _ITEM.or_null()},
)


def cases(path: Path, wanted: Format) -> list[tuple[Path, Json]]:
    """
    Return every case of a file, or of a folder's files, each with its folder.

    A folder's files of another kind are passed over.

    Raises:
        BadVectors: one of them is not of the format.
    """
    found: list[tuple[Path, Json]] = []
    names: set[str] = set()
    for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
        for case in _of_kind(file, wanted):
            _hold(file, case, wanted)
            if case["id"] in names:
                raise BadVectors(f"{file}: there are two cases {case['id']}")
            names.add(case["id"])
            found.append((file.parent, case))
    return found


def read_json(file: Path) -> Any:  # noqa: ANN401 - any JSON
    """Read a file. Raises BadVectors."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadVectors(f"{file} is no JSON file: {error}") from error


def _of_kind(file: Path, wanted: Format) -> list[Json]:
    document = read_json(file)
    listed = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(case, dict) for case in listed):
        raise BadVectors(f'{file} is no object with a list "cases" of objects')
    marked = [case for case in listed if wanted.mark in case]
    if marked and len(marked) < len(listed):
        other = next(case for case in listed if wanted.mark not in case)
        raise BadVectors(f'{file}, case {other.get("id", "without id")}: lacks "{wanted.mark}"')
    return marked


def _hold(file: Path, case: Json, wanted: Format) -> None:
    where = f"{file}, case {case.get('id', 'without id')}"
    for name, member in (*wanted.members.items(), *wanted.optional.items()):
        if name not in case:
            if name in wanted.optional:
                continue
            raise BadVectors(f'{where}: lacks "{name}", {member.words}')
        if not member.holds(case[name]):
            raise BadVectors(f'{where}: "{name}" is not {member.words}')
    for item in _items(case):
        if "file" in item and not (file.parent / item["file"]).is_file():
            raise BadVectors(f"{where}: there is no file {item['file']} beside it")


def _items(case: Json) -> Iterator[Json]:
    for value in case.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and _is_item(item):
                yield item
