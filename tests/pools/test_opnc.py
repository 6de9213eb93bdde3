"""OPNC 1.0: its whole way from a car to a contract, and its documents held against a service."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.test import TestResponse

from pki.pkix.certificate import load
from tests.pools.acts import EMAID, ISO2, asks, b64, order, refusal_code
from tests.pools.conftest import World
from tests.pools.opnc_documents import SERVICES, check, documents
from tests.provision.cars import PCID
from tests.web.calling import code
from tests.web.live import serving_here
from web.asgi import Application

BUDGET = 60.0
"""Seconds for the random part, split over the operations."""


class Opnc:
    """Calls that are held against the documents."""

    def __init__(self, world: World, vectors: Path) -> None:
        self._world = world
        self._documents = documents(vectors)

    def ask(
        self,
        role: str,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        **places: str,
    ) -> TestResponse:
        filled = SERVICES[service] + path.format(**places) + query
        answer = self._world.ask(role, method, filled, body, headers=headers)
        check(self._documents, service, method, path, answer)
        return answer

    def ok(self, *words: Any, **more: Any) -> Any:
        answer = self.ask(*words, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer.get_json(silent=True)


@pytest.fixture
def opnc(world: World, vectors: Path) -> Opnc:
    return Opnc(world, vectors)


def deposit(opnc: Opnc, world: World) -> None:
    leaf, sub2, sub1 = world.car.chain
    chain = {
        "certificate": b64(leaf),
        "subCa1Certificate": b64(sub1),
        "subCa2Certificate": b64(sub2),
    }
    body = {
        "provisioningCertificateChain": chain,
        "xsdMsgDefNamespace": ISO2,
        "v2gRootAuthorityKeyIdentifiers": ["AB:CD"],
    }
    opnc.ok("oem", "PUT", "pcp", "/provisioningcertificates", body)


def test_from_a_deposit_to_a_contract_in_the_car(opnc: Opnc, world: World) -> None:
    deposit(opnc, world)
    path = "/provisioningcertificates/{pcid}"
    found = opnc.ok("emsp", "GET", "pcp", path, pcid=PCID)["provisioningCertificate"]
    chain = found["provisioningCertificateChain"]
    assert base64.b64decode(chain["certificate"]) == world.car.chain[0]
    assert base64.b64decode(chain["subCa2Certificate"]) == world.car.chain[1]
    opnc.ok("emsp", "GET", "pcp", "/lookupvehicle/{pcid}", pcid=PCID)
    opnc.ok("emsp", "PUT", "cps", "/contractData/generateandsign", order(world))
    collection = "signedContractDataCollection"
    (item,) = opnc.ok("cpo", "POST", "ccp", "/signedcontractdata", asks(world))[collection]
    assert (item["emaid"], item["pcid"]) == (EMAID, PCID)
    installed = world.car.accept(base64.b64decode(item["certificateInstallationRes"]))
    (listed,) = opnc.ok("oem", "GET", "ccp", "/contractData/pcid/{pcid}", pcid=PCID)[
        "contractDataCollection"
    ]
    assert base64.b64decode(listed["contractCertificate"]) == installed.contract_chain.certificate
    again = opnc.ok("emsp", "GET", "ccp", "/contractData/emaid/{emaid}", emaid=EMAID)
    assert again == {"contractDataCollection": [listed]}
    places = {"emaid": EMAID, "pcid": PCID}
    both = "/signedcontractdata/{emaid}/{pcid}"
    (given_,) = opnc.ok("oem", "GET", "ccp", both, query="?sessionID=01", **places)[collection]
    world.car.accept(base64.b64decode(given_["certificateInstallationRes"]), b"\x01")
    opnc.ok("oem", "POST", "ccp", both + "/setdefault", **places)
    one = "/signedcontractdata/{emaid}"
    opnc.ok("emsp", "DELETE", "ccp", one, headers={"X-Skip-Revocation": "true"}, emaid=EMAID)
    stored = {key: item[key] for key in ("certificateInstallationRes", "emaid", "pcid")}
    body = stored | {"xsdMsgDefNamespace": ISO2}
    assert opnc.ask("cps", "PUT", "ccp", "/signedcontractdata", body).status_code == 201
    opnc.ok("oem", "DELETE", "pcp", path, pcid=PCID)
    assert opnc.ask("emsp", "GET", "pcp", path, pcid=PCID).status_code == 404


def test_an_emsp_with_a_pki_of_its_own_gets_exi(opnc: Opnc, world: World) -> None:
    deposit(opnc, world)
    opnc.ok("emsp", "PUT", "cps", "/contractData/generateandsign", order(world))
    (item,) = opnc.ok("cpo", "POST", "ccp", "/signedcontractdata", asks(world))[
        "signedContractDataCollection"
    ]
    made = world.car.accept(base64.b64decode(item["certificateInstallationRes"]))
    sub2, sub1 = made.contract_chain.sub_certificates
    bundle = {
        "pcid": PCID,
        "emaid": EMAID,
        "contractCertificateChain": {
            "certificate": b64(made.contract_chain.certificate),
            "subCa1Certificate": b64(sub1),
            "subCa2Certificate": b64(sub2),
        },
        "contractSignatureEncryptedPrivateKey": b64(made.encrypted_key.value),
        "dHpublickey": b64(made.dh_public_key.value),
    }
    body = {"contractCertificateBundle": bundle, "xsdMsgDefNamespace": ISO2}
    signed = opnc.ok("own", "PUT", "cps", "/contractData/sign", body)["signedContractData"]
    session = bytes(8)
    world.car.accept(base64.b64decode(signed["certificateInstallationRes"]), session)


def test_roots_and_signers_are_listed(opnc: Opnc) -> None:
    path = "/rootcertificates"
    roots = opnc.ok("cpo", "GET", "rcp", path)["rootCertificateCollection"]
    assert {root["rootType"] for root in roots} == {"eMSP", "V2G", "OEM", "PE"}
    emsp = opnc.ok("cpo", "GET", "rcp", path, query="?pkiType=emsp")["rootCertificateCollection"]
    assert {root["rootType"] for root in emsp} == {"eMSP"}
    one = path + "/{rootCertificateId}"
    found = opnc.ok("cpo", "GET", "rcp", one, rootCertificateId=roots[0]["rootCertificateId"])
    assert found == {"rootCertificate": roots[0], "roootCertificate": roots[0]}
    (signer,) = opnc.ok("emsp", "GET", "cps", "/cpsCertificates")["cpsCertificateDataCollection"]
    assert load(base64.b64decode(signer["cpsCertificateChain"]["certificate"])).common_names


def test_a_root_comes_and_goes_with_its_fingerprint(opnc: Opnc) -> None:
    path = "/rootcertificates"
    root = opnc.ok("admin", "GET", "rcp", path, query="?pkiType=oem")["rootCertificateCollection"][
        0
    ]
    one, place = path + "/{rootCertificateId}", {"rootCertificateId": root["rootCertificateId"]}
    assert opnc.ask("admin", "DELETE", "rcp", one, **place).status_code == 400
    confirm = f"?confirmFingerprint={root['fingerprint']}"
    opnc.ok("admin", "DELETE", "rcp", one, query=confirm, **place)
    assert opnc.ask("admin", "GET", "rcp", one, **place).status_code == 404
    wanted = {key: root[key] for key in ("rootType", "caCertificate", "fingerprint")}
    body = wanted | {"rootCtlList": ["European CTL"]}
    opnc.ok("admin", "PUT", "rcp", path, body)
    again = opnc.ok("admin", "GET", "rcp", one, **place)["rootCertificate"]
    assert again["rootCtlList"] == ["European CTL"]


def test_a_subscriber_revokes_its_own_certificate_and_no_other(opnc: Opnc, world: World) -> None:
    body = {"certificate": b64(world.car.chain[0]), "revocationReason": "keyCompromise"}
    path = "/pki/revokeCertificate"
    assert opnc.ask("oem2", "POST", "pki", path, body).status_code == 403
    assert opnc.ask("emsp", "POST", "pki", path, body).status_code == 403
    opnc.ok("oem", "POST", "pki", path, body)
    assert code(opnc.ask("oem", "POST", "pki", path, body)) == (400, "already_revoked")
    unknown = body | {"certificate": b64(world.car.roots[0])}
    assert opnc.ask("oem", "POST", "pki", path, unknown).status_code in (403, 404)
    reason = body | {"revocationReason": "boredom"}
    assert code(opnc.ask("oem", "POST", "pki", path, reason)) == (400, "invalid_reason")


def test_a_refusal_is_exi_unless_the_caller_wants_json(opnc: Opnc, world: World) -> None:
    deposit(opnc, world)
    refused = world.ask("cpo", "POST", "/opnc/v1/ccp/signedcontractdata", asks(world))
    assert refused.status_code == 404
    (item,) = refused.json["signedContractDataCollection"]  # type: ignore[index]
    told = refusal_code(item["certificateInstallationRes"])
    assert told == "FAILED_NoCertificateAvailable"
    plain = opnc.ask(
        "cpo",
        "POST",
        "ccp",
        "/signedcontractdata",
        asks(world),
        headers={"alwaysReturnEXI": "false"},
    )
    assert code(plain) == (404, "no_contract")


CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
ROLE = {"rcp": "admin", "pcp": "oem", "cps": "own", "ccp": "cpo", "pki": "oem", "event": "oem"}


def judge(operation: Any, base: str, token: str, ends: float) -> int:
    """Ask an operation at random until the time is up; return how often."""
    headers = {"Authorization": f"Bearer {token}"}
    asked = 0

    @settings(
        max_examples=15,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(case=operation.as_strategy())
    def judged(case: Any) -> None:
        nonlocal asked
        if time.monotonic() < ends:
            answer = case.call(base_url=base, headers=headers)
            case.validate_response(answer, checks=CHECKS)
            asked += 1

    judged()
    return asked


def test_a_service_answers_random_requests_as_the_documents_say(
    world: World, vectors: Path
) -> None:
    operations = [
        (service, operation.ok())
        for service, document in documents(vectors).items()
        for operation in schemathesis.openapi.from_dict(document).get_all_operations()
        if isinstance(operation, Ok)
    ]
    assert len(operations) == 24
    ends = time.monotonic() + BUDGET
    with serving_here(Application(world.services)) as live:
        asked = sum(
            judge(
                operation,
                f"http://127.0.0.1:{live.port}{SERVICES[service]}",
                world.caller.tokens[ROLE[service]],
                ends,
            )
            for service, operation in operations
        )
    assert asked > 0  # how many depends on the machine; what was asked was judged
