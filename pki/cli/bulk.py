"""`pnc bulk run`, and the same engine for `--from FILE` of `pnc issue` and `pnc contract issue`."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pki import bulk
from pki.cli.bulk_work import CHUNK, COLUMNS, Job, Team, Worker, team, write_whole
from pki.cli.output import (
    HomeOption,
    edition_option,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    suite_option,
    with_errors,
)
from pki.clock import format_time
from pki.errors import BadInput, Conflict, PolicyViolation
from pki.ids import Edition
from pki.issue import suite_for
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.services import Services
from pki.settings import MIN_PASSPHRASE

_SHOWN: Final = 20

T = TypeVar("T")

from_option = click.option(
    "--from",
    "source",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="CSV of many: emaid,not_after,csr (or secc_id, pcid); csr is PEM, base64 or empty. "
    "A file is issued once, also if the command is run again.",
)
processes_option = click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=min(os.cpu_count() or 1, 8),
    show_default=True,
    help="Processes that judge and issue.",
)


def refuse_beside_from(given: Mapping[str, object]) -> None:
    """Refuse options, by name, that say of one certificate what the file says of many."""
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"{name} is for one certificate; --from FILE says it of many.")


@click.group("bulk")
def bulk_group() -> None:
    """Very many certificates from one signed file."""


@bulk_group.command("run")
@click.argument("source", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option(
    "--signature",
    required=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Made by `openssl dgst -sha256 -sign KEY`; bulk.signers in the settings lists the keys.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@edition_option
@suite_option
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Passphrase of keys made here for rows without a CSR; required outside demo mode.",
)
@processes_option
@json_option
@click.pass_obj
@with_errors
def bulk_run(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    source: Path,
    signature: Path,
    out: Path,
    edition: str | None,
    suite: str | None,
    passphrase_file: Path | None,
    processes: int,
    as_json: bool,
) -> None:
    """
    Issue every row of a signed CSV: secc_id,not_after,csr (or emaid, pcid).

    Keys are made for rows without a CSR, of P-256 unless --edition or --suite say otherwise; CSRs
    must agree with these. All rows are judged first; one that is wrong stops the run before
    anything is issued. A run that was killed is run again: what was issued is not issued twice. OUT
    gets issued.csv, report.json and the keys made here.
    """
    data = source.read_bytes()
    signers = home.settings().bulk_signers
    signer = bulk.require_signature(data, signature.read_bytes(), signers)
    run(
        home,
        data,
        out=out,
        edition=Edition(edition) if edition else None,
        suite=Suite(suite) if suite else None,
        passphrase_file=passphrase_file,
        processes=processes,
        signer=signer,
        files=False,
        as_json=as_json,
    )


def run(  # noqa: PLR0913 - what `bulk run` and `--from` say
    home: HomeOption,
    data: bytes,
    *,
    out: Path | None,
    passphrase_file: Path | None,
    processes: int = 1,
    kind: Kind | None = None,
    edition: Edition | None = None,
    suite: Suite | None = None,
    signer: str | None = None,
    files: bool = True,
    as_json: bool,
) -> None:
    """Judge and issue the rows of a file, and show the report; exit status 1 where a row failed."""
    if out is None:
        raise BadInput("out_missing", "Many certificates need a directory.", hint="Give --out DIR.")
    sheet = bulk.read_sheet(data)
    if kind not in (None, sheet.kind):
        raise BadInput("job_unreadable", f"The file is about {sheet.kind.value} certificates.")
    begun = time.monotonic()
    form = bulk.Form(kind=sheet.kind, edition=edition, suite=suite)
    keys = _keys(home, out, passphrase_file, sheet, suite_for(edition, suite))
    job = Job(home=home, sheet=sheet, form=form, keys=keys, out=out, files=files)
    with team(job, processes) as workers, installation(home) as services, _alone(out):
        result = _carry_out(workers, services)
        report = _report(services, sheet, result, time.monotonic() - begun) | {"signedBy": signer}
        if result.new or result.before:
            _write_table(out, result)
        write_whole(out / "report.json", json.dumps(report, indent=2).encode())
    _show(report, as_json=as_json)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    faults = report["faults"]
    told = {name: value for name, value in report.items() if name != "faults"}
    emit(report, as_json=as_json, table=lambda: facts(told.items()))
    if faults and not as_json:
        rows = [(fault["line"], fault["code"], fault["message"]) for fault in faults[:_SHOWN]]
        Console(soft_wrap=True).print(listing(("line", "code", "what is wrong"), rows))
        click.echo(f"{len(faults)} rows are wrong; report.json names them all.")
    if faults:
        raise SystemExit(1)


# --- the run -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    What became of a file.

    Attributes:
        table: of what was issued, in the order of the file.
        new, before: certificates of this run, and of earlier ones.
    """

    table: Sequence[str]
    new: int
    before: int
    faults: Sequence[bulk.Fault]


def _carry_out(workers: Team, services: Services) -> Result:
    rows = len(workers.job.sheet.rows)
    chunks = workers.chunks(operator())
    with _bar() as bar:
        judged = list(_told(workers.spread(services, Worker.judge, chunks), bar("Judging", rows)))
        faults = [*workers.job.sheet.faults, *(fault for each in judged for fault in each.faults)]
        if faults:
            in_order = sorted(faults, key=lambda fault: fault.line)
            return Result(table=(), new=0, before=0, faults=in_order)
        good = [each.chunk for each in judged]
        found = list(_told(workers.spread(services, Worker.issue, good), bar("Issuing", rows)))
    return Result(
        table=[each.lines for each in found],
        new=sum(each.new for each in found),
        before=sum(each.before for each in found),
        faults=[fault for each in found for fault in each.faults],
    )


def _told(done: Iterable[T], advance: Callable[[int], None]) -> Iterator[T]:
    for each in done:
        yield each
        advance(CHUNK)


@contextmanager
def _bar() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as progress:

        def begin(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            return lambda count: progress.update(task, advance=count)

        yield begin


# --- files ---------------------------------------------------------------------------------------


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the directory for one run; a lock ends with its process, killed or not."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("wb")
    except OSError as error:
        raise BadInput("out_not_writable", f"{out} cannot be used: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict("out_in_use", f"Another run writes into {out}.") from error
        yield


def _keys(
    home: HomeOption, out: Path, passphrase_file: Path | None, sheet: bulk.Sheet, suite: Suite
) -> bulk.KeyPlace | None:
    if all(row.csr is not None for row in sheet.rows):
        return None
    phrase = passphrase_file.read_bytes().strip() if passphrase_file else None
    if phrase is None and not home.settings().demo:
        raise PolicyViolation(
            "passphrase_missing",
            "Outside demo mode a key leaves encrypted only.",
            hint="Name a file that holds the passphrase with --passphrase-file.",
        )
    if phrase is not None and len(phrase) < MIN_PASSPHRASE:
        raise BadInput(
            "passphrase_short", f"The passphrase has fewer than {MIN_PASSPHRASE} octets."
        )
    return bulk.KeyPlace(directory=out, suite=suite, passphrase=phrase)


def _write_table(out: Path, result: Result) -> None:
    """Write what was issued, by this run and by earlier ones: everything the file asked for."""
    temporary = out / ".issued.csv"
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(COLUMNS)
        file.writelines(result.table)
    temporary.rename(out / "issued.csv")


def _report(
    services: Services, sheet: bulk.Sheet, result: Result, seconds: float
) -> dict[str, Any]:
    return {
        "job": sheet.job,
        "kind": sheet.kind.value,
        "rows": len(sheet.rows) + len(sheet.faults),
        "issued": result.new,
        "issuedBefore": result.before,
        "failed": len(result.faults),
        "requestedBy": operator().name,
        "finishedAt": format_time(services.deployment.clock.now()),
        "seconds": round(seconds, 1),
        "perSecond": round(result.new / max(seconds, 0.001)),
        "faults": [{"line": f.line, "code": f.code, "message": f.message} for f in result.faults],
    }


COMMANDS: Final = (bulk_group,)
