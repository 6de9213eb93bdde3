"""OPCP 1.0 as its clients call it, from the deposit of a car to a contract in it."""

from __future__ import annotations

import base64
import uuid

import pytest

from pki.ids import Edition
from pki.pkix.certificate import load
from pki.pkix.suites import Suite
from pki.v2g import messages, xml
from pki.v2g.signature import verify
from tests.pools.acts import (
    EMAID,
    ISO2,
    asks,
    b64,
    contract_data,
    deposit,
    generate,
    order,
    refusal_code,
    response_of,
)
from tests.pools.conftest import World
from tests.provision.cars import PCID, make_car
from tests.web.calling import code

CCP = "/v1/ccp/signedContractData"


def test_from_a_deposit_to_a_contract_in_the_car(world_anywhere: World) -> None:
    world = world_anywhere
    put = deposit(world)
    assert put["v2gRootAuthorityKeyIdentifiers"] == ["AB:CD:EF"]
    assert world.ok("emsp", "GET", f"/v1/oem/provCerts/{PCID}") == {"OEMMessage": put}
    assert world.ask("emsp", "GET", f"/v1/oem/provCerts/lookupVehicle/{PCID}").data == b""
    signed = generate(world, metaData="tariff 7")
    assert (signed["pcid"], signed["emaid"], signed["metaData"]) == (PCID, EMAID, "tariff 7")
    answer = world.ok("cpo", "POST", CCP, asks(world))
    (item,) = answer["CCPResponse"]["emaidContent"]
    told = item["messageDef"]
    assert (told["emaid"], told["metaData"]) == (EMAID, "tariff 7")
    installed = world.car.accept(base64.b64decode(told["certificateInstallationRes"]))
    assert installed.contract_chain == response_of(signed).contract_chain
    (listed,) = world.ok("oem", "GET", f"{CCP}/{PCID}")["XMLContracts"]
    assert (listed["emaid"], listed["defaultContract"], listed["priority"]) == (EMAID, True, 1)
    found = world.ok("emsp", "GET", f"/v1/ccp/lookupContract/{EMAID}")
    assert found == {"XMLContracts": [listed]}
    assert load(base64.b64decode(listed["contractCertificate"])).common_names == (EMAID,)
    world.ok("emsp", "DELETE", f"{CCP}/{EMAID}")
    assert world.ask("cpo", "POST", CCP, asks(world)).status_code == 404


def test_roots_are_read_as_maeve_reads_them(world: World) -> None:
    headers = {"X-API-Key": world.caller.tokens["cpo"]}
    found = world.ok("cpo", "GET", "/v1/root/rootCerts", headers=headers)
    roots = found["RootCertificateCollection"]["rootCertificates"]
    assert {root["rootType"] for root in roots} == {"V2G", "MO", "OEM", "PE"}
    for root in roots:
        assert all(isinstance(value, str) for value in root.values())
        parsed = load(base64.b64decode(root["caCertificate"], validate=True))
        assert parsed.fingerprint.value == root["fingerprint"]
        one = world.ok("oem", "GET", f"/v1/root/rootCerts/{root['rootCertificateId']}")
        assert one == {"RootResponse": root}
    v2g = world.ok("cpo", "GET", "/v1/root/rootCerts?rootType=v2g")
    assert {r["rootType"] for r in v2g["RootCertificateCollection"]["rootCertificates"]} == {"V2G"}


def test_a_root_is_added_and_removed_with_its_fingerprint_confirmed(world: World) -> None:
    root = next(
        r
        for r in world.ok("admin", "GET", "/v1/root/rootCerts?rootType=oem")[
            "RootCertificateCollection"
        ]["rootCertificates"]
    )
    path = f"/v1/root/rootCerts/{root['rootCertificateId']}"
    wrong = world.ask("admin", "DELETE", f"{path}?confirmFingerprint={'0' * 64}")
    assert code(wrong) == (400, "fingerprint_not_confirmed")
    assert world.ask("oem", "DELETE", path).status_code == 403
    world.ok("admin", "DELETE", f"{path}?confirmFingerprint={root['fingerprint']}")
    assert world.ask("admin", "GET", path).status_code == 404
    body = {
        "caCertificate": root["caCertificate"],
        "rootType": "OEM",
        "confirmFingerprint": root["fingerprint"],
    }
    assert world.ask("oem", "PUT", "/v1/root/rootCerts", body).status_code == 403
    again = world.ok("admin", "PUT", "/v1/root/rootCerts", body)
    assert again["RootResponse"] == root


def test_an_emsp_with_a_pki_of_its_own_has_its_contract_signed(world: World) -> None:
    deposit(world)
    made = response_of(generate(world))
    data = {"contractData": contract_data(made), "xsdMsgDefNamespace": ISO2}
    path = "/v1/cps/contractData/signed"
    alone = world.ask("own", "PUT", path, data)
    assert alone.status_code == 201
    assert alone.json is not None
    assert alone.json["pcid"] is None
    through = messages.encode(xml.read(base64.b64decode(alone.json["signedData"]), Edition.ISO2))
    leaf = load(made.provisioning_chain.certificate)
    verify(messages.decode(through, Edition.ISO2), leaf.public_key)
    assert world.ok("own", "PUT", path, data | {"pcid": PCID})["pcid"] == PCID
    refused = world.ask("emsp", "PUT", path, data)
    assert code(refused) == (403, "pki_not_own")
    assert world.ask("cpo", "PUT", path, data).status_code == 403


def test_the_older_forms_of_signing_are_served(world: World) -> None:
    deposit(world)
    made = response_of(generate(world))
    chain = {
        "contractSignatureCertChainCertificate": b64(made.contract_chain.certificate),
        "contractSignatureCertChainSubCertificates": [
            b64(der) for der in made.contract_chain.sub_certificates
        ],
    }
    body = {
        "xsdMsgDefNamespace": ISO2,
        "pcid": PCID,
        "emaid": EMAID,
        "contractData": {
            "emaid": EMAID,
            "contractSignatureCertChain": chain,
            "contractSignatureEncryptedPrivateKey": b64(made.encrypted_key.value),
            "dHpublickey": b64(made.dh_public_key.value),
        },
    }
    assert world.ask("own", "PUT", "/v1/cps/signedContractData", body).status_code == 200
    forwarded = world.ask("own", "PUT", "/v1/cps/forward/signedContractData", body)
    assert (forwarded.status_code, forwarded.json) == (201, {})


def test_a_signed_bundle_is_deposited_by_a_provisioning_service(world: World) -> None:
    deposit(world)
    signed = generate(world)
    world.ok("emsp", "DELETE", f"{CCP}/{EMAID}", headers={"X-Skip-Revocation": "true"})
    body = {
        "emaid": EMAID,
        "pcid": PCID,
        "xsdMsgDefNamespace": ISO2,
        "signedContractDataXML": signed["signedData"],
    }
    assert world.ask("cps", "PUT", CCP, body).status_code == 201
    answer = world.ok("cpo", "POST", CCP, asks(world))
    (item,) = answer["CCPResponse"]["emaidContent"]
    world.car.accept(base64.b64decode(item["messageDef"]["certificateInstallationRes"]))
    hostile = body | {"signedContractDataXML": b64(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")}
    assert code(world.ask("cps", "PUT", CCP, hostile)) == (400, "xml_doctype")


def test_the_maker_of_the_car_fetches_and_orders_contracts(world: World) -> None:
    deposit(world)
    generate(world)
    generate(world, emaid="DEMOAC87654321")
    path = f"/v1/ccp/provideSignedContractData/DEMOAC87654321/{PCID}"
    given = world.ok("oem", "GET", f"{path}?sessionID=0102030405060708")
    exi = base64.b64decode(given["certificateInstallationRes"])
    world.car.accept(exi, bytes.fromhex("0102030405060708"))
    assert code(world.ask("oem", "GET", f"{path}?sessionID=xyz")) == (400, "invalid_session_id")
    assert world.ask("oem2", "GET", path).status_code == 403
    world.ok("oem", "POST", f"{CCP}/{PCID}/DEMOAC87654321/default")
    (item,) = world.ok("cpo", "POST", CCP, asks(world))["CCPResponse"]["emaidContent"]
    assert item["messageDef"]["emaid"] == "DEMOAC87654321"
    older = f"{CCP}/priorities/{EMAID}/{PCID}"
    world.ok("oem", "PUT", f"{older}?priority=1")
    assert code(world.ask("oem", "PUT", f"{older}?priority=2")) == (400, "priority_unsupported")
    (item,) = world.ok("cpo", "POST", CCP, asks(world))["CCPResponse"]["emaidContent"]
    assert item["messageDef"]["emaid"] == EMAID


def test_a_refusal_is_exi_unless_the_caller_wants_json(world: World) -> None:
    deposit(world)
    refused = world.ask("cpo", "POST", CCP, asks(world))
    assert refused.status_code == 404
    assert refused.json is not None
    (item,) = refused.json["CCPResponse"]["emaidContent"]
    told = item["messageDef"]["certificateInstallationRes"]
    assert refusal_code(told) == "FAILED_NoCertificateAvailable"
    headers = {"alwaysReturnEXI": "false"}
    plain = world.ask("cpo", "POST", CCP, asks(world), headers=headers)
    assert code(plain) == (404, "no_contract")
    assert plain.json is not None
    assert plain.json["errorMessages"][0] == "Contract or Vehicle not found."
    broken = world.ask("cpo", "POST", CCP, asks(world, b"\x80\x01"))
    assert broken.status_code == 400
    assert broken.json is not None
    assert broken.json["errorMessages"][0].startswith("EXI format is invalid!")


def test_errors_have_the_form_of_opcp(world: World) -> None:
    answer = world.ask("oem", "GET", f"/v1/oem/provCerts/{PCID}", headers={"X-Request-Id": "me-7"})
    assert code(answer) == (404, "provisioning_certificate_unknown")
    assert answer.json is not None
    assert uuid.UUID(answer.json["traceId"]) == uuid.uuid5(uuid.NAMESPACE_OID, "me-7")
    known = "0123456789abcdef0123456789abcdef"
    answer = world.ask("oem", "GET", "/v1/oem/nothing", headers={"X-Request-Id": known})
    assert code(answer) == (404, "path_unknown")
    assert answer.json is not None
    assert uuid.UUID(answer.json["traceId"]).hex == known
    assert world.caller.get("/v1/root/rootCerts").status_code == 401


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"contractEnds": "2020-01-01T00:00:00Z"}, "contract_ends_past"),
        ({"contractEnds": "soon"}, "invalid_time"),
        ({"pcid": "WMIUNKNOWN1234567"}, "provisioning_certificate_unknown"),
        ({"xsdMsgDefNamespace": "urn:x"}, "namespace_unknown"),
        ({"emaid": None}, "field_missing"),
        ({"emaid": "DEXYZC12345678"}, "party_not_allowed"),
    ],
)
def test_an_order_that_cannot_be_met_is_named(
    world: World, change: dict[str, str], expected: str
) -> None:
    deposit(world)
    answer = world.ask("emsp", "PUT", "/v1/cps/generate/signedContractData", order(world, **change))
    assert code(answer)[1] == expected


def test_an_emaid_in_use_is_400_here(world: World) -> None:
    deposit(world)
    generate(world)
    other = make_car(world.services, "WMIDEMO1234567891", Suite.P256)
    body = {"vehicleCertificate": b64(other.chain[0]), "subCA1Certificate": b64(other.chain[2])}
    world.ok("oem", "PUT", "/v1/oem/provCerts", body | {"subCA2Certificate": b64(other.chain[1])})
    path = "/v1/cps/generate/signedContractData"
    answer = world.ask("emsp", "PUT", path, order(world, pcid=other.pcid))
    assert code(answer) == (400, "emaid_in_use")


ASKED = ("cpo", "oem", "oem2", "emsp", "emsp2", "cps", "admin", "auditor")
READERS = {
    "/v1/root/rootCerts": set(ASKED),
    "/cps/signer": set(ASKED),
    f"/v1/oem/provCerts/{PCID}": {"oem", "emsp", "emsp2", "cps", "admin"},
    f"/v1/ccp/lookupContract/{EMAID}": {"emsp", "admin"},
    f"{CCP}/{PCID}": {"oem", "admin"},
}


def test_roles_and_prefixes_are_those_of_the_matrix(world: World) -> None:
    deposit(world)
    generate(world)
    for path, readers in READERS.items():
        answers = {role: world.ask(role, "GET", path).status_code for role in ASKED}
        assert answers == {role: 200 if role in readers else 403 for role in ASKED}, path
    for role in ("cpo", "oem", "emsp2", "cps", "auditor"):
        assert world.ask(role, "DELETE", f"{CCP}/{EMAID}").status_code == 403
    for role in ("cpo", "emsp", "cps", "oem2", "auditor"):
        assert world.ask(role, "DELETE", f"/v1/oem/provCerts/{PCID}").status_code == 403
    for role in ("emsp", "cps", "auditor"):
        assert world.ask(role, "POST", CCP, asks(world)).status_code == 403


def test_leaves_that_sign_stand_under_both_namings(world: World) -> None:
    (signer,) = world.ok("emsp", "GET", "/cps/signer")["cpsCertificates"]
    assert signer["cpsSubCa1Certificate"] == signer["cpsCa1Certificate"]
    leaf = load(base64.b64decode(signer["cpsCertificate"]))
    assert leaf.domain_components == ("CPS",)


def test_a_car_is_removed_with_its_contracts(world: World) -> None:
    deposit(world)
    generate(world)
    assert world.ask("oem2", "DELETE", f"/v1/oem/provCerts/{PCID}").status_code == 403
    world.ok("oem", "DELETE", f"/v1/oem/provCerts/{PCID}")
    assert world.ask("emsp", "GET", f"/v1/oem/provCerts/lookupVehicle/{PCID}").status_code == 404
    assert world.ask("emsp", "GET", f"/v1/ccp/lookupContract/{EMAID}").status_code == 404
