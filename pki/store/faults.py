"""What a database complains about, in the words of `pki.errors`; nothing of a driver escapes."""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg
from sqlalchemy import exc

from pki.errors import BadInput, Conflict, PkiError, Unavailable

_SQLITE_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_POSTGRESQL_BUSY: Final = {
    "25P03",  # we idled in a transaction for too long
    "40001",  # serialization failure, also a conflict with recovery on a replica
    "40P01",  # deadlock
    "53300",  # too many connections
    "55P03",  # lock timeout
    "57014",  # statement timeout
}
_INTEGRITY_CLASS: Final = "23"


def busy() -> Unavailable:
    """Return `store_busy`: the same call may succeed a moment later."""
    return Unavailable("store_busy", "The database is busy.", hint="Try again in a moment.")


def unavailable() -> Unavailable:
    """Return `store_unavailable`: gone, full, read-only, damaged or not ours."""
    return Unavailable(
        "store_unavailable",
        "The database cannot be used.",
        hint="Check that it runs, has room and is writable; `pnc init` creates it.",
    )


def translate(error: exc.SQLAlchemyError) -> Exception:
    """
    Return the error to raise instead.

    Conflict (`constraint_violated`) for what the schema forbids, BadInput (`value_not_storable`)
    for a value outside a column's range, Unavailable (`store_busy`, `store_unavailable`) for the
    rest. What one of our column types raised comes back as it was.
    """
    cause = error.orig if isinstance(error, exc.StatementError) else None
    if isinstance(cause, sqlite3.Error | psycopg.Error):
        return of_driver(cause)
    if isinstance(cause, Exception):
        return cause
    return busy() if isinstance(error, exc.TimeoutError) else unavailable()


def of_driver(error: sqlite3.Error | psycopg.Error) -> PkiError:
    """Return the error to raise instead of one that came straight from a driver."""
    return _sqlite(error) if isinstance(error, sqlite3.Error) else _postgresql(error)


def _sqlite(error: sqlite3.Error) -> PkiError:
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary in _SQLITE_BUSY:
        return busy()
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return _violated()
    return _not_storable() if isinstance(error, sqlite3.DataError) else unavailable()


def _postgresql(error: psycopg.Error) -> PkiError:
    state = error.sqlstate or ""
    if state in _POSTGRESQL_BUSY:
        return busy()
    if state.startswith(_INTEGRITY_CLASS):
        return _violated()
    return _not_storable() if isinstance(error, psycopg.DataError) else unavailable()


def _violated() -> Conflict:
    return Conflict("constraint_violated", "The change contradicts what the database holds.")


def _not_storable() -> BadInput:
    return BadInput("value_not_storable", "A value cannot be kept by the database.")
