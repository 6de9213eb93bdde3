"""`pnc export`: a certificate as PEM, DER or, with its key, PKCS#12."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from pki import lookup, pkcs12_file, render
from pki.cli.output import HomeOption, emit, installation, json_option, operator, with_errors
from pki.errors import BadInput, Conflict
from pki.pkix import pem

_FORMS: Final = ("chain", "pem", "der", "p12")


@click.command("export")
@click.argument("reference", metavar="SERIAL|FINGERPRINT")
@click.option(
    "--form",
    type=click.Choice(_FORMS),
    help="chain: PEM, leaf first, root not included (default); pem, der: the certificate alone; "
    "p12: PKCS#12 with --key (default with it).",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File (default: -).")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Private key of the certificate in PEM, for PKCS#12.",
)
@click.option(
    "--key-passphrase-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Passphrase of --key (default: asked for where the key is encrypted).",
)
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Passphrase of the PKCS#12 file (default: asked for, twice).",
)
@json_option
@click.pass_obj
@with_errors
def export_command(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    reference: str,
    form: str | None,
    out: Path | None,
    key: Path | None,
    key_passphrase_file: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Write a certificate or its chain, or both with the key as PKCS#12."""
    chosen = form or ("p12" if key else "chain")
    if (chosen == "p12") != (key is not None) or (chosen == "p12" and out is None):
        raise BadInput("option_missing", "PKCS#12 needs --key and --out; no other form has a key.")
    with installation(home) as services:
        found = lookup.find(services.deployment, operator(), reference)
    if key is not None and out is not None:
        data = _pkcs12(found, key, key_passphrase_file, passphrase_file)
        _write_secret(out, data)
    else:
        data = _plain(found, chosen)
        if out is not None:
            out.write_bytes(data)
    if as_json:
        body = {**render.found_json(found), "file": str(out) if out else None}
        emit(body, as_json=True, table=lambda: "")
    elif out is None:
        click.echo(data, nl=False)
    else:
        click.echo(f"Wrote {out}.")


def _plain(found: lookup.Found, form: str) -> bytes:
    if form == "der":
        return found.record.der
    chain = found.chain if form == "chain" else found.chain[:1]
    return "".join(map(pem.encode, chain)).encode()


def _pkcs12(
    found: lookup.Found, key: Path, key_passphrase_file: Path | None, passphrase_file: Path | None
) -> bytes:
    text = key.read_bytes()
    phrase = _phrase(key_passphrase_file)
    if phrase is None and pkcs12_file.is_encrypted(text):
        phrase = click.prompt("Passphrase of the key", hide_input=True, err=True).encode()
    private = pkcs12_file.private_key(text, phrase)
    chosen = _phrase(passphrase_file)
    if chosen is None:
        chosen = click.prompt(
            "Passphrase of the PKCS#12 file", hide_input=True, confirmation_prompt=True, err=True
        ).encode()
    return pkcs12_file.write(found.record.common_name, found.chain, private, chosen)


def _phrase(path: Path | None) -> bytes | None:
    return path.read_bytes().strip() if path else None


def _write_secret(path: Path, data: bytes) -> None:
    """Write a file for its owner alone; one that is there is not overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Conflict("out_exists", f"{path} exists.", hint="Name another --out.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


COMMANDS: Final = (export_command,)
