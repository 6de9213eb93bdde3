"""Get15118EVCertificate of OCPP 2.0.1 and 2.1: EXI passed through, limits kept, roles asked."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from pki import clients
from pki.errors import PolicyViolation
from pki.ids import Edition
from pki.model import Budget, Role
from pki.pkix.certificate import load
from pki.pkix.suites import Suite
from pki.provision import ccp, cps
from pki.provision.install import Answer, Installation
from pki.services import Services
from pki.v2g import messages
from pki.v2g.messages import iso2
from tests.homes import ADMIN, EMAID
from tests.provision import cars
from tests.provision.cars import Car
from tests.web.calling import Caller, ocpp_code
from web.app import create_app
from web.ocpp_install import ACTION, answer, longest_response

SCHEMA_2 = "urn:iso:15118:2:2013:MsgDef"
SCHEMA_20 = "urn:iso:std:iso:15118:-20:CommonMessages"


def caller(services: Services) -> Caller:
    parties = {"cpo": ("DECPA",), "emsp": ("DEMOA",), "oem": ("XYZ",)}
    tokens = {
        name: clients.add(services.deployment, ADMIN, Role(name), ids, name="Demo")[1]
        for name, ids in parties.items()
    }
    return Caller(create_app(services), tokens)


def body(exi: bytes, *, schema: str = SCHEMA_2, action: str = "Install", **more: Any) -> Any:
    text = base64.b64encode(exi).decode()
    return {"iso15118SchemaVersion": schema, "action": action, "exiRequest": text, **more}


def sent(asked: Caller, version: str, request: Any, role: str | None = "cpo") -> Any:
    """Send a request that is answered with 200; return the answer."""
    told = asked.post(f"/ocpp/{version}/{ACTION}", request, role=role)
    assert told.status_code == 200, told.text
    return told.json


def provided(services: Services, suite: Suite = Suite.P256, *emaids: str) -> Car:
    pcid = cars.PCID if suite is Suite.P256 else "WMIDEMO12345678901"
    car = cars.deposited(services, pcid, suite)
    ends = services.deployment.clock.now() + cars.YEAR
    for emaid in emaids or (EMAID,):
        cps.generate_contract(
            services.deployment, ADMIN, cps.Wanted(emaid=emaid, pcid=pcid, ends=ends)
        )
    return car


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_station_brings_a_contract_into_a_car(pnc: Services, version: str) -> None:
    car = provided(pnc)
    told = sent(caller(pnc), version, body(car.request()))
    assert told["status"] == "Accepted"
    car.accept(base64.b64decode(told["exiResponse"]))
    assert told.get("remainingContracts") == (0 if version == "2.1" else None)


def test_an_old_station_passes_the_answer_on_too(pnc: Services) -> None:
    car = provided(pnc)
    told = sent(caller(pnc), "2.0.1", body(car.request()))
    assert len(told["exiResponse"]) <= 5600


def test_a_refusal_is_failed_and_tells_the_car_in_exi(pnc: Services) -> None:
    car = cars.make_car(pnc)
    told = sent(caller(pnc), "2.0.1", body(car.request()))
    assert (told["status"], told["statusInfo"]["reasonCode"]) == ("Failed", "VehicleUnknown")
    exi = base64.b64decode(told["exiResponse"])
    message = messages.decode(exi, Edition.ISO2).message
    assert isinstance(message, iso2.CertificateInstallationRes)
    assert message.response_code == "FAILED_NoCertificateAvailable"


@pytest.mark.parametrize(
    "change",
    [
        {"exiRequest": "AAAA"},
        {"exiRequest": "no base64 at all!"},
        {"exiRequest": ""},
        {"iso15118SchemaVersion": "urn:iso:15118:3"},
        {"iso15118SchemaVersion": SCHEMA_20},
        {"action": "Update"},
    ],
)
def test_what_cannot_be_read_is_failed_without_exi(pnc: Services, change: dict[str, str]) -> None:
    car = provided(pnc)
    told = sent(caller(pnc), "2.1", body(car.request()) | change)
    assert (told["status"], told["exiResponse"]) == ("Failed", "")
    assert told["statusInfo"]["reasonCode"] == "InvalidValue"


def test_limits_of_the_schema_are_asked_before_anything_is_read(pnc: Services) -> None:
    asked = caller(pnc)
    for version, limit in (("2.0.1", 5600), ("2.1", 11000)):
        long = {**body(b""), "exiRequest": "A" * (limit + 4)}
        told = asked.post(f"/ocpp/{version}/{ACTION}", long, role="cpo")
        assert ocpp_code(told) == (400, "PropertyConstraintViolation")


def test_roles_are_asked(pnc: Services) -> None:
    car = provided(pnc)
    asked = caller(pnc)
    for role in ("emsp", "oem", None):
        told = asked.post(f"/ocpp/2.0.1/{ACTION}", body(car.request()), role=role)
        assert told.status_code == (401 if role is None else 403)


def test_an_answer_longer_than_the_version_allows_is_failed(pnc: Services) -> None:
    provided(pnc)
    (held,) = ccp.by_emaid(pnc.deployment, ADMIN, EMAID)
    for version in ("2.0.1", "2.1"):
        fits = longest_response(version) // 4 * 3
        for size, status in ((fits, "Accepted"), (fits + 3, "Failed")):
            outcome = Installation(
                edition=held.bundle.emaid.edition,
                answers=(Answer(exi=bytes(size), bundle=held.bundle),),
            )
            assert answer(outcome, version)["status"] == status


def test_a_car_of_the_new_edition_is_told_how_many_are_left(pnc20: Services) -> None:
    emaids = ("DEMOAC00000001", "DEMOAC00000002", "DEMOAC00000003")
    car = provided(pnc20, Suite.P521, *emaids)
    asked = caller(pnc20)
    request = body(
        car.request20(maximum=2),
        schema=SCHEMA_20,
        maximumContractCertificateChains=2,
        prioritizedEMAIDs=[emaids[1]],
    )
    told = [sent(asked, "2.1", request) for _ in range(2)]
    assert [t["remainingContracts"] for t in told] == [1, 0]
    found = [car.accept20(base64.b64decode(t["exiResponse"])) for t in told]
    names = [load(m.installation_data.contract_chain.certificate).common_names[0] for m in found]
    assert names == [emaids[1], emaids[0]]


def test_a_bundle_that_would_be_too_long_is_refused_before_a_certificate_is_made(
    pnc: Services,
) -> None:
    car = cars.deposited(pnc)
    small = replace(pnc.deployment, budget=Budget(warning=1000, refusal=2000))
    wanted = cps.Wanted(emaid=EMAID, pcid=car.pcid, ends=pnc.deployment.clock.now() + cars.YEAR)
    with pytest.raises(PolicyViolation) as caught:
        cps.generate_contract(small, ADMIN, wanted)
    assert caught.value.code == "response_too_large"
    size = caught.value.data["size"]
    with pnc.deployment.store.read() as tx:
        assert tx.certificates.search(common_name=EMAID) == []
    warned = replace(pnc.deployment, budget=Budget(warning=1000))
    made = cps.generate_contract(warned, ADMIN, wanted)
    assert len(made.warnings) == 1
    assert isinstance(size, int)
    assert size - 8 <= made.size <= size
