"""`pnc expiring`: what ends when."""

from __future__ import annotations

from typing import Final

import click

from pki import expiry, render
from pki.cli.output import (
    HomeOption,
    emit,
    installation,
    json_option,
    listing,
    operator,
    paged,
    tell_more,
    with_errors,
)
from pki.pkix.profiles import Kind


@click.command("expiring")
@click.option("--days", type=click.IntRange(0, expiry.MAX_DAYS), default=30, show_default=True)
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="One kind only.")
@click.option("--owner", help="Party that the certificates belong to.")
@click.option("--issuer", help="Issuer id, such as mo2-2.g1.")
@paged("Place")
@json_option
@click.pass_obj
@with_errors
def expiring_command(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    days: int,
    kind: str | None,
    owner: str | None,
    issuer: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List certificates in force that end within some days, the soonest first."""
    with installation(home) as services:
        found = expiry.expiring(
            services.deployment,
            operator(),
            days=days,
            kind=Kind(kind) if kind else None,
            owner=owner,
            issuer_id=issuer,
            after=after,
            limit=limit,
        )
    tell_more(found, limit, lambda each: expiry.place_of(each.record))
    rows = [
        (f"{r.not_after:%Y-%m-%d}", r.kind.value, r.common_name, r.owner, r.serial, each.renewed)
        for each in found
        for r in (each.record,)
    ]
    emit(
        [render.expiring_json(each) for each in found],
        as_json=as_json,
        table=lambda: listing(("ends", "kind", "name", "owner", "serial", "renewed"), rows),
    )


COMMANDS: Final = (expiring_command,)
