"""Agreements from a CSV file."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Mapping
from typing import Final

from pki import access
from pki.agreements import checked_terms, is_free, write
from pki.clock import parse_time
from pki.errors import BadInput, PkiError
from pki.ids import quote
from pki.model import Agreement, CredentialKind, Principal, Terms
from pki.ports import Deployment

MAX_ROWS: Final = 10_000
COLUMNS: Final = (
    "id",
    "cpo",
    "emsp",
    "from",
    "until",
    "countries",
    "operators",
    "evseGroups",
    "kinds",
    "sessions",
    "tariff",
)
"""Of a CSV file; lists within a cell are separated by blanks or semicolons."""


def import_csv(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> list[Agreement]:
    """
    Write the agreements of a CSV file with a header, all of them or none.

    Raises:
        BadInput: `invalid_csv`, with every faulty line in `data["faults"]`.
    """
    access.require(principal, access.Action.KEEP_ROAMING)
    now = deployment.clock.now()
    faults: list[str] = []
    wanted: list[tuple[int, str | None, Terms]] = []
    for number, row in _rows(text):
        try:
            terms = checked_terms(_terms(row, now))
            wanted.append((number, _cell(row, "id"), terms))
        except PkiError as error:
            faults.append(f"line {number}: {error.message}")
    made: list[Agreement] = []
    with deployment.store.read() if dry_run else deployment.store.write() as tx:
        seen: set[str] = set()
        for number, name, _ in wanted:
            if name is not None and (name in seen or not is_free(tx, name)):
                faults.append(f"line {number}: the id {quote(name)} is taken or no id.")
            seen.add(name or "")
        if faults:
            raise BadInput(
                "invalid_csv",
                f"The file has {len(faults)} faulty lines; nothing was written.",
                data={"faults": sorted(faults, key=_line_number)},
            )
        if not dry_run:
            made = [write(deployment, principal, tx, terms, name) for _, name, terms in wanted]
    return made


def _line_number(fault: str) -> int:
    return int(fault.removeprefix("line ").partition(":")[0])


def _rows(text: str) -> Iterable[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = reader.fieldnames or ()
        unknown = [name for name in header if name not in COLUMNS]
        if unknown or "cpo" not in header or "emsp" not in header:
            raise BadInput(
                "invalid_csv",
                "The first line must name the columns cpo and emsp, and no unknown ones.",
                hint="Columns: " + ", ".join(COLUMNS) + ".",
            )
        found = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadInput("invalid_csv", f"Line {reader.line_num} is not CSV: {error}.") from error
    if len(found) > MAX_ROWS:
        raise BadInput("invalid_csv", f"The file has more than {MAX_ROWS} lines.")
    return found


def _cell(row: Mapping[str, str | None], name: str) -> str | None:
    return (row.get(name) or "").strip() or None


def _terms(row: Mapping[str, str], now: dt.datetime) -> Terms:
    if None in row or None in row.values():
        raise BadInput("invalid_csv", "The line has more or fewer cells than the header.")
    begin, end, sessions = (_cell(row, name) for name in ("from", "until", "sessions"))
    if sessions is not None and not re.fullmatch("[0-9]{1,4}", sessions):
        raise BadInput("invalid_csv", f"{quote(sessions)} is no number of sessions.")
    return Terms(
        cpo=_cell(row, "cpo") or "",
        emsp=_cell(row, "emsp") or "",
        valid_from=parse_time(begin) if begin else now,
        valid_until=parse_time(end) if end else None,
        countries=_list(row, "countries"),
        operators=_list(row, "operators"),
        evse_groups=_list(row, "evseGroups"),
        kinds=tuple(map(_kind, _list(row, "kinds"))),
        sessions=int(sessions) if sessions else None,
        tariff=_cell(row, "tariff"),
    )


def _list(row: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(re.split(r"[\s;]+", cell)) if (cell := _cell(row, name)) else ()


def _kind(text: str) -> CredentialKind:
    if text not in tuple(CredentialKind):
        raise BadInput(
            "invalid_agreement",
            f"{quote(text)} is no kind of credential.",
            hint="One of: " + ", ".join(CredentialKind) + ".",
        )
    return CredentialKind(text)
