"""
Restore a backup somewhere else: complete, or as if nothing had been done.

A restored installation knows nothing of what happened after the backup. Until somebody confirms
serials and audit chains (`pki.backup.confirm`) it signs nothing and does not start (I10).
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pki.backup.saving import END, HOME_FILES, KEYS, MANIFEST
from pki.backup.sealed import SealedReader
from pki.backup.values import Contents, Manifest, read_contents, read_manifest
from pki.clock import Clock, format_time
from pki.errors import BadInput, Conflict, Unavailable
from pki.model import RESTORED
from pki.ports import Snapshots, Transaction

_KEY_FILE: Final = re.compile(r"keys/[a-zA-Z0-9_][a-zA-Z0-9._-]{0,119}", re.ASCII)
_MOST: Final = 64 * 1024 * 1024
"""Octets of one entry of a backup; parts of the database are smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A home that was restored and is not confirmed."""

    home: Path
    manifest: Manifest
    contents: Contents
    files: int


@dataclass(slots=True)
class _Archive:
    """The entries of a backup, in order; what is asked for out of order is no backup."""

    tar: tarfile.TarFile
    _held: tuple[str, bytes] | None = None

    def entry(self) -> tuple[str, bytes] | None:
        """Return the next entry, or None at the end."""
        if self._held is not None:
            held, self._held = self._held, None
            return held
        info = self.tar.next()
        if info is None:
            return None
        stream = self.tar.extractfile(info) if info.isfile() and info.size <= _MOST else None
        if stream is None:
            raise _unreadable()
        return info.name, stream.read()

    def give_back(self, found: tuple[str, bytes]) -> None:
        """Have the next call of `entry` return this one again."""
        self._held = found

    def named(self, name: str) -> bytes:
        """Return the next entry, which must have this name."""
        found = self.entry()
        if found is None or found[0] != name:
            raise _unreadable()
        return found[1]

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield the parts of the database."""
        while (found := self.entry()) is not None:
            if not found[0].startswith("database/"):
                self.give_back(found)
                return
            yield found[0].rpartition("/")[2], found[1]


def restore(  # noqa: PLR0913 - from where, under what, to where
    file: BinaryIO,
    passphrase: bytes,
    home: Path,
    database: Callable[[Path], AbstractContextManager[Snapshots]],
    clock: Clock,
    *,
    database_url: str | None = None,
) -> Restored:
    """
    Make a home of a backup; it refuses to sign until it is confirmed.

    Everything is made beside `home`, which appears complete at the end. A run that was killed is
    repeated: what it left is overwritten.

    Args:
        database: opens the database of a home that is still at the path given.
        database_url: of a PostgreSQL to restore into; else the home's own SQLite file.

    Raises:
        BadInput: `backup_unreadable`, `backup_torn`, `backup_other_database`.
        Conflict: `home_exists`.
        Unavailable: `store_not_empty`, `store_unavailable`, `home_not_writable`.
    """
    if home.exists():
        raise Conflict(
            "home_exists", f"{home} exists already.", hint="Restore into a new directory."
        )
    staging = home.with_name(f".{home.name}.restoring")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700, parents=True)
        (staging / KEYS).mkdir(mode=0o700)
        restored = _unpacked(file, passphrase, staging, database, clock)
        _settle_settings(staging / HOME_FILES[0], database_url)
        staging.rename(home)
    except OSError as error:
        raise Unavailable(
            "home_not_writable", f"{home} cannot be written: {error.strerror}."
        ) from error
    return Restored(
        home=home,
        manifest=restored.manifest,
        contents=restored.contents,
        files=restored.files,
    )


def _unpacked(
    file: BinaryIO,
    passphrase: bytes,
    staging: Path,
    database: Callable[[Path], AbstractContextManager[Snapshots]],
    clock: Clock,
) -> Restored:
    sealed = SealedReader(file, passphrase)
    try:
        with (
            gzip.GzipFile(fileobj=sealed, mode="rb") as packed,  # type: ignore[call-overload]  # it reads, which is all that is needed
            tarfile.open(fileobj=packed, mode="r|") as tar,
        ):
            archive = _Archive(tar)
            manifest = read_manifest(archive.named(MANIFEST))
            mark = _mark(manifest, clock)
            with database(staging) as empty:
                empty.restore(
                    manifest.database,
                    archive.parts(),
                    lambda tx: tx.put_setting(RESTORED, mark),
                    again=_unconfirmed,
                )
            files = _home_files(archive, staging)
            contents = read_contents(archive.named(END))
        sealed.read()  # to the last piece, whose absence shows that the file was cut off
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise _unreadable() from error
    return Restored(home=staging, manifest=manifest, contents=contents, files=files)


def _mark(manifest: Manifest, clock: Clock) -> str:
    return json.dumps(
        {
            "backupAt": format_time(manifest.created_at),
            "restoredAt": format_time(clock.now()),
        }
    )


def _unconfirmed(tx: Transaction) -> bool:
    return bool(tx.setting(RESTORED))


def _home_files(archive: _Archive, staging: Path) -> int:
    count = 0
    while (found := archive.entry()) is not None:
        name = found[0].removeprefix("home/")
        if not found[0].startswith("home/"):
            archive.give_back(found)
            break
        if name not in HOME_FILES and not _KEY_FILE.fullmatch(name):
            raise _unreadable()
        path = staging / name
        path.touch(mode=0o600)
        path.write_bytes(found[1])
        count += 1
    return count


def _settle_settings(path: Path, database_url: str | None) -> None:
    """Name the database of the restored home in its settings, in place of the one before."""
    text = path.read_text("utf-8") if path.exists() else ""
    lines = [line for line in text.splitlines() if not line.startswith("database_url")]
    if database_url is not None:
        lines.insert(0, f"database_url = {json.dumps(database_url)}")
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _unreadable() -> BadInput:
    return BadInput("backup_unreadable", "The backup cannot be read; its contents are not as ours.")
