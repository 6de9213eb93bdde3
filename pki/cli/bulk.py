"""`pnc bulk run`, and the same engine for `--from FILE` of `pnc issue` and `pnc contract issue`."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pki import bulk
from pki import services as wiring
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.clock import format_time
from pki.errors import BadInput, Conflict, PolicyViolation
from pki.issue import issuer_chain
from pki.model import Principal
from pki.pkix import pem
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.services import Services
from pki.settings import MIN_PASSPHRASE

CHUNK: Final = 400
"""Rows that share their commits."""
_SHOWN: Final = 20
_WATCH_SECONDS: Final = 0.5

T = TypeVar("T")
R = TypeVar("R")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one run is about, as its processes know it."""

    home: HomeOption
    principal: Principal
    job: str
    kind: Kind
    keys: bulk.KeyPlace | None


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
    passphrase_file: Path | None,
    processes: int,
    as_json: bool,
) -> None:
    """
    Issue every row of a signed CSV: secc_id,not_after,csr (or emaid, pcid).

    All rows are judged first; one that is wrong stops the run before anything is issued. A run that
    was killed is run again: what was issued is not issued twice. OUT gets issued.csv, report.json
    and the keys made here.
    """
    data = source.read_bytes()
    signers = home.settings().bulk_signers
    signer = bulk.require_signature(data, signature.read_bytes(), signers)
    run(
        home,
        data,
        out=out,
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
    with installation(home) as services, _alone(out):
        order = Order(
            home=home,
            principal=operator(),
            job=sheet.job,
            kind=sheet.kind,
            keys=_keys(services, out, passphrase_file, sheet),
        )
        done, faults = _carry_out(services, order, sheet, processes)
        report = _report(services, order, sheet, done, faults, time.monotonic() - begun)
        report |= {"signedBy": signer}
        if done:
            _write(services, out, done, files=files)
        _write_whole(out / "report.json", json.dumps(report, indent=2).encode())
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


def _carry_out(
    services: Services, order: Order, sheet: bulk.Sheet, processes: int
) -> tuple[list[bulk.Done], list[bulk.Fault]]:
    with _workers(services, order, processes) as spread, _bar() as bar:
        judged = list(spread(_prepare, sheet.rows, bar("Judging", len(sheet.rows))))
        faults = [*sheet.faults, *(each for each in judged if isinstance(each, bulk.Fault))]
        if faults:
            return [], sorted(faults, key=lambda fault: fault.line)
        ready = [each for each in judged if isinstance(each, bulk.Ready)]
        issued = list(spread(_issue, ready, bar("Issuing", len(ready))))
    return (
        [each for each in issued if isinstance(each, bulk.Done)],
        [each for each in issued if isinstance(each, bulk.Fault)],
    )


def _prepare(
    services: Services, order: Order, rows: Sequence[bulk.Row]
) -> Sequence[bulk.Ready | bulk.Fault]:
    return bulk.prepare_rows(services.deployment, order.principal, order.kind, rows, order.keys)


def _issue(
    services: Services, order: Order, rows: Sequence[bulk.Ready]
) -> Sequence[bulk.Done | bulk.Fault]:
    return bulk.issue_rows(services.deployment, order.principal, order.job, order.kind, rows)


Step = Callable[[Services, Order, Sequence[T]], Sequence[R]]
Advance = Callable[[int], None]


class _Here:
    """Work in this process."""

    def __init__(self, services: Services, order: Order) -> None:
        self._services = services
        self._order = order

    def __call__(self, step: Step[T, R], rows: Sequence[T], advance: Advance) -> Iterator[R]:
        for chunk in _chunks(rows):
            yield from step(self._services, self._order, chunk)
            advance(len(chunk))


class _There:
    """Work in other processes."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, step: Step[T, R], rows: Sequence[T], advance: Advance) -> Iterator[R]:
        chunks = _chunks(rows)
        for found in self._pool.map(_in_worker, [step] * len(chunks), chunks):
            yield from found
            advance(len(found))


def _chunks(rows: Sequence[T]) -> list[Sequence[T]]:
    return [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]


@contextmanager
def _workers(services: Services, order: Order, processes: int) -> Iterator[_Here | _There]:
    if processes == 1:
        yield _Here(services, order)
        return
    with ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_open_worker,
        initargs=(order, os.getpid()),
    ) as pool:
        yield _There(pool)


_WORKER: Final[list[tuple[Services, Order]]] = []
"""What a worker process holds; empty in every other."""


def _open_worker(order: Order, parent: int) -> None:
    _WORKER.append((wiring.build(order.home.settings()), order))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent was killed; what it had begun, the next run closes."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _in_worker(step: Step[T, R], rows: Sequence[T]) -> Sequence[R]:
    ((services, order),) = _WORKER
    return step(services, order, rows)


@contextmanager
def _bar() -> Iterator[Callable[[str, int], Advance]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as progress:

        def begin(what: str, total: int) -> Advance:
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
    services: Services, out: Path, passphrase_file: Path | None, sheet: bulk.Sheet
) -> bulk.KeyPlace | None:
    if all(row.csr is not None for row in sheet.rows):
        return None
    phrase = passphrase_file.read_bytes().strip() if passphrase_file else None
    if phrase is None and not services.settings.demo:
        raise PolicyViolation(
            "passphrase_missing",
            "Outside demo mode a key leaves encrypted only.",
            hint="Name a file that holds the passphrase with --passphrase-file.",
        )
    if phrase is not None and len(phrase) < MIN_PASSPHRASE:
        raise BadInput(
            "passphrase_short", f"The passphrase has fewer than {MIN_PASSPHRASE} octets."
        )
    return bulk.KeyPlace(directory=out, suite=Suite.P256, passphrase=phrase)


def _write(services: Services, out: Path, done: Sequence[bulk.Done], *, files: bool) -> None:
    """Write what was issued, by this run and by earlier ones: everything the file asked for."""
    with services.deployment.store.read() as tx:
        above = {i: issuer_chain(tx, i) for i in {each.record.issuer_id for each in done}}
    temporary = out / ".issued.csv"
    with temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("line", "name", "serial_number", "fingerprint", "not_after", "certificate"))
        for each in done:
            r = each.record
            told = (each.line, r.common_name, r.serial.value, r.fingerprint.value)
            table.writerow((*told, format_time(r.not_after), pem.encode(r.der)))
            if files:
                path = out / f"{bulk.file_name(r.common_name)}.pem"
                chain = (r.der, *above[r.issuer_id])
                _write_whole(path, "".join(map(pem.encode, chain)).encode())
    temporary.rename(out / "issued.csv")


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.rename(path)


def _report(  # noqa: PLR0913 - what it tells of
    services: Services,
    order: Order,
    sheet: bulk.Sheet,
    done: Sequence[bulk.Done],
    faults: Sequence[bulk.Fault],
    seconds: float,
) -> dict[str, Any]:
    new = sum(not each.before for each in done)
    return {
        "job": sheet.job,
        "kind": sheet.kind.value,
        "rows": len(sheet.rows) + len(sheet.faults),
        "issued": new,
        "issuedBefore": len(done) - new,
        "failed": len(faults),
        "requestedBy": order.principal.name,
        "finishedAt": format_time(services.deployment.clock.now()),
        "seconds": round(seconds, 1),
        "perSecond": round(new / max(seconds, 0.001)),
        "faults": [{"line": f.line, "code": f.code, "message": f.message} for f in faults],
    }


COMMANDS: Final = (bulk_group,)
