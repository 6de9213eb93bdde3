"""`pnc contract`: issue, add, set, list."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

import click

from pki import contracts, render
from pki.cli.bulk import from_option, refuse_beside_from
from pki.cli.bulk import run as many
from pki.cli.certificates import (
    csr_option,
    issue_and_show,
    out_option,
    passphrase_option,
)
from pki.cli.output import (
    HomeOption,
    edition_option,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    paged,
    suite_option,
    tell_more,
    with_errors,
)
from pki.clock import parse_time
from pki.errors import BadInput
from pki.ids import Edition
from pki.issue import IssueRequest
from pki.model import Contract, ContractState, Whitelist
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite

_STATES: Final = [state.value for state in ContractState]
_edition_2 = click.option(
    "--edition", type=click.Choice(["2", "20"]), default="2", show_default=True
)


@click.group("contract")
def contract_group() -> None:
    """Contracts of drivers with their eMSP."""


@contract_group.command("issue")
@click.option("--emaid", help="Contract identifier; becomes the CN.")
@csr_option
@from_option
@edition_option
@suite_option
@click.option("--issuer", help="Name of the issuer (default: the active one that fits).")
@click.option("--not-after", help="End of validity, such as 2027-06-30T00:00:00Z.")
@out_option
@passphrase_option
@json_option
@click.pass_obj
@with_errors
def contract_issue(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    emaid: str | None,
    csr: Path | None,
    source: Path | None,
    edition: str | None,
    suite: str | None,
    issuer: str | None,
    not_after: str | None,
    out: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Issue a contract certificate and register its contract; many with --from."""
    if source is not None:
        one = {"--emaid": emaid, "--csr": csr, "--issuer": issuer, "--not-after": not_after}
        refuse_beside_from(one)
        many(
            home,
            source.read_bytes(),
            kind=Kind.CONTRACT,
            edition=Edition(edition) if edition else None,
            suite=Suite(suite) if suite else None,
            out=out,
            passphrase_file=passphrase_file,
            as_json=as_json,
        )
        return
    if emaid is None:
        raise BadInput("emaid_missing", "Say whose contract: --emaid, or --from FILE for many.")
    request = IssueRequest(
        kind=Kind.CONTRACT,
        request=csr.read_bytes() if csr else None,
        common_name=emaid,
        edition=Edition(edition) if edition else None,
        suite=Suite(suite) if suite else None,
        issuer=issuer,
        not_after=parse_time(not_after) if not_after else None,
    )
    issue_and_show(home, request, out=out, passphrase_file=passphrase_file, as_json=as_json)


@contract_group.command("add")
@click.argument("emaid")
@_edition_2
@click.option("--state", type=click.Choice(_STATES), default="active", show_default=True)
@json_option
@click.pass_obj
@with_errors
def contract_add(home: HomeOption, *, emaid: str, edition: str, state: str, as_json: bool) -> None:
    """Register a contract whose certificate another PKI issued."""
    with installation(home) as services:
        contract = contracts.add(
            services.deployment,
            operator(),
            emaid,
            edition=Edition(edition),
            state=ContractState(state),
        )
    _show(contract, as_json=as_json)


@contract_group.command("set")
@click.argument("emaid")
@click.argument("state", type=click.Choice(_STATES))
@_edition_2
@json_option
@click.pass_obj
@with_errors
def contract_set(home: HomeOption, *, emaid: str, state: str, edition: str, as_json: bool) -> None:
    """Change the state of a contract; the next decision sees it."""
    with installation(home) as services:
        contract = contracts.set_state(
            services.deployment, operator(), emaid, ContractState(state), edition=Edition(edition)
        )
    _show(contract, as_json=as_json)


@contract_group.command("terms")
@click.argument("emaid")
@click.option("--from", "begin", help="Begin of validity; `-` takes it away.")
@click.option("--until", "end", help="End of validity, exclusive; `-` takes it away.")
@click.option("--whitelist", type=click.Choice([*(rule.value for rule in Whitelist), "-"]))
@click.option("--edition", type=click.Choice(["2", "20"]), help="Default: 2, then 20.")
@json_option
@click.pass_obj
@with_errors
def contract_terms(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    emaid: str,
    begin: str | None,
    end: str | None,
    whitelist: str | None,
    edition: str | None,
    as_json: bool,
) -> None:
    """Change validity or whitelist rule of a contract; what is left out stays."""
    rule = None if whitelist in (None, "-") else Whitelist(whitelist)
    wanted = contracts.ContractChange(
        valid_from=_bound(begin),
        valid_until=_bound(end),
        whitelist=rule if whitelist is not None else contracts.KEEP,
    )
    with installation(home) as services:
        contract = contracts.change(
            services.deployment,
            operator(),
            emaid,
            wanted,
            edition=Edition(edition) if edition else None,
        )
    _show(contract, as_json=as_json)


def _bound(text: str | None) -> dt.datetime | contracts.Keep | None:
    if text is None:
        return contracts.KEEP
    return None if text == "-" else parse_time(text)


@contract_group.command("list")
@click.option("--provider", help="Contracts of this provider id only.")
@paged("Contract id")
@json_option
@click.pass_obj
@with_errors
def contract_list(
    home: HomeOption, *, provider: str | None, after: str | None, limit: int, as_json: bool
) -> None:
    """List contracts, ordered by contract id."""
    with installation(home) as services:
        found = contracts.search(
            services.deployment, operator(), provider=provider, after=after, limit=limit
        )
    tell_more(found, limit, lambda contract: contract.contract_id)
    rows = [
        (", ".join(map(str, c.identifiers)), c.state.value, c.account.value, c.contract_id)
        for c in found
    ]
    emit(
        [render.contract_json(contract) for contract in found],
        as_json=as_json,
        table=lambda: listing(("EMAID", "state", "account", "contract id"), rows),
    )


def _show(contract: Contract, *, as_json: bool) -> None:
    body = render.contract_json(contract)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


COMMANDS: Final = (contract_group,)
