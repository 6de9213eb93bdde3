"""
Statements that are asked so often that the driver itself runs them.

SQLAlchemy writes their SQL, once in a process for each database, and says how values go in and come
out. It is not asked again: its way to the driver costs more than most of these statements do.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

Convert = Callable[[Any], Any]

_SQLITE: Final = SQLiteDialect_pysqlite(paramstyle="pyformat")
_POSTGRESQL: Final = PGDialect_psycopg(paramstyle="pyformat")  # type: ignore[no-untyped-call]  # SQLAlchemy's
_PLACE: Final = re.compile(r"IN \(__\[POSTCOMPILE_(\w+)\]\)|%\((\w+)\)s|%%")
_SPREAD: Final = "IN (*)"


class Hot:
    """
    A statement of ours, to be put to either driver.

    Args:
        sqlite, postgresql: it, with named parameters; the same where both databases understand it.
        columns: of an INSERT, those that are given.
    """

    __slots__ = ("_columns", "_postgresql", "_sqlite", "_words")

    def __init__(
        self, sqlite: Executable, postgresql: Executable, columns: Sequence[str] = ()
    ) -> None:
        self._sqlite = sqlite
        self._postgresql = postgresql
        self._columns = list(columns) or None
        self._words: dict[bool, Words] = {}

    def words(self, *, sqlite: bool) -> Words:
        """Return it in the words of one driver."""
        found = self._words.get(sqlite)
        if found is None:
            statement = self._sqlite if sqlite else self._postgresql
            found = Words(statement, _SQLITE if sqlite else _POSTGRESQL, self._columns)
            self._words[sqlite] = found
        return found


def hot(statement: Executable) -> Hot:
    """Return a statement that both databases understand, to be put to the driver."""
    return Hot(statement, statement)


class Words:
    """A statement in the words of one driver, and what becomes of its values and rows."""

    __slots__ = ("_makers", "_places", "_row", "_text")

    def __init__(
        self, statement: Executable, dialect: Dialect, columns: Sequence[str] | None
    ) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)  # type: ignore[attr-defined]
        self._places: list[_Place] = []
        self._text = _PLACE.sub(lambda found: self._mark(found, compiled), compiled.string)
        made = [
            (at, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for at, column in enumerate(statement.exported_columns)  # type: ignore[attr-defined]
        ]
        self._makers: list[tuple[int, Convert]] = [(at, make) for at, make in made if make]
        names = [column.key for column in statement.exported_columns]  # type: ignore[attr-defined]
        self._row = _row_of(names)

    def _mark(self, found: re.Match[str], compiled: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
        sqlite = compiled.dialect is _SQLITE
        listed, single = found.groups()
        if listed is None and single is None:
            return "%" if sqlite else "%%"
        self._places.append(_Place(compiled, listed or single, listed=listed is not None))
        if listed is None:
            return "?" if sqlite else "%s"
        return _SPREAD if sqlite else "= ANY(%s)"

    def filled(self, parameters: Mapping[str, object]) -> tuple[str, tuple[object, ...]]:
        """Return the SQL and its values, as the driver takes them."""
        text: str = self._text
        values: list[object] = []
        for place in self._places:
            value = place.value(parameters)
            if place.spread:
                many = _padded(value)
                text = text.replace(_SPREAD, f"IN ({', '.join('?' * len(many))})", 1)
                values += many
            else:
                values.append(value)
        return text, tuple(values)

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """Return what came out, its columns by their names."""
        if not self._makers:
            return list(map(self._row, found))
        return [self._row(self._made(row)) for row in found]

    def _made(self, row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for at, make in self._makers:
            values[at] = make(values[at])
        return values


def _row_of(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    """Return what gives the values of a row their names."""
    made: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024 - no two queries have the same
    make: Callable[[Sequence[Any]], Any] = made._make
    return make


class _Place:
    """
    A parameter where it stands in the SQL.

    Attributes:
        spread: a list, each value of which is a parameter of its own.
    """

    __slots__ = ("_bind", "_fixed", "_given", "_listed", "_name", "spread")

    def __init__(self, compiled: Any, name: str, *, listed: bool) -> None:  # noqa: ANN401 - SQLAlchemy's
        self._name = name
        self._bind: Convert | None = compiled._bind_processors.get(name)  # noqa: SLF001 - nothing else tells of it
        self._given: bool = compiled.binds[name].required
        self._fixed: object = compiled.binds[name].value
        self._listed = listed
        self.spread = listed and compiled.dialect is _SQLITE

    def value(self, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever the column holds
        """Return what the driver gets."""
        value: Any = parameters[self._name] if self._given else self._fixed
        if self._bind is None:
            return value
        return list(map(self._bind, value)) if self._listed else self._bind(value)


def _padded(values: Sequence[object]) -> list[object]:
    """Return a power of two of values, the last one repeated: so there are few texts to prepare."""
    if not values:
        return [None]
    return [*values, *[values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values))]
