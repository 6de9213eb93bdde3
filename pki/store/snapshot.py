"""
The whole database as a stream of octets, consistent while others write, and back again.

SQLite: its online backup, one step within one read. PostgreSQL: COPY of every table within one
REPEATABLE READ transaction, in the order of the foreign keys; so that nothing but the driver is
needed, and any server of any later version takes it back.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from pki.errors import BadInput, Unavailable
from pki.ports import Description
from pki.store.columns import metadata
from pki.store.faults import of_driver, unavailable
from pki.store.session import Session
from pki.store.transaction import Unit

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
_CHUNK: Final = 4 * 1024 * 1024
_FILE: Final = "pnc.db"
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A frozen state of the database; `unit` reads it, `parts` are its octets, piece by piece."""

    description: Description
    unit: Unit
    parts: Iterator[tuple[str, bytes]]


# --- out -----------------------------------------------------------------------------------------


@contextmanager
def of_sqlite(connection: Connection, scratch: Path, revision: str) -> Iterator[Snapshot]:
    """
    Open a snapshot of an SQLite database, copied into the file `scratch`, which is removed.

    Raises:
        Unavailable: `store_unavailable`, `store_busy`; the disk may be full.
    """
    try:
        source: Any = connection.connection.driver_connection
        scratch.unlink(missing_ok=True)
        scratch.touch(mode=0o600)
        # the first question fixes the state that this transaction reads; the copy is of that state
        connection.execute(text("SELECT count(*) FROM settings")).all()
        copy = sqlite3.connect(scratch)
        try:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file is the whole database
        finally:
            copy.close()
        yield Snapshot(
            description=Description(kind=SQLITE, revision=revision),
            unit=Unit(Session(connection, writable=False)),
            parts=_of_file(scratch),
        )
    except sqlite3.Error as error:
        raise of_driver(error) from error
    except OSError as error:
        raise unavailable() from error
    finally:
        scratch.unlink(missing_ok=True)


def _of_file(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield _FILE, chunk


@contextmanager
def of_postgresql(connection: Connection, revision: str) -> Iterator[Snapshot]:
    """Open a snapshot of a PostgreSQL database; the connection is inside a repeatable read."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    tables = {
        table.name: tuple(column.name for column in table.columns)
        for table in metadata.sorted_tables
    }
    yield Snapshot(
        description=Description(kind=POSTGRESQL, revision=revision, tables=tables),
        unit=Unit(Session(connection, writable=False)),
        parts=_of_tables(connection, tables),
    )


def _of_tables(
    connection: Connection, tables: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, bytes]]:
    driver: Any = connection.connection.driver_connection
    try:
        for name, columns in tables.items():
            with driver.cursor() as cursor, cursor.copy(_copy(name, columns, "TO STDOUT")) as rows:
                yield from ((name, part) for part in _gathered(rows))
    except psycopg.Error as error:
        raise of_driver(error) from error


def _copy(table: str, columns: Iterable[str], direction: str) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) " + direction).format(sql.Identifier(table), names)


def _gathered(rows: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Put rows together to parts of some mebibytes; a table without rows has one empty part."""
    waiting = bytearray()
    for row in rows:
        waiting += row
        if len(waiting) >= _CHUNK:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting)


# --- back ----------------------------------------------------------------------------------------


def into_sqlite(path: Path, parts: Iterable[tuple[str, bytes]]) -> None:
    """Write the file of an SQLite database. Raises BadInput (`backup_unreadable`), Unavailable."""
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            for name, part in parts:
                if name != _FILE:
                    raise _unreadable()
                file.write(part)
    except OSError as error:
        raise unavailable() from error


def into_postgresql(
    connection: Connection, description: Description, parts: Iterable[tuple[str, bytes]]
) -> None:
    """
    Fill the tables; the caller made the schema in this transaction, and commits.

    Raises:
        BadInput: `backup_unreadable`.
        Unavailable: `store_unavailable`.
    """
    driver: Any = connection.connection.driver_connection
    tables = list(description.tables)
    if not all(map(_NAME.fullmatch, tables)):
        raise _unreadable()
    try:
        with driver.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            for name in reversed(tables):  # rows that migrations put there
                cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        _fill(driver, description.tables, parts)
    except psycopg.Error as error:
        raise of_driver(error) from error


def _fill(
    driver: Any,  # noqa: ANN401 - psycopg's connection, whose type has parameters of its own
    tables: Mapping[str, tuple[str, ...]],
    parts: Iterable[tuple[str, bytes]],
) -> None:
    waiting = iter(parts)
    found = next(waiting, None)
    for name, columns in tables.items():
        with driver.cursor() as cursor, cursor.copy(_copy(name, columns, "FROM STDIN")) as rows:
            while found is not None and found[0] == name:
                rows.write(found[1])
                found = next(waiting, None)
    if found is not None:
        raise _unreadable()


def _unreadable() -> BadInput:
    return BadInput("backup_unreadable", "The backup holds tables that its description lacks.")


def refuse_kind(kind: str, wanted: str) -> None:
    """Raise BadInput (`backup_other_database`) where a backup is of another kind of database."""
    if kind != wanted:
        raise BadInput(
            "backup_other_database",
            f"The backup is of {kind}, the database is {wanted}.",
            hint="Restore it into the kind of database that it was made of.",
        )


def not_empty() -> Unavailable:
    """Return the error for a database that cannot take a backup as it is."""
    return Unavailable(
        "store_not_empty",
        "The database to restore into is not empty.",
        hint="Make an empty one, and name it with --database-url.",
    )
