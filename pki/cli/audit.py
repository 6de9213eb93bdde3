"""`pnc audit`: who did what, verified, exported and searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import audit, render
from pki.audit import checkpoints, export, offline
from pki.audit.offline import Keys, Verifier
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
    yes_option,
)
from pki.clock import format_time, parse_time
from pki.errors import BadInput, NotFound, Unavailable
from pki.model import AuditQuery
from pki.services import Services


@click.group("audit")
def audit_group() -> None:
    """The hash-chained record of who did what, and its signed checkpoints."""


@audit_group.command("verify")
@click.argument(
    "file", required=False, type=click.Path(dir_okay=False, exists=True, path_type=Path)
)
@click.option(
    "--key",
    "key_files",
    multiple=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Public key of `pnc audit key`, kept apart from the record; may be repeated.",
)
@json_option
@click.pass_obj
@with_errors
def audit_verify(
    home: HomeOption, *, file: Path | None, key_files: tuple[Path, ...], as_json: bool
) -> None:
    """
    Re-compute every chain and every checkpoint; exit status 1 if one is broken.

    With FILE, an export of `pnc audit export` is verified, by --key alone: neither a database nor
    a home is needed. Without, the database is, and what it tells of is held against it too.
    """
    if file is not None:
        _verify_file(file, key_files, as_json=as_json)
        return
    with installation(home) as services:
        reports = audit.verify(services.deployment.store)
        sealed = _verify_own(services)
    rows = [(r.chain, r.entries, _signed(sealed, r.chain), r.problem or "intact") for r in reports]
    broken = [report.chain for report in reports if report.problem]
    problems = [p for p in sealed.problems if not broken]
    body = {
        "intact": not broken and not problems,
        "chains": [render.chain_report_json(report) for report in reports],
        "checkpoints": _sealed_json(sealed) | {"problems": problems},
    }
    columns = ("chain", "entries", "signed up to", "result")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))
    if broken:
        raise Unavailable("audit_broken", "Broken audit chains: " + ", ".join(broken) + ".")
    if problems:
        raise Unavailable("audit_broken", "; ".join(problems) + ".")


def _verify_own(services: Services) -> Verifier:
    """Hold the checkpoints of the database against its keys; none yet is no fault of theirs."""
    with services.deployment.store.read() as tx:
        known = checkpoints.public_keys(tx)
    found = offline.verify(
        export.lines(services.deployment, operator()), offline.read_keys(map(_pem, known.values()))
    )
    if not known:
        found.problems.remove(offline.UNSIGNED)
    return found


def _signed(sealed: Verifier, chain: str) -> int:
    state = sealed.chains.get(chain)
    return state.signed if state else 0


def _verify_file(file: Path, key_files: tuple[Path, ...], *, as_json: bool) -> None:
    with file.open(encoding="utf-8", errors="replace") as lines:
        found = offline.verify(offline.limited(lines), _keys(key_files))
    rows = [(name, s.entries, s.signed, s.signed_at) for name, s in found.chains.items()]
    body = {"intact": not found.problems, **_sealed_json(found)}
    columns = ("chain", "entries", "signed up to", "signed at")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))
    if found.problems:
        raise Unavailable("audit_broken", "; ".join(found.problems) + ".")


def _keys(files: tuple[Path, ...]) -> Keys:
    if not files:
        raise BadInput(
            "key_missing",
            "Without a key that was kept apart, a file proves nothing.",
            hint="`pnc audit key > audit.pem` writes it; give it with --key.",
        )
    try:
        return offline.read_keys(path.read_bytes() for path in files)
    except (OSError, ValueError) as error:
        raise BadInput("unreadable", f"A key file cannot be read: {error}.") from error


def _sealed_json(found: Verifier) -> dict[str, Any]:
    return {
        "exportedAt": found.exported_at,
        "problems": found.problems,
        "signed": {
            name: {"entries": s.entries, "signed": s.signed, "signedAt": s.signed_at}
            for name, s in found.chains.items()
        },
    }


@audit_group.command("export")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
@with_errors
def audit_export(home: HomeOption, *, out: Path, as_json: bool) -> None:
    """
    Write the whole record as JSON lines; chains first get a checkpoint of this moment.

    `pnc audit verify FILE --key KEY` or scripts/verify_audit.py verifies it anywhere.
    """
    with installation(home) as services:
        try:
            checkpoints.keep(services.deployment)
        except Unavailable as error:  # no key on this host; the job of another one signs
            click.secho(f"No checkpoint of this moment: {error}", fg="yellow", err=True)
        written = _write(out, export.lines(services.deployment, operator()))
    body = {"file": str(out), "lines": written}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


def _write(out: Path, lines: Iterator[str]) -> int:
    """Write the lines in one step: a file that is there is complete."""
    written = 0
    temporary = out.with_name(f".{out.name}.new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(f"{line}\n")
                written += 1
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Unavailable("file_not_writable", f"{out} cannot be written.") from error
    return written


@audit_group.command("search")
@click.option("--chain", help="Issuer id, or admin.")
@click.option("--actor", help="Who did it.")
@click.option("--action", help="What was done, such as certificate.revoke.")
@click.option("--subject", help="To what: a serial, fingerprint, client id; exactly.")
@click.option("--since", help="From this time on, such as 2026-12-01T00:00:00Z.")
@click.option("--until", help="Before this time.")
@click.option("--after", help="`next` of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@click.pass_obj
@with_errors
def audit_search(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    chain: str | None,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Find entries, newest first; what was done to many at once has their number as its subject."""
    query = AuditQuery(
        chain=chain,
        actor=actor,
        action=action,
        subject=subject,
        since=parse_time(since) if since else None,
        until=parse_time(until) if until else None,
        before=export.parse_mark(after) if after else None,
    )
    with installation(home) as services:
        page = export.search(services.deployment, operator(), query, limit)
    body = {"entries": [export.entry_json(e) for e in page.entries], "next": page.following}
    rows = [
        (format_time(e.at), e.chain, e.actor, e.action, e.subject, e.details) for e in page.entries
    ]
    columns = ("at", "chain", "actor", "action", "subject", "details")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))
    if page.following and not as_json:
        click.echo(f"There are more: --after {page.following}")


@audit_group.command("key")
@json_option
@click.pass_obj
@with_errors
def audit_key(home: HomeOption, *, as_json: bool) -> None:
    """Print the public keys of the checkpoints, newest first; keep them apart from the record."""
    with installation(home) as services, services.deployment.store.read() as tx:
        known = checkpoints.public_keys(tx)
    if not known:
        raise NotFound(
            "audit_key_unknown",
            "No checkpoint was signed yet, so there is no key.",
            hint="`pnc audit export --out FILE` signs the first; so does the service, in time.",
        )
    pems = {kid: _pem(spki).decode() for kid, spki in known.items()}
    if as_json:
        emit(pems, as_json=True, table=dict)
    else:
        click.echo("".join(pems.values()), nl=False)


def _pem(spki: bytes) -> bytes:
    key = offline.load_der_public_key(spki)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@audit_group.command("rotate-key")
@yes_option
@json_option
@click.pass_obj
@with_errors
def audit_rotate(home: HomeOption, *, yes: bool, as_json: bool) -> None:
    """Sign checkpoints with a new key from now on. Without --yes, nothing is changed."""
    kid = None
    with installation(home) as services:
        if yes:
            kid = checkpoints.rotate(services.deployment, operator()).kid
    body = {"dryRun": not yes, "kid": kid}
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not yes and not as_json:
        click.echo("Nothing was changed. Add --yes to rotate.")


COMMANDS: Final = (audit_group,)
