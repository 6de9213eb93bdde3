"""A signer beside an installation: a thread, or a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pki.errors import PkiError
from pki.services import Services, build, build_signer
from pki.settings import load
from pki.settings.keys import Delegated
from pki.signer import Server, SignerClient, SocketPlace

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def short_path() -> Iterator[Path]:
    """Give a place for a socket; the names of pytest are too long for one."""
    directory = Path(tempfile.mkdtemp(prefix="pnc-s-"))
    try:
        yield directory / "signer"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def signing(
    home: Path, socket: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Services]:
    """Run a signer over the keys of a home, in a thread."""
    home.mkdir(parents=True, exist_ok=True)
    settings = load({"PNC_SIGNER_SOCKET": str(socket), **(environment or {})}, home)
    services = build_signer(settings)
    server = Server(
        services.deployment,
        SocketPlace.of(socket, settings.keys.group),
        delegated=settings.keys.delegated is Delegated.SAME,
        answers=settings.status.ca_signs,
    )
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=[ready.set])
    thread.start()
    try:
        assert ready.wait(10)
        yield services
    finally:
        server.stop()
        thread.join()
        services.close()


@contextmanager
def signer_process(
    home: Path, socket: Path, *command: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `pnc signer`, or another command that listens there; wait until it does."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PNC_")}
    process = subprocess.Popen(
        command or [sys.executable, "-m", "pki.cli", "--home", str(home), "signer"],
        cwd=ROOT,
        env={**inherited, "PNC_SIGNER_SOCKET": str(socket), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(socket, process)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def wait_for(socket: Path, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Wait until a signer answers."""
    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        try:
            SignerClient(socket).ping()
        except PkiError as error:
            if "does not answer" not in error.message:
                return
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the signer did not come up")


@contextmanager
def beside(home: Path, socket: Path, database_url: str | None = None) -> Iterator[Services]:
    """Open a home whose CAs' keys are with a signer."""
    environment = {"PNC_SIGNER_SOCKET": str(socket)}
    if database_url:
        environment["PNC_DATABASE_URL"] = database_url
    services = build(load(environment, home))
    try:
        yield services
    finally:
        services.close()
