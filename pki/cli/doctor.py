"""`pnc doctor` and `pnc recheck`."""

from __future__ import annotations

from typing import Final

import click
from rich.console import Console
from rich.progress import Progress

from pki import doctor, recheck
from pki.cli.output import (
    HomeOption,
    emit,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.doctor import Finding, Health

FAILED: Final = 1
WARNED: Final = 4
"""Exit statuses: a check failed; some warned."""


@click.command("doctor")
@click.argument("names", nargs=-1)
@json_option
@click.pass_obj
@with_errors
def doctor_command(home: HomeOption, *, names: tuple[str, ...], as_json: bool) -> None:
    """
    Examine the installation; exit status 0: well, 4: warnings, 1: something failed.

    NAMES limits it to some checks: database, clock, certificates, intents, status, keys, files,
    settings, disk, audit. Nothing is changed.
    """
    with (
        installation(home) as services,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("Examining", total=len(names or doctor.CHECKS))
        findings = doctor.examine(
            services.deployment,
            operator(),
            services.place(),
            names,
            progress=lambda name: progress.update(task, advance=1, description=name),
        )
    body = {finding.check: _json(finding) for finding in findings}
    rows = [(f.check, f.health.value, f.found, f.advice) for f in findings]
    columns = ("check", "", "found", "what to do")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))
    states = {finding.health for finding in findings}
    if Health.FAILED in states:
        raise SystemExit(FAILED)
    if Health.WARNING in states:
        raise SystemExit(WARNED)


def _json(finding: Finding) -> dict[str, str | None]:
    return {
        "health": finding.health.value,
        "found": finding.found,
        "advice": finding.advice,
    }


@click.command("recheck")
@click.option("--anew", is_flag=True, help="Everything, not only what is new since the last run.")
@click.option("--full", is_flag=True, help="Ask pkilint too: some milliseconds a certificate.")
@json_option
@click.pass_obj
@with_errors
def recheck_command(home: HomeOption, *, anew: bool, full: bool, as_json: bool) -> None:
    """
    Lint and verify once more what was issued; exit status 1 if something does not hold.

    A run that is cut short goes on where it stopped; the next takes what is new since.
    """
    with (
        installation(home) as services,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        deployment = services.deployment
        total = recheck.remaining(deployment, operator(), anew=anew)
        task = progress.add_task("Checking", total=total)
        report = recheck.recheck(
            deployment,
            operator(),
            anew=anew,
            full=full,
            progress=lambda count: progress.update(task, advance=count),
        )
    wrong = [
        {
            "issuer": each.issuer_id,
            "serial": each.serial,
            "fingerprint": each.fingerprint,
            "problems": list(each.problems),
        }
        for each in report.wrong
    ]
    body = {"checked": report.checked, "remaining": report.remaining, "wrong": wrong}
    rows = [(w.issuer_id, w.serial, w.problems) for w in report.wrong]
    emit(body, as_json=as_json, table=lambda: listing(("issuer", "serial", "problems"), rows))
    if not as_json:
        click.echo(f"{report.checked} certificates were checked, {len(wrong)} do not hold.")
    if wrong:
        raise SystemExit(FAILED)


COMMANDS: Final = (doctor_command, recheck_command)
