"""The schema is what `schema.py` says, arrives whole or not at all, and is recognised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from pki.errors import Unavailable
from pki.ids import SerialNumber
from pki.store.columns import metadata
from pki.store.db import Database
from pki.store.migrate import configuration
from pki.store.schema import REVISION
from tests.databases import sqlite_url
from tests.store import processes
from tests.store.samples import NOW

Result = TypeVar("Result")

MIGRATE = """
import sys
from pki.store.db import Database
store = Database(sys.argv[1])
store.migrate()
store.ping()
"""


def _run(database: Database, work: Callable[[Connection], Result]) -> Result:
    with database._backend.engine.connect() as connection:
        result = work(connection)
        connection.commit()
        return result


def _described(connection: Connection) -> dict[str, object]:
    """Return all that the database itself knows of our tables."""
    inspector = inspect(connection)
    return {name: _table(inspector, name) for name in inspector.get_table_names()}


def _table(inspector: Inspector, name: str) -> dict[str, object]:
    return {
        "columns": [
            (column["name"], repr(column["type"]), column["nullable"], column["default"])
            for column in inspector.get_columns(name)
        ],
        "key": inspector.get_pk_constraint(name),
        "checks": sorted(map(repr, inspector.get_check_constraints(name))),
        "unique": sorted(map(repr, inspector.get_unique_constraints(name))),
        "foreign": sorted(map(repr, inspector.get_foreign_keys(name))),
        "indexes": sorted(map(_index, inspector.get_indexes(name))),
    }


def _index(index: ReflectedIndex) -> str:
    options = {key: str(value) for key, value in index.get("dialect_options", {}).items()}
    return repr((index["name"], index["column_names"], index["unique"], sorted(options.items())))


def test_alembic_sees_no_difference_between_migrations_and_schema(database: Database) -> None:
    differences = _run(
        database,
        lambda connection: compare_metadata(MigrationContext.configure(connection), metadata),
    )
    assert differences == []


def test_migrations_build_the_very_tables_that_the_schema_would(database: Database) -> None:
    migrated = _run(database, _described)
    assert migrated.pop("alembic_version")
    _run(database, metadata.drop_all)
    _run(database, metadata.create_all)
    built = _run(database, _described)
    built.pop("alembic_version")
    assert migrated == built
    assert set(built) == set(metadata.tables)


def test_the_revision_of_the_schema_is_the_newest_script() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [REVISION]


def test_an_empty_database_becomes_ours_and_a_second_migration_keeps_its_rows(
    database_url: str,
) -> None:
    store = Database(database_url)
    assert not store.exists()
    store.migrate()
    assert store.exists()
    with store.write() as tx:
        tx.put_setting("mode", "demo")
    store.migrate()
    store.ping()
    with store.read() as tx:
        assert tx.setting("mode") == "demo"
    store.close()


def test_processes_that_migrate_at_once_do_not_disturb_each_other(database_url: str) -> None:
    assert processes.complaints(MIGRATE, database_url) == []


def test_a_migration_that_fails_leaves_nothing(database_url: str) -> None:
    store = Database(database_url)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    _run(store, lambda c: c.exec_driver_sql("CREATE TABLE settings (name INTEGER)"))
    with pytest.raises(Unavailable) as failed:
        store.migrate()
    assert failed.value.code == "store_unavailable"
    assert _run(store, lambda c: inspect(c).get_table_names()) == ["settings"]
    assert not store.exists()
    store.close()


def test_ping_refuses_a_database_without_our_schema(database_url: str, tmp_path: Path) -> None:
    store = Database(database_url)
    with pytest.raises(Unavailable) as missing:
        store.ping()
    assert missing.value.code == "store_unavailable"
    assert list(tmp_path.iterdir()) == []
    store.close()


def test_a_schema_from_the_future_is_neither_used_nor_touched(database: Database) -> None:
    _run(database, lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    for refuse in (database.ping, database.migrate):
        with pytest.raises(Unavailable) as unknown:
            refuse()
        assert unknown.value.code == "store_unavailable"
    assert database.exists()


def test_a_new_sqlite_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path))
    store.migrate()
    assert (tmp_path / "pnc.db").stat().st_mode & 0o777 == 0o600
    store.close()


def test_a_directory_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path / "missing"))
    with pytest.raises(Unavailable) as missing:
        store.migrate()
    assert missing.value.code == "store_unavailable"


def test_revocations_get_what_crls_need_of_them_when_the_schema_grows(database_url: str) -> None:
    store = Database(database_url)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    _run(store, lambda c: command.upgrade(configuration(c), "0010"))
    _run(store, lambda c: [c.execute(text(each)) for each in AS_BEFORE.split(";")])
    store.migrate()
    with store.read() as tx:
        found = tx.certificates.revocation("i", SerialNumber.from_int(7))
        assert found is not None
        assert found.not_after is not None
        assert (found.not_after.timestamp(), found.shard) == (90, 1 + 7 % 5)
        assert tx.status.changed("i", 0, 1 + 7 % 5)
        assert not tx.status.changed("i", 0, 0)
        pages = tx.status.revoked("i", NOW)  # the certificate has ended, the intent never does
        assert [row for page in pages for row in page] == [("8", "superseded", 1, 1 + 8 % 5)]
    store.close()


AS_BEFORE = """
INSERT INTO issuers VALUES ('i', 'i', 1, 'mo_sub_ca2', '2', 'p256', 'active', 'c', NULL, 'i', '',
  FALSE, 1, FALSE, 5);
INSERT INTO intents VALUES ('7', 'i', '7', 'contract-2', 'contract', '2', 'p256', 't', '', 'x',
  'completed', 1, NULL);
INSERT INTO certificates VALUES ('f', 'i', '7', 'd', 'contract', '2', 'p256', 's', 'n', 1, 90, '',
  'k', '7', 1, NULL);
INSERT INTO revocations VALUES ('i', '7', 'superseded', 1, 'x');
INSERT INTO revocations VALUES ('i', '8', 'superseded', 1, 'x');
INSERT INTO changes VALUES (1, 'revoked', 'i', '7', 1)
"""
"""Rows as the program of schema 0010 left them: a revoked certificate, and a revoked intent."""
