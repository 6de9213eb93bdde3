"""`pnc trust`: anchors and status policies per domain."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pki import render, trust
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
from pki.ids import Fingerprint
from pki.model import Domain, StatusRule

_DOMAINS: Final = [domain.value for domain in Domain]


@click.group("trust")
def trust_group() -> None:
    """Trust anchors per domain: v2g, mo, oem, pe. A running service sees changes at once."""


@trust_group.command("add")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--domain", required=True, type=click.Choice(_DOMAINS))
@json_option
@click.pass_obj
@with_errors
def trust_add(home: HomeOption, *, file: Path, domain: str, as_json: bool) -> None:
    """Trust a CA certificate (PEM or DER) for a domain."""
    with installation(home) as services:
        anchor = trust.add(services.deployment, operator(), file.read_bytes(), Domain(domain))
    body = render.anchor_json(anchor)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@trust_group.command("remove")
@click.argument("fingerprint")
@click.option("--domain", type=click.Choice(_DOMAINS), help="In this domain only.")
@yes_option
@json_option
@click.pass_obj
@with_errors
def trust_remove(
    home: HomeOption, *, fingerprint: str, domain: str | None, yes: bool, as_json: bool
) -> None:
    """Stop trusting an anchor. Without --yes, only show which."""
    wanted = Fingerprint.parse(fingerprint)
    with installation(home) as services:
        found = trust.find(services.deployment, operator(), wanted)
        if yes:
            found = trust.remove(
                services.deployment, operator(), wanted, Domain(domain) if domain else None
            )
    body = {"dryRun": not yes, "anchors": [render.anchor_json(anchor) for anchor in found]}
    rows = [(a.domain.value, a.fingerprint) for a in found]
    emit(body, as_json=as_json, table=lambda: listing(("domain", "fingerprint"), rows))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to remove.")


@trust_group.command("list")
@json_option
@click.pass_obj
@with_errors
def trust_list(home: HomeOption, *, as_json: bool) -> None:
    """List the anchors in force."""
    with installation(home) as services:
        found = trust.anchors(services.deployment, operator())
    body = [render.anchor_json(anchor) for anchor in found]
    rows = [(a["domain"], a["subject"], a["fingerprint"]) for a in body]
    emit(body, as_json=as_json, table=lambda: listing(("domain", "subject", "fingerprint"), rows))


@trust_group.command("policy")
@click.argument("domain", required=False, type=click.Choice(_DOMAINS))
@click.option(
    "--status",
    type=click.Choice([StatusRule.REQUIRED.value, StatusRule.NOT_REQUIRED.value]),
    help="Whether the status of foreign certificates must be known.",
)
@json_option
@click.pass_obj
@with_errors
def trust_policy(
    home: HomeOption, *, domain: str | None, status: str | None, as_json: bool
) -> None:
    """Show the policies, or set that of a domain."""
    if (domain is None) != (status is None):
        raise click.UsageError("Name a domain and --status together, or neither.")
    with installation(home) as services:
        if domain and status:
            trust.set_rule(services.deployment, operator(), Domain(domain), StatusRule(status))
        rules = trust.rules(services.deployment, operator())
    body = {domain.value: {"status": rule.value} for domain, rule in rules.items()}
    rows = [(domain.value, rule.value) for domain, rule in rules.items()]
    emit(body, as_json=as_json, table=lambda: listing(("domain", "status of foreign"), rows))


COMMANDS: Final = (trust_group,)
