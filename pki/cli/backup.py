"""`pnc backup`, `pnc restore`: save an installation, bring it back, confirm it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from rich.console import Console
from rich.progress import Progress

from pki import backup
from pki import services as wiring
from pki.backup import Check, Confirmation, Restored
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.clock import SystemClock, format_time
from pki.settings import load
from pki.settings.values import default_database

phrase_option = click.option(
    "--passphrase-file",
    required=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Passphrase of the backup, at least 12 octets; not that of the keys.",
)


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@phrase_option
@json_option
@click.pass_obj
@with_errors
def backup_command(home: HomeOption, *, file: Path, passphrase_file: Path, as_json: bool) -> None:
    """
    Save database, keys and settings into one encrypted FILE, while the service goes on.

    Keys stay encrypted under their own passphrase, which is not in the backup: keep it elsewhere.
    Keys in hardware are not in it either. Note the audit head somewhere else as well.
    """
    with (
        installation(home) as services,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("Saving", total=None)
        saved = backup.save(
            services.deployment,
            operator(),
            services.database,
            services.settings.home,
            file,
            passphrase_file.read_bytes().strip(),
            progress=lambda done: progress.update(task, completed=done),
        )
    body = {
        "file": str(saved.file),
        "octets": saved.octets,
        "createdAt": format_time(saved.manifest.created_at),
        "database": saved.manifest.database.kind,
        "revision": saved.manifest.database.revision,
        "files": saved.files,
        "certificates": sum(saved.contents.issued.values()),
        "auditHead": saved.contents.heads.get("admin", (0, ""))[1],
    }
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


@click.group("restore")
def restore_group() -> None:
    """
    Restore a backup into a new home, check it, and confirm it.

    A restored installation signs nothing and does not start before `restore confirm`.
    """


@restore_group.command("run")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@phrase_option
@click.option("--database-url", help="An empty PostgreSQL database, for a backup of one.")
@json_option
@click.pass_obj
@with_errors
def restore_run(
    home: HomeOption, *, file: Path, passphrase_file: Path, database_url: str | None, as_json: bool
) -> None:
    """Restore FILE into the home named by --home, which must not exist yet."""
    target = home.place()
    with file.open("rb") as stream:
        phrase = passphrase_file.read_bytes().strip()
        restored = _restored(stream, phrase, target, database_url)
    body = restored_json(restored)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not as_json:
        click.echo(f"It signs nothing yet: pnc --home {target} restore confirm")


@restore_group.command("drill")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@phrase_option
@click.option("--database-url", help="An empty PostgreSQL database; drop it afterwards.")
@json_option
@click.pass_obj
@with_errors
def restore_drill(
    home: HomeOption, *, file: Path, passphrase_file: Path, database_url: str | None, as_json: bool
) -> None:
    """Restore FILE into a directory that is removed again, and check what came back."""
    environment = {k: v for k, v in home.environment.items() if k not in _ELSEWHERE}
    if database_url is not None:
        environment["PNC_DATABASE_URL"] = database_url
    with tempfile.TemporaryDirectory(prefix="pnc-drill-") as directory, file.open("rb") as stream:
        place = Path(directory) / "home"
        phrase = passphrase_file.read_bytes().strip()
        restored = _restored(stream, phrase, place, database_url)
        services = wiring.build(load(environment, place))
        try:
            found = backup.run(services.deployment, restored.contents)
            found.append(backup.refusal(services.deployment, operator(), services.settings.status))
        finally:
            services.close()
    show_checks(found, as_json=as_json)


_ELSEWHERE: Final = frozenset(("PNC_HOME", "PNC_DATABASE_URL"))


def _restored(stream: BinaryIO, phrase: bytes, place: Path, database_url: str | None) -> Restored:
    return backup.restore(
        stream,
        phrase,
        place,
        lambda home: wiring.database_at(database_url or default_database(home)),
        SystemClock(),
        database_url=database_url,
    )


@restore_group.command("check")
@json_option
@click.pass_obj
@with_errors
def restore_check(home: HomeOption, *, as_json: bool) -> None:
    """Check audit chains, serials, stored OCSP answers and CRLs; exit status 1 on a problem."""
    with installation(home) as services:
        found = backup.run(services.deployment)
    show_checks(found, as_json=as_json)


@restore_group.command("confirm")
@click.option(
    "--head",
    help="The first 16 digits of the audit head, after comparing it with what was noted "
    "elsewhere. Without it nothing is changed.",
)
@json_option
@click.pass_obj
@with_errors
def restore_confirm(home: HomeOption, *, head: str | None, as_json: bool) -> None:
    """
    Let a restored installation sign again, after a look at what it holds.

    CRL numbers jump, so that none comes twice, and every CRL is published anew. What was issued,
    revoked, or changed in trust after the backup is not known here: do it again first of all.
    """
    with installation(home) as services:
        done = backup.confirm(services.deployment, operator(), services.settings.status, head=head)
    body = confirmation_json(done)
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if done.dry_run and not as_json:
        click.echo(f"Nothing was changed. Confirm with --head {done.head}")


# --- showing -------------------------------------------------------------------------------------


def restored_json(restored: Restored) -> dict[str, Any]:
    """Return what was restored."""
    return {
        "home": str(restored.home),
        "createdAt": format_time(restored.manifest.created_at),
        "database": restored.manifest.database.kind,
        "files": restored.files,
        "certificates": sum(restored.contents.issued.values()),
        "auditHead": restored.contents.heads.get("admin", (0, ""))[1],
    }


def show_checks(found: list[Check], *, as_json: bool) -> None:
    """Print checks; end with status 1 where one failed."""
    body = {"checks": [_check_json(check) for check in found]}
    rows = [(check.name, check.count, check.problem or "good") for check in found]
    emit(body, as_json=as_json, table=lambda: listing(("check", "looked at", "result"), rows))
    if any(check.problem for check in found):
        raise SystemExit(1)


def _check_json(check: Check) -> dict[str, Any]:
    return {"name": check.name, "count": check.count, "problem": check.problem}


def confirmation_json(done: Confirmation) -> dict[str, Any]:
    """Return what was confirmed, or would be."""
    return {
        "dryRun": done.dry_run,
        "backupAt": format_time(done.backup_at),
        "restoredAt": format_time(done.restored_at),
        "auditHead": done.head,
        "auditEntries": sum(sequence for sequence, _ in done.contents.heads.values()),
        "certificates": sum(done.contents.issued.values()),
        "crlNumbers": max(done.contents.crl_numbers.values(), default=0),
        "crlsPublished": done.crls,
        "problems": [f"{check.name}: {check.problem}" for check in done.checks if check.problem],
    }


COMMANDS: Final = (backup_command, restore_group)
