"""`pnc contract provision` and the further life of a contract."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pki.cli.contracts import contract_group
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    operator,
    with_errors,
    yes_option,
)
from pki.clock import parse_time
from pki.errors import BadInput, PkiError, PolicyViolation
from pki.ids import Edition, Fingerprint
from pki.pkix.suites import Suite
from pki.provision import ccp, cps, life, lists, render
from pki.provision.generate import Wanted
from pki.provision.life import LifeReport
from pki.services import Services

_edition = click.option(
    "--edition", type=click.Choice(["2", "20"]), help="Default: that of the car, -2 first."
)
_root = click.option("--root", help="Fingerprint of the V2G root; default: one that the car holds.")


@contract_group.command("provision")
@click.option("--emaid", help="Contract identifier; becomes the CN.")
@click.option("--pcid", help="The car's provisioning certificate identifier.")
@click.option("--ends", help="End of the contract, such as 2028-06-30 or 2028-06-30T00:00:00Z.")
@click.option("--begins", help="Begin of the contract (default: now).")
@_edition
@click.option("--suite", type=click.Choice([s.value for s in Suite]), help="For a car with two.")
@_root
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Many at once: columns emaid,pcid,ends and, if wanted, begins,edition,root.",
)
@json_option
@click.pass_obj
@with_errors
def contract_provision(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    emaid: str | None,
    pcid: str | None,
    ends: str | None,
    begins: str | None,
    edition: str | None,
    suite: str | None,
    root: str | None,
    csv_file: Path | None,
    as_json: bool,
) -> None:
    """
    Make a contract certificate for a car, signed and ready to be installed at any station.

    The key is made here, encrypted for the car, and forgotten. The same EMAID again is a renewal. A
    CSV file is read completely before anything is made; a run that was interrupted goes on where it
    stopped.
    """
    if csv_file is not None:
        if emaid or pcid or ends:
            raise BadInput("options_exclusive", "Give --csv, or --emaid, --pcid and --ends.")
        _provision_list(home, csv_file, as_json=as_json)
        return
    if not (emaid and pcid and ends):
        raise BadInput("options_missing", "Give --emaid, --pcid and --ends, or --csv.")
    wanted = Wanted(
        emaid=emaid,
        pcid=pcid,
        ends=parse_time(ends),
        begins=parse_time(begins) if begins else None,
        edition=Edition(edition) if edition else None,
        suite=Suite(suite) if suite else None,
        root=Fingerprint.parse(root) if root else None,
    )
    with installation(home) as services:
        signed = cps.generate_contract(services.deployment, operator(), wanted)
    body = render.signed_json(signed)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    for warning in signed.warnings:
        click.secho(f"WARNING: {warning}", fg="yellow", err=True)


def _provision_list(home: HomeOption, path: Path, *, as_json: bool) -> None:
    rows = lists.read(path.read_bytes())
    report: dict[str, Any] = {"rows": len(rows), "made": 0, "kept": 0, "warned": 0, "failed": []}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with installation(home) as services, bar:
        task = bar.add_task("Provisioning", total=len(rows))
        for row in rows:
            _provision_row(services, row, report)
            bar.advance(task)
    emit(report, as_json=as_json, table=lambda: facts(_counts(report)))
    if report["failed"]:
        first = report["failed"][0]
        raise PolicyViolation(
            "rows_failed",
            f"{len(report['failed'])} of {len(rows)} rows failed, the first in line "
            f"{first['line']}: {first['message']}",
            hint="Correct the cause and run the same file again: what was made is kept.",
        )


def _provision_row(services: Services, row: lists.Row, report: dict[str, Any]) -> None:
    try:
        if lists.done(services.deployment, row.wanted):
            report["kept"] += 1
            return
        signed = cps.generate_contract(services.deployment, operator(), row.wanted)
        report["made"] += 1
        report["warned"] += bool(signed.warnings)
    except PkiError as error:
        if error.code in ("store_unavailable", "key_unavailable"):
            raise  # every further row would fail of the same
        failed = {"line": row.line, "emaid": row.wanted.emaid}
        report["failed"].append({**failed, "code": error.code, "message": error.message})
        click.echo(f"line {row.line} [{error.code}]: {error.message}", err=True)


def _counts(report: dict[str, Any]) -> list[tuple[str, object]]:
    return [(name, len(v) if isinstance(v, list) else v) for name, v in report.items()]


def _show(report: LifeReport, *, as_json: bool) -> None:
    body = render.life_json(report)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if report.dry_run and not as_json:
        click.echo("Nothing was changed. Add --yes to act.")


@contract_group.command("suspend")
@click.argument("emaid")
@yes_option
@json_option
@click.pass_obj
@with_errors
def contract_suspend(home: HomeOption, *, emaid: str, yes: bool, as_json: bool) -> None:
    """Suspend a contract: refused, not handed out, its certificates on hold."""
    with installation(home) as services:
        report = life.suspend(services.deployment, operator(), emaid, dry_run=not yes)
    _show(report, as_json=as_json)


@contract_group.command("resume")
@click.argument("emaid")
@yes_option
@json_option
@click.pass_obj
@with_errors
def contract_resume(home: HomeOption, *, emaid: str, yes: bool, as_json: bool) -> None:
    """Make a suspended contract active again."""
    with installation(home) as services:
        report = life.resume(services.deployment, operator(), emaid, dry_run=not yes)
    _show(report, as_json=as_json)


@contract_group.command("end")
@click.argument("emaid")
@yes_option
@json_option
@click.pass_obj
@with_errors
def contract_end(home: HomeOption, *, emaid: str, yes: bool, as_json: bool) -> None:
    """End a contract for good: its bundles go, its certificates are revoked."""
    with installation(home) as services:
        report = life.end(services.deployment, operator(), emaid, dry_run=not yes)
    _show(report, as_json=as_json)


@contract_group.command("delete")
@click.argument("emaid")
@click.option("--keep-certificates", is_flag=True, help="Revoke nothing.")
@yes_option
@json_option
@click.pass_obj
@with_errors
def contract_delete(
    home: HomeOption, *, emaid: str, keep_certificates: bool, yes: bool, as_json: bool
) -> None:
    """Take a contract's bundles from the pool and revoke its certificates."""
    with installation(home) as services:
        report = life.delete(
            services.deployment,
            operator(),
            emaid,
            revoking=not keep_certificates,
            dry_run=not yes,
        )
    _show(report, as_json=as_json)


@contract_group.command("move")
@click.argument("emaid")
@click.option("--pcid", required=True, help="The other car.")
@click.option("--ends", required=True, help="End of the contract.")
@_edition
@_root
@yes_option
@json_option
@click.pass_obj
@with_errors
def contract_move(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    emaid: str,
    pcid: str,
    ends: str,
    edition: str | None,
    root: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Give a contract to another car: a new certificate there, the old ones revoked."""
    wanted = Wanted(
        emaid=emaid,
        pcid=pcid,
        ends=parse_time(ends),
        edition=Edition(edition) if edition else None,
        root=Fingerprint.parse(root) if root else None,
    )
    with installation(home) as services:
        report = life.move(services.deployment, operator(), wanted, dry_run=not yes)
    _show(report, as_json=as_json)


@contract_group.command("renew")
@click.argument("emaid")
@click.option("--ends", required=True, help="The later end of the contract.")
@json_option
@click.pass_obj
@with_errors
def contract_renew(home: HomeOption, *, emaid: str, ends: str, as_json: bool) -> None:
    """Make every bundle of a contract anew; cars get them by installation or update."""
    until: dt.datetime = parse_time(ends)
    with installation(home) as services:
        made = life.renew(services.deployment, operator(), emaid, until)
    body = [render.signed_json(signed) for signed in made]
    emit(body, as_json=as_json, table=lambda: facts((b["suite"], b["bundleId"]) for b in body))


@contract_group.command("bundles")
@click.argument("emaid")
@json_option
@click.pass_obj
@with_errors
def contract_bundles(home: HomeOption, *, emaid: str, as_json: bool) -> None:
    """Show what the pool holds of a contract."""
    with installation(home) as services:
        held = ccp.by_emaid(services.deployment, operator(), emaid)
    body = [render.held_json(each) for each in held]
    emit(body, as_json=as_json, table=lambda: facts((b["bundleId"], b["pcid"]) for b in body))


COMMANDS: Final = ()
