"""`pnc agreement`, `credential`, `range`, `session`: who may charge where, and with what."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pki import agreements, credentials, route, sessions
from pki import render_roaming as render
from pki.agreements import files
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
    yes_option,
)
from pki.clock import parse_time
from pki.errors import BadInput
from pki.ids import Edition
from pki.model import (
    Agreement,
    Credential,
    CredentialKind,
    CredentialState,
    NumberRange,
    RangeKind,
    Terms,
    Whitelist,
)
from pki.ports import Deployment

_KINDS: Final = [kind.value for kind in CredentialKind]
_PAGE: Final = 500
_MAX_FILE: Final = 8 * 1024 * 1024
_edition = click.option("--edition", type=click.Choice(["2", "20"]), help="Default: 2, then 20.")


@click.group("agreement")
def agreement_group() -> None:
    """Agreements: which CPO may charge whose drivers; no agreement means no."""


@agreement_group.command("add")
@click.argument("cpo")
@click.argument("emsp")
@click.option("--id", "agreement_id", help="Id of the agreement (default: made up).")
@click.option("--from", "begin", help="Begin, such as 2027-01-01 (default: now).")
@click.option("--until", "end", help="End, exclusive (default: until it is withdrawn).")
@click.option("--country", "countries", multiple=True, help="EVSEs of this country only.")
@click.option("--operator", "operators", multiple=True, help="EVSEs of this operator id only.")
@click.option("--evse", "evse_groups", multiple=True, help="EVSE ids that begin so only.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Credentials.")
@click.option("--sessions", type=int, help="Sessions of one contract at a time.")
@click.option("--tariff", help="Reference of the tariff agreed on.")
@json_option
@click.pass_obj
@with_errors
def agreement_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    cpo: str,
    emsp: str,
    agreement_id: str | None,
    begin: str | None,
    end: str | None,
    countries: tuple[str, ...],
    operators: tuple[str, ...],
    evse_groups: tuple[str, ...],
    kinds: tuple[str, ...],
    sessions: int | None,
    tariff: str | None,
    as_json: bool,
) -> None:
    """Let a CPO charge drivers of an eMSP, such as: pnc agreement add DE*CPA DE8AA; * is every."""
    with installation(home) as services:
        now = services.deployment.clock.now()
        terms = Terms(
            cpo=cpo,
            emsp=emsp,
            valid_from=parse_time(begin) if begin else now,
            valid_until=parse_time(end) if end else None,
            countries=countries,
            operators=operators,
            evse_groups=evse_groups,
            kinds=tuple(CredentialKind(kind) for kind in kinds),
            sessions=sessions,
            tariff=tariff,
        )
        made = agreements.add(services.deployment, operator(), terms, agreement_id=agreement_id)
    _show_agreement(made, as_json=as_json)


def _show_agreement(agreement: Agreement, *, as_json: bool) -> None:
    body = render.agreement_json(agreement)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@agreement_group.command("list")
@paged("Id")
@json_option
@click.pass_obj
@with_errors
def agreement_list(home: HomeOption, *, after: str | None, limit: int, as_json: bool) -> None:
    """List the newest version of every agreement, withdrawn ones included."""
    with installation(home) as services:
        found = agreements.search(services.deployment, operator(), after=after, limit=limit)
    tell_more(found, limit, lambda agreement: agreement.agreement_id)
    rows = [
        (a.agreement_id, a.version, a.state.value, a.terms.cpo, a.terms.emsp, a.terms.valid_until)
        for a in found
    ]
    emit(
        [render.agreement_json(agreement) for agreement in found],
        as_json=as_json,
        table=lambda: listing(("agreement", "version", "state", "cpo", "emsp", "until"), rows),
    )


@agreement_group.command("withdraw")
@click.argument("agreement_id")
@yes_option
@json_option
@click.pass_obj
@with_errors
def agreement_withdraw(home: HomeOption, *, agreement_id: str, yes: bool, as_json: bool) -> None:
    """End an agreement now. Without --yes, it is only shown."""
    with installation(home) as services:
        deployment = services.deployment
        newest = agreements.find(deployment, operator(), agreement_id)[-1]
        if yes:
            newest = agreements.withdraw(deployment, operator(), agreement_id)
    body = {"dryRun": not yes, **render.agreement_json(newest)}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to withdraw.")


@agreement_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@yes_option
@json_option
@click.pass_obj
@with_errors
def agreement_import(home: HomeOption, *, file: Path, yes: bool, as_json: bool) -> None:
    """
    Write the agreements of a CSV file, all of them or none. Without --yes, it is only checked.

    The first line names the columns: cpo and emsp, and any of id, from, until, countries,
    operators, evseGroups, kinds, sessions, tariff. Lists are separated by blanks or semicolons.
    """
    if file.stat().st_size > _MAX_FILE:
        raise BadInput("invalid_csv", f"{file} has more than {_MAX_FILE} octets.")
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("invalid_csv", f"{file} is not UTF-8.") from error
    with installation(home) as services:
        made = files.import_csv(services.deployment, operator(), text, dry_run=not yes)
    body = {"dryRun": not yes, "agreements": [render.agreement_json(each) for each in made]}
    emit(body, as_json=as_json, table=lambda: facts((("written", len(made)),)))
    if not yes and not as_json:
        click.echo("The file is good. Add --yes to write its agreements.")


@click.group("credential")
def credential_group() -> None:
    """Credentials of a contract: cards, apps, key codes, and the EMAID itself."""


@credential_group.command("add")
@click.argument("emaid")
@click.argument("kind", type=click.Choice([kind for kind in _KINDS if kind != "emaid"]))
@click.argument("uid")
@_edition
@click.option("--whitelist", type=click.Choice([rule.value for rule in Whitelist]))
@click.option("--group", "group_id", help="Group whose members may stop each other's sessions.")
@json_option
@click.pass_obj
@with_errors
def credential_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    emaid: str,
    kind: str,
    uid: str,
    edition: str | None,
    whitelist: str | None,
    group_id: str | None,
    as_json: bool,
) -> None:
    """Give a contract a credential, such as: pnc credential add DEMOAC12345678 rfid 04A23BC1."""
    wanted = credentials.Wanted(
        kind=CredentialKind(kind),
        uid=uid,
        whitelist=Whitelist(whitelist) if whitelist else None,
        group_id=group_id,
    )
    with installation(home) as services:
        made = credentials.add(
            services.deployment, operator(), emaid, wanted, edition=_chosen(edition)
        )
    _show_credential(made, as_json=as_json)


@credential_group.command("set")
@click.argument("emaid")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("uid")
@click.argument("state", type=click.Choice([state.value for state in CredentialState]))
@_edition
@json_option
@click.pass_obj
@with_errors
def credential_set(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    emaid: str,
    kind: str,
    uid: str,
    state: str,
    edition: str | None,
    as_json: bool,
) -> None:
    """Block or unblock a credential; the next decision sees it."""
    with installation(home) as services:
        changed = credentials.set_state(
            services.deployment,
            operator(),
            emaid,
            CredentialKind(kind),
            uid,
            CredentialState(state),
            edition=_chosen(edition),
        )
    _show_credential(changed, as_json=as_json)


@credential_group.command("list")
@click.argument("emaid")
@_edition
@json_option
@click.pass_obj
@with_errors
def credential_list(home: HomeOption, *, emaid: str, edition: str | None, as_json: bool) -> None:
    """List the credentials of a contract."""
    with installation(home) as services:
        found = credentials.of_contract(services.deployment, operator(), emaid, _chosen(edition))
    rows = [(c.kind.value, c.presented, c.state.value, c.whitelist) for c in found]
    emit(
        [render.credential_json(credential) for credential in found],
        as_json=as_json,
        table=lambda: listing(("kind", "uid", "state", "whitelist"), rows),
    )


def _chosen(edition: str | None) -> Edition | None:
    return Edition(edition) if edition else None


def _show_credential(credential: Credential, *, as_json: bool) -> None:
    body = render.credential_json(credential)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@click.group("range")
def range_group() -> None:
    """Ranges of numbers: whose contracts, cards or EVSEs begin how; the longest prefix wins."""


@range_group.command("add")
@click.argument("kind", type=click.Choice([kind.value for kind in RangeKind]))
@click.argument("prefix")
@click.argument("party")
@click.option("--from", "begin", help="When it changes hands (default: now).")
@click.option("--until", "end", help="End, exclusive.")
@json_option
@click.pass_obj
@with_errors
def range_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    kind: str,
    prefix: str,
    party: str,
    begin: str | None,
    end: str | None,
    as_json: bool,
) -> None:
    """Give a range to a party: pnc range add emaid DE-8AA-C1 FRMOB --from 2027-01-01."""
    with installation(home) as services:
        found = route.add(
            services.deployment,
            operator(),
            RangeKind(kind),
            prefix,
            party,
            begin=parse_time(begin) if begin else None,
            end=parse_time(end) if end else None,
        )
    body = render.range_json(found)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@range_group.command("list")
@json_option
@click.pass_obj
@with_errors
def range_list(home: HomeOption, *, as_json: bool) -> None:
    """List every range, past and to come."""
    with installation(home) as services:
        found = _ranges(services.deployment)
    rows = [(r.kind.value, r.prefix, r.party_id, r.valid_from, r.valid_until) for r in found]
    emit(
        [render.range_json(each) for each in found],
        as_json=as_json,
        table=lambda: listing(("kind", "prefix", "party", "from", "until"), rows),
    )


def _ranges(deployment: Deployment) -> list[NumberRange]:
    found: list[NumberRange] = []
    while page := route.search(deployment, operator(), after=route.place(found), limit=_PAGE):
        found += page
    return found


@click.group("session")
def session_group() -> None:
    """Charging sessions and the authorisations that let them begin."""


@session_group.command("list")
@paged("Session id")
@json_option
@click.pass_obj
@with_errors
def session_list(home: HomeOption, *, after: str | None, limit: int, as_json: bool) -> None:
    """List sessions, ordered by session id."""
    with installation(home) as services:
        found = sessions.search(services.deployment, operator(), after=after, limit=limit)
    tell_more(found, limit, lambda session: session.session_id)
    rows = [(s.session_id, s.cpo, s.contract, s.started_at, s.stopped_at, s.others) for s in found]
    emit(
        [render.session_json(session) for session in found],
        as_json=as_json,
        table=lambda: listing(
            ("session", "cpo", "contract", "began", "ended", "others then"), rows
        ),
    )


COMMANDS: Final = (agreement_group, credential_group, range_group, session_group)
