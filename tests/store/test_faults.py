"""A database that is locked, full, damaged, killed or gone: a specific answer, nothing kept."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from pki.errors import Conflict, Unavailable
from pki.model import Account
from pki.store.db import Database
from tests.databases import PostgresServer, run_postgres, sqlite_url
from tests.store import processes, samples
from tests.store.samples import DE8AA, NOW

HANG = """
import sys, time
from pki.store.db import Database
from tests.store import samples
store = Database(sys.argv[1])
with store.write() as tx:
    tx.issuers.add(samples.issuer())
    tx.intents.add(samples.intent())
    tx.audit.append(samples.entry(tx.audit.head("admin")))
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the place of the SQLite file."""
    return tmp_path / "pnc.db"


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Database]:
    """Yield a migrated SQLite store."""
    store = Database(sqlite_url(tmp_path), wait=0.3)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def mortal_server() -> Iterator[PostgresServer]:
    """Yield a PostgreSQL that a test may stop."""
    yield from run_postgres()


def _nothing() -> None:
    """Do nothing in the middle of a write."""


def _write(store: Database, *, midway: Callable[[], None] = _nothing, text: str = "") -> None:
    with store.write() as tx:
        tx.put_setting("mode", "demo")
        midway()
        tx.put_setting("text", text)


def _refusal(store: Database, *, midway: Callable[[], None] = _nothing, text: str = "") -> str:
    with pytest.raises(Unavailable) as refused:
        _write(store, midway=midway, text=text)
    return refused.value.code


def test_a_locked_sqlite_file_is_busy_in_bounded_time_and_still_readable(
    sqlite_store: Database, file: Path
) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert _refusal(sqlite_store) == "store_busy"
        assert time.monotonic() - began < 2
        sqlite_store.ping()
    _write(sqlite_store)


@pytest.mark.parametrize("held", [0.2, 10], ids=["for a moment", "for long"])
@pytest.mark.parametrize(
    "lock", ["BEGIN EXCLUSIVE", "BEGIN; SELECT * FROM theirs"], ids=["to write", "to read"]
)
def test_a_file_that_another_program_holds_is_waited_for_in_bounded_time(
    tmp_path: Path, file: Path, lock: str, held: float
) -> None:
    store = Database(sqlite_url(tmp_path), wait=0.6)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE theirs (a)")
        other.execute("INSERT INTO theirs VALUES (1), (2)")
        for statement in lock.split(";"):
            other.execute(statement)
        timer = threading.Timer(held, other.rollback)
        timer.start()
        began = time.monotonic()
        if held < 1:
            store.migrate()
            store.ping()
        else:
            assert _refusal(store) == "store_busy"
            assert time.monotonic() - began < 3
        timer.cancel()
        timer.join()
    store.close()


def test_a_row_held_by_another_writer_is_busy_in_bounded_time(database: Database) -> None:
    with database.write() as tx:
        tx.contracts.add_account(Account(provider_id=DE8AA, name="A", created_at=NOW))
    outcome: list[str] = []

    def second() -> None:
        try:
            with database.write() as tx:
                tx.contracts.account(DE8AA, lock=True)
        except Unavailable as refused:
            outcome.append(refused.code)

    with database.write() as tx:
        tx.contracts.account(DE8AA, lock=True)
        began = time.monotonic()
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(10)
        assert time.monotonic() - began < 5
    assert outcome == ["store_busy"]


def test_more_transactions_at_once_than_connections_is_busy(database: Database) -> None:
    with ExitStack() as stack:
        for _ in range(15):
            stack.enter_context(database.read())
        assert _refusal(database) == "store_busy"
    _write(database)


def test_who_waits_for_a_connection_gets_the_next_that_is_free(database: Database) -> None:
    held = [ExitStack() for _ in range(15)]
    for each in held:
        each.enter_context(database.read())
    served: list[bool] = []

    def ask() -> None:
        with suppress(Unavailable):
            database.ping()
            served.append(True)

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.1)  # it finds none
    held.pop().close()
    waiting.join(10)
    assert served
    for each in held:
        each.close()
    _write(database)


def test_a_full_disk_keeps_nothing_and_is_survived(sqlite_store: Database) -> None:
    sqlite_store.close()  # there is one connection from now on
    with sqlite_store._backend.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # means: what there is now
    assert _refusal(sqlite_store, text="x" * 1_000_000) == "store_unavailable"
    with sqlite_store.read() as tx:
        assert (tx.setting("mode"), tx.setting("text")) == (None, None)
    sqlite_store.close()
    _write(sqlite_store)


def test_a_commit_that_fails_keeps_nothing_and_frees_the_connection(
    sqlite_store: Database,
) -> None:
    def write() -> None:
        with sqlite_store.write() as tx:
            tx._session._connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            tx.put_setting("mode", "demo")
            tx.intents.add(samples.intent())

    with pytest.raises(Conflict) as failed:
        write()
    assert failed.value.code == "constraint_violated"
    with sqlite_store.read() as tx:
        assert (tx.setting("mode"), tx.intents.unfinished()) == (None, [])
    _write(sqlite_store)


def test_a_file_name_with_odd_characters_is_taken_as_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "a b%41#ü"
    directory.mkdir()
    store = Database(sqlite_url(directory))
    store.migrate()
    _write(store)
    store.close()
    assert [each.name for each in directory.iterdir()] == ["pnc.db"]


def test_a_removed_file_is_unavailable_and_does_not_come_back_empty(
    sqlite_store: Database, file: Path
) -> None:
    _write(sqlite_store)
    for part in file.parent.glob("pnc.db*"):
        part.unlink()
    assert _refusal(sqlite_store) == "store_unavailable"
    with pytest.raises(Unavailable):
        sqlite_store.ping()
    assert not file.exists()
    sqlite_store.migrate()
    with sqlite_store.read() as tx:
        assert tx.setting("mode") is None


def test_what_was_written_is_moved_into_the_file_while_others_read_and_write(
    sqlite_store: Database, file: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.db"
    _write(sqlite_store, text="moved")
    sqlite_store.tidy()
    alone.write_bytes(file.read_bytes())  # without its log
    assert _text(alone) == "moved"
    with sqlite_store.read() as tx, sqlite_store.write() as other:
        other.put_setting("text", "later")
        sqlite_store.tidy()
        assert tx.setting("text") == "moved"
    assert _text(file) == "later"


def _text(file: Path) -> str | None:
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT value FROM settings WHERE name = 'text'"
        row = connection.execute(query).fetchone()
    return None if row is None else str(row[0])


def test_tidying_what_is_lost_says_nothing_and_makes_no_file(
    sqlite_store: Database, file: Path
) -> None:
    for part in file.parent.glob("pnc.db*"):
        part.unlink()
    sqlite_store.tidy()
    assert not file.exists()
    assert _refusal(sqlite_store) == "store_unavailable"


def test_postgresql_tidies_by_itself(database: Database) -> None:
    _write(database)
    database.tidy()
    with database.read() as tx:
        assert tx.setting("mode") == "demo"


def test_a_damaged_file_is_unavailable(sqlite_store: Database, file: Path) -> None:
    sqlite_store.close()
    file.write_bytes(b"not a database" * 1000)
    assert _refusal(sqlite_store) == "store_unavailable"


def test_nobody_at_the_port_is_unavailable() -> None:
    store = Database("postgresql://postgres@127.0.0.1:1/nothing")
    assert _refusal(store) == "store_unavailable"
    with pytest.raises(Unavailable):
        store.exists()


def _killable(server: PostgresServer, url: str) -> tuple[Database, Callable[[], None]]:
    """Return a migrated store, and what kills every connection to it."""
    name = url.partition("?")[0].rpartition("/")[2]
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
    store = Database(url)
    store.migrate()
    return store, lambda: server.run(f"{kill} '{name}'")


def test_a_connection_killed_within_a_write_is_unavailable_and_leaves_nothing(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store, kill = _killable(postgres_server, postgres_url)
    assert _refusal(store, midway=kill) == "store_unavailable"
    with store.read() as tx:
        assert (tx.setting("mode"), tx.setting("text")) == (None, None)
    store.close()


def test_a_connection_killed_before_the_commit_is_unavailable_and_leaves_nothing(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store, kill = _killable(postgres_server, postgres_url)

    def write() -> None:
        with store.write() as tx:
            tx.put_setting("mode", "demo")
            kill()

    with pytest.raises(Unavailable) as killed:
        write()
    assert killed.value.code == "store_unavailable"
    with store.read() as tx:
        assert tx.setting("mode") is None
    store.close()


def test_the_error_of_the_block_outlives_the_loss_of_its_connection(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store, kill = _killable(postgres_server, postgres_url)

    def fail() -> None:
        with store.write() as tx:
            tx.put_setting("mode", "demo")
            kill()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with store.read() as tx:
        assert tx.setting("mode") is None
    store.close()


def test_a_connection_that_died_in_the_pool_is_replaced_unnoticed(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store, kill = _killable(postgres_server, postgres_url)
    store.ping()
    kill()
    _write(store)
    store.close()


def test_several_connections_that_died_at_hand_are_replaced_unnoticed(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store, kill = _killable(postgres_server, postgres_url)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(store.read())
    kill()
    for _ in range(3):
        _write(store)
    store.close()


def test_a_stopped_postgresql_is_unavailable_until_it_is_back(
    mortal_server: PostgresServer,
) -> None:
    store = Database(mortal_server.url())
    store.migrate()
    mortal_server.stop()
    assert _refusal(store) == "store_unavailable"
    mortal_server.start()
    store.ping()
    _write(store)
    store.close()


def test_kill_9_within_a_write_leaves_nothing(database: Database, database_url: str) -> None:
    process = processes.start(HANG, database_url)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n", process.communicate()[1]
    process.kill()
    process.communicate(timeout=60)
    with database.write() as tx:
        assert tx.issuers.all() == []
        assert tx.intents.unfinished() == []
        assert tx.audit.head("admin") is None
        tx.audit.append(samples.entry())
    with database.read() as tx:
        assert tx.audit.heads() == {"admin": (1, samples.entry().entry_hash)}
