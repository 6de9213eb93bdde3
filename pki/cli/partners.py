"""Partners that we speak OCPI with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pki import render_partners
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    given_secret,
    installation,
    json_option,
    listing,
    operator,
    secret_of,
    with_errors,
    yes_option,
)
from pki.partners import handshake, registry, resync
from pki.partners.registry import Invitation, NewPartner
from pki.roaming.ocpi.tokens import CLOSED_TYPES


@click.group("partner")
def partner_group() -> None:
    """
    Platforms that we speak OCPI with: hubs, CPOs, eMSPs.

    `pnc partner add` makes token A for a partner that registers with us; with a token A from the
    partner, `pnc partner register` registers us there.
    """


@partner_group.command("add")
@click.argument("partner_id")
@click.option("--name", help="Shown name (default: the id).")
@click.option("--emsp", "emsps", multiple=True, help="eMSP of ours that it deals with; repeatable.")
@click.option("--cpo", "cpos", multiple=True, help="CPO of ours that it deals with; repeatable.")
@click.option("--raw-token", is_flag=True, help="It wants our token as it is, not in base64.")
@click.option(
    "--emaid-type",
    type=click.Choice([t.value for t in CLOSED_TYPES]),
    default="OTHER",
    help="Token type that stands for EMAID where it speaks 2.2.1 (default: OTHER).",
)
@json_option
@click.pass_obj
@with_errors
def partner_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    partner_id: str,
    name: str | None,
    emsps: tuple[str, ...],
    cpos: tuple[str, ...],
    raw_token: bool,
    emaid_type: str,
    as_json: bool,
) -> None:
    """Invite a partner, such as: pnc partner add acme --emsp DE8AA; shows token A, this once."""
    wanted = NewPartner(
        name=name or partner_id,
        emsps=emsps,
        cpos=cpos,
        raw_token=raw_token,
        emaid_type=emaid_type,
    )
    with installation(home) as services:
        found = registry.add(services.partners, operator(), partner_id, wanted)
    _show_invitation(found, as_json=as_json)


def _show_invitation(found: Invitation, *, as_json: bool) -> None:
    body = render_partners.invitation_json(found)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not as_json:
        click.echo("The token is not stored and cannot be shown again.")


@partner_group.command("list")
@json_option
@click.pass_obj
@with_errors
def partner_list(home: HomeOption, *, as_json: bool) -> None:
    """List the partners, removed ones included."""
    with installation(home) as services:
        found = registry.partners(services.partners, operator())
    rows = [(p.partner_id, p.name, p.state.value, p.version, p.hub) for p in found]
    emit(
        [render_partners.partner_json(partner) for partner in found],
        as_json=as_json,
        table=lambda: listing(("partner", "name", "state", "OCPI", "hub"), rows),
    )


@partner_group.command("show")
@click.argument("partner_id")
@json_option
@click.pass_obj
@with_errors
def partner_show(home: HomeOption, *, partner_id: str, as_json: bool) -> None:
    """Show a partner, its endpoints and the parties reached through it."""
    with installation(home) as services:
        partner, parties = registry.show(services.partners, operator(), partner_id)
    body = render_partners.partner_json(partner) | {
        "parties": [render_partners.party_json(party) for party in parties]
    }
    rows = [(k, v) for k, v in body.items() if not isinstance(v, list)]
    rows += [("party", f"{p.role} {p.party} {p.status}") for p in parties]
    rows += [("endpoint", f"{e.identifier} {e.role} {e.url}") for e in partner.endpoints]
    emit(body, as_json=as_json, table=lambda: facts(rows))


@partner_group.command("register")
@click.argument("partner_id")
@click.option("--url", required=True, help="The partner's versions address.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="File with the token A that the partner handed over (- for standard input).",
)
@json_option
@click.pass_obj
@with_errors
def partner_register(
    home: HomeOption, *, partner_id: str, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Register with a partner that was added here, by the token that it made for us."""
    token = _token(token_file)
    with installation(home) as services:
        done = handshake.register(services.partners, operator(), partner_id, url, token)
    body = render_partners.partner_json(done)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


def _token(path: Path | None) -> str:
    """Read a token where it shows in no list of processes. Raises BadInput (`token_missing`)."""
    if path is None:
        prompted = str(click.prompt("Token A of the partner", hide_input=True, err=True))
        return given_secret(prompted)
    return secret_of(path)


@partner_group.command("rotate")
@click.argument("partner_id")
@click.option("--invite", is_flag=True, help="Make a new token A, for a partner that lost its own.")
@json_option
@click.pass_obj
@with_errors
def partner_rotate(home: HomeOption, *, partner_id: str, invite: bool, as_json: bool) -> None:
    """Renew the tokens of both directions with the partner, or begin anew with --invite."""
    with installation(home) as services:
        if invite:
            found = registry.invite(services.partners, operator(), partner_id)
            _show_invitation(found, as_json=as_json)
            return
        done = handshake.rotate(services.partners, operator(), partner_id)
    body = render_partners.partner_json(done)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@partner_group.command("sync")
@click.argument("partner_id")
@click.option("--whole", is_flag=True, help="Every token, not only what changed since last time.")
@json_option
@click.pass_obj
@with_errors
def partner_sync(home: HomeOption, *, partner_id: str, whole: bool, as_json: bool) -> None:
    """Read a partner's tokens and, of a hub, whom it reaches; `pnc jobs run` does so regularly."""
    with installation(home) as services:
        news = resync.sync(services.partners, operator(), partner_id, whole=whole)
    body = {"partnerId": partner_id, "news": news}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@partner_group.command("suspend")
@click.argument("partner_id")
@click.option("--lift", is_flag=True, help="Take a suspended partner up again.")
@json_option
@click.pass_obj
@with_errors
def partner_suspend(home: HomeOption, *, partner_id: str, lift: bool, as_json: bool) -> None:
    """Refuse a partner for now and call it no more; its credentials are kept."""
    with installation(home) as services:
        done = registry.suspend(services.partners, operator(), partner_id, lift=lift)
    body = render_partners.partner_json(done)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@partner_group.command("remove")
@click.argument("partner_id")
@yes_option
@json_option
@click.pass_obj
@with_errors
def partner_remove(home: HomeOption, *, partner_id: str, yes: bool, as_json: bool) -> None:
    """End the relation and forget the credentials. Without --yes, nothing is changed."""
    told = False
    with installation(home) as services:
        registry.show(services.partners, operator(), partner_id)
        if yes:
            told = handshake.remove(services.partners, operator(), partner_id)
    body = {"dryRun": not yes, "partnerId": partner_id, "partnerTookNote": told}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to remove.")


COMMANDS: Final = (partner_group,)
