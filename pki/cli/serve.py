"""`pnc serve`: the service under gunicorn, and a job runner beside it."""

from __future__ import annotations

import fcntl
import os
import runpy
import socket
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from pki import demo
from pki import services as wiring
from pki.cli.installation import initialise, make_home, warn, warn_alone, write_settings
from pki.cli.output import (
    HomeOption,
    facts,
    operator,
    with_errors,
)
from pki.errors import Conflict, NotFound, PkiError, Unavailable
from pki.model import Issuer, IssuerState
from pki.services import Services
from pki.settings import FILE_NAME, Mode, Settings


@click.command("serve")
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port (default 8080).")
@click.option(
    "--mtls-port",
    type=click.IntRange(0, 65535),
    help="Second port, TLS with client certificates, for EST re-enrolment (default: none).",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes (default 2).")
@click.option("--database-url", help="sqlite:///… or postgresql://… (default: SQLite in home).")
@click.option("--public-url", help="Address as relying parties reach it; stands in certificates.")
@click.option(
    "--mode", type=click.Choice([mode.value for mode in Mode]), help="demo (default) or production."
)
@click.option(
    "--home",
    "home_path",
    type=click.Path(file_okay=False, path_type=Path),
    help="State directory (default: $PNC_HOME, else var/).",
)
@click.pass_obj
@with_errors
def serve_command(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    host: str | None,
    port: int | None,
    mtls_port: int | None,
    workers: int | None,
    database_url: str | None,
    public_url: str | None,
    mode: str | None,
    home_path: Path | None,
) -> None:
    """
    Start the service under gunicorn; make a demo hierarchy if there is none.

    What the options say is written to pnc.toml in the home directory and kept for the next start.
    """
    settings, pinned = _serve_settings(
        replace(home, home=home_path or home.home),
        {
            "host": host,
            "port": port,
            "mtls_port": mtls_port,
            "workers": workers,
            "database_url": database_url,
            "public_url": public_url,
            "mode": Mode(mode) if mode else None,
        },
    )
    make_home(settings)
    lock = _lock(settings)
    try:
        handed, descriptors = _start(settings, pinned=pinned)
    except PkiError:
        os.close(lock)
        raise
    _run_gunicorn(settings, lock, handed, descriptors)


def _start(settings: Settings, *, pinned: bool) -> tuple[dict[str, str], tuple[int, ...]]:
    """
    Do everything that may be refused; the settings are written only when nothing was.

    Returns what `pki.services.hand_down` gives.
    """
    services = wiring.build(settings)
    try:
        warn(services)
        _probe(settings)
        made = _prepare(services)
        warn_alone(services)
        write_settings(settings)
        _announce(services, made)
        if pinned:
            click.secho(f"Certificates keep naming {settings.public_url}.", fg="yellow", err=True)
        return wiring.hand_down(services)
    finally:
        services.close()


def _lock(settings: Settings) -> int:
    """
    Hold the home for one service; the lock lasts as long as the process that gunicorn becomes.

    Raises:
        Conflict: `already_serving`.
    """
    directory = settings.home / "run"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(
            "already_serving",
            f"A service runs on {settings.home} already.",
            hint="Stop it first, or name another home with --home.",
        ) from error
    return descriptor


def _probe(settings: Settings) -> None:
    """Refuse an address that cannot be bound. Raises Unavailable (`address_taken`)."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Unavailable(
                "address_taken",
                f"{settings.host}:{settings.port} cannot be bound: {error.strerror}.",
                hint="Name another port with --port.",
            ) from error


def _serve_settings(home: HomeOption, given: dict[str, object]) -> tuple[Settings, bool]:
    """
    Put the options over what file and environment say; judge the whole once more.

    Tells also whether the public address stayed although the port or host is another now: it stands
    in certificates.
    """
    environment = dict(home.environment)
    names = {"database_url": "PNC_DATABASE_URL", "public_url": "PNC_PUBLIC_URL", "mode": "PNC_MODE"}
    for key, name in names.items():
        if given[key] is not None:
            environment[name] = str(given[key])
    before = replace(home, environment=environment).settings()
    host = str(given["host"] or before.host)
    port = given["port"] if isinstance(given["port"], int) else before.port
    workers = given["workers"] if isinstance(given["workers"], int) else before.workers
    mtls = given["mtls_port"] if isinstance(given["mtls_port"], int) else before.mtls_port
    derived = before.public_url == f"http://{before.host}:{before.port}"
    kept = (before.home / FILE_NAME).exists()
    moved = derived and (host, port) != (before.host, before.port)
    settings = replace(
        before,
        host=host,
        port=port,
        workers=workers,
        mtls_port=mtls,
        public_url=f"http://{host}:{port}" if moved and not kept else before.public_url,
    )
    return settings, moved and kept


def _prepare(services: Services) -> list[Issuer]:
    """Bring the database up to date; return the issuers that were made now."""
    services.database.migrate()
    wiring.check_start(services)
    with services.deployment.store.read() as tx:
        issuers = [i for i in tx.issuers.all() if i.state is IssuerState.ACTIVE]
    finished = (services.settings.home / demo.FILE_NAME).exists() or not services.settings.demo
    if issuers and finished:
        if services.settings.demo:  # a home from before there were agreements
            demo.agree(services.deployment, operator())
        return []
    if not services.settings.demo:
        raise NotFound(
            "hierarchy_missing",
            "There is no CA yet.",
            hint="Run `pnc init --hierarchy FILE` with your reviewed hierarchy first.",
        )
    click.echo("Making a demo hierarchy …")
    return [item.issuer for item in initialise(services, None) if not item.existed]


def _announce(services: Services, made: list[Issuer]) -> None:
    settings = services.settings
    url = f"http://{settings.host}:{settings.port}"
    rows: list[tuple[str, object]] = [
        ("service", url),
        ("public address", settings.public_url),
        ("API description", f"{url}/openapi.json"),
        ("health", f"{url}/healthz/ready"),
        ("state", settings.home),
        ("mode", settings.mode.value),
        ("CAs", f"{len(made)} made now" if made else "kept"),
    ]
    if settings.mtls_port:
        rows.append(("client certificates", f"https://{settings.host}:{settings.mtls_port}"))
    if settings.demo:
        rows.append(("tokens", settings.home / demo.FILE_NAME))
    Console(soft_wrap=True).print(facts(rows, title="PnC PKI"))
    if settings.demo:
        click.echo(_calls(settings, url))
    click.echo("Stop with Ctrl-C (or SIGTERM).")
    sys.stdout.flush()


def _calls(settings: Settings, url: str) -> str:
    """One call per kind of user, ready to paste into another shell at the same place."""
    pnc = f"{_shell(Path(sys.argv[0]))} --home {_shell(settings.home)}"

    def call(label: str, client: str, path: str, body: str) -> str:
        return (
            f"  {label}\n    curl -s {url}{path} -H 'Content-Type: application/json' \\\n"
            f'      -H "Authorization: Bearer $({pnc} demo token {client})" \\\n'
            f"      -d '{body}'"
        )

    emaid = f"{demo.EMSP}C12345678"
    return "\n".join(
        (
            "Try it:",
            call(
                "eMSP: a contract certificate, key generated here",
                "emsp",
                "/v1/certificates",
                f'{{"profile": "contract", "emaid": "{emaid}"}}',
            ),
            call(
                "CSMS: may this contract charge?",
                "cpo",
                "/ocpp/2.0.1/Authorize",
                f'{{"idToken": {{"idToken": "{emaid}", "type": "eMAID"}}}}',
            ),
            call(
                "CPO: a charger certificate",
                "cpo",
                "/v1/certificates",
                '{"profile": "secc", "commonName": "DE*CPA*E1"}',
            ),
            call(
                "OEM: a provisioning certificate",
                "oem",
                "/v1/certificates",
                '{"profile": "oem", "commonName": "WPN12345678901234"}',
            ),
            f"  Administrator: what was issued\n    {pnc} list",
        )
    )


def _shell(path: Path) -> str:
    text = str(path)
    return text if text.replace("/", "").replace("-", "").isidentifier() else f"'{text}'"


def _run_gunicorn(
    settings: Settings, lock: int, handed: dict[str, str], descriptors: tuple[int, ...]
) -> None:
    """Start a job runner and become gunicorn; both read the same home, gunicorn keeps the lock."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PNC_")}
    environment |= {"PNC_HOME": str(settings.home), **handed}
    jobs = ["-m", "pki.cli", "--home", str(settings.home), "jobs", "run"]
    ours = ["--with-parent", str(os.getpid())]  # gunicorn keeps the number
    subprocess.Popen(  # noqa: S603 - fixed words
        [sys.executable, *jobs, *ours], env=environment, pass_fds=descriptors
    )
    os.set_inheritable(lock, True)  # gunicorn may become a new gunicorn (SIGUSR2)
    os.environ.clear()
    os.environ.update(environment)
    config = str(files("web") / "gunicorn.conf.py")
    sys.argv = [str(Path(sys.executable).with_name("gunicorn")), "--config", config]
    # in this process: another one would import for a second what is here already
    runpy.run_module("gunicorn", run_name="__main__")


COMMANDS: Final = (serve_command,)
