"""From an eMSP's registration to a car that charges, and back: shell, HTTP, a real gunicorn."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from pki.pkix import pem
from pki.provision import pcp
from tests.e2e.test_service import Running, serving
from tests.homes import ADMIN, opened
from tests.provision import cars
from tests.provision.cars import Car

PCID = "WPNDEMO0000000001"
EMAID = "DENEWC00000001"
ENDS = "2027-06-30T00:00:00Z"


def _car(service: Running) -> Car:
    """A car of the demo's maker, whose chain it deposits from the shell."""
    with opened(service.home, database_url=service.database_url or None) as services:
        return cars.make_car(services, PCID)


def _installed(service: Running, car: Car) -> str | None:
    """Ask over OCPP as a station does; return the chain that the car presents from then on."""
    body = {
        "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
        "action": "Install",
        "exiRequest": base64.b64encode(car.request()).decode(),
    }
    status, answer = service.post("/ocpp/2.0.1/Get15118EVCertificate", body)
    assert status == 200, answer
    if answer["status"] == "Failed":
        return None
    message = car.accept(base64.b64decode(answer["exiResponse"]))
    chain = (message.contract_chain.certificate, *message.contract_chain.sub_certificates)
    return "".join(map(pem.encode, chain))


def _authorize(service: Running, chain: str) -> str:
    body = {"idToken": {"idToken": EMAID, "type": "eMAID"}, "certificate": chain}
    status, answer = service.post("/ocpp/2.0.1/Authorize", body)
    assert status == 200, answer
    return str(answer["certificateStatus"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_contract_comes_into_a_car_and_is_refused_once_it_is_revoked(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else None
    with serving(tmp_path / "home", url, "--workers", "2") as service:
        service.pnc("emsp", "add", "DENEW", "--name", "New Mobility")
        car = _car(service)
        chain_file = tmp_path / "chain.pem"
        chain_file.write_text("".join(map(pem.encode, car.chain)))
        assert _installed(service, car) is None
        service.pnc("pcp", "add", str(chain_file))
        assert _installed(service, car) is None
        made = service.pnc(
            "contract", "provision", "--emaid", EMAID, "--pcid", PCID, "--ends", ENDS
        )
        assert made["warnings"] == []
        chain = _installed(service, car)
        assert chain is not None
        assert _authorize(service, chain) == "Accepted"
        service.pnc("revoke", made["certificate"], "--reason", "keyCompromise", "--yes")
        for _ in range(6):
            assert _authorize(service, chain) == "CertificateRevoked"
        assert _installed(service, car) is None
        with opened(service.home, database_url=service.database_url or None) as services:
            assert pcp.delete(services.deployment, ADMIN, PCID).bundles == 1
        assert service.pnc("audit", "verify")["intact"] is True
