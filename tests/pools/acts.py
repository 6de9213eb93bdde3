"""What companies do over OPCP, step by step."""

from __future__ import annotations

import base64
from typing import Any

from pki.ids import Edition
from pki.v2g import messages, xml
from pki.v2g.messages import iso2
from tests.pools.conftest import World
from tests.provision.cars import PCID

ISO2 = "urn:iso:15118:2:2013:MsgDef"
EMAID = "DEMOAC12345678"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def deposit(world: World) -> Any:
    leaf, sub2, sub1 = world.car.chain
    body = {
        "vehicleCertificate": b64(leaf),
        "subCA1Certificate": b64(sub1),
        "subCA2Certificate": b64(sub2),
        "xsdMsgDefNamespace": ISO2,
        "v2gRootAuthorityKeyIdentifiers": ["AB:CD:EF"],
        "rootIssuerDistinguishedName": "CN=what older clients send",
    }
    return world.ok("oem", "PUT", "/v1/oem/provCerts", body)


def order(world: World, **more: Any) -> dict[str, Any]:
    ends = world.services.deployment.clock.now().replace(microsecond=0)
    body = {
        "contractBegins": "2020-01-01",
        "contractEnds": ends.replace(year=ends.year + 1).isoformat(),
        "emaid": EMAID,
        "pcid": PCID,
        "xsdMsgDefNamespace": ISO2,
    } | more
    del body["contractBegins"]
    return body


def generate(world: World, **more: Any) -> Any:
    path = "/v1/cps/generate/signedContractData"
    return world.ok("emsp", "PUT", path, order(world, **more))


def response_of(signed: Any) -> iso2.CertificateInstallationRes:
    message = xml.read(base64.b64decode(signed["signedData"]), Edition.ISO2)
    assert isinstance(message, iso2.CertificateInstallationRes)
    return message


def contract_data(message: iso2.CertificateInstallationRes) -> dict[str, str]:
    """Return what an eMSP with a PKI of its own would send of a contract."""
    sub2, sub1 = message.contract_chain.sub_certificates
    return {
        "contractCertificate": b64(message.contract_chain.certificate),
        "contractSubCa1Certificate": b64(sub1),
        "contractSubCa2Certificate": b64(sub2),
        "contractSignatureEncryptedPrivateKey": b64(message.encrypted_key.value),
        "dHpublickey": b64(message.dh_public_key.value),
    }


def asks(world: World, request: bytes | None = None) -> dict[str, str]:
    exi = world.car.request() if request is None else request
    return {"certificateInstallationReq": b64(exi), "xsdMsgDefNamespace": ISO2}


def refusal_code(text: str) -> str:
    message = messages.decode(base64.b64decode(text), Edition.ISO2).message
    assert isinstance(message, iso2.CertificateInstallationRes)
    return message.response_code.value
