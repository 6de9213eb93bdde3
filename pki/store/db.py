"""The database: transactions, health and migration."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pki.errors import Unavailable
from pki.ports import Description
from pki.store import snapshot
from pki.store.connections import Connections
from pki.store.engines import open_backend
from pki.store.faults import busy, of_driver, translate, unavailable
from pki.store.schema import REVISION
from pki.store.session import Session
from pki.store.snapshot import Snapshot
from pki.store.transaction import Unit

_WAIT: Final = 5.0
_VERSION_TABLE: Final = "alembic_version"
_VERSION: Final = text(f"SELECT version_num FROM {_VERSION_TABLE}")  # noqa: S608 - a constant


class Database:
    """
    A store in SQLite or PostgreSQL; see `pki.ports.Store`. Safe to share between threads.

    Args:
        url: `sqlite:///path` or `postgresql://...`; nothing is contacted before the first use.
        wait: seconds to wait for a lock, and for a free connection.
        on_change: called after each commit that appended to the change log.
        before_commit: called at the end of each write, to add to it what seals it.

    Raises:
        BadInput: `invalid_database_url`.
    """

    def __init__(
        self,
        url: str,
        *,
        wait: float = _WAIT,
        on_change: Callable[[], None] = lambda: None,
        before_commit: Callable[[Unit], None] = lambda _: None,
    ) -> None:
        self._backend = open_backend(url, wait)
        self._connections = Connections(self._backend)
        self._on_change = on_change
        self._before_commit = before_commit
        self._locked = False
        self._probe = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """
        Open one consistent read; a change within it raises TypeError.

        Raises:
            Unavailable: `store_unavailable`, `store_busy`.
        """
        connection = self._begin(self._backend.begin_read)
        try:
            session = Session(connection, writable=False)
            yield Unit(session)
            if session.failure is None:
                _commit(connection)
        finally:
            self._end(connection)

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """
        Open a write: durable when the block ends, nothing kept if it raises.

        A failure that the block swallowed is raised again at its end, and nothing is kept.

        Raises:
            Unavailable: `store_unavailable`, `store_busy`.
        """
        connection = self._begin_write()
        try:
            session = Session(connection, writable=True)
            unit = Unit(session)
            log = unit.status
            yield unit
            if session.failure is not None:
                raise session.failure
            self._before_commit(unit)
            log.add_noted()
            _commit(connection)
        finally:
            self._end(connection)
        if log.appended:
            self._on_change()

    def ping(self) -> None:
        """Raise Unavailable (`store_unavailable`, `store_busy`) unless our schema answers."""
        found = self._revision()
        if found != REVISION:
            raise Unavailable(
                "store_unavailable",
                f"The database has the schema {found}, this program needs {REVISION}.",
                hint="`pnc init` migrates an older one; a newer one needs a newer program.",
            )

    def exists(self) -> bool:
        """
        Tell whether the schema is there, of whatever version. Creates nothing.

        Raises:
            Unavailable: `store_unavailable`, `store_busy`.
        """
        if self._backend.path is not None and not self._backend.path.exists():
            return False
        return self._revision() is not None

    def migrate(self) -> None:
        """
        Bring the schema to the newest revision, all or nothing; several processes may try at once.

        An SQLite file is created where there is none; its directory must be there.

        Raises:
            Unavailable: `store_unavailable`, `store_busy`.
        """
        if self._backend.path is not None:
            _create(self._backend.path)
        if self._revision() == REVISION:
            return
        from pki.store import migrate  # noqa: PLC0415 - 0.14 s that only the first start needs

        connection = self._begin(self._backend.begin_write)
        try:
            connection.begin()  # of what has begun, SQLAlchemy is told
            for statement in self._backend.before_migration:
                connection.exec_driver_sql(statement)
            migrate.upgrade(connection)
            connection.commit()
        except SQLAlchemyError as error:
            raise translate(error) from error
        finally:
            self._end(connection)

    @contextmanager
    def snapshot(self, scratch: Path) -> Iterator[Snapshot]:
        """
        Freeze the state of now, as octets and for reading; others go on writing.

        Args:
            scratch: file for the copy of an SQLite database; not used otherwise.

        Raises:
            Unavailable: `store_unavailable`, `store_busy`.
        """
        self.ping()
        connection = self._begin(self._backend.begin_read)
        try:
            if self._backend.path is None:
                with snapshot.of_postgresql(connection, REVISION) as frozen:
                    yield frozen
            else:
                with snapshot.of_sqlite(connection, scratch, REVISION) as frozen:
                    yield frozen
        finally:
            self._end(connection)

    def restore(
        self,
        description: Description,
        parts: Iterable[tuple[str, bytes]],
        finish: Callable[[Unit], None],
        *,
        again: Callable[[Unit], bool],
    ) -> None:
        """
        Put a snapshot into an empty database, all or nothing.

        Args:
            finish: called within the same transaction (SQLite: in one after it).
            again: tells whether a database that is not empty may be overwritten.

        Raises:
            BadInput: `backup_unreadable`, `backup_other_database`.
            Unavailable: `store_not_empty`, `store_unavailable`.
        """
        sqlite = self._backend.path is not None
        snapshot.refuse_kind(description.kind, snapshot.SQLITE if sqlite else snapshot.POSTGRESQL)
        if self.exists():
            with self.read() as unit:
                if not again(unit):
                    raise snapshot.not_empty()
        if self._backend.path is not None:
            self._backend.path.unlink(missing_ok=True)
            snapshot.into_sqlite(self._backend.path, parts)
            self.migrate()
            with self.write() as unit:
                finish(unit)
            return
        self._restore_tables(description, parts, finish)

    def _restore_tables(
        self,
        description: Description,
        parts: Iterable[tuple[str, bytes]],
        finish: Callable[[Unit], None],
    ) -> None:
        from pki.store import migrate  # noqa: PLC0415 - as `migrate`

        connection = self._begin(self._backend.begin_write)
        try:
            connection.begin()  # of what has begun, SQLAlchemy is told
            for statement in self._backend.before_migration:
                connection.exec_driver_sql(statement)
            migrate.upgrade(connection, description.revision)
            snapshot.into_postgresql(connection, description, parts)
            migrate.upgrade(connection)
            finish(Unit(Session(connection, writable=True)))
            connection.commit()
        except SQLAlchemyError as error:
            raise translate(error) from error
        finally:
            self._end(connection)

    def close(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        self._connections.close()

    def _revision(self) -> str | None:
        """Return the revision of the schema, or None where there is no schema."""
        connection = self._begin(self._backend.begin_read)
        try:
            if not inspect(connection).has_table(_VERSION_TABLE):
                return None
            return str(connection.execute(_VERSION).scalar())
        except SQLAlchemyError as error:
            raise translate(error) from error
        finally:
            self._end(connection)

    def tidy(self) -> None:
        """
        Move what SQLite's write-ahead log holds into its file, where nobody else does; PostgreSQL
        does so by itself.

        Nobody waits for it: else the commit that makes the log long does it, which takes 10 ms.
        Whatever fails is tried again by that commit.
        """
        if self._backend.path is None or not self._backend.path.exists():
            return
        with suppress(SQLAlchemyError, Unavailable):
            self._end(self._begin("PRAGMA wal_checkpoint(PASSIVE)"))

    def _begin_write(self) -> Connection:
        """
        Open a write; while the database stays locked, one caller at a time waits for it.

        After a caller waited in vain the others are refused at once, so that a lock that lasts does
        not use up every thread of a service.
        """
        if not self._locked:
            return self._wait_for_write()
        if not self._probe.acquire(blocking=False):
            raise busy()
        try:
            return self._wait_for_write()
        finally:
            self._probe.release()

    def _wait_for_write(self) -> Connection:
        try:
            connection = self._begin(self._backend.begin_write)
        except Unavailable as error:
            self._locked = error.code == "store_busy"
            raise
        self._locked = False
        return connection

    def _begin(self, statement: str) -> Connection:
        """Return a connection inside a transaction; one that died in the pool is replaced once."""
        try:
            try:
                return self._attempt(statement)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                self._connections.drop()
                return self._attempt(statement)
        except SQLAlchemyError as error:
            raise translate(error) from error

    def _attempt(self, statement: str) -> Connection:
        connection = self._connections.take()
        try:
            _say(connection, statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _end(self, connection: Connection) -> None:
        """End whatever is left of the transaction and give the connection back."""
        try:
            if not connection.invalidated and _is_open(connection.connection.dbapi_connection):
                _put_to(connection.connection.dbapi_connection, "ROLLBACK")
        except (SQLAlchemyError, sqlite3.Error, psycopg.Error):
            with suppress(SQLAlchemyError):  # never back into the pool with a transaction open
                connection.invalidate()
        finally:
            self._connections.give_back(connection)


def _say(connection: Connection, statement: str) -> None:
    """Have the driver run a statement; one that died in the pool is left to SQLAlchemy to find."""
    driver = connection.connection.dbapi_connection
    try:
        _put_to(driver, statement)
    except (sqlite3.Error, psycopg.Error) as error:
        known: Any = error  # whichever driver this connection has
        if not connection.dialect.is_disconnect(known, driver, None):
            raise of_driver(error) from error
        connection.exec_driver_sql(statement)


def _put_to(driver: object, statement: str) -> None:
    """
    Run a statement that has no values and no rows.

    psycopg is passed by: its cursor costs several times what BEGIN or COMMIT does, and behind a
    ROLLBACK that it knows of it forgets every prepared statement.
    """
    if isinstance(driver, psycopg.Connection):
        try:
            result = driver.pgconn.exec_(statement.encode())
        except MemoryError as error:  # how libpq tells that it cannot send
            raise psycopg.OperationalError("the connection is lost") from error
        if result.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)
        if statement == "COMMIT" and result.command_status != b"COMMIT":
            raise psycopg.OperationalError("PostgreSQL rolled back what was to be committed")
    elif isinstance(driver, sqlite3.Connection):
        driver.execute(statement)


def _commit(connection: Connection) -> None:
    try:
        _put_to(connection.connection.dbapi_connection, "COMMIT")
    except (sqlite3.Error, psycopg.Error) as error:
        raise of_driver(error) from error


def _is_open(driver: object) -> bool:
    """Tell whether a transaction is, or may be."""
    if isinstance(driver, psycopg.Connection):
        return driver.pgconn.transaction_status != TransactionStatus.IDLE
    return isinstance(driver, sqlite3.Connection) and driver.in_transaction


def _create(path: os.PathLike[str]) -> None:
    """Make an empty file for its owner alone, as the service is the only one to read it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise unavailable() from error
