"""
A platform that is not ours (extrawest-ocpi) registers with us and we with it; tokens and answers.

It runs in an environment of its own (`scripts/ocpi_peer` makes it). What it insists on: a slash
behind the address of an endpoint, to which it appends without one, and data in lists of one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from werkzeug.serving import make_server

from pki import agreements, authorize, contracts, parties
from pki import services as wiring
from pki.model import Allowed, ContractCheck, PartnerState, Principal, Role, Terms
from pki.partners import handshake, registry, resync
from pki.partners.push import push_due
from pki.partners.registry import NewPartner
from pki.services import Services
from pki.settings import load
from tests.homes import ADMIN, make_home
from tests.roaming.conftest import CPO, EMSP, allow_local, authorization
from web.app import create_app

ROOT = Path(__file__).resolve().parent.parent.parent
EMAID = "DEMOAC12345678"
TOKEN_A = "token-a-of-the-other-platform"


@dataclass(frozen=True)
class Peer:
    """The other platform, told what to do."""

    port: int

    @property
    def versions(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocpi/versions"

    def tell(self, action: str, **more: str) -> Any:
        return self.call("POST", f"/control/{action}?{urlencode(more)}")

    def held(self) -> Any:
        return self.call("GET", "/control/held")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        base: str = "",
    ) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        sent = {"Content-Type": "application/json"} | (headers or {})
        url = (base or f"http://127.0.0.1:{self.port}") + path
        request = Request(url, data, sent, method=method)  # noqa: S310 - of this test
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return json.load(answer)


@pytest.fixture(scope="session")
def peer_python() -> str:
    """Python of the other platform's environment."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "ocpi_peer")],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode and not os.environ.get("PNC_REQUIRE_PEERS"):
        pytest.skip(f"extrawest-ocpi cannot be installed: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def peer(peer_python: str, tmp_path: Path) -> Iterator[Peer]:
    running = Peer(_free_port())
    program = tmp_path / "peer.py"
    shutil.copy(ROOT / "tests" / "interop" / "ocpi_peer.py", program)
    process = subprocess.Popen([peer_python, str(program), str(running.port), TOKEN_A])
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, "the other platform ended"
            assert time.monotonic() < deadline, "the other platform does not begin"
            try:
                running.held()
                break
            except OSError:
                time.sleep(0.1)
        yield running
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _serving(home: Path) -> Iterator[Services]:
    port = _free_port()
    environment = {"PNC_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    services = wiring.build(load(environment, home))
    server = make_server("127.0.0.1", port, create_app(services), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield services
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        services.close()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Services]:
    """Us, as a server; the other platform's CPO and eMSP may roam with ours."""
    home = tmp_path / "home"
    make_home(home, "none")
    allow_local(home)
    with _serving(home) as services:
        deployment = services.deployment
        parties.add_party(deployment, ADMIN, Role.CPO, CPO, "Poles")
        begun = deployment.clock.now()
        for cpo, emsp in (("NLCPX", EMSP), (CPO, "NLEMX")):
            agreements.add(deployment, ADMIN, Terms(cpo=cpo, emsp=emsp, valid_from=begun))
        contracts.add(deployment, ADMIN, EMAID)
        yield services


def _invite(services: Services) -> str:
    wanted = NewPartner(name="Other", emsps=(EMSP,), cpos=(CPO,), emaid_type="RFID")
    return registry.add(services.partners, ADMIN, "other", wanted).token


def _both_ways(services: Services, peer: Peer, token: str) -> None:
    """Exchange tokens and questions in both directions, over a registration that stands."""
    base = services.partners.base_url
    told = peer.tell("ask", url=f"{base}/2.2.1/emsp/tokens", token=token, uid=EMAID)
    assert told["tokens"] == [EMAID.lower()]
    assert told["allowed"] == "ALLOWED"
    with services.deployment.store.read() as tx:
        assert tx.decisions.get(told["reference"]) is not None
    unknown = peer.tell("ask", url=f"{base}/2.2.1/emsp/tokens", token=token, uid="04FFFF")
    assert unknown["http"] == 404

    assert resync.sync(services.partners, ADMIN, "other", whole=True) == 1
    check = ContractCheck(token="04:A1:B2:C3:D4:E5:F6", token_type="ISO14443", evse_id="DE*ABC*E1")
    cpo = Principal(name="csms", role=Role.CPO, parties=(CPO,))
    found = authorize.authorize(services.deployment, services.roaming, cpo, check).authorisation
    assert (found.allowed, found.asked) == (Allowed.ALLOWED, "answered"), found.explanation
    assert found.emsp_reference == "emx-17"
    assert peer.held()["asked"]


def test_we_register_with_a_platform_that_is_not_ours(ours: Services, peer: Peer) -> None:
    _invite(ours)
    assert push_due(ours.partners) == 0
    done = handshake.register(ours.partners, ADMIN, "other", peer.versions, TOKEN_A)
    assert (done.state, done.version) == (PartnerState.REGISTERED, "2.2.1")
    posted = peer.held()["credentials"]
    _both_ways(ours, peer, posted["token"])
    handshake.rotate(ours.partners, ADMIN, "other")
    assert peer.held()["credentials"]["token"] != posted["token"]
    assert handshake.remove(ours.partners, ADMIN, "other")
    assert peer.held()["credentials"] is None


def test_a_platform_that_is_not_ours_registers_with_us_and_pushes(
    ours: Services, peer: Peer
) -> None:
    token_a = _invite(ours)
    door = f"{ours.partners.base_url}/versions"
    told = peer.tell("register", url=door, token=token_a)
    assert told["status"] == 1000
    with pytest.raises(HTTPError):  # token A is void
        peer.call("GET", "", headers={"Authorization": authorization(token_a)}, base=door)
    _both_ways(ours, peer, told["token"])

    receiver = {"endpoints_url": told["details"], "auth_token": told["token"]}
    body = {"module_id": "tokens", "object_id": "04a1b2c3d4e5f6", "receivers": [receiver]}
    headers = {"Authorization": authorization("token-c-of-the-other-platform")}
    pushed = peer.call("POST", "/push/2.2.1", body, headers)
    [answered] = pushed["receiver_responses"]
    assert answered["response"]["status_code"] == 1000


def test_our_change_reaches_the_other_platform(ours: Services, peer: Peer) -> None:
    told = peer.tell("register", url=f"{ours.partners.base_url}/versions", token=_invite(ours))
    assert told["status"] == 1000
    with ours.deployment.store.write() as tx:  # as if the job had run before the contract came
        tx.put_setting("ocpi_pushed", json.dumps({"sequence": 0, "until": "2026-01-01T00:00:00Z"}))
    deadline = time.monotonic() + 60
    while EMAID.lower() not in peer.held()["tokens"]:
        assert time.monotonic() < deadline
        push_due(ours.partners)
        time.sleep(0.5)
    assert peer.held()["tokens"][EMAID.lower()]["valid"] is True
