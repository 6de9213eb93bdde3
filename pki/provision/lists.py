"""Many contracts at once, from a CSV file: read completely first, and taken up again later."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pki.clock import parse_time
from pki.errors import BadInput
from pki.ids import Edition, Emaid, Fingerprint, Pcid, quote
from pki.ports import Deployment
from pki.provision.generate import Wanted

COLUMNS: Final = ("emaid", "pcid", "ends")
OPTIONAL: Final = ("begins", "edition", "root")
MAX_ROWS: Final = 100_000
MAX_OCTETS: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contract of a list; `line` counts from 1, the header included."""

    line: int
    wanted: Wanted


def read(data: bytes) -> list[Row]:
    """
    Read a CSV file with the columns `emaid,pcid,ends` and, if wanted, `begins,edition,root`.

    Raises:
        BadInput: `invalid_list`, with every faulty row in `data["faults"]`.
    """
    if len(data) > MAX_OCTETS:
        raise _invalid([f"it has more than {MAX_OCTETS} octets"])
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        names = tuple(name.strip().lower() for name in reader.fieldnames or ())
        faults = list(_header(names))
        if faults:
            raise _invalid(faults)
        reader.fieldnames = list(names)
        rows = list(_rows(reader, faults))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _invalid([f"it is no CSV file in UTF-8: {error}"]) from error
    faults += list(_twice(rows))
    if faults:
        raise _invalid(faults)
    return rows


def _header(names: tuple[str, ...]) -> Iterator[str]:
    for name in COLUMNS:
        if name not in names:
            yield f"line 1: the column {name} is missing"
    for name in names:
        if name not in (*COLUMNS, *OPTIONAL) or names.count(name) > 1:
            yield f"line 1: the column {quote(name)} is unknown or stands twice"


def _rows(reader: csv.DictReader[str], faults: list[str]) -> Iterator[Row]:
    for count, values in enumerate(reader, start=1):
        if count > MAX_ROWS:
            faults.append(f"it has more than {MAX_ROWS} rows")
            return
        try:
            yield Row(line=reader.line_num, wanted=_wanted(values))
        except BadInput as error:
            faults.append(f"line {reader.line_num}: {error.message}")


def _wanted(values: dict[str | None, str | None]) -> Wanted:
    if None in values or None in values.values():
        raise BadInput("invalid_row", "The row has not as many fields as the header.")
    text = {str(name): (value or "").strip() for name, value in values.items()}
    edition = text.get("edition") or None
    if edition not in (None, "2", "20"):
        raise BadInput("invalid_row", f"{quote(str(edition))} is no edition; write 2 or 20.")
    read_as = Edition(edition) if edition else Edition.ISO20
    Pcid.parse(text["pcid"], read_as)
    Emaid.parse(text["emaid"], read_as)
    begins = text.get("begins")
    return Wanted(
        emaid=text["emaid"],
        pcid=text["pcid"],
        ends=parse_time(text["ends"]),
        begins=parse_time(begins) if begins else None,
        edition=Edition(edition) if edition else None,
        root=Fingerprint.parse(text["root"]) if text.get("root") else None,
    )


def _twice(rows: list[Row]) -> Iterator[str]:
    seen: dict[tuple[str, Edition | None, Fingerprint | None], int] = {}
    for row in rows:
        emaid = Emaid.parse(row.wanted.emaid, Edition.ISO20).key
        key = (emaid, row.wanted.edition, row.wanted.root)
        if key in seen:
            yield f"line {row.line}: the EMAID stands in line {seen[key]} already"
        seen.setdefault(key, row.line)


def _invalid(faults: list[str]) -> BadInput:
    shown = "; ".join(faults[:5]) + ("; …" if len(faults) > 5 else "")  # noqa: PLR2004 - a line's worth
    return BadInput(
        "invalid_list",
        f"The list has {len(faults)} faults: {shown}.",
        hint="Correct every one; nothing was made.",
        data={"faults": faults},
    )


def done(deployment: Deployment, wanted: Wanted) -> bool:
    """Tell whether the pool holds this contract for this car, with this end, already."""
    read_as = wanted.edition or Edition.ISO20
    pcid = Pcid.parse(wanted.pcid, read_as)
    with deployment.store.read() as tx:
        for bundle in tx.pools.bundles(pcid):
            same = bundle.emaid == Emaid.parse(wanted.emaid, bundle.emaid.edition)
            fits = wanted.edition in (None, bundle.emaid.edition)
            if same and fits and wanted.root in (None, bundle.root):
                contract = tx.contracts.get(bundle.contract_id)
                return contract is not None and contract.valid_until == wanted.ends
    return False
