"""
The processes of a run over many rows: each judges and issues a chunk at a time.

They are forked before anything is opened, so that the rows need not be sent to them and nothing is
imported twice. What comes back of a chunk is as little as the report needs.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

from pki import bulk
from pki import services as wiring
from pki.cli.output import HomeOption
from pki.clock import format_time
from pki.issue import issuer_chain
from pki.model import Principal
from pki.pkix import pem
from pki.services import Services

CHUNK: Final = 1000
"""Rows that share their commits."""
_WATCH_SECONDS: Final = 0.5
_RARELY: Final = 50_000
_OPTIONS: Final = "PGOPTIONS"
"""What libpq reads."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What one run is about, as its processes know it.

    Attributes:
        files: besides the table, every certificate gets a file with its chain in `out`.
    """

    home: HomeOption
    sheet: bulk.Sheet
    form: bulk.Form
    keys: bulk.KeyPlace | None
    out: Path
    files: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Rows that are done together.

    Attributes:
        begin: which of the sheet's rows is the first.
        keys: of the rows, proven, once they were judged.
    """

    principal: Principal
    begin: int
    keys: tuple[bulk.RowKeys, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What is wrong with the rows of a chunk, and the chunk if nothing is."""

    chunk: Chunk
    faults: tuple[bulk.Fault, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """
    What the rows of a chunk got.

    Attributes:
        lines: of the table `issued.csv`.
        new, before: certificates of this run, and of earlier ones.
    """

    lines: str
    new: int
    before: int
    faults: tuple[bulk.Fault, ...]


@dataclass(slots=True)
class Worker:
    """A process of a run: the installation as it opened it, and the job."""

    services: Services
    job: Job
    _above: dict[str, tuple[bytes, ...]] = field(default_factory=dict)

    def judge(self, chunk: Chunk) -> Judged:
        """Judge rows; nothing is stored but keys made for them."""
        job = self.job
        judged = bulk.prepare_rows(
            self.services.deployment, chunk.principal, job.form, self._rows(chunk), job.keys
        )
        faults = tuple(each for each in judged if isinstance(each, bulk.Fault))
        keys = tuple(each.keys for each in judged if isinstance(each, bulk.Ready))
        return Judged(Chunk(chunk.principal, chunk.begin, keys), faults)

    def issue(self, chunk: Chunk) -> Written:
        """Issue rows that were judged."""
        sheet = self.job.sheet
        rows = [
            bulk.Ready(line=row.line, name=row.name, not_after=row.not_after, keys=keys)
            for row, keys in zip(self._rows(chunk), chunk.keys, strict=True)
        ]
        outcomes = bulk.issue_rows(
            self.services.deployment, chunk.principal, sheet.job, sheet.kind, rows
        )
        done = [each for each in outcomes if isinstance(each, bulk.Done)]
        if self.job.files:
            self._write_files(done)
        before = sum(each.before for each in done)
        faults = tuple(each for each in outcomes if isinstance(each, bulk.Fault))
        return Written(_lines(done), len(done) - before, before, faults)

    def _rows(self, chunk: Chunk) -> Sequence[bulk.Row]:
        return self.job.sheet.rows[chunk.begin : chunk.begin + CHUNK]

    def _write_files(self, done: Sequence[bulk.Done]) -> None:
        for issuer_id in {each.record.issuer_id for each in done} - set(self._above):
            with self.services.deployment.store.read() as tx:
                self._above[issuer_id] = issuer_chain(tx, issuer_id)
        for each in done:
            chain = (each.record.der, *self._above[each.record.issuer_id])
            path = self.job.out / f"{bulk.file_name(each.record.common_name)}.pem"
            write_whole(path, "".join(map(pem.encode, chain)).encode())


COLUMNS: Final = "line,name,serial_number,fingerprint,not_after,certificate\r\n"


def _lines(done: Sequence[bulk.Done]) -> str:
    """Write lines of CSV; of their cells only the last, of several lines, needs its quotes."""
    return "".join(
        f"{each.line},{r.common_name},{r.serial.value},{r.fingerprint.value},"
        f'{format_time(r.not_after)},"{pem.encode(r.der)}"\r\n'
        for each in done
        for r in (each.record,)
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is complete or absent."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.rename(path)


# --- processes -----------------------------------------------------------------------------------

Step = Callable[[Worker, T], R]


class Team:
    """Those who do the work: other processes, or this one."""

    def __init__(self, job: Job, pool: ProcessPoolExecutor | None) -> None:
        self.job = job
        self._pool = pool

    def chunks(self, principal: Principal) -> list[Chunk]:
        """Return the rows of the job in chunks."""
        rows = len(self.job.sheet.rows)
        return [Chunk(principal, begin) for begin in range(0, rows, CHUNK)]

    def spread(self, services: Services, step: Step[T, R], work: Sequence[T]) -> Iterator[R]:
        """Have a step done for each, and yield what comes of it in order."""
        if self._pool is not None:
            yield from self._pool.map(_in_worker, [step] * len(work), work)
            return
        here = Worker(services, self.job)
        for each in work:
            yield step(here, each)


@contextmanager
def team(job: Job, processes: int) -> Iterator[Team]:
    """Begin the processes of a job; nothing may be open in this one yet."""
    with _plans_anew():
        yield from _team(job, processes)


@contextmanager
def _plans_anew() -> Iterator[None]:
    """
    Have PostgreSQL plan each statement when it comes, in whatever connects from here.

    A plan that it kept from when the tables were empty reads the whole of them at every chunk,
    until its statistics are renewed a minute later.
    """
    before = os.environ.get(_OPTIONS)
    os.environ[_OPTIONS] = f"{before or ''} -c plan_cache_mode=force_custom_plan".lstrip()
    try:
        yield
    finally:
        if before is None:
            del os.environ[_OPTIONS]
        else:
            os.environ[_OPTIONS] = before


def _team(job: Job, processes: int) -> Iterator[Team]:
    if processes == 1:
        yield Team(job, None)
        return
    # of a process with threads nobody knows what locks they hold
    way = "fork" if threading.active_count() == 1 else "spawn"
    with ProcessPoolExecutor(
        processes,
        mp_context=get_context(way),
        initializer=_begin,
        initargs=(job, os.getpid()),
    ) as pool:
        pool.submit(_nothing)  # forks them all, now
        yield Team(job, pool)


_JOB: Final[list[Job]] = []
_WORKER: Final[list[Worker]] = []
"""What a worker process holds; empty in every other."""


def _begin(job: Job, parent: int) -> None:
    _JOB.append(job)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _nothing() -> None:
    """Be there."""


def _end_with(parent: int) -> None:
    """End this process when its parent was killed; what it had begun, the next run closes."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _in_worker(step: Step[T, R], work: T) -> R:
    if not _WORKER:
        (job,) = _JOB
        _WORKER.append(Worker(wiring.build(job.home.settings()), job))
        gc.collect()
        gc.freeze()  # neither the rows nor what was imported is looked through again
        gc.set_threshold(_RARELY)  # what a chunk makes has no cycles
    return step(_WORKER[0], work)
