"""`pnc signer`: the process that holds the keys of CAs."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Final

import click

from pki.cli.installation import warn
from pki.cli.output import HomeOption, with_errors
from pki.errors import BadInput
from pki.services import build_signer, signer_grants
from pki.settings.keys import Delegated
from pki.signer import Server, SocketPlace


@click.command("signer")
@click.option(
    "--grants",
    metavar="ROLE",
    help="Print what a role of PostgreSQL needs to be the signer's, and end; for psql.",
)
@click.pass_obj
@with_errors
def signer_command(home: HomeOption, *, grants: str | None) -> None:
    """
    Hold the keys of CAs and sign what was committed, for the other processes of this host.

    Set `signer.socket` in pnc.toml: this command listens there, `pnc serve`, `pnc jobs` and every
    other command ask there, and open no key of a CA themselves. Best run it as a user of its own
    with a home of its own, whose pnc.toml names keys and `signer.database_url`; the others then
    need `signer.group`. Ends with SIGTERM, after what it has begun.
    """
    if grants is not None:
        click.echo(signer_grants(grants))
        return
    settings = home.settings()
    own = settings.keys
    if own.socket is None:
        raise BadInput(
            "socket_missing",
            "signer.socket is not set, so nobody could ask.",
            hint='Write [signer] socket = "/run/pnc/signer" into pnc.toml.',
        )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    services = build_signer(settings)
    warn(services)
    try:
        server = Server(
            services.deployment,
            SocketPlace.of(own.socket, own.group),
            delegated=own.delegated is Delegated.SAME,
            answers=settings.status.ca_signs,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        server.run(lambda: click.echo(f"Signing at {own.socket}; stop with SIGTERM."))
    finally:
        services.close()


COMMANDS: Final = (signer_command,)
