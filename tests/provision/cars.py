"""Cars for tests: they hold a provisioning key, make signed requests and take contracts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec

from pki.ids import Edition, Pcid
from pki.issue import IssueRequest, issue
from pki.model import ProvisioningChain
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import PrivateKey, Suite
from pki.pkix.suites import sign as sign_with
from pki.provision import pcp
from pki.services import Services
from pki.v2g import messages
from pki.v2g.envelope import Binding, Envelope, open_iso2, open_iso20
from pki.v2g.messages import RootCertificateId, iso2, iso20
from pki.v2g.signature import sign, verify
from tests.homes import ADMIN

PCID = "WMIDEMO1234567890"
SESSION = bytes.fromhex("A1B2C3D4E5F60718")
YEAR = dt.timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class Car:
    """A car with its provisioning certificate and the roots that it holds."""

    pcid: str
    chain: tuple[bytes, ...]
    key: PrivateKey = field(repr=False)
    roots: tuple[bytes, ...]

    @property
    def listed(self) -> tuple[RootCertificateId, ...]:
        found = [load(der) for der in self.roots]
        return tuple(
            RootCertificateId(issuer_name=c.x509.issuer.rfc4514_string(), serial=c.serial)
            for c in found
        )

    def request(
        self, *, roots: tuple[RootCertificateId, ...] | None = None, session: bytes = SESSION
    ) -> bytes:
        message = iso2.CertificateInstallationReq(
            header=iso2.Header(session_id=session),
            id="id1",
            oem_certificate=self.chain[0],
            roots=self.listed if roots is None else roots,
        )
        return messages.encode(sign(message, self.key.public_key(), self.sign))

    def request20(
        self, *, maximum: int = 1, prioritized: tuple[str, ...] = (), session: bytes = SESSION
    ) -> bytes:
        message = iso20.CertificateInstallationReq(
            header=iso20.Header(session_id=session, timestamp=1_760_000_000),
            oem_chain=iso20.SignedCertificateChain(
                id="id1", certificate=self.chain[0], sub_certificates=self.chain[1:]
            ),
            roots=self.listed,
            maximum_contracts=maximum,
            prioritized_emaids=prioritized,
        )
        return messages.encode(sign(message, self.key.public_key(), self.sign))

    def sign(self, data: bytes) -> bytes:
        return sign_with(self.key, data)

    def accept(self, exi: bytes, session: bytes = SESSION) -> iso2.CertificateInstallationRes:
        """Take a -2 contract as a car does: session, signature, key."""
        received = messages.decode(exi, Edition.ISO2)
        message = received.message
        assert isinstance(message, iso2.CertificateInstallationRes)
        assert message.response_code == "OK"
        assert message.header.session_id == session
        verify(received, load(message.provisioning_chain.certificate).public_key)
        envelope = Envelope(
            encrypted_key=message.encrypted_key.value, dh_public_key=message.dh_public_key.value
        )
        contract = load(message.contract_chain.certificate).public_key
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        assert isinstance(contract, ec.EllipticCurvePublicKey)
        open_iso2(envelope, self.key, contract)
        return message

    def contract_key(self, message: iso2.CertificateInstallationRes) -> ec.EllipticCurvePrivateKey:
        envelope = Envelope(
            encrypted_key=message.encrypted_key.value, dh_public_key=message.dh_public_key.value
        )
        contract = load(message.contract_chain.certificate).public_key
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        assert isinstance(contract, ec.EllipticCurvePublicKey)
        return open_iso2(envelope, self.key, contract)

    def accept20(self, exi: bytes) -> iso20.CertificateInstallationRes:
        """Take a -20 contract of P-521 as a car does."""
        received = messages.decode(exi, Edition.ISO20)
        message = received.message
        assert isinstance(message, iso20.CertificateInstallationRes)
        assert message.response_code == "OK"
        verify(received, load(message.cps_chain.certificate).public_key)
        data = message.installation_data
        leaf = load(data.contract_chain.certificate)
        envelope = Envelope(encrypted_key=data.secp521_key or b"", dh_public_key=data.dh_public_key)
        binding = Binding(pcid=Pcid.parse(self.pcid, Edition.ISO20), key_id=leaf.key_id or b"")
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        assert isinstance(leaf.public_key, ec.EllipticCurvePublicKey)
        open_iso20(envelope, self.key, leaf.public_key, binding)
        return message


def make_car(services: Services, pcid: str = PCID, suite: Suite = Suite.P256) -> Car:
    """Issue a provisioning certificate for a car that holds our V2G root."""
    issued = issue(
        services.deployment,
        ADMIN,
        IssueRequest(kind=Kind.OEM, common_name=pcid, suite=suite, edition=suite.edition),
    )
    assert issued.private_key is not None
    with services.deployment.store.read() as tx:
        roots = tuple(
            i.certificate for i in tx.issuers.all() if i.kind is Kind.V2G_ROOT and i.suite is suite
        )
    return Car(pcid=pcid, chain=issued.chain, key=issued.private_key, roots=roots)


def deposited(services: Services, pcid: str = PCID, suite: Suite = Suite.P256) -> Car:
    """Make a car and have its maker deposit its chain."""
    car = make_car(services, pcid, suite)
    deposit(services, car)
    return car


def deposit(services: Services, car: Car) -> ProvisioningChain:
    return pcp.deposit(services.deployment, ADMIN, car.chain[0], car.chain[1:]).chain


def with_roots(car: Car, *roots: bytes) -> Car:
    return replace(car, roots=roots)
