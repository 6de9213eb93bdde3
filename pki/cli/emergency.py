"""`pnc emergency`: a key was lost, of a leaf, a CA or a root, ours or somebody else's."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.console import Console
from rich.progress import Progress as Bar

from pki import emergency, render
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
    yes_option,
)
from pki.clock import format_time
from pki.emergency import Case, Progress, Radius
from pki.ids import Fingerprint
from pki.revoke import parse_reason
from pki.services import Services


@click.group("emergency")
def emergency_group() -> None:
    """
    Act when a key was lost: the blast radius first, then revoke, block, re-issue, notify.

    Without --yes only the blast radius is shown. What was interrupted is repeated.
    """


@emergency_group.command("revoke")
@click.argument("reference", metavar="SERIAL|FINGERPRINT")
@click.option("--reason", default="keyCompromise", show_default=True, help="Of RFC 5280.")
@click.option("--no-reissue", is_flag=True, help="Leave the re-issue to `emergency resume`.")
@yes_option
@json_option
@click.pass_obj
@with_errors
def emergency_revoke(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    reference: str,
    reason: str,
    no_reissue: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Revoke a certificate and what falls with it, and replace what can be replaced.

    For a CA: it and all below stop issuing, their next generations are made, and every leaf that
    fell is issued anew, contracts in bundles with a new key. For a root of ours: it is no longer
    trusted, and its successor must be brought to relying parties.
    """
    why = parse_reason(reason)
    with installation(home) as services:
        deployment = services.deployment
        before = emergency.radius(deployment, operator(), reference, why)
        case = None
        if yes:
            case = emergency.strike(deployment, operator(), reference, why)
            if not no_reissue:
                case = _reissued(services, before.fingerprint.value, before.certificates)
    body = {**_radius_json(before), "dryRun": not yes, **(_case_json(case) if case else {})}
    emit(body, as_json=as_json, table=lambda: _table(before, case))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to act.")


def _reissued(services: Services, reference: str, total: int) -> Case:
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Replacing certificates", total=total or None)

        def shown(progress: Progress) -> None:
            bar.update(task, completed=progress.done)

        return emergency.reissue(services.deployment, operator(), reference, progress=shown)


@emergency_group.command("resume")
@click.argument("fingerprint")
@yes_option
@json_option
@click.pass_obj
@with_errors
def emergency_resume(home: HomeOption, *, fingerprint: str, yes: bool, as_json: bool) -> None:
    """Go on with a re-issue that was interrupted; without --yes show how far it is."""
    reference = Fingerprint.parse(fingerprint).value
    with installation(home) as services:
        case = emergency.status(services.deployment, operator(), reference)
        if yes:
            case = _reissued(services, reference, 0)
    body = _case_json(case)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@emergency_group.command("distrust")
@click.argument("fingerprint")
@yes_option
@json_option
@click.pass_obj
@with_errors
def emergency_distrust(home: HomeOption, *, fingerprint: str, yes: bool, as_json: bool) -> None:
    """Stop trusting a root of somebody else's, in every domain; the next decision sees it."""
    with installation(home) as services:
        done = emergency.distrust(
            services.deployment, operator(), Fingerprint.parse(fingerprint), dry_run=not yes
        )
    body = {
        "fingerprint": done.fingerprint.value,
        "subject": done.subject,
        "domains": [domain.value for domain in done.domains],
        "cars": done.cars,
        "bundles": done.bundles,
        "sources": done.sources,
        "dryRun": done.dry_run,
    }
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if done.dry_run and not as_json:
        click.echo("Nothing was changed. Add --yes to stop trusting it.")


# --- showing -------------------------------------------------------------------------------------


def _radius_json(found: Radius) -> dict[str, Any]:
    report = render.revocation_report_json(found.report) if found.report else {}
    return {
        **report,
        "subject": found.subject,
        "fingerprint": found.fingerprint.value,
        "issuersBelow": list(found.issuers),
        "certificates": found.certificates,
        "contracts": found.contracts,
        "chargers": found.chargers,
        "cars": found.cars,
        "carsWithBundles": found.bundles_for,
        "emsps": list(found.emsps),
        "touched": [
            {
                "kind": each.kind.value,
                "owner": each.owner,
                "certificates": each.count,
                "names": each.names,
                "last": format_time(each.last),
            }
            for each in found.touched
        ],
    }


def _case_json(case: Case) -> dict[str, Any]:
    done = case.progress
    return {
        "issuers": list(case.issuers),
        "begunAt": format_time(case.begun_at),
        "endedAt": format_time(case.ended_at) if case.ended_at else None,
        "done": done.done,
        "replaced": done.replaced,
        "renewed": done.renewed,
        "earlier": done.earlier,
        "left": dict(done.left),
    }


def _table(found: Radius, case: Case | None) -> object:
    if case is not None:
        return facts(_case_json(case).items())
    rows = [(t.kind.value, t.owner or "-", t.count, t.names, t.last.date()) for t in found.touched]
    title = (
        f"{found.subject}: {len(found.issuers)} CAs, {found.certificates} certificates, "
        f"{found.contracts} contracts of {len(found.emsps)} eMSPs, {found.chargers} chargers, "
        f"{found.cars} cars, {found.bundles_for} cars with waiting bundles"
    )
    click.echo(title)
    return listing(("kind", "owner", "certificates", "names", "until"), rows)


COMMANDS: Final = (emergency_group,)
