"""A store with our schema, on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pki.store.db import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Yield a migrated, empty store that gives up on a lock after half a second."""
    store = Database(database_url, wait=0.5)
    store.migrate()
    yield store
    store.close()
