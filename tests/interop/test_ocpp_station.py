# mypy: disable-error-code="misc, untyped-decorator"
# (the package `ocpp` ships no types)
"""
A charging station on the package `ocpp` gets its certificates through a CSMS that only forwards.

The station speaks OCPP over a websocket; the CSMS knows no message, it passes calls to us over
HTTP, fetches what waits for the station and tells us its answers.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web as http
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from ocpp.routing import on
from ocpp.v16 import ChargePoint as Station16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as Station21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as Station201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from pki import demo, hierarchy, stations
from pki.pkix import pem
from pki.pkix.suites import Suite
from pki.services import Services
from pki.stations import VENDOR
from tests.homes import ADMIN, demo_plans, opened
from tests.web.live import serving_here
from web.asgi import Application

VERSIONS = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}
CALL, RESULT = 2, 3


@dataclass(frozen=True)
class Csms:
    """Forwards: every call of a station to us, every waiting message of ours to the station."""

    url: str
    token: str

    async def serve(self, request: http.Request) -> http.WebSocketResponse:
        socket = http.WebSocketResponse(protocols=tuple(VERSIONS))
        await socket.prepare(request)
        station = request.match_info["station"]
        version = VERSIONS[socket.ws_protocol or ""]
        flying: set[str] = set()  # a station takes one call at a time
        async for frame in socket:
            kind, message_id, *rest = json.loads(frame.data)
            if kind == CALL:
                action, payload = rest
                told = await self._post(f"/ocpp/{version}/{action}", payload, station)
                await socket.send_str(json.dumps([RESULT, message_id, told]))
            else:
                await self._post(f"/ocpp/pending/{message_id}/result", rest[-1], station)
                flying.discard(message_id)
            with suppress(ConnectionResetError):  # the station is gone; its message waits
                await self._forward(socket, station, flying)
        return socket

    async def _forward(
        self, socket: http.WebSocketResponse, station: str, flying: set[str]
    ) -> None:
        """Send the oldest message that waits; the next one follows its answer."""
        if flying:
            return
        page = await self._ask("GET", f"/ocpp/pending?station={station}&limit=1", None, station)
        for message in page["messages"]:
            flying.add(message["id"])
            call = [CALL, message["id"], message["call"], message["payload"]]
            await socket.send_str(json.dumps(call))

    async def _post(self, path: str, body: Any, station: str) -> Any:
        return await self._ask("POST", path, body, station)

    async def _ask(self, method: str, path: str, body: Any, station: str) -> Any:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "X-Station-Id": station,
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - ours

        def sent() -> Any:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
                return json.load(answer)

        return await asyncio.to_thread(sent)


@dataclass
class Socket:
    """What the package `ocpp` expects of a websocket."""

    inner: aiohttp.ClientWebSocketResponse

    async def recv(self) -> str:
        return await self.inner.receive_str()

    async def send(self, text: str) -> None:
        await self.inner.send_str(text)


@dataclass
class Store:
    """What a station keeps: keys, chains, roots."""

    chains: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    roots: list[str] = field(default_factory=list)
    listed: asyncio.Event = field(default_factory=asyncio.Event)

    def install(self, certificate: str) -> str:
        x509.load_pem_x509_certificate(certificate.encode())
        self.roots.append(certificate)
        return "Accepted"


class Simulated201(Station201):
    """A station of OCPP 2.0.1."""

    store: Store

    @on("CertificateSigned")
    async def signed(self, **told: Any) -> Any:
        self.store.chains.put_nowait(told)
        return result201.CertificateSigned(status="Accepted")

    @on("InstallCertificate")
    async def install(self, certificate: str, **_: Any) -> Any:
        return result201.InstallCertificate(status=self.store.install(certificate))

    @on("GetInstalledCertificateIds")
    async def list_them(self, **_: Any) -> Any:
        self.store.listed.set()
        return result201.GetInstalledCertificateIds(status="NotFound")


class Simulated21(Station21):
    """A station of OCPP 2.1."""

    store: Store

    @on("CertificateSigned")
    async def signed(self, **told: Any) -> Any:
        self.store.chains.put_nowait(told)
        return result21.CertificateSigned(status="Accepted")


class Simulated16(Station16):
    """A station of OCPP 1.6 with Plug & Charge in DataTransfer."""

    store: Store

    @on("DataTransfer")
    async def carried(self, vendor_id: str, message_id: str, data: str) -> Any:
        assert (vendor_id, message_id) == (VENDOR, "CertificateSigned")
        told = json.loads(data)
        self.store.chains.put_nowait({"certificate_chain": told["certificateChain"]})
        return result16.DataTransfer(status="Accepted", data=json.dumps({"status": "Accepted"}))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    home = tmp_path_factory.mktemp("stations") / "home"
    home.mkdir()
    plans = [plan for plan in demo_plans() if plan.suite is not Suite.ED448]
    wanted = [p for p in plans if p.name.startswith(("v2g", "cpo", "tls"))]
    with opened(home) as services:
        services.database.migrate()
        hierarchy.create(services.deployment, ADMIN, wanted)
        demo.register(services.deployment, ADMIN, home)
        yield services


def request(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


async def with_station(
    running: Services, port: int, protocol: str, simulated: Any, work: Any
) -> Store:
    """Let a station connect to a CSMS in front of our service, and do something with it."""
    csms = Csms(f"http://127.0.0.1:{port}", demo.token(running.settings.home, "cpo"))
    app = http.Application()
    app.router.add_get("/{station}", csms.serve)
    runner = http.AppRunner(app)
    await runner.setup()
    site = http.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here = runner.addresses[0][1]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{here}/{protocol}", protocols=(protocol,)) as socket,
    ):
        station = simulated(protocol, Socket(socket))
        station.store = Store()
        reading = asyncio.create_task(station.start())
        await asyncio.wait_for(work(station), 60)
        reading.cancel()
    await runner.cleanup()
    store: Store = station.store
    return store


def run(running: Services, protocol: str, simulated: Any, work: Any) -> Store:
    with serving_here(Application(running)) as live:
        return asyncio.run(with_station(running, live.port, protocol, simulated, work))


def verify(running: Services, folder: Path, chain: str, root: str, key: Any) -> x509.Certificate:
    """Have openssl verify a chain, and see that its leaf carries the station's key."""
    certificates = x509.load_pem_x509_certificates(chain.encode())
    with running.deployment.store.read() as tx:
        der = next(i.certificate for i in tx.issuers.all() if i.name == root)
    (folder / "root.pem").write_text(pem.encode(der))
    (folder / "chain.pem").write_text(chain)
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "chain.pem",
    ]
    done = subprocess.run([*command, "chain.pem"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert certificates[0].public_key() == key.public_key()
    return certificates[0]


def states(running: Services) -> set[tuple[str, str]]:
    found = stations.messages(running.deployment, ADMIN, stations.MessageFilter())
    return {(m.action, m.state.value) for m in found}


def test_a_station_of_201_gets_both_certificates_and_a_root(
    running: Services, tmp_path: Path
) -> None:
    keys = {use: ec.generate_private_key(ec.SECP256R1()) for use in ("tls", "v2g")}
    told: list[dict[str, Any]] = []

    async def work(station: Any) -> None:
        for use, kind, name in (
            ("tls", "ChargingStationCertificate", "SN-201"),
            ("v2g", "V2GCertificate", "DECPAE201"),
        ):
            csr = request(keys[use], name)
            answer = await station.call(call201.SignCertificate(csr=csr, certificate_type=kind))
            assert answer.status == "Accepted"
            told.append(await station.store.chains.get())
        await station.call(call201.Authorize(id_token={"idToken": "X", "type": "Central"}))
        await station.store.listed.wait()

    with running.deployment.store.read() as tx:
        root = pem.encode(next(i.certificate for i in tx.issuers.all() if i.name == "v2g-2"))
    wanted = {"certificateType": "V2GRootCertificate", "certificate": root}
    for action, payload in (("InstallCertificate", wanted), ("GetInstalledCertificateIds", {})):
        asked = stations.Asked(
            station_id="ocpp2.0.1",
            version="2.0.1",
            action=action,
            payload=payload,
            operator="DECPA",
        )
        stations.ask(running.deployment, ADMIN, asked)
    store = run(running, "ocpp2.0.1", Simulated201, work)
    assert store.roots == [root]
    leaf = verify(running, tmp_path, told[0]["certificate_chain"], "tls-p256", keys["tls"])
    assert "SN-201" in leaf.subject.rfc4514_string()
    verify(running, tmp_path, told[1]["certificate_chain"], "v2g-2", keys["v2g"])
    assert told[1]["certificate_type"] == "V2GCertificate"
    assert ("CertificateSigned", "accepted") in states(running)
    assert ("InstallCertificate", "accepted") in states(running)


def test_a_station_of_21_gets_a_certificate_of_iso15118_20(
    running: Services, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    told: list[dict[str, Any]] = []

    async def work(station: Any) -> None:
        asked = call21.SignCertificate(
            csr=request(key, "DECPAE21"), certificate_type="V2G20Certificate", request_id=21
        )
        assert (await station.call(asked)).status == "Accepted"
        told.append(await station.store.chains.get())

    run(running, "ocpp2.1", Simulated21, work)
    assert (told[0]["certificate_type"], told[0]["request_id"]) == ("V2G20Certificate", 21)
    verify(running, tmp_path, told[0]["certificate_chain"], "v2g-20", key)


def test_a_station_of_16_gets_its_certificate_in_a_data_transfer(
    running: Services, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    told: list[dict[str, Any]] = []

    async def work(station: Any) -> None:
        data = json.dumps({"csr": request(key, "DECPAE16"), "certificateType": "V2GCertificate"})
        asked = call16.DataTransfer(vendor_id=VENDOR, message_id="SignCertificate", data=data)
        answer = await station.call(asked)
        assert answer.status == "Accepted"
        assert json.loads(answer.data) == {"status": "Accepted"}
        told.append(await station.store.chains.get())

    run(running, "ocpp1.6", Simulated16, work)
    verify(running, tmp_path, told[0]["certificate_chain"], "v2g-2", key)
