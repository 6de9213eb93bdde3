"""`pnc emsp`, `party`, `client`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Literal

import click

from pki import access, clients, parties, render
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    secret_of,
    with_errors,
    yes_option,
)
from pki.errors import ApprovalNeeded, BadInput
from pki.model import Role, Whitelist

_ROLES: Final = [role.value for role in Role]
_COMPANIES: Final = ["cpo", "oem", "cps", "hub"]
_IN_ROAMING: Final = ["cpo", "emsp"]


@click.group("emsp")
def emsp_group() -> None:
    """eMSP accounts; contracts hang under their provider id."""


@emsp_group.command("add")
@click.argument("provider_id")
@click.option("--name", help="Registered name; becomes O of contract certificates.")
@json_option
@click.pass_obj
@with_errors
def emsp_add(home: HomeOption, *, provider_id: str, name: str | None, as_json: bool) -> None:
    """Open an account, such as: pnc emsp add DE8AA --name "My Mobility"."""
    with installation(home) as services:
        account = parties.add_emsp(services.deployment, operator(), provider_id, name)
    body = render.account_json(account)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@emsp_group.command("set")
@click.argument("provider_id")
@click.option("--party", "party_id", help="Party id in OCPI (default: the provider id).")
@click.option("--realtime-url", help="Address of its real-time hook.")
@click.option(
    "--realtime-token-file",
    "token_file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="File with the bearer token that the hook wants of us (- for standard input).",
)
@click.option("--whitelist", type=click.Choice([rule.value for rule in Whitelist]))
@json_option
@click.pass_obj
@with_errors
def emsp_set(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    provider_id: str,
    party_id: str | None,
    realtime_url: str | None,
    token_file: Path | None,
    whitelist: str | None,
    as_json: bool,
) -> None:
    """Say how an eMSP is called in roaming and asked; what is left out is taken away."""
    token = secret_of(token_file) if token_file is not None else None
    with installation(home) as services:
        emsp = parties.set_emsp(
            services.deployment,
            operator(),
            provider_id,
            party_id=party_id,
            realtime_url=realtime_url,
            realtime_token=token,
            whitelist=Whitelist(whitelist) if whitelist else None,
        )
    body = {
        "providerId": emsp.provider_id.value,
        "partyId": emsp.party_id or emsp.provider_id.value,
        "realtimeUrl": emsp.realtime_url,
        "realtimeToken": emsp.sealed_token is not None,
        "whitelist": emsp.whitelist.value if emsp.whitelist else None,
    }
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@emsp_group.command("list")
@json_option
@click.pass_obj
@with_errors
def emsp_list(home: HomeOption, *, as_json: bool) -> None:
    """List the accounts."""
    with installation(home) as services:
        found = parties.accounts(services.deployment, operator())
    rows = [(a.provider_id.value, a.name) for a in found]
    emit(
        [render.account_json(account) for account in found],
        as_json=as_json,
        table=lambda: listing(("provider id", "name"), rows),
    )


@click.group("party")
def party_group() -> None:
    """Registered companies; their names become O of their certificates."""


@party_group.command("add")
@click.argument("identifier")
@click.option("--role", required=True, type=click.Choice(_COMPANIES))
@click.option("--name", required=True, help="Registered name.")
@json_option
@click.pass_obj
@with_errors
def party_add(home: HomeOption, *, identifier: str, role: str, name: str, as_json: bool) -> None:
    """Register a CPO by operator id (DE*ABC), an OEM by WMI, or a CPS by any short name."""
    with installation(home) as services:
        party = parties.add_party(services.deployment, operator(), Role(role), identifier, name)
    body = render.party_json(party)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@party_group.command("set")
@click.argument("identifier")
@click.option("--role", required=True, type=click.Choice(_IN_ROAMING))
@click.option("--hub", help="Party id of the hub through which it is reached (default: directly).")
@json_option
@click.pass_obj
@with_errors
def party_set(
    home: HomeOption, *, identifier: str, role: str, hub: str | None, as_json: bool
) -> None:
    """Say through which hub it is reached: pnc party set FRMOB --role emsp --hub NLHUB."""
    with installation(home) as services:
        party = parties.set_hub(services.deployment, operator(), Role(role), identifier, hub)
    body = render.party_json(party)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@party_group.command("list")
@json_option
@click.pass_obj
@with_errors
def party_list(home: HomeOption, *, as_json: bool) -> None:
    """List the registered companies."""
    with installation(home) as services:
        found = parties.parties(services.deployment, operator())
    rows = [(p.role.value, p.party_id, p.name) for p in found]
    emit(
        [render.party_json(party) for party in found],
        as_json=as_json,
        table=lambda: listing(("role", "identifier", "name"), rows),
    )


@click.group("client")
def client_group() -> None:
    """Callers of the service and their bearer tokens."""


@client_group.command("add")
@click.option("--role", required=True, type=click.Choice(_ROLES))
@click.option(
    "--party",
    "party_ids",
    multiple=True,
    help="Operator id, provider id or WMI that it may act for; may be repeated.",
)
@click.option("--name", help="Registered name of a party that is new (default: its identifier).")
@click.option("--pki", type=click.Choice(["own", "hosted"]), help="eMSP: whose PKI it uses.")
@click.option("--id", "client_id", help="Its id, such as admin-alice (default: a random one).")
@click.option(
    "--token-hash",
    help="SHA-256 of a token that its holder made with `pnc client token` and told nobody.",
)
@json_option
@click.pass_obj
@with_errors
def client_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    role: str,
    party_ids: tuple[str, ...],
    name: str | None,
    pki: Literal["own", "hosted"] | None,
    client_id: str | None,
    token_hash: str | None,
    as_json: bool,
) -> None:
    """
    Register a caller and show its token, this once.

    The client may send the token as it is, or with its id as client_id and client_secret ask
    /oauth/token for access tokens that last a day. Where others must approve, the token is shown
    now and good once they did; an administrator makes the token for nobody but himself, so that
    --token-hash must be given.
    """
    token = None if token_hash else clients.new_token()
    wanted = clients.new(
        Role(role),
        party_ids,
        access.token_hash(token) if token else _hash(token_hash or ""),
        client_id=client_id,
        name=name,
        pki=pki,
    )
    shown = {"token": token} if token else {}
    with installation(home) as services:
        if token and wanted.role is Role.ADMIN:
            clients.require_own_token(services.deployment)
        try:
            client = clients.register(services.deployment, operator(), wanted)
        except ApprovalNeeded as proposed:
            proposed.data.update({"clientId": wanted.client_id, **shown})
            raise
    body = {**render.client_json(client), **shown}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if token and not as_json:
        click.echo("The token is not stored and cannot be shown again.")


def _hash(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != hashlib.sha256().digest_size:
        raise BadInput("invalid_token_hash", "The token hash is not 64 hexadecimal digits.")
    return found


@client_group.command("token")
@json_option
def client_token(*, as_json: bool) -> None:
    """Make a token for yourself: keep it, and tell its hash to who registers you."""
    token = clients.new_token()
    body = {"token": token, "tokenHash": access.token_hash(token).hex()}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@client_group.command("list")
@json_option
@click.pass_obj
@with_errors
def client_list(home: HomeOption, *, as_json: bool) -> None:
    """List the callers, disabled ones included."""
    with installation(home) as services:
        found = clients.registered(services.deployment, operator())
    rows = [(c.client_id, c.role.value, c.parties, c.disabled_at) for c in found]
    emit(
        [render.client_json(client) for client in found],
        as_json=as_json,
        table=lambda: listing(("client", "role", "parties", "disabled"), rows),
    )


@client_group.command("remove")
@click.argument("client_id")
@yes_option
@json_option
@click.pass_obj
@with_errors
def client_remove(home: HomeOption, *, client_id: str, yes: bool, as_json: bool) -> None:
    """Refuse a caller's token from now on. Without --yes, nothing is changed."""
    with installation(home) as services:
        if yes:
            clients.disable(services.deployment, operator(), client_id)
    body = {"dryRun": not yes, "clientId": client_id}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to remove.")


COMMANDS: Final = (emsp_group, party_group, client_group)
