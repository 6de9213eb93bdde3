"""
How each database is opened, and how its transactions begin.

A connection that was used last is used next: it has pages and prepared statements at hand.

Both drivers are kept from opening transactions by themselves: we say BEGIN, in our own words, as
the first statement. That costs no round trip more, and a connection that died in the pool shows
at once.
"""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import URL, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from pki.errors import BadInput

_POOL: Final = 5
_OVERFLOW: Final = 10
MOST: Final = _POOL + _OVERFLOW
"""Connections of one process."""
_CONNECT_TIMEOUT: Final = 5
_PAUSE: Final = 0.02
_SQLITE: Final = "sqlite:///"
_PRAGMAS: Final = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "cache_size = -16384",  # KiB at the most, for each connection
    "wal_autocheckpoint = 8000",  # pages; `Database.tidy` comes first where a worker runs
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """
    A database and its dialect of transactions.

    Attributes:
        begin_read, begin_write: statements that open one.
        before_migration: further statements at the start of a migration.
        path: the file of an SQLite database, else None.
    """

    engine: Engine
    begin_read: str
    begin_write: str
    before_migration: tuple[str, ...] = ()
    path: Path | None = None

    def is_current(self, connection: PoolProxiedConnection) -> bool:
        """Tell whether a connection leads to the database that is there now, as far as is known."""
        return self.path is None or connection.info["file"] == _identity(self.path)


def open_backend(url: str, wait: float) -> Backend:
    """
    Return the backend for `sqlite:///path` or `postgresql://...`; nothing is contacted yet.

    Args:
        url: address of the database.
        wait: seconds to wait for a lock or a free connection.

    Raises:
        BadInput: `invalid_database_url`.
    """
    path = url.removeprefix(_SQLITE)
    if path != url:
        # taken literally; SQLAlchemy would decode a % in it
        if not path or path == ":memory:" or "?" in path:
            raise _invalid_url()
        return _sqlite(Path(path), wait)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise _invalid_url() from error
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise _invalid_url()
    return _postgresql(parsed, wait)


def _invalid_url() -> BadInput:
    return BadInput(
        "invalid_database_url",
        "The database URL cannot be used.",  # not quoted: it may hold a password
        hint="Write sqlite:///path or postgresql://user@host/database.",
    )


def _sqlite(path: Path, wait: float) -> Backend:
    file = path.absolute()

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(file))}?mode=rw",  # a lost file must not come back empty
            uri=True,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
        )

    def configure(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(file)
        for pragma in _PRAGMAS:
            connection.cursor().execute(f"PRAGMA {pragma}")
        _use_wal(connection, wait)

    def check(
        _connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        if record.info["file"] != _identity(file):
            raise DisconnectionError

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=_POOL,
        max_overflow=_OVERFLOW,
        pool_timeout=wait,
        pool_reset_on_return=None,  # whoever says BEGIN says COMMIT or ROLLBACK as well
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "connect", configure)
    event.listen(engine, "checkout", check)
    return Backend(engine=engine, begin_read="BEGIN", begin_write="BEGIN IMMEDIATE", path=file)


def _identity(file: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name: SQLite would not notice a removal."""
    try:
        found = os.stat(file)  # noqa: PTH116 - three times as fast, at every checkout
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _use_wal(connection: DBAPIConnection, wait: float) -> None:
    """Switch to write-ahead logging; the switch does not wait for others as statements do."""
    deadline = time.monotonic() + wait
    while True:
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _postgresql(url: URL, wait: float) -> Backend:
    milliseconds = int(wait * 1000)
    limits = f"-c lock_timeout={milliseconds} -c statement_timeout={2 * milliseconds}"
    # libpq reads PGOPTIONS only where no other options are given
    options = url.query.get("options", os.environ.get("PGOPTIONS", ""))
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={
            "autocommit": True,
            "connect_timeout": _CONNECT_TIMEOUT,
            "tcp_user_timeout": _CONNECT_TIMEOUT * 1000,
            "options": f"{options if isinstance(options, str) else ' '.join(options)} {limits}",
        },
        pool_size=_POOL,
        max_overflow=_OVERFLOW,
        pool_timeout=wait,
        pool_reset_on_return=None,  # whoever says BEGIN says COMMIT or ROLLBACK as well
        pool_use_lifo=True,
        use_native_hstore=False,
        hide_parameters=True,
    )
    return Backend(
        engine=engine,
        begin_read="BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        begin_write="BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        before_migration=(
            "SET LOCAL lock_timeout = 60000",
            "SET LOCAL statement_timeout = 0",
            f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})",
        ),
    )


_MIGRATION_LOCK: Final = 0x706E63
"""An advisory lock that only migrations take: two at once would create the same tables."""
