"""`pnc station`: what waits for charging stations, and what they answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from pki import stations
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
from pki.model import MessageState
from pki.render_stations import message_json
from pki.stations import Asked, MessageFilter

_USES: Final = (
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "ManufacturerRootCertificate",
    "OEMRootCertificate",
)
_station = click.argument("station")
_version = click.option(
    "--version", type=click.Choice(stations.VERSIONS), default="2.0.1", show_default=True
)
_operator = click.option("--operator", "operator_id", required=True, help="CPO, such as DECPA.")


@click.group("station")
def station_group() -> None:
    """
    Messages to charging stations.

    The connection of a station is its CSMS's: a message waits here until the CSMS fetches it
    (GET /ocpp/pending), sends it, and tells the answer (POST /ocpp/pending/ID/result).
    """


@station_group.command("list")
@click.option("--station", help="One station only.")
@click.option("--action", help="One OCPP action only, such as GetInstalledCertificateIds.")
@click.option("--state", type=click.Choice([state.value for state in MessageState]))
@paged("Id", most=500)
@json_option
@click.pass_obj
@with_errors
def station_list(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    station: str | None,
    action: str | None,
    state: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List messages, oldest first."""
    wanted = MessageFilter(
        station_id=station, action=action, state=MessageState(state) if state else None
    )
    with installation(home) as services:
        found = stations.messages(services.deployment, operator(), wanted, after=after, limit=limit)
    tell_more(found, limit, lambda message: message.message_id)
    rows = [
        (m.message_id, m.operator, m.station_id, m.action, m.state.value, m.created_at)
        for m in found
    ]
    emit(
        {"messages": [message_json(message) for message in found]},
        as_json=as_json,
        table=lambda: listing(("id", "operator", "station", "action", "state", "since"), rows),
    )


@station_group.command("show")
@click.argument("message_id")
@json_option
@click.pass_obj
@with_errors
def station_show(home: HomeOption, *, message_id: str, as_json: bool) -> None:
    """Show one message with what the station answered."""
    with installation(home) as services:
        found = stations.message(services.deployment, operator(), message_id)
    _show(message_json(found), as_json=as_json)


@station_group.command("ask")
@_station
@click.argument("action", type=click.Choice(stations.ACTIONS))
@_operator
@_version
@click.option("--payload", default="{}", show_default=True, help="JSON of the OCPP message.")
@json_option
@click.pass_obj
@with_errors
def station_ask(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    station: str,
    action: str,
    operator_id: str,
    version: str,
    payload: str,
    as_json: bool,
) -> None:
    """
    Ask something of a station.

    Which certificates has it: pnc station ask cs-1 GetInstalledCertificateIds --operator DECPA
    """
    try:
        told = json.loads(payload)
    except ValueError as error:
        raise BadInput("json_invalid", f"--payload is not JSON: {error}.") from error
    if not isinstance(told, dict):
        raise BadInput("body_not_object", "--payload is not a JSON object.")
    _ask(home, station, version, action, told, operator_id, as_json=as_json)


@station_group.command("install")
@_station
@click.argument("certificate", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--use", required=True, type=click.Choice(_USES), help="What it is a root of.")
@_operator
@_version
@json_option
@click.pass_obj
@with_errors
def station_install(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    station: str,
    certificate: Path,
    use: str,
    operator_id: str,
    version: str,
    as_json: bool,
) -> None:
    """Have a station install a root certificate (PEM)."""
    text = certificate.read_text("ascii", "replace")
    told = {"certificateType": use, "certificate": text}
    _ask(home, station, version, "InstallCertificate", told, operator_id, as_json=as_json)


def _ask(  # noqa: PLR0913 - what is asked of whom
    home: HomeOption,
    station: str,
    version: str,
    action: str,
    payload: dict[str, Any],
    operator_id: str,
    *,
    as_json: bool,
) -> None:
    asked = Asked(
        station_id=station, version=version, action=action, payload=payload, operator=operator_id
    )
    with installation(home) as services:
        message = stations.ask(services.deployment, operator(), asked)
    _show(message_json(message), as_json=as_json)


def _show(body: dict[str, Any], *, as_json: bool) -> None:
    rows = [(k, json.dumps(v) if isinstance(v, dict) else v) for k, v in body.items()]
    emit(body, as_json=as_json, table=lambda: facts(rows))


COMMANDS: Final = (station_group,)
