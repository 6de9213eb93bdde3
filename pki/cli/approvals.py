"""`pnc approve`: proposals that wait for other people."""

from __future__ import annotations

from typing import Any, Final

import click

from pki import approve
from pki.approve import Shown
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    paged,
    tell_more,
    with_errors,
)
from pki.errors import BadInput
from pki.model import ProposalState
from pki.render_admin import proposal_json


@click.group("approve")
def approve_group() -> None:
    """
    What one administrator proposed and others must approve.

    Say who you are with `pnc --token-file FILE approve …`, or PNC_TOKEN_FILE.
    """


@approve_group.command("list")
@click.option("--state", type=click.Choice([s.value for s in ProposalState]))
@paged("Proposal", option="before", most=500)
@json_option
@click.pass_obj
@with_errors
def approve_list(
    home: HomeOption, *, state: str | None, before: str | None, limit: int, as_json: bool
) -> None:
    """List proposals, newest first."""
    wanted = ProposalState(state) if state else None
    with installation(home) as services:
        found = approve.proposals(
            services.deployment, operator(), state=wanted, before=before, limit=limit
        )
    tell_more(found, limit, lambda shown: shown.proposal.proposal_id, option="before")
    body = [proposal_json(shown, act=False) for shown in found]
    rows = [
        (p["proposalId"], p["verb"], p["state"], p["proposedBy"], _count(p), p["expiresAt"])
        for p in body
    ]
    columns = ("proposal", "verb", "state", "by", "approved", "ends")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))


def _count(body: dict[str, Any]) -> str:
    return f"{len(body['approvals'])} of {body['required']}"


@approve_group.command("show")
@click.argument("proposal_id")
@json_option
@click.pass_obj
@with_errors
def approve_show(home: HomeOption, *, proposal_id: str, as_json: bool) -> None:
    """Show to the last octet what will be done."""
    with installation(home) as services:
        shown = approve.proposal(services.deployment, operator(), proposal_id)
    _show(shown, as_json=as_json)


@approve_group.command("accept")
@click.argument("proposal_id")
@click.option("--sha256", help="Of what you looked at, as `pnc approve show` prints it.")
@json_option
@click.pass_obj
@with_errors
def approve_accept(
    home: HomeOption, *, proposal_id: str, sha256: str | None, as_json: bool
) -> None:
    """
    Approve exactly what has this SHA-256; the last approval that is needed carries it out.

    Without --sha256, only what would be approved is shown.
    """
    with installation(home) as services:
        if sha256 is None:
            shown = approve.proposal(services.deployment, operator(), proposal_id)
        else:
            shown = approve.accept(services.deployment, operator(), proposal_id, _digest(sha256))
    _show(shown, as_json=as_json)
    if sha256 is None and not as_json:
        click.echo("Nothing was approved. Add --sha256 with the value above to approve it.")


@approve_group.command("reject")
@click.argument("proposal_id")
@json_option
@click.pass_obj
@with_errors
def approve_reject(home: HomeOption, *, proposal_id: str, as_json: bool) -> None:
    """End a proposal; one rejection does. The proposer withdraws it so."""
    with installation(home) as services:
        shown = approve.reject(services.deployment, operator(), proposal_id)
    _show(shown, as_json=as_json)


@approve_group.command("run")
@click.argument("proposal_id")
@json_option
@click.pass_obj
@with_errors
def approve_run(home: HomeOption, *, proposal_id: str, as_json: bool) -> None:
    """Carry out what enough people approved, where the last approval was cut short."""
    with installation(home) as services:
        shown = approve.run(services.deployment, operator(), proposal_id)
    _show(shown, as_json=as_json)


def _show(shown: Shown, *, as_json: bool) -> None:
    body = proposal_json(shown)
    people = [each.person for each in shown.approvals]
    rows = [(k, v) for k, v in body.items() if k not in ("approvals", "arguments", "act")]
    given = [(f"  {name}", value) for name, value in body["arguments"].items()]
    emit(
        body,
        as_json=as_json,
        table=lambda: facts([*rows, ("approvals", people), ("arguments", ""), *given]),
    )


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise BadInput("invalid_sha256", "The SHA-256 is not hexadecimal.") from error


COMMANDS: Final = (approve_group,)
