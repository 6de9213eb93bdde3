"""Very many contracts with their EMAID and cards, loaded in bulk: as the service keeps them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import psycopg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from sqlalchemy import Connection, text

from pki.services import Services
from pki.store.engines import open_backend
from scripts.bench import homes

_BATCH: Final = 20_000
_A_SECOND: Final = 200
"""Objects of one time of change, so that pages break within a second as well."""

_HOUR: Final = 3600
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_CONTRACT: Final = ("contract_id", "account", "state", "created_at")
_IDENTIFIER: Final = ("edition", "key", "contract_id", "presented", "check_digit")
_CREDENTIAL: Final = (
    "credential_id",
    "emsp",
    "kind",
    "uid",
    "presented",
    "contract_id",
    "contract",
    "state",
    "partner",
    "more",
    "created_at",
    "updated_at",
)

Row = tuple[Any, ...]
Rows = Callable[[int], Row]


def emaid(number: int) -> str:
    """Return the EMAID of contract `number`."""
    return f"{homes.PROVIDER}B{_base36(number, 8)}"


def card(number: int) -> str:
    """Return the uid of card `number`."""
    return f"04{number:012X}"


def _base36(number: int, width: int) -> str:
    found = ""
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        found = _DIGITS[digit] + found
    return found


def seed(services: Services, wanted: int, cards: int) -> None:
    """
    Load contracts and cards until there are that many; the first cards hang on them.

    By COPY into PostgreSQL, where foreign keys are not looked at meanwhile. What is there is kept.
    """
    backend = open_backend(services.settings.database_url, 60.0)
    now = int(services.deployment.clock.now().timestamp())
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with backend.engine.connect() as connection, Progress("{task.description}", *columns) as bars:
        _make_quick(connection)
        have = _count(connection, "SELECT count(*) FROM contracts WHERE contract_id LIKE 'bench%'")
        task = bars.add_task("Contracts", total=wanted, completed=have)
        for numbers in _batches(have, wanted):
            loads = (
                ("contracts", _CONTRACT, lambda n: _contract(n, now)),
                ("contract_identifiers", _IDENTIFIER, _identifier),
                ("credentials", _CREDENTIAL, lambda n: _credential(n, "emaid", now)),
            )
            _load(connection, loads, numbers)
            bars.advance(task, len(numbers))
        have = _count(connection, "SELECT count(*) FROM credentials WHERE kind = 'rfid'")
        task = bars.add_task("Cards", total=min(cards, wanted), completed=have)
        for numbers in _batches(have, min(cards, wanted)):
            rows = ("credentials", _CREDENTIAL, lambda n: _credential(n, "rfid", now))
            _load(connection, (rows,), numbers)
            bars.advance(task, len(numbers))
        _tidy(connection)
    backend.engine.dispose()


def _batches(have: int, wanted: int) -> Iterator[range]:
    for begin in range(have, wanted, _BATCH):
        yield range(begin, min(begin + _BATCH, wanted))


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _make_quick(connection: Connection) -> None:
    if _is_sqlite(connection):
        statements = ["PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000"]
    else:
        statements = [
            "SET synchronous_commit = off",
            "SET statement_timeout = 0",
            "SET session_replication_role = replica",
        ]
    for statement in statements:
        connection.exec_driver_sql(statement)
    connection.commit()


def _load(
    connection: Connection,
    loads: Sequence[tuple[str, tuple[str, ...], Rows]],
    numbers: range,
) -> None:
    """Load a batch into several tables, in one transaction."""
    driver = connection.connection.driver_connection
    connection.exec_driver_sql("BEGIN")
    for table, columns, row in loads:
        names = ", ".join(columns)
        if isinstance(driver, psycopg.Connection):
            with driver.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
                lines = ("\t".join(map(str, row(n))) for n in numbers)
                copy.write("\n".join(lines) + "\n")
        elif isinstance(driver, sqlite3.Connection):
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
            driver.executemany(insert, map(row, numbers))
    connection.commit()


def _tidy(connection: Connection) -> None:
    if _is_sqlite(connection):
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    for table in ("contracts", "contract_identifiers", "credentials"):
        connection.exec_driver_sql(f"VACUUM ANALYZE {table}")  # as autovacuum would, by and by
    connection.exec_driver_sql("CHECKPOINT")


def _count(connection: Connection, query: str) -> int:
    connection.exec_driver_sql("BEGIN")
    found = int(connection.execute(text(query)).scalar() or 0)
    connection.rollback()
    return found


def _contract(number: int, now: int) -> Row:
    return f"bench{number:019d}", homes.PROVIDER, "active", now


def _identifier(number: int) -> Row:
    name = emaid(number)
    return "2", name, f"bench{number:019d}", name, "absent"


def _credential(number: int, kind: str, now: int) -> Row:
    name = emaid(number)
    uid = name if kind == "emaid" else card(number)
    at = now - _HOUR - number // _A_SECOND
    contract_id = f"bench{number:019d}"
    return (
        f"{kind}{number:019d}",
        homes.PROVIDER,
        kind,
        uid,
        uid,
        contract_id,
        name,
        "active",
        0,
        "{}",
        at,
        at,
    )
