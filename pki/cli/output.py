"""What every command shares: the installation it works on, and how results and errors are shown."""

from __future__ import annotations

import functools
import getpass
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from pki import services as wiring
from pki.errors import NotFound, PkiError
from pki.model import Principal, Role
from pki.services import Services
from pki.settings import Settings, load

Json = dict[str, Any]
Function = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOption:
    """Where the installation lies, as the command line and the environment say."""

    home: Path | None
    environment: Mapping[str, str]

    def settings(self) -> Settings:
        """Read the settings of the installation."""
        return load(self.environment, self.home)


def with_errors(function: Function) -> Function:
    """Turn our errors into one message on standard error and exit status 1."""

    @functools.wraps(function)
    def wrapped(*args: object, **options: object) -> None:
        try:
            function(*args, **options)
        except PkiError as error:
            fail(error, as_json=bool(options.get("as_json")))

    return wrapped


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON (camelCase keys) instead of a table."
)
yes_option = click.option(
    "--yes", is_flag=True, help="Act. Without it, only what would happen is shown."
)


def fail(error: PkiError, *, as_json: bool) -> NoReturn:
    """Show an error and end with status 1."""
    if as_json:
        body = {"code": error.code, "message": error.message, "hint": error.hint, **error.data}
        click.echo(json.dumps(body), err=True)
    else:
        click.echo(f"Error [{error.code}]: {error.message}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
    sys.exit(1)


@contextmanager
def installation(option: HomeOption) -> Iterator[Services]:
    """
    Open the installation for one command.

    Raises:
        NotFound: `not_initialised`, where no database was made yet.
    """
    services = wiring.build(option.settings())
    try:
        if not services.database.exists():
            raise NotFound(
                "not_initialised",
                f"There is no PKI at {services.settings.home}.",
                hint="Run `pnc init` first, or name another home with --home or PNC_HOME.",
            )
        yield services
    finally:
        services.close()


def operator() -> Principal:
    """Return whoever can read the home directory: an administrator."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return Principal(name=f"cli:{user}", role=Role.ADMIN)


def emit(value: object, *, as_json: bool, table: Callable[[], object]) -> None:
    """Print a JSON value, or the table that `table` makes for eyes."""
    if as_json:
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    Console(soft_wrap=True).print(table())


def facts(rows: Iterable[tuple[str, object]], title: str | None = None) -> Table:
    """Make a table of names and values."""
    table = Table(show_header=False, title=title, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, _cell(value))
    return table


def listing(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a table with a header."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text.replace("[", "\\[")
