"""The whole service as its users meet it: `pnc serve`, a real gunicorn, HTTP, both databases."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PNC = [sys.executable, "-m", "pki.cli"]
EMAID = "DEMOAC12345678"


@dataclass(frozen=True)
class Running:
    """A service under gunicorn and its demo tokens."""

    url: str
    home: Path
    output: str
    database_url: str

    def token(self, client: str) -> str:
        clients = json.loads((self.home / "demo-clients.json").read_text())
        return str(clients[client]["token"])

    def post(self, path: str, body: object, client: str | None = "cpo") -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        if client:
            headers["Authorization"] = f"Bearer {self.token(client)}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def pnc(self, *words: str) -> Any:
        done = subprocess.run(
            [*PNC, "--home", str(self.home), *words, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):
        if process.poll() is not None:
            raise AssertionError("the service ended")
        try:
            with urllib.request.urlopen(url + "/healthz/ready", timeout=5):  # noqa: S310 - ours
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the service did not come up")


@contextmanager
def serving(home: Path, database_url: str | None, *words: str) -> Iterator[Running]:
    port = _free_port()
    log = home.parent / f"serve-{port}.log"
    command = [*PNC, "serve", "--home", str(home), "--port", str(port), *words]
    if database_url:
        command += ["--database-url", database_url]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PNC_")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            yield Running(url, home, log.read_text(), database_url or "")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _issue(service: Running, emaid: str) -> Any:
    status, body = service.post("/v1/certificates", {"profile": "contract", "emaid": emaid}, "emsp")
    assert status == 201, body
    return body


def _authorize(service: Running, emaid: str, chain: str | None = None) -> Any:
    body: dict[str, Any] = {"idToken": {"idToken": emaid, "type": "eMAID"}}
    if chain:
        body["certificate"] = chain
    status, answer = service.post("/ocpp/2.0.1/Authorize", body)
    assert status == 200, answer
    return answer


def _walk(service: Running) -> None:
    """Issue, accept, revoke from the shell, and see every worker refuse at its next request."""
    issued = _issue(service, EMAID)
    chain = issued["certificateChain"]
    good = {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}
    assert _authorize(service, "DE-MOA-C12345678", chain) == good
    status, verdict = service.post("/v1/contracts/validate", {"certificateChain": chain})
    assert (status, verdict["accepted"], verdict["emsp"]["providerId"]) == (200, True, "DEMOA")
    assert service.pnc("revoke", issued["serialNumber"], "--reason", "superseded")["dryRun"]
    assert _authorize(service, EMAID, chain) == good
    report = service.pnc("revoke", issued["serialNumber"], "--reason", "superseded", "--yes")
    assert report["dryRun"] is False
    for _ in range(12):
        assert _authorize(service, EMAID, chain) == {
            "idTokenInfo": {"status": "Invalid"},
            "certificateStatus": "CertificateRevoked",
        }


def _states(service: Running) -> None:
    """A change of a contract's state from the shell is seen by the next request."""
    emaid = "DEMOAC00000077"
    _issue(service, emaid)
    assert _authorize(service, emaid) == {"idTokenInfo": {"status": "Accepted"}}
    for state, told in (("blocked", "Blocked"), ("ended", "Expired"), ("active", "Accepted")):
        service.pnc("contract", "set", emaid, state)
        assert _authorize(service, emaid) == {"idTokenInfo": {"status": told}}
    assert _authorize(service, "DEMOAC99999999") == {"idTokenInfo": {"status": "Unknown"}}


def _sub_ca(service: Running) -> None:
    """All contracts below a revoked sub-CA are refused."""
    issued = _issue(service, "DEMOAC00000088")
    chain = issued["certificateChain"]
    sub = next(i for i in service.pnc("issuer", "list") if i["name"] == "mo2-2")
    service.pnc("revoke", sub["fingerprint"], "--reason", "cACompromise", "--yes")
    for _ in range(6):
        answer = _authorize(service, "DEMOAC00000088", chain)
        assert answer["certificateStatus"] == "CertificateRevoked"
    status, problem = service.post(
        "/v1/certificates", {"profile": "contract", "emaid": "DEMOAC00000099"}, "emsp"
    )
    assert (status, problem["code"]) == (404, "issuer_unknown")
    assert service.pnc("audit", "verify")["intact"] is True


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_main_job_from_end_to_end(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else None
    with serving(tmp_path / "home", url, "--workers", "2") as service:
        _walk(service)
        _states(service)
        _sub_ca(service)


def test_serve_tells_its_users_what_to_do_and_keeps_what_exists(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, None) as first:
        assert "38 made now" in first.output
        for call in ("/v1/certificates", "/ocpp/2.0.1/Authorize", "demo token", "Stop with"):
            assert call in first.output
        assert "pnc_" not in first.output
        assert (home / "demo-clients.json").stat().st_mode & 0o777 == 0o600
        before = {i["fingerprint"] for i in first.pnc("issuer", "list")}
        tokens = (home / "demo-clients.json").read_text()
    with serving(home, None) as second:
        assert "kept" in second.output
        assert {i["fingerprint"] for i in second.pnc("issuer", "list")} == before
        assert (home / "demo-clients.json").read_text() == tokens


def test_two_homes_run_side_by_side(tmp_path: Path) -> None:
    with serving(tmp_path / "a", None) as one, serving(tmp_path / "b", None) as other:
        issued = _issue(one, EMAID)
        assert _authorize(one, EMAID)["idTokenInfo"]["status"] == "Accepted"
        answer = _authorize(other, EMAID, issued["certificateChain"])
        assert answer["certificateStatus"] == "CertChainError"


def test_hostile_requests_do_not_stop_the_service(tmp_path: Path) -> None:
    with serving(tmp_path / "home", None) as service:
        big = b'{"certificateChain": "' + b"A" * 10_000_000 + b'"}'
        try:
            status, _ = service.post("/v1/contracts/validate", big)
            assert status == 413
        except (ConnectionError, urllib.error.URLError):
            pass  # the answer may overtake the body; the connection is then closed
        for body in (b"{", b"[]", b"\xff\xfe", b"null", b'{"certificateChain": 7}'):
            status, problem = service.post("/v1/contracts/validate", body)
            assert status == 400, problem
            assert problem["code"]
        status, error = service.post("/ocpp/2.0.1/Authorize", b"{")
        assert (status, error["errorCode"]) == (400, "FormationViolation")
        status, error = service.post("/ocpp/2.0.1/Authorize", {}, None)
        assert (status, error["errorCode"]) == (401, "SecurityError")
        assert _authorize(service, EMAID) == {"idTokenInfo": {"status": "Unknown"}}
