"""`pnc issue`, `revoke`, `show`, `list`, `export`, `issuer`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    KeySerializationEncryption,
    NoEncryption,
)

from pki import lookup, render
from pki.cli.bulk import from_option, refuse_beside_from
from pki.cli.bulk import run as many
from pki.cli.output import (
    HomeOption,
    Json,
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
    yes_option,
)
from pki.clock import parse_time
from pki.errors import BadInput, Conflict, PkiError, PolicyViolation
from pki.ids import Edition, Fingerprint
from pki.issue import Issued, IssueRequest, issue
from pki.pkix import pem
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.revoke import parse_reason, release, revoke
from pki.services import Services
from pki.settings import MIN_PASSPHRASE

LEAVES: Final = ("secc", "contract", "oem", "cps", "vehicle", "ocsp", "station", "csms")

out_option = click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for certificate.pem, chain.pem and, if generated here, key.pem.",
)
passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Passphrase for key.pem; required outside demo mode.",
)
csr_option = click.option(
    "--csr",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Certificate request, PEM or DER. Only its key and its CN are used.",
)


@click.command("issue")
@click.option("--profile", required=True, type=click.Choice(LEAVES), help="Kind of certificate.")
@csr_option
@from_option
@click.option("--common-name", help="CN, where the key is generated here.")
@edition_option
@suite_option
@click.option("--issuer", help="Name of the issuer (default: the active one that fits).")
@click.option("--party", help="Registered party whose name becomes O (cps, station, csms).")
@click.option("--not-after", help="End of validity, such as 2027-06-30T00:00:00Z.")
@out_option
@passphrase_option
@json_option
@click.pass_obj
@with_errors
def issue_command(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    profile: str,
    csr: Path | None,
    source: Path | None,
    common_name: str | None,
    edition: str | None,
    suite: str | None,
    issuer: str | None,
    party: str | None,
    not_after: str | None,
    out: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Issue a leaf certificate from a CSR, or with a key generated here; many with --from."""
    if source is not None:
        one = {"--common-name": common_name, "--csr": csr, "--issuer": issuer, "--party": party}
        refuse_beside_from({**one, "--not-after": not_after})
        many(
            home,
            source.read_bytes(),
            kind=Kind(profile),
            edition=Edition(edition) if edition else None,
            suite=Suite(suite) if suite else None,
            out=out,
            passphrase_file=passphrase_file,
            as_json=as_json,
        )
        return
    request = IssueRequest(
        kind=Kind(profile),
        request=csr.read_bytes() if csr else None,
        common_name=common_name,
        edition=Edition(edition) if edition else None,
        suite=Suite(suite) if suite else None,
        issuer=issuer,
        party=party,
        not_after=parse_time(not_after) if not_after else None,
    )
    issue_and_show(home, request, out=out, passphrase_file=passphrase_file, as_json=as_json)


def issue_and_show(
    home: HomeOption,
    request: IssueRequest,
    *,
    out: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Issue, write what was asked for, and show the certificate."""
    with installation(home) as services:
        generated = request.request is None
        encryption = _key_encryption(services, out, passphrase_file, generated=generated)
        made = out is not None and _prepare(out, generated=generated)
        try:
            issued = issue(services.deployment, operator(), request)
        except PkiError:
            if out is not None and made:
                out.rmdir()
            raise
    with_key = generated and out is None
    body = render.issued_json(issued, with_key=with_key)
    if out is not None:
        body["files"] = _write(out, issued, encryption)
    emit(body, as_json=as_json, table=lambda: _certificate_table(body))
    if with_key and not as_json:
        click.echo(body["privateKey"], nl=False)


def _key_encryption(
    services: Services, out: Path | None, passphrase_file: Path | None, *, generated: bool
) -> KeySerializationEncryption:
    """Say how a generated key may leave, before anything is issued."""
    if not generated or (services.settings.demo and passphrase_file is None):
        return NoEncryption()
    if out is None and not services.settings.demo:
        raise PolicyViolation(
            "key_not_returned",
            "Production mode prints no private key.",
            hint="Give a CSR with --csr, or a directory with --out and --passphrase-file.",
        )
    if passphrase_file is None:
        raise PolicyViolation(
            "passphrase_missing",
            "Outside demo mode a key leaves encrypted only.",
            hint="Name a file that holds its passphrase with --passphrase-file.",
        )
    phrase = passphrase_file.read_bytes().strip()
    if len(phrase) < MIN_PASSPHRASE:
        raise BadInput(
            "passphrase_short", f"The passphrase has fewer than {MIN_PASSPHRASE} octets."
        )
    return BestAvailableEncryption(phrase)


_FILES: Final = ("certificate.pem", "chain.pem")


def _prepare(out: Path, *, generated: bool) -> bool:
    """Refuse before issuing what would overwrite something; tell whether the directory is new."""
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput("out_not_writable", f"{out} cannot be made: {error.strerror}.") from error
    wanted = (*_FILES, "key.pem") if generated else _FILES
    taken = [name for name in wanted if (out / name).exists()]
    if taken:
        raise Conflict(
            "out_exists", f"{out} holds {', '.join(taken)} already.", hint="Name another --out."
        )
    return new


def _write(out: Path, issued: Issued, encryption: KeySerializationEncryption) -> list[str]:
    contents = {
        "certificate.pem": pem.encode(issued.record.der).encode(),
        "chain.pem": "".join(map(pem.encode, issued.chain)).encode(),
    }
    if issued.private_key is not None:
        contents["key.pem"] = issued.private_pem(encryption)
    for name, data in contents.items():
        mode = 0o600 if name == "key.pem" else 0o644
        descriptor = os.open(out / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    return [str(out / name) for name in contents]


def _certificate_table(body: Json) -> object:
    hidden = ("certificateChain", "privateKey")
    return facts((key, value) for key, value in body.items() if key not in hidden)


@click.command("revoke")
@click.argument("reference", metavar="SERIAL|FINGERPRINT")
@click.option("--reason", required=True, help="RFC 5280 reason, such as keyCompromise.")
@yes_option
@json_option
@click.pass_obj
@with_errors
def revoke_command(
    home: HomeOption, *, reference: str, reason: str, yes: bool, as_json: bool
) -> None:
    """
    Revoke a certificate; for a CA, see first what falls with it.

    Without --yes, nothing is changed and the preview is printed.
    """
    with installation(home) as services:
        report = revoke(
            services.deployment, operator(), reference, parse_reason(reason), dry_run=not yes
        )
    body = render.revocation_report_json(report)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if report.dry_run and not as_json:
        click.echo("Nothing was changed. Add --yes to revoke.")


@click.command("release")
@click.argument("reference", metavar="SERIAL|FINGERPRINT")
@yes_option
@json_option
@click.pass_obj
@with_errors
def release_command(home: HomeOption, *, reference: str, yes: bool, as_json: bool) -> None:
    """Release a certificate from hold. Without --yes, nothing is changed."""
    with installation(home) as services:
        report = release(services.deployment, operator(), reference, dry_run=not yes)
    body = render.release_report_json(report)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if report.dry_run and not as_json:
        click.echo("Nothing was changed. Add --yes to release.")


@click.command("show")
@click.argument("reference", metavar="SERIAL|FINGERPRINT")
@json_option
@click.pass_obj
@with_errors
def show_command(home: HomeOption, *, reference: str, as_json: bool) -> None:
    """Show a certificate that was issued here, with its revocation."""
    with installation(home) as services:
        found = lookup.find(services.deployment, operator(), reference)
    body = render.found_json(found)
    emit(body, as_json=as_json, table=lambda: _certificate_table(body))


@click.command("list")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="One kind only.")
@click.option("--owner", help="Party that the certificates belong to.")
@click.option("--issuer", help="Issuer id, such as mo2-2.g1.")
@click.option("--common-name", help="Exactly this CN.")
@paged("Fingerprint")
@click.option(
    "--intents",
    is_flag=True,
    help="Unfinished issuances and CRLs: under way, or left behind by a crash.",
)
@json_option
@click.pass_obj
@with_errors
def list_command(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    kind: str | None,
    owner: str | None,
    issuer: str | None,
    common_name: str | None,
    after: str | None,
    limit: int,
    intents: bool,
    as_json: bool,
) -> None:
    """List what was issued here, ordered by fingerprint."""
    with installation(home) as services:
        if intents:
            _show_intents(services, as_json=as_json)
            return
        records = lookup.search(
            services.deployment,
            operator(),
            kind=Kind(kind) if kind else None,
            owner=owner,
            issuer_id=issuer,
            common_name=common_name,
            after=Fingerprint.parse(after) if after else None,
            limit=limit,
        )
        issuers = lookup.issuers(services.deployment)
    tell_more(records, limit, lambda record: record.fingerprint)
    rows = [
        (r.serial, r.kind.value, r.subject, f"{r.not_after:%Y-%m-%d}", r.fingerprint.value[:16])
        for r in records
    ]
    emit(
        render.certificates_json(records, issuers),
        as_json=as_json,
        table=lambda: listing(("serial", "kind", "subject", "until", "fingerprint"), rows),
    )


def _show_intents(services: Services, *, as_json: bool) -> None:
    found = lookup.intents(services.deployment, operator())
    crls = lookup.crl_intents(services.deployment, operator())
    rows: list[tuple[object, ...]] = [
        (i.intent_id, i.state.value, i.issuer_id, i.serial, i.profile) for i in found
    ]
    rows += [(i.intent_id, i.state.value, i.issuer_id, f"number {i.number}", "crl") for i in crls]
    emit(
        [*map(render.intent_json, found), *map(render.crl_intent_json, crls)],
        as_json=as_json,
        table=lambda: listing(("intent", "state", "issuer", "serial", "profile"), rows),
    )


@click.group("issuer")
def issuer_group() -> None:
    """The CAs of this PKI."""


@issuer_group.command("list")
@json_option
@click.pass_obj
@with_errors
def issuer_list(home: HomeOption, *, as_json: bool) -> None:
    """List every CA and its state."""
    with installation(home) as services:
        found = lookup.issuers(services.deployment)
    rows = [
        (i.name, i.generation, i.kind.value, i.suite.value, i.state.value, i.parent_id)
        for i in found
    ]
    emit(
        [render.issuer_json(issuer) for issuer in found],
        as_json=as_json,
        table=lambda: listing(("name", "gen", "kind", "suite", "state", "parent"), rows),
    )


COMMANDS: Final = (
    issue_command,
    revoke_command,
    release_command,
    show_command,
    list_command,
    issuer_group,
)
