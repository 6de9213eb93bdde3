"""An Ed448 provisioning certificate carries an X448 key, for the contract that it will receive."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448, x448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption
from cryptography.x509.oid import NameOID

from pki.errors import PolicyViolation
from pki.ids import Edition, Pcid
from pki.issue import IssueRequest, issue
from pki.pkix import alternate
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.provision import cps
from pki.provision.install import install
from pki.services import Services
from pki.v2g import messages
from pki.v2g.envelope import Binding, Envelope, open_iso20
from pki.v2g.messages import iso20
from tests.homes import ADMIN, EMAID
from tests.provision import cars
from tests.provision.conftest import pnc20, pnc20_template

PCID = "WMIDEMO12345678901"


def csr(key: ed448.Ed448PrivateKey, extra: x509.ExtensionType | None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, PCID)])
    )
    if extra is not None:
        builder = builder.add_extension(extra, critical=False)
    return builder.sign(key, None).public_bytes(Encoding.DER)


def test_the_second_key_of_a_csr_is_taken_over(pnc20: Services) -> None:
    second = x448.X448PrivateKey.generate().public_key()
    request = csr(ed448.Ed448PrivateKey.generate(), alternate.extension(second))
    issued = issue(pnc20.deployment, ADMIN, IssueRequest(kind=Kind.OEM, request=request))
    found = alternate.find(load(issued.record.der).extensions)
    assert found == second
    assert issued.ignored == ()


@pytest.mark.parametrize(
    "extra",
    [
        None,
        x509.UnrecognizedExtension(x509.ObjectIdentifier(alternate.OID), b"\x30\x00"),
        x509.UnrecognizedExtension(
            x509.ObjectIdentifier(alternate.OID),
            alternate.encoded(x448.X448PrivateKey.generate().public_key()) + b"\x00",
        ),
    ],
)
def test_a_csr_without_a_second_key_is_refused(
    pnc20: Services, extra: x509.ExtensionType | None
) -> None:
    request = csr(ed448.Ed448PrivateKey.generate(), extra)
    with pytest.raises(PolicyViolation) as caught:
        issue(pnc20.deployment, ADMIN, IssueRequest(kind=Kind.OEM, request=request))
    assert caught.value.code == "alternate_key_missing"


def test_a_car_of_the_second_suite_receives_its_contract(pnc20: Services) -> None:
    issued = issue(
        pnc20.deployment,
        ADMIN,
        IssueRequest(kind=Kind.OEM, common_name=PCID, suite=Suite.ED448, edition=Edition.ISO20),
    )
    assert issued.private_pem(NoEncryption()).count(b"-----BEGIN") == 2
    assert issued.private_key is not None
    assert issued.alternate_key is not None
    with pnc20.deployment.store.read() as tx:
        roots = tuple(i.certificate for i in tx.issuers.all() if i.name == "v2g-20e")
    car = cars.Car(pcid=PCID, chain=issued.chain, key=issued.private_key, roots=roots)
    cars.deposit(pnc20, car)
    ends = pnc20.deployment.clock.now() + cars.YEAR
    cps.generate_contract(pnc20.deployment, ADMIN, cps.Wanted(emaid=EMAID, pcid=PCID, ends=ends))
    (answer,) = install(pnc20.deployment, ADMIN, car.request20(), Edition.ISO20).answers
    message = messages.decode(answer.exi, Edition.ISO20).message
    assert isinstance(message, iso20.CertificateInstallationRes)
    data = message.installation_data
    leaf = load(data.contract_chain.certificate)
    envelope = Envelope(encrypted_key=data.x448_key or b"", dh_public_key=data.dh_public_key)
    binding = Binding(pcid=Pcid.parse(PCID, Edition.ISO20), key_id=leaf.key_id or b"")
    assert isinstance(leaf.public_key, ed448.Ed448PublicKey)
    open_iso20(envelope, issued.alternate_key, leaf.public_key, binding)


__all__ = ["pnc20", "pnc20_template"]
