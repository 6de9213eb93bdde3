"""`pnc trust`: anchors and status policies per domain."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pki import foreign, render, trust
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
from pki.model import Domain, SourceKind, StaleRule, StatusRule

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
@click.option(
    "--stale",
    type=click.Choice([rule.value for rule in StaleRule]),
    help="Whether evidence past its nextUpdate refuses or still counts.",
)
@json_option
@click.pass_obj
@with_errors
def trust_policy(
    home: HomeOption, *, domain: str | None, status: str | None, stale: str | None, as_json: bool
) -> None:
    """Show the policies, or set those of a domain."""
    if (domain is None) != (status is None and stale is None):
        raise click.UsageError("Name a domain and --status or --stale together, or neither.")
    with installation(home) as services:
        if domain and status:
            trust.set_rule(services.deployment, operator(), Domain(domain), StatusRule(status))
        if domain and stale:
            foreign.set_stale_rule(
                services.deployment, operator(), Domain(domain), StaleRule(stale)
            )
        rules = trust.rules(services.deployment, operator())
        outdated = foreign.stale_rules(services.deployment, operator())
    body = {d.value: {"status": rules[d].value, "stale": outdated[d].value} for d in Domain}
    rows = [(d.value, rules[d].value, outdated[d].value) for d in Domain]
    emit(
        body,
        as_json=as_json,
        table=lambda: listing(("domain", "status of foreign", "stale evidence"), rows),
    )


@trust_group.group("source")
def source_group() -> None:
    """Where the status of foreign certificates is fetched; configured, never discovered."""


@source_group.command("add")
@click.option("--domain", required=True, type=click.Choice(_DOMAINS))
@click.option(
    "--issuer",
    required=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Certificate of the CA that the source answers for.",
)
@click.option("--crl", "crl_url", help="Address of its CRL.")
@click.option("--ocsp", "ocsp_url", help="Address of its OCSP responder.")
@json_option
@click.pass_obj
@with_errors
def source_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    domain: str,
    issuer: Path,
    crl_url: str | None,
    ocsp_url: str | None,
    as_json: bool,
) -> None:
    """Fetch a foreign CA's CRL, or ask its responder; the job `evidence` does it."""
    if (crl_url is None) == (ocsp_url is None):
        raise click.UsageError("Give --crl or --ocsp, one of them.")
    kind = SourceKind.CRL if crl_url else SourceKind.OCSP
    with installation(home) as services:
        source = foreign.add_source(
            services.deployment,
            operator(),
            Domain(domain),
            kind,
            crl_url or ocsp_url or "",
            issuer.read_bytes(),
        )
    body = render.source_json(source)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@source_group.command("list")
@json_option
@click.pass_obj
@with_errors
def source_list(home: HomeOption, *, as_json: bool) -> None:
    """List the sources and how their last fetch went."""
    with installation(home) as services:
        found = foreign.sources(services.deployment, operator())
    body = [render.source_json(source) for source in found]
    rows = [(s["sourceId"], s["domain"], s["url"], s["fetchedAt"], s["problem"]) for s in body]
    columns = ("source", "domain", "address", "fetched", "problem")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))


@source_group.command("remove")
@click.argument("source_id")
@yes_option
@json_option
@click.pass_obj
@with_errors
def source_remove(home: HomeOption, *, source_id: str, yes: bool, as_json: bool) -> None:
    """Fetch from a source no more. Without --yes, nothing is changed."""
    with installation(home) as services:
        if yes:
            foreign.remove_source(services.deployment, operator(), source_id)
    body = {"dryRun": not yes, "sourceId": source_id}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to remove.")


COMMANDS: Final = (trust_group,)
