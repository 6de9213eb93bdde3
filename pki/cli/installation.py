"""`pnc init`, `serve`, `demo token`: make an installation and run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from pki import demo, hierarchy, render
from pki import services as wiring
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.errors import BadInput, NotFound, Unavailable
from pki.jobs import Runner, holder, run_once
from pki.model import Issuer, IssuerState
from pki.services import Services
from pki.settings import FILE_NAME, Mode, Settings, to_toml


@click.command("init")
@click.option(
    "--hierarchy",
    "hierarchy_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Reviewed hierarchy file (default in demo mode: certs/hierarchies/demo.toml).",
)
@json_option
@click.pass_obj
@with_errors
def init_command(home: HomeOption, *, hierarchy_file: Path | None, as_json: bool) -> None:
    """
    Make the database, the CAs of a hierarchy file and, in demo mode, demo clients.

    What exists already is left as it is, so an interrupted run can be repeated.
    """
    settings = home.settings()
    _make_home(settings)
    services = wiring.build(settings)
    try:
        _warn(services)
        made = initialise(services, hierarchy_file)
    finally:
        services.close()
    body = {
        "home": str(settings.home),
        "mode": settings.mode.value,
        "publicUrl": settings.public_url,
        "created": [item.issuer.name for item in made if not item.existed],
        "issuers": [render.issuer_json(item.issuer) for item in made],
        "demoClients": str(settings.home / demo.FILE_NAME) if settings.demo else None,
    }
    rows = [
        (i.issuer.name, i.issuer.kind.value, i.issuer.suite.value, "kept" if i.existed else "new")
        for i in made
    ]
    emit(body, as_json=as_json, table=lambda: listing(("issuer", "kind", "suite", ""), rows))


def initialise(services: Services, hierarchy_file: Path | None) -> list[hierarchy.Made]:
    """Migrate the database and make what is missing of the hierarchy."""
    settings = services.settings
    if hierarchy_file is None and not settings.demo:
        raise BadInput(
            "hierarchy_missing",
            "Production mode makes no demo hierarchy.",
            hint="Write a hierarchy file after certs/hierarchies/demo.toml and name it "
            "with --hierarchy.",
        )
    plans = hierarchy.read(_hierarchy_text(hierarchy_file))
    services.database.migrate()
    wiring.check_start(services)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Making CAs", total=len(plans))
        made = hierarchy.create(
            services.deployment,
            operator(),
            plans,
            progress=lambda name: progress.update(task, advance=1, description=f"Made {name}"),
        )
    if settings.demo:
        demo.register(services.deployment, operator(), settings.home)
    return made


def _hierarchy_text(path: Path | None) -> str:
    if path is None:
        return (files("certs") / "hierarchies" / "demo.toml").read_text("utf-8")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("invalid_hierarchy", f"{path} cannot be read: {error}.") from error


def _make_home(settings: Settings) -> None:
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = settings.home / FILE_NAME
        if not file.exists():
            file.write_text(to_toml(settings), "utf-8")
    except OSError as error:
        raise Unavailable(
            "home_not_writable", f"{settings.home} cannot be written: {error.strerror}."
        ) from error


def _warn(services: Services) -> None:
    for warning in services.warnings:
        click.secho(f"WARNING: {warning}", fg="yellow", err=True)


@click.command("serve")
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port (default 8080).")
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
    settings = _serve_settings(
        replace(home, home=home_path or home.home),
        {
            "host": host,
            "port": port,
            "workers": workers,
            "database_url": database_url,
            "public_url": public_url,
            "mode": Mode(mode) if mode else None,
        },
    )
    _make_home(settings)
    (settings.home / FILE_NAME).write_text(to_toml(settings), "utf-8")
    services = wiring.build(settings)
    try:
        _warn(services)
        _announce(services, _prepare(services))
    finally:
        services.close()
    _run_gunicorn(settings)


def _serve_settings(home: HomeOption, given: dict[str, object]) -> Settings:
    """Put the options over what file and environment say, and judge the whole once more."""
    environment = dict(home.environment)
    names = {"database_url": "PNC_DATABASE_URL", "public_url": "PNC_PUBLIC_URL", "mode": "PNC_MODE"}
    for key, name in names.items():
        if given[key] is not None:
            environment[name] = str(given[key])
    before = replace(home, environment=environment).settings()
    host = str(given["host"] or before.host)
    port = given["port"] if isinstance(given["port"], int) else before.port
    workers = given["workers"] if isinstance(given["workers"], int) else before.workers
    derived = before.public_url == f"http://{before.host}:{before.port}"
    return replace(
        before,
        host=host,
        port=port,
        workers=workers,
        public_url=f"http://{host}:{port}" if derived else before.public_url,
    )


def _prepare(services: Services) -> list[Issuer]:
    """Bring the database up to date; return the issuers that were made now."""
    services.database.migrate()
    wiring.check_start(services)
    with services.deployment.store.read() as tx:
        issuers = [i for i in tx.issuers.all() if i.state is IssuerState.ACTIVE]
    finished = (services.settings.home / demo.FILE_NAME).exists() or not services.settings.demo
    if issuers and finished:
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


def _run_gunicorn(settings: Settings) -> None:
    """Start a job runner and become gunicorn; both read the same home."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PNC_")}
    environment["PNC_HOME"] = str(settings.home)
    if settings.passphrase_file:
        environment["PNC_KEY_PASSPHRASE_FILE"] = str(settings.passphrase_file)
    jobs = ["-m", "pki.cli", "--home", str(settings.home), "jobs", "run", "--with-parent"]
    subprocess.Popen([sys.executable, *jobs], env=environment)  # noqa: S603 - fixed words
    config = str(files("web") / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "--config", config, "web.wsgi:app"]
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own interpreter, fixed words


@click.group("jobs")
def jobs_group() -> None:
    """Periodic work: fresh OCSP answers, responders and CRLs."""


@jobs_group.command("run")
@click.argument("names", nargs=-1)
@click.option("--once", is_flag=True, help="Do each job once and end.")
@click.option("--with-parent", is_flag=True, help="End when the process that started it ends.")
@json_option
@click.pass_obj
@with_errors
def jobs_run(
    home: HomeOption, *, names: tuple[str, ...], once: bool, with_parent: bool, as_json: bool
) -> None:
    """
    Run the jobs until stopped; any number of runners may run side by side.

    NAMES limits it to some of them: responders, crls, ocsp-answers, evidence.
    """
    with installation(home) as services:
        jobs = tuple(job for job in services.jobs() if not names or job.name in names)
        if len(jobs) < len(set(names)):
            known = ", ".join(job.name for job in services.jobs())
            raise BadInput("job_unknown", "A job of that name does not exist.", hint=known)
        if once:
            who = holder()
            done = {job.name: run_once(services.deployment, job, who) for job in jobs}
            rows = [(name, "held elsewhere" if n is None else n) for name, n in done.items()]
            emit(done, as_json=as_json, table=lambda: listing(("job", "done"), rows))
            return
        parent = os.getppid()
        runner = Runner(deployment=services.deployment, jobs=jobs)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop())
        runner.run(lambda: not with_parent or os.getppid() == parent)


@click.group("demo")
def demo_group() -> None:
    """Helpers of a demo installation."""


@demo_group.command("token")
@click.argument("client")
@click.pass_obj
@with_errors
def demo_token(home: HomeOption, *, client: str) -> None:
    """Print the token of a demo client: cpo, emsp, emsp2, oem, cps, admin or auditor."""
    click.echo(demo.token(home.settings().home, client))


COMMANDS: Final = (init_command, serve_command, jobs_group, demo_group)
