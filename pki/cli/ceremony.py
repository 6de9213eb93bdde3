"""`pnc ceremony`: CAs by one reviewed file, and offline CAs by files that travel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pki import ceremony
from pki.ceremony import Transcript
from pki.cli.output import (
    HomeOption,
    emit,
    installation,
    json_option,
    operator,
    with_errors,
    yes_option,
)
from pki.errors import BadInput, Conflict, NotFound

_file = click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
_out = click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write."
)


@click.group("ceremony")
def ceremony_group() -> None:
    """
    Make, roll over, cross-certify and retire CAs from one reviewed TOML file.

    Without --yes it is rehearsed. Each ceremony leaves a transcript: what, hashes, who, when. For
    a root whose key lies offline: there `introduce`, here `accept`; here `request`, there `sign`,
    here `accept`. Both sides print the SHA-256 of each file that travels: compare them.
    """


@ceremony_group.command("run")
@_file
@yes_option
@json_option
@click.pass_obj
@with_errors
def ceremony_run(home: HomeOption, *, file: Path, yes: bool, as_json: bool) -> None:
    """Do what FILE says; certs/ceremonies/rollover.toml is an example."""
    with installation(home) as services:
        done = ceremony.run(services.deployment, operator(), _text(file), dry_run=not yes)
    _show(done, as_json=as_json)


@ceremony_group.command("introduce")
@click.argument("name")
@_out
@json_option
@click.pass_obj
@with_errors
def ceremony_introduce(home: HomeOption, *, name: str, out: Path, as_json: bool) -> None:
    """On the offline side: write the certificate and a fresh CRL of the CA NAME into a file."""
    _refuse_taken(out)
    with installation(home) as services:
        answer, done = ceremony.introduce(
            services.deployment, operator(), services.settings.status, name
        )
    out.write_text(answer.text(), "utf-8")
    _show(done, as_json=as_json)


@ceremony_group.command("request")
@_file
@click.option("--name", required=True, help="Name of the new CA in FILE, such as cpo1-2.")
@_out
@json_option
@click.pass_obj
@with_errors
def ceremony_request(home: HomeOption, *, file: Path, name: str, out: Path, as_json: bool) -> None:
    """On the online side: make the keys of a CA of a hierarchy FILE and ask its offline root."""
    _refuse_taken(out)
    plans = [plan for plan in ceremony.read(_text(file)).plans if plan.name == name]
    if not plans:
        raise NotFound("issuer_unknown", f"{file} has no CA {name}.")
    with installation(home) as services:
        asked, done = ceremony.request(services.deployment, operator(), plans[0])
    out.write_text(asked.text(), "utf-8")
    _show(done, as_json=as_json)


@ceremony_group.command("sign")
@_file
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File for the answer.")
@yes_option
@json_option
@click.pass_obj
@with_errors
def ceremony_sign(
    home: HomeOption, *, file: Path, out: Path | None, yes: bool, as_json: bool
) -> None:
    """On the offline side: sign what the request FILE asks for, and write the answer."""
    if yes and out is None:
        raise BadInput("out_missing", "Name the file of the answer with --out.")
    if out is not None:
        _refuse_taken(out)
    with installation(home) as services:
        answer, done = ceremony.answer(
            services.deployment,
            operator(),
            services.settings.status,
            _text(file),
            dry_run=not yes,
        )
    if answer is not None and out is not None:
        out.write_text(answer.text(), "utf-8")
    _show(done, as_json=as_json)


@ceremony_group.command("accept")
@_file
@yes_option
@json_option
@click.pass_obj
@with_errors
def ceremony_accept(home: HomeOption, *, file: Path, yes: bool, as_json: bool) -> None:
    """On the online side: take over an introduction or an answer, after proving every octet."""
    with installation(home) as services:
        done = ceremony.accept(services.deployment, operator(), _text(file), dry_run=not yes)
    _show(done, as_json=as_json)


@ceremony_group.command("list")
@click.argument("ceremony_id", required=False)
@json_option
@click.pass_obj
@with_errors
def ceremony_list(home: HomeOption, *, ceremony_id: str | None, as_json: bool) -> None:
    """Print the kept transcripts, or one of them."""
    with installation(home) as services:
        kept = ceremony.transcripts(services.deployment, operator())
    found = {k: v for k, v in kept.items() if ceremony_id in (None, k)}
    if ceremony_id and not found:
        raise NotFound("ceremony_unknown", f"There is no ceremony {ceremony_id[:64]}.")
    emit({"ceremonies": found}, as_json=as_json, table=lambda: "\n".join(found.values()))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput("invalid_ceremony_file", f"{file} cannot be read.") from error


def _refuse_taken(out: Path) -> None:
    if out.exists():
        raise Conflict("out_exists", f"{out} exists already.", hint="Name another file.")


def _show(done: Transcript, *, as_json: bool) -> None:
    body = {
        "ceremonyId": done.ceremony_id,
        "title": done.title,
        "dryRun": done.dry_run,
        "files": dict(done.files),
        "lines": list(done.lines),
    }
    emit(body, as_json=as_json, table=done.text)


COMMANDS: Final = (ceremony_group,)
