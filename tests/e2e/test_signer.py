"""A service and its signer as processes: no secret shows, and a killed signer is no outage."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pki import demo
from pki.settings import FILE_NAME
from tests.e2e.test_service import EMAID, Running, serving
from tests.homes import ADMIN, MO_BRANCH, make_home, opened
from tests.signing import short_path, signer_process
from tests.tokens import PIN, SoftHsm

PHRASE = "a passphrase that no log shows"


@dataclass(frozen=True)
class Site:
    """A signer's home with a token, and a worker's home that holds responders' keys alone."""

    signer: Path
    worker: Path
    place: Path

    def secrets(self) -> list[str]:
        tokens = [demo.token(self.worker, client) for client in ("emsp", "cpo", "admin", "oem")]
        return [PIN, PHRASE, *tokens]


@pytest.fixture
def site(soft_hsm: SoftHsm, tmp_path: Path) -> Iterator[Site]:
    signer, worker = tmp_path / "signer", tmp_path / "worker"
    for home in (signer, worker):
        (home / "keys").mkdir(parents=True)
    (tmp_path / "phrase").write_text(PHRASE)
    settings = soft_hsm.settings(
        soft_hsm.token(), delegated="files", passphrase_file=str(tmp_path / "phrase")
    )
    (signer / FILE_NAME).write_text(settings)
    make_home(signer, *MO_BRANCH)
    with opened(signer) as services:
        demo.register(services.deployment, ADMIN, worker)
    for path in (signer / "keys").glob("ocsp.*"):
        path.rename(worker / "keys" / path.name)
    with short_path() as place:
        socket = f'[signer]\nsocket = "{place}"\n'
        (signer / FILE_NAME).write_text(settings + socket)
        (worker / FILE_NAME).write_text(
            f'database_url = "sqlite:///{signer / "pnc.db"}"\n'
            f'[keys]\npassphrase_file = "{tmp_path / "phrase"}"\n{socket}'
        )
        yield Site(signer=signer, worker=worker, place=place)
    shutil.rmtree(signer)


def _issue(service: Running) -> tuple[int, dict[str, object]]:
    return service.post("/v1/certificates", {"profile": "contract", "emaid": EMAID}, "emsp")


def test_a_killed_signer_is_told_and_missed_no_longer_than_it_is_away(site: Site) -> None:
    with serving(site.worker, None) as service:
        with signer_process(site.signer, site.place) as process:
            status, body = _issue(service)
            assert status == 201, body
            _no_secret_shows(site, service, process.pid)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
        status, body = _issue(service)
        assert (status, body["code"]) == (503, "key_unavailable")
        assert "pnc signer" in str(body["hint"])
        asked = {"idToken": {"idToken": EMAID, "type": "eMAID"}}
        assert service.post("/ocpp/2.0.1/Authorize", asked)[0] == 200
        with signer_process(site.signer, site.place) as process:
            assert _issue(service)[0] == 201
            process.terminate()
            said, complained = process.communicate(timeout=60)
        for secret in site.secrets():
            assert secret.encode() not in said + complained


def _no_secret_shows(site: Site, service: Running, signer: int) -> None:
    """Look at what every user of the host sees, and at what is written."""
    seen = {pid: _of_process(pid) for pid in _processes(site, signer)}
    assert len(seen) >= 5  # signer, gunicorn, two workers, the runner of jobs
    shown = b"\n".join(text for texts in seen.values() for text in texts)
    written = service.output.encode() + b"".join(_logs(site.worker))
    for secret in site.secrets():
        assert secret.encode() not in shown
        assert secret.encode() not in written
    maps = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in seen}
    assert [pid for pid, text in maps.items() if "softhsm" in text] == [signer]


def _of_process(pid: int) -> tuple[bytes, bytes]:
    place = Path(f"/proc/{pid}")
    return (place / "cmdline").read_bytes(), (place / "environ").read_bytes()


def _processes(site: Site, signer: int) -> Iterator[int]:
    """Yield the signer and whatever belongs to the worker's home."""
    yield signer
    homes = str(site.worker).encode()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words, environment = _of_process(int(place.name))
        except OSError:
            continue
        if int(place.name) != os.getpid() and homes in words + environment:
            yield int(place.name)


def _logs(home: Path) -> Iterator[bytes]:
    """Yield what lies in the home, but keys and the tokens of the demo, which are meant to."""
    for path in [*home.rglob("*"), *home.parent.glob("*.log")]:
        kept = path.is_relative_to(home / "keys") or path.name == demo.FILE_NAME
        if path.is_file() and not kept:
            yield path.read_bytes()
