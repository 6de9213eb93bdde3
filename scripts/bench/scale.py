"""
Decisions among few and among very many contracts, read from the store, in groups as a worker's.

Each home was made by `seed.py --contracts`. CPU is that of this process and of the database's.
"""

from __future__ import annotations

import gc
import multiprocessing
import secrets
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from pki import access
from pki.issue import chain_of
from pki.model import Accepted, ContractCheck
from pki.services import Services
from pki.store.engines import open_backend
from pki.validate import Asked, validate_many
from scripts.bench import homes, seed
from scripts.bench.processes import tree_cpu

GROUP: Final = 16
COLD, WARM = "asked for the first time", "asked again"


@dataclass(frozen=True, slots=True)
class Population:
    """A home that is open, with its contracts."""

    name: str
    services: Services
    contracts: int
    database: int | None

    def cpu(self) -> float:
        """Return the seconds that this process and the database's took."""
        return time.process_time() + (tree_cpu(self.database) if self.database else 0.0)

    def chains(self, count: int) -> list[tuple[bytes, ...]]:
        """Return the chains of contracts drawn from all of them, none of them twice."""
        numbers = secrets.SystemRandom().sample(range(self.contracts), min(count, self.contracts))
        with self.services.deployment.store.read() as tx:
            records = [tx.certificates.by_contract(seed.contract_id(n))[0] for n in numbers]
            return [tuple(chain_of(tx, record)) for record in records]


def compare(paths: Sequence[Path], directories: Sequence[Path], count: int, rounds: int) -> None:
    """
    Measure every home in turn, several times, and print them against the first.

    Each time in a process of its own, since a process remembers leaves and signatures: the second
    time that it meets a thousand contracts it knows them all.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for path in paths:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                measured = pool.submit(_measured, path, directories, count).result()
            for name, what, cpu in measured:
                found.setdefault((name, what), []).append(cpu)
    _show({key: statistics.median(each) for key, each in found.items()})


def _measured(path: Path, directories: Sequence[Path], count: int) -> list[tuple[str, str, float]]:
    """Return the name of a home, what was asked, and what a decision costs."""
    with opened(path, directories) as population:
        return [(population.name, what, cpu) for what, cpu in _decided(population, count)]


@contextmanager
def opened(path: Path, directories: Sequence[Path] = ()) -> Iterator[Population]:
    """Open a home that was made by `seed.py --contracts`."""
    with homes.opened(path) as services:
        url = services.settings.database_url
        backend = open_backend(url, 60.0)
        with backend.engine.connect() as connection:
            query = text("SELECT count(*) FROM contracts WHERE contract_id LIKE 'seed%'")
            contracts = int(connection.execute(query).scalar() or 0)
        backend.engine.dispose()
        if not contracts:
            raise SystemExit(f"{path} was not made by seed.py --contracts")
        name = f"{path.name}: {contracts:,} contracts"
        database = next((_postmaster(d) for d in directories if str(d.resolve()) in url), None)
        yield Population(name, services, contracts, database)


def _postmaster(directory: Path) -> int:
    return int((directory / "postmaster.pid").read_text("ascii").split()[0])


def _decided(population: Population, count: int) -> Iterator[tuple[str, float]]:
    """Yield CPU microseconds a decision, receipts committed with each group."""
    checks = [ContractCheck(chain=chain) for chain in population.chains(count + GROUP)]
    _group(population.services, checks[:GROUP])  # whatever is done once
    gc.collect()
    rest = checks[GROUP:]
    for what in (COLD, WARM):
        begun = population.cpu()
        for at in range(0, len(rest), GROUP):
            _group(population.services, rest[at : at + GROUP])
        yield what, (population.cpu() - begun) / len(rest) * 1e6


def _group(services: Services, checks: Sequence[ContractCheck]) -> None:
    asked = [Asked(principal=homes.ACTOR, check=c, action=access.Action.VALIDATE) for c in checks]
    for found in validate_many(services.deployment, asked):
        if isinstance(found, Exception) or not isinstance(found.decision.verdict, Accepted):
            raise SystemExit(f"not accepted: {found}")


def _show(found: dict[tuple[str, str], float]) -> None:
    names = ("", "CPU µs a decision", "of the first home's")
    table = Table(*names, title="In groups of 16 through the store, receipts committed")
    for what in (COLD, WARM):
        rows = [(name, cpu) for (name, each), cpu in found.items() if each == what]
        for name, cpu in rows:
            table.add_row(f"{name}, {what}", f"{cpu:.0f}", f"{cpu / rows[0][1]:.2f}")
    Console(width=100).print(table)
