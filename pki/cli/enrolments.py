"""`pnc enrolment`: requests that wait until somebody accepts them."""

from __future__ import annotations

from typing import Final

import click

from pki import enrolments
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
from pki.model import Enrolment, EnrolmentState
from pki.render_stations import enrolment_json


@click.group("enrolment")
def enrolment_group() -> None:
    """
    Enrolments that wait for consent (settings enrol.approval and est.labels).

    After `accept`, the client that sends the same CSR again gets its certificate; a station gets
    it at once.
    """


@enrolment_group.command("list")
@click.option(
    "--state",
    type=click.Choice([*(state.value for state in EnrolmentState), "all"]),
    default="waiting",
    show_default=True,
)
@paged("Id", most=500)
@json_option
@click.pass_obj
@with_errors
def enrolment_list(
    home: HomeOption, *, state: str, after: str | None, limit: int, as_json: bool
) -> None:
    """List requests, oldest first."""
    with installation(home) as services:
        found = enrolments.waiting(
            services.deployment,
            operator(),
            state=None if state == "all" else EnrolmentState(state),
            after=after,
            limit=limit,
        )
    tell_more(found, limit, lambda enrolment: enrolment.enrolment_id)
    rows = [
        (e.enrolment_id, e.kind.value, e.owner, e.common_name, e.state.value, e.requested_by)
        for e in found
    ]
    emit(
        {"enrolments": [enrolment_json(enrolment) for enrolment in found]},
        as_json=as_json,
        table=lambda: listing(("id", "kind", "owner", "name", "state", "by"), rows),
    )


@enrolment_group.command("accept")
@click.argument("enrolment_id")
@json_option
@click.pass_obj
@with_errors
def enrolment_accept(home: HomeOption, *, enrolment_id: str, as_json: bool) -> None:
    """Let the certificate be made."""
    with installation(home) as services:
        found = enrolments.accept(services.deployment, operator(), enrolment_id)
    _show(found, as_json=as_json)


@enrolment_group.command("reject")
@click.argument("enrolment_id")
@click.option("--reason", required=True, help="Told to whoever sends the request again.")
@json_option
@click.pass_obj
@with_errors
def enrolment_reject(home: HomeOption, *, enrolment_id: str, reason: str, as_json: bool) -> None:
    """Refuse a request for good; a CSR with another key is a new request."""
    with installation(home) as services:
        found = enrolments.reject(services.deployment, operator(), enrolment_id, reason)
    _show(found, as_json=as_json)


def _show(enrolment: Enrolment, *, as_json: bool) -> None:
    body = enrolment_json(enrolment)
    rows = [(name, value) for name, value in body.items() if name != "csr"]
    emit(body, as_json=as_json, table=lambda: facts(rows))


COMMANDS: Final = (enrolment_group,)
