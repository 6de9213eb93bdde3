"""The file of a job: a CSV whose first column says what is issued, read strictly."""

from __future__ import annotations

import base64
import binascii
import csv
import datetime as dt
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pki.clock import parse_time
from pki.errors import BadInput, PkiError
from pki.pkix.profiles import Kind

COLUMNS: Final[Mapping[str, Kind]] = {
    "emaid": Kind.CONTRACT,
    "secc_id": Kind.SECC,
    "pcid": Kind.OEM,
}
"""First columns by name, and what their files are about."""

MAX_OCTETS: Final = 512 * 1024 * 1024
MAX_ROWS: Final = 1_000_000
_REST: Final = ["not_after", "csr"]
_WITHOUT_SEPARATORS: Final = str.maketrans("", "", "*-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One certificate that is wanted.

    Attributes:
        line: number of its last line in the file, from 1.
        csr: DER or PEM; None where the key is to be made here.
    """

    line: int
    name: str
    not_after: dt.datetime | None
    csr: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a row."""

    line: int
    code: str
    message: str

    @classmethod
    def of(cls, line: int, error: PkiError) -> Fault:
        """Return the fault that an error is."""
        return cls(line=line, code=error.code, message=error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """
    A file that was read.

    Attributes:
        job: SHA-256 of its octets in hex; what its rows are known by.
        faults: of rows that cannot be read.
    """

    job: str
    kind: Kind
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]


def read_sheet(data: bytes) -> Sheet:
    """
    Read a job.

    Raises:
        BadInput: `job_too_large`, `job_unreadable` (no CSV in UTF-8 with the columns), `job_empty`.
    """
    if len(data) > MAX_OCTETS:
        raise BadInput("job_too_large", f"The file has more than {MAX_OCTETS} octets.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable("it is not UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if not header or header[0] not in COLUMNS or header[1:] != _REST:
            raise _unreadable("its first line does not name the columns")
        found = list(_rows(reader))
    except csv.Error as error:
        raise _unreadable(f"line {reader.line_num}: {error}") from error
    if not found:
        raise BadInput("job_empty", "The file has no rows.")
    return Sheet(
        job=hashlib.sha256(data).hexdigest(),
        kind=COLUMNS[header[0]],
        rows=tuple(row for row in found if isinstance(row, Row)),
        faults=tuple(row for row in found if isinstance(row, Fault)),
    )


def _rows(reader: Iterator[list[str]]) -> Iterator[Row | Fault]:
    named: dict[str, int] = {}
    for count, cells in enumerate(reader, 1):
        line: int = reader.line_num  # type: ignore[attr-defined]  # csv's reader has it
        if count > MAX_ROWS:
            raise BadInput("job_too_large", f"The file has more than {MAX_ROWS} rows.")
        if not cells:
            continue
        try:
            row = _row(line, cells)
        except PkiError as error:
            yield Fault.of(line, error)
            continue
        key = row.name.upper().translate(_WITHOUT_SEPARATORS)
        if key in named:
            message = f"{row.name} stands in line {named[key]} already."
            yield Fault(line=line, code="name_repeated", message=message)
            continue
        named[key] = line
        yield row


def _row(line: int, cells: list[str]) -> Row:
    if len(cells) != 1 + len(_REST):
        raise BadInput("row_malformed", f"The row has {len(cells)} cells, not {1 + len(_REST)}.")
    name, not_after, request = (cell.strip() for cell in cells)
    if not name:
        raise BadInput("row_malformed", "The first cell is empty.")
    return Row(
        line=line,
        name=name,
        not_after=parse_time(not_after) if not_after else None,
        csr=_csr(request) if request else None,
    )


def _csr(text: str) -> bytes:
    """Return a CSR, which is PEM, or base64 of its DER."""
    if text.startswith("-----"):
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("csr_unreadable", "The CSR is neither PEM nor base64.") from error


def _unreadable(why: str) -> BadInput:
    names = ", ".join(COLUMNS)
    return BadInput(
        "job_unreadable",
        f"The file cannot be read: {why}.",
        hint=f"A CSV in UTF-8; its first line is NAME,not_after,csr with NAME one of {names}.",
    )
