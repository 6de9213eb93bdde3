"""What every command shares: the installation it works on, and how results and errors are shown."""

from __future__ import annotations

import functools
import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table

from pki import access, gate
from pki import services as wiring
from pki.errors import ApprovalNeeded, BadInput, NotFound, PkiError
from pki.model import Principal, Role
from pki.services import Services
from pki.settings import DEFAULT_HOME, Settings, load

Json = dict[str, Any]
Function = Callable[..., None]
Item = TypeVar("Item")
_MAX_SECRET: Final = 1000

PROPOSED: Final = 3
"""Exit status: nothing was done yet, other people must approve it."""

_WHO: Final = "pki.principal"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOption:
    """Where the installation lies, as the command line and the environment say."""

    home: Path | None
    environment: Mapping[str, str]
    token_file: Path | None = None

    def place(self) -> Path:
        """Return where the home is, or would be; nothing of it is read."""
        named = self.home or Path(self.environment.get("PNC_HOME") or DEFAULT_HOME)
        return named.expanduser().absolute()

    def settings(self) -> Settings:
        """Read the settings of the installation."""
        return load(self.environment, self.home)


def with_errors(function: Function) -> Function:
    """Turn our errors into one message on standard error and exit status 1."""

    @functools.wraps(function)
    def wrapped(*args: object, **options: object) -> None:
        try:
            function(*args, **options)
        except ApprovalNeeded as proposed:
            tell_proposed(proposed, as_json=bool(options.get("as_json")))
        except PkiError as error:
            fail(error, as_json=bool(options.get("as_json")))
        except OSError as error:
            if error.filename is None:  # no file that somebody named
                raise
            fail(_unusable(error), as_json=bool(options.get("as_json")))

    return wrapped


def _unusable(error: OSError) -> BadInput:
    return BadInput(
        "file_unusable",
        f"{error.filename} cannot be used: {error.strerror}.",
        hint="Name a file or directory that you may read or write.",
    )


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON (camelCase keys) instead of a table."
)
edition_option = click.option(
    "--edition",
    type=click.Choice(["2", "20"]),
    help="Edition of ISO 15118 (default: from the key of the CSR, else 2).",
)
suite_option = click.option(
    "--suite",
    type=click.Choice(["p256", "p521", "ed448"]),
    help="Suite of a key generated here (-20: p521 or ed448).",
)
yes_option = click.option(
    "--yes", is_flag=True, help="Act. Without it, only what would happen is shown."
)


def paged(
    mark: str, *, option: str = "after", most: int = 10_000, default: int = 100
) -> Callable[[Function], Function]:
    """Add to a listing how long a page is, and the mark that ended the one before."""

    def added(function: Function) -> Function:
        bound = click.IntRange(1, most)
        limited = click.option("--limit", type=bound, default=default, show_default=True)(function)
        return click.option(f"--{option}", help=f"{mark} that ended the page before.")(limited)

    return added


def tell_more(
    found: Sequence[Item], limit: int, mark: Callable[[Item], object], *, option: str = "after"
) -> None:
    """Say behind a full page, on standard error, how the next one is had."""
    if len(found) == limit:
        click.echo(f"There may be more; go on with --{option} {mark(found[-1])}", err=True)


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


def tell_proposed(proposed: ApprovalNeeded, *, as_json: bool) -> NoReturn:
    """Show what was proposed instead of done, and end with status 3."""
    emit(dict(proposed.data), as_json=as_json, table=lambda: facts(proposed.data.items()))
    click.echo(f"{proposed.message} {proposed.hint}", err=True)
    sys.exit(PROPOSED)


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
        identify(services, option)
        yield services
    finally:
        services.close()


def identify(services: Services, option: HomeOption) -> None:
    """
    Find out who uses the command: whose token was given, else whoever holds the home directory.

    Raises:
        Unauthenticated: `token_invalid`. BadInput: `token_file_unreadable`.
    """
    if option.token_file is None:
        return
    try:
        token = option.token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("token_file_unreadable", f"{option.token_file} cannot be read.") from error
    found = access.authenticate(services.deployment, token)
    click.get_current_context().meta[_WHO] = found


def operator() -> Principal:
    """Return who uses the command; without a token, an administrator by name of the user."""
    found = click.get_current_context().meta.get(_WHO)
    return found if isinstance(found, Principal) else Principal(name=_holder(), role=Role.ADMIN)


def _holder() -> str:
    """Name the user by the process, as what the environment says anybody can write."""
    try:
        return f"{gate.SHELL}{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"{gate.SHELL}{os.getuid()}"


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
    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")  # an id that is cut cannot be pasted
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


def secret_of(path: Path) -> str:
    """Read a secret from a file, or `-`; raises as `given_secret`."""
    with click.open_file(str(path)) as file:
        return given_secret(file.read(_MAX_SECRET))


def given_secret(text: str) -> str:
    """Return a secret without what surrounds it. Raises BadInput (`token_missing`)."""
    if not text.strip():
        raise BadInput("token_missing", "The token is empty.")
    return text.strip()
