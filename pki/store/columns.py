"""What tables are made of: names, kinds of columns, keys and checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from pki.clock import UTC
from pki.errors import BadInput

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Line(TypeDecorator[str]):
    """
    Text that compares byte by byte on every database.

    Raises:
        BadInput: `text_not_storable`, for a NUL or half a surrogate pair: PostgreSQL refuses them,
            and both databases are to answer alike.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Ask PostgreSQL for the C collation; SQLite compares bytes anyway."""
        return Text(collation="C" if dialect.name == "postgresql" else None)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return plain text, enumerations included."""
        return None if value is None else storable(value)


def storable(value: str) -> str:
    """Return plain text that both databases keep. Raises BadInput as `Line`."""
    if "\0" in value or not _encodable(value):
        raise BadInput("text_not_storable", "A text holds characters that cannot be kept.")
    return str(value)


def storable_all(values: Sequence[str | None]) -> list[str | None]:
    """Return plain texts, as `storable` does of each; a column costs little more than one."""
    texts = [None if value is None else str(value) for value in values]
    joined = "".join([text for text in texts if text is not None])
    if not joined.isascii() or "\0" in joined:
        return [None if text is None else storable(text) for text in texts]
    return texts


def _encodable(value: str) -> bool:
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


class UtcTime(TypeDecorator[dt.datetime]):
    """
    An aware time in whole seconds, kept as seconds since 1970.

    Raises:
        ValueError: for a naive time and for fractions, which would not come back.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return the seconds."""
        return None if value is None else seconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Return the time in UTC."""
        return None if value is None else dt.datetime.fromtimestamp(value, UTC)


def seconds(value: dt.datetime) -> int:
    """Return a time as it is kept. Raises ValueError as `UtcTime`."""
    if value.utcoffset() is None or value.microsecond:
        raise ValueError("the store keeps aware times in whole seconds")
    return int(value.timestamp())


def line(name: str, *, nullable: bool = False) -> Column[str]:
    """Return a text column."""
    return Column(name, Line, nullable=nullable)


def time(name: str, *, nullable: bool = False) -> Column[dt.datetime]:
    """Return a column of aware times in whole seconds."""
    return Column(name, UtcTime, nullable=nullable)


def octets(name: str) -> Column[bytes]:
    """Return a column of octets."""
    return Column(name, LargeBinary, nullable=False)


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    """Return the check that a column holds one of `values`."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def key(*columns: str) -> PrimaryKeyConstraint:
    """Return the primary key."""
    return PrimaryKeyConstraint(*columns)


def points_to(column: str, target: str) -> ForeignKeyConstraint:
    """Return the foreign key of one column."""
    return ForeignKeyConstraint([column], [target])
