"""Write a backup: one state of the database, then the keys (still encrypted) and the settings."""

from __future__ import annotations

import gzip
import io
import os
import secrets
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pki import access, audit
from pki.backup.sealed import SealedWriter
from pki.backup.values import Contents, Manifest, contents_of
from pki.errors import Conflict, Unavailable
from pki.model import Principal
from pki.ports import Deployment, Snapshots

HOME_FILES: Final = ("pnc.toml", "demo-clients.json")
KEYS: Final = "keys"
MANIFEST: Final = "manifest.json"
END: Final = "end.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """
    A backup that was written.

    Attributes:
        octets: of the file.
        files: of the home: keys and settings.
    """

    file: Path
    octets: int
    files: int
    manifest: Manifest
    contents: Contents


def save(  # noqa: PLR0913 - from where, by whom, to where, under what
    deployment: Deployment,
    principal: Principal,
    snapshots: Snapshots,
    home: Path,
    out: Path,
    passphrase: bytes,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> Saved:
    """
    Save an installation into one encrypted file while it goes on working.

    The state of the database is frozen first and the keys are read after it, so that every key
    that the state names is there. A backup that fails leaves no file.

    Args:
        progress: told the octets of the database that were written so far.

    Raises:
        BadInput: `passphrase_short`.
        Conflict: `out_exists`.
        Unavailable: `store_unavailable`, `backup_not_written`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    now = deployment.clock.now()
    with (
        _new_file(out) as file,
        snapshots.snapshot(home / "run" / f"backup.{secrets.token_hex(4)}.db") as frozen,
    ):
        manifest = Manifest(
            created_at=now,
            public_url=deployment.public_url,
            mode="demo" if deployment.demo else "production",
            database=frozen.description,
        )
        contents = contents_of(frozen.unit)
        sealed = SealedWriter(file, passphrase)
        with (
            gzip.GzipFile(fileobj=sealed, mode="wb", compresslevel=1, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            _add(tar, MANIFEST, manifest.json())
            done = 0
            for number, (name, part) in enumerate(frozen.parts):
                _add(tar, f"database/{number:08d}/{name}", part)
                done += len(part)
                progress(done)
            files = 0
            for name, data in _home_files(home):
                _add(tar, f"home/{name}", data)
                files += 1
            _add(tar, END, contents.json())
        sealed.finish()
    _note(deployment, principal, out)
    return Saved(
        file=out,
        octets=out.stat().st_size,
        files=files,
        manifest=manifest,
        contents=contents,
    )


@contextmanager
def _new_file(out: Path) -> Iterator[io.BufferedWriter]:
    """Write beside the name and take it at the end, durable; a failure leaves nothing."""
    if out.exists():
        raise Conflict("out_exists", f"{out} exists already.", hint="Name another file.")
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(out)
    except OSError as error:
        raise Unavailable(
            "backup_not_written",
            f"{out} cannot be written: {error.strerror}.",
            hint="See that the directory exists and has room.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


def _home_files(home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield settings and keys; keys are encrypted files, and a half-written one has a dot."""
    for name in HOME_FILES:
        if (home / name).is_file():
            yield name, (home / name).read_bytes()
    directory = home / KEYS
    for path in sorted(directory.iterdir()) if directory.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            yield f"{KEYS}/{path.name}", path.read_bytes()


def _note(deployment: Deployment, principal: Principal, out: Path) -> None:
    with deployment.store.write() as tx:
        audit.note(tx, deployment.clock.now(), principal.name, "backup.save", out.name)
