"""`pnc init`, `demo token`: make an installation."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from pki import demo, gate, hierarchy, render
from pki import services as wiring
from pki.cli.output import (
    HomeOption,
    emit,
    identify,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.errors import BadInput, Unavailable
from pki.provision import upkeep
from pki.services import Services
from pki.settings import FILE_NAME, Settings, to_toml

_DEMO_HIERARCHIES: Final = ("demo.toml", "tls.toml")


@click.command("init")
@click.option(
    "--hierarchy",
    "hierarchy_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Reviewed hierarchy file (default in demo mode: demo.toml and tls.toml of "
    "certs/hierarchies).",
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
    make_home(settings)
    services = wiring.build(settings)
    try:
        warn(services)
        if services.database.exists():
            identify(services, home)
        made = initialise(services, hierarchy_file)
        if not (settings.home / FILE_NAME).exists():
            write_settings(settings)
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
    plans = [plan for text in _hierarchy_texts(hierarchy_file) for plan in hierarchy.read(text)]
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
    upkeep.equip(services.deployment, operator())
    warn_alone(services)
    if settings.demo:
        demo.register(services.deployment, operator(), settings.home)
    return made


def _hierarchy_texts(path: Path | None) -> list[str]:
    if path is None:
        folder = files("certs") / "hierarchies"
        return [(folder / name).read_text("utf-8") for name in _DEMO_HIERARCHIES]
    try:
        return [path.read_text("utf-8")]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("invalid_hierarchy", f"{path} cannot be read: {error}.") from error


def make_home(settings: Settings) -> None:
    """Make the home directory. Raises Unavailable (`home_not_writable`)."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "home_not_writable", f"{settings.home} cannot be written: {error.strerror}."
        ) from error


def warn(services: Services) -> None:
    """Say loudly what weakens the installation."""
    for warning in services.warnings:
        click.secho(f"WARNING: {warning}", fg="yellow", err=True)


def warn_alone(services: Services) -> None:
    """Say that nobody else must agree yet, though the settings want it."""
    required = services.settings.approvals.required
    if required and gate.alone(services.deployment):
        click.secho(
            f"WARNING: whoever holds {services.settings.home} acts alone until {required + 1} "
            "administrators are registered: `pnc client add --role admin --id admin-NAME "
            "--token-hash HASH`, each with a hash of `pnc client token`.",
            fg="yellow",
            err=True,
        )


def write_settings(settings: Settings) -> None:
    """Write `pnc.toml` in one step, for its owner alone."""
    path = settings.home / FILE_NAME
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(to_toml(settings))
    temporary.replace(path)


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


COMMANDS: Final = (init_command, demo_group)
