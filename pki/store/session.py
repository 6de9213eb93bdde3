"""One transaction on one connection: statements in, rows or counts out, errors translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import BigInteger, Connection, Dialect, Executable, LargeBinary, Row, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import TypeEngine

from pki.model import ChangeKind
from pki.store.columns import Line, UtcTime, seconds, storable_all
from pki.store.faults import of_driver, translate
from pki.store.hot import Hot, Words

Parameters = Mapping[str, object]
Insert = sqlite.Insert | postgresql.Insert
Found = TypeVar("Found")

_NONE: Final[Parameters] = {}
_COUNTED: Final = {"preserve_rowcount": True}
"""Without it, SQLAlchemy promises no count for an INSERT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """
    An INSERT that says what happens to a row that is there already.

    Such a statement changes nothing instead of failing. A failed statement would end the whole
    transaction on PostgreSQL but not on SQLite.
    """

    sqlite: Executable
    postgresql: Executable
    _hot: dict[tuple[str, ...], Hot] = field(default_factory=dict, compare=False, repr=False)

    def of_columns(self, columns: Iterable[str]) -> Hot:
        """Return the statement for a row that has these columns."""
        names = tuple(columns)
        found = self._hot.get(names)
        if found is None:
            found = self._hot[names] = Hot(self.sqlite, self.postgresql, names)
        return found

    @classmethod
    def of(cls, table: Table, finish: Callable[[Insert], Executable]) -> Upsert:
        """Build the statement for both databases; `finish` adds the conflict clause."""
        return cls(sqlite=finish(sqlite.insert(table)), postgresql=finish(postgresql.insert(table)))

    @classmethod
    def new(cls, table: Table) -> Upsert:
        """Build an INSERT that leaves alone whatever shares a key with the new row."""
        return cls.of(table, lambda insert: insert.on_conflict_do_nothing())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """
    An INSERT in the words of each driver, for many rows at once.

    SQLAlchemy spends on a row what the database spends on ten.
    """

    sqlite: str
    postgresql: str

    @classmethod
    def into(cls, table: Table, behind: str = "") -> Rows:
        """
        Build the statement for a whole row of a table, its columns in their order.

        Args:
            behind: what follows it, such as a conflict clause, in words of both databases.
        """
        names = [column.name for column in table.columns]
        head = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES"
        return cls(
            sqlite=f"{head} ({', '.join('?' for _ in names)}){behind}",
            postgresql=f"{head} ({', '.join('%s' for _ in names)}){behind}",
        )


class Session:
    """
    What the aggregates work with.

    Attributes:
        writable: False in a read, where every change is refused.
        notes: changes that go into the change log before the commit, kind and subject.
        failure: the error after which nothing of this transaction may be committed.
    """

    __slots__ = ("_connection", "_cursor", "failure", "is_sqlite", "notes", "writable")

    def __init__(self, connection: Connection, *, writable: bool) -> None:
        self._connection = connection
        self._cursor: Any = None
        self.is_sqlite = connection.dialect.name == "sqlite"
        self.writable = writable
        self.notes: list[tuple[ChangeKind, str]] = []
        self.failure: Exception | None = None

    def rows(
        self, statement: Executable | Hot, parameters: Parameters = _NONE
    ) -> Sequence[Row[Any]]:
        """Return every row of a query."""
        if isinstance(statement, Hot):
            return self._asked(statement, parameters)
        try:
            return self._connection.execute(statement, dict(parameters)).all()
        except SQLAlchemyError as error:
            raise self.spoil(translate(error)) from error

    def plain(self, statement: Executable, parameters: Parameters = _NONE) -> Sequence[Any]:
        """Return every row of a query as a tuple, for many: `rows` takes half as long again."""
        try:
            cursor = self._connection.execute(statement, dict(parameters)).cursor
            return cursor.fetchall() if cursor is not None else ()
        except SQLAlchemyError as error:
            raise self.spoil(translate(error)) from error
        except (sqlite3.Error, psycopg.Error) as error:
            raise self.spoil(of_driver(error)) from error

    def first(self, statement: Executable | Hot, parameters: Parameters = _NONE) -> Row[Any] | None:
        """Return the first row of a query, or None."""
        if isinstance(statement, Hot):
            found = self._asked(statement, parameters)
            return found[0] if found else None
        try:
            return self._connection.execute(statement, dict(parameters)).first()
        except SQLAlchemyError as error:
            raise self.spoil(translate(error)) from error

    def driver_rows(self, text: str, values: Sequence[object]) -> Sequence[Any]:
        """Return every row of a query in the driver's own words, values as it takes them."""
        try:
            cursor = self._connection.connection.cursor()
            try:
                cursor.execute(text, values)
                return cursor.fetchall()
            finally:
                cursor.close()
        except (sqlite3.Error, psycopg.Error) as error:
            raise self.spoil(of_driver(error)) from error

    def change(self, statement: Executable | Hot, parameters: Parameters = _NONE) -> int:
        """Run an INSERT, UPDATE or DELETE; return how many rows it changed."""
        if not self.writable:
            raise TypeError("a read transaction was asked to write")
        if isinstance(statement, Hot):
            return self._done(statement, parameters)
        try:
            result = self._connection.execute(
                statement, dict(parameters), execution_options=_COUNTED
            )
        except SQLAlchemyError as error:
            raise self.spoil(translate(error)) from error
        return result.rowcount

    def put_rows(self, rows: Rows, values: Sequence[tuple[object, ...]]) -> None:
        """Insert rows of plain values, as the driver takes them."""
        if not self.writable:
            raise TypeError("a read transaction was asked to write")
        statement = rows.sqlite if self.is_sqlite else rows.postgresql
        try:
            cursor = self._connection.connection.cursor()
            try:
                cursor.executemany(statement, values)
            finally:
                cursor.close()
        except (sqlite3.Error, psycopg.Error) as error:
            raise self.spoil(of_driver(error)) from error

    def load(self, table: Table, rows: Sequence[Parameters]) -> None:
        """
        Add many rows by the driver's quickest way: COPY on PostgreSQL.

        Every row names the columns of the first. Raises Conflict (`constraint_violated`); nothing
        of this transaction can be committed then.
        """
        if not self.writable:
            raise TypeError("a read transaction was asked to write")
        dialect, names = self._connection.dialect, list(rows[0])
        columns = [_bound(table.c[n].type, [row[n] for row in rows], dialect) for n in names]
        values = list(zip(*columns, strict=True))
        cursor = self._connection.connection.cursor()
        try:
            if self.is_sqlite:
                marks = ", ".join("?" * len(names))
                words = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of our schema
                cursor.executemany(words, values)
            else:
                _copy(cursor, table, names, values)
        except (sqlite3.Error, psycopg.Error) as error:
            raise self.spoil(of_driver(error)) from error
        finally:
            cursor.close()

    def commit_lazily(self) -> None:
        """Have PostgreSQL commit without waiting for its disk; a later commit waits for both."""
        if not self.is_sqlite:
            try:
                self._connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            except SQLAlchemyError as error:
                raise self.spoil(translate(error)) from error

    def put(self, upsert: Upsert, parameters: Parameters) -> bool:
        """Run an upsert; tell whether a row was written."""
        return self.change(upsert.of_columns(parameters), parameters) > 0

    def note(self, kind: ChangeKind, subject: str = "") -> None:
        """Have every view of every host learn of a change once it is committed."""
        self.notes.append((kind, subject))

    def spoil(self, error: Exception) -> Exception:
        """Forbid the commit, for an operation that stopped half-way; return the error to raise."""
        self.failure = error
        return error

    # --- without SQLAlchemy -----------------------------------------------------------------------

    def _asked(self, statement: Hot, parameters: Parameters) -> list[Any]:
        return self._put_to_driver(statement, parameters, lambda w, c: w.rows(c.fetchall()))

    def _done(self, statement: Hot, parameters: Parameters) -> int:
        return self._put_to_driver(statement, parameters, lambda _, cursor: int(cursor.rowcount))

    def _put_to_driver(
        self, statement: Hot, parameters: Parameters, take: Callable[[Words, Any], Found]
    ) -> Found:
        words = statement.words(sqlite=self.is_sqlite)
        try:
            return take(words, self._execute(*words.filled(parameters)))
        except (sqlite3.Error, psycopg.Error) as error:
            raise self.spoil(of_driver(error)) from error
        except Exception as error:
            self.spoil(error)
            raise

    def _execute(self, text: str, values: Sequence[object]) -> Any:  # noqa: ANN401 - the driver's
        if self._cursor is None:
            self._cursor = self._connection.connection.cursor()
        for hear in self._connection.engine.dispatch.before_cursor_execute:
            hear(self._connection, self._cursor, text, values, None, False)
        self._cursor.execute(text, values)
        return self._cursor


def _bound(kind: TypeEngine[Any], values: list[Any], dialect: Dialect) -> Sequence[Any]:
    """Return the values of a column as the driver takes them."""
    if isinstance(kind, Line):
        return storable_all(values)
    if isinstance(kind, UtcTime):  # rows of one transaction have few
        kept = {value: None if value is None else seconds(value) for value in set(values)}
        return [kept[value] for value in values]
    bind = kind.dialect_impl(dialect).bind_processor(dialect)
    return values if bind is None or isinstance(kind, LargeBinary) else list(map(bind, values))


_BINARY: Final[Mapping[type[TypeEngine[Any]], str]] = {
    Line: "text",
    UtcTime: "int8",
    BigInteger: "int8",
    LargeBinary: "bytea",
}
"""What PostgreSQL calls the types of the tables that are loaded."""


def _copy(
    cursor: Any,  # noqa: ANN401 - psycopg's, as SQLAlchemy wraps it
    table: Table,
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Send rows as the database keeps them: octets as text would be twice as long."""
    words = f"COPY {table.name} ({', '.join(names)}) FROM STDIN (FORMAT BINARY)"
    with cursor.copy(words) as copy:
        copy.set_types([_BINARY[type(table.c[name].type)] for name in names])
        for row in rows:
            copy.write_row(row)
