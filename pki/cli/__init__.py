"""The `pnc` command. Destructive verbs show what they would do; `--yes` acts."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pki import __version__
from pki.cli import (
    approvals,
    audit,
    backup,
    bulk,
    ceremony,
    certificates,
    contracts,
    decisions,
    doctor,
    emergency,
    enrolments,
    expiry,
    export,
    installation,
    jobs,
    partners,
    people,
    pools,
    provision,
    roaming,
    rotate,
    serve,
    signer,
    stations,
    tokens,
    trust,
    webhooks,
)
from pki.cli.output import HomeOption

EPILOG = """
A first walk: `pnc init` makes a demo PKI, `pnc contract issue --emaid DEMOAC12345678 --out car`
issues a contract, `pnc validate car/chain.pem` decides on it, `pnc revoke SERIAL --reason
keyCompromise --yes` revokes it, and the same `pnc validate` now refuses.
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pnc")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="State directory of this installation (default: $PNC_HOME, else var/).",
)
@click.option(
    "--token-file",
    envvar="PNC_TOKEN_FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with your token: act as that client (default: whoever holds the home directory).",
)
@click.pass_context
def main(context: click.Context, home: Path | None, token_file: Path | None) -> None:
    """Plug & Charge PKI: issue, validate and revoke ISO 15118 certificates."""
    context.obj = HomeOption(home=home, environment=dict(os.environ), token_file=token_file)


for _module in (
    installation,
    serve,
    signer,
    jobs,
    certificates,
    contracts,
    decisions,
    enrolments,
    trust,
    partners,
    people,
    pools,
    provision,
    roaming,
    rotate,
    stations,
    tokens,
    webhooks,
    approvals,
    audit,
    backup,
    bulk,
    doctor,
    emergency,
    ceremony,
    expiry,
    export,
):
    for _command in _module.COMMANDS:
        main.add_command(_command)
