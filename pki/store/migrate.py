"""Runs the migrations of `pki/store/migrations` on a connection that is inside a transaction."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from pki.errors import Unavailable

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME: Final = threading.Lock()
"""alembic's environment is one per process, whatever the thread."""


def configuration(connection: Connection | None = None) -> Config:
    """Return alembic's configuration for our scripts, on `connection` where there is one."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """
    Bring the schema to a revision, the newest by default; the caller commits.

    Raises:
        Unavailable: `store_unavailable`, for a schema of a revision that this program lacks.
    """
    try:
        with _ONE_AT_A_TIME:
            command.upgrade(configuration(connection), revision)
    except CommandError as error:
        raise Unavailable(
            "store_unavailable",
            "The database has a schema that this program does not know.",
            hint="Install the program that fits it.",
        ) from error
