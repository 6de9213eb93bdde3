"""Messages to test with; certificates are any octets, since no signature check reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448

from pki.v2g.enumerations import (
    AuthorizationService,
    EcdhCurve,
    EvseProcessing,
    ResponseCode2,
    ResponseCode20,
)
from pki.v2g.messages import Message, RootCertificateId, iso2, iso20

SESSION = bytes.fromhex("A1B2C3D4E5F60718")
CHALLENGE = b"Some Random Data"
ROOTS = (RootCertificateId(issuer_name="CN=R", serial=300),)
HEADER_2 = iso2.Header(session_id=SESSION)
HEADER_20 = iso20.Header(session_id=SESSION, timestamp=1_732_281_545)
CHAIN_2 = iso2.CertificateChain(id="id1", certificate=b"leaf", sub_certificates=(b"s2", b"s1"))
CHAIN_20 = iso20.CertificateChain(certificate=b"leaf", sub_certificates=(b"s2", b"s1"))


def installation_req() -> iso2.CertificateInstallationReq:
    return iso2.CertificateInstallationReq(
        header=HEADER_2, id="id1", oem_certificate=b"oem", roots=ROOTS
    )


def installation_res() -> iso2.CertificateInstallationRes:
    return iso2.CertificateInstallationRes(
        header=HEADER_2,
        response_code=ResponseCode2.OK,
        provisioning_chain=iso2.CertificateChain(certificate=b"cps", sub_certificates=(b"c2",)),
        contract_chain=CHAIN_2,
        encrypted_key=iso2.EncryptedPrivateKey(id="id2", value=bytes(48)),
        dh_public_key=iso2.DhPublicKey(id="id3", value=b"\x04" + bytes(64)),
        emaid=iso2.SignedEmaid(id="id4", value="DEABCC123ABC56"),
    )


def update_req() -> iso2.CertificateUpdateReq:
    return iso2.CertificateUpdateReq(
        header=HEADER_2,
        id="id9",
        contract_chain=CHAIN_2,
        emaid="DEABCC123ABC56",
        roots=ROOTS,
    )


def update_res() -> iso2.CertificateUpdateRes:
    base = installation_res()
    return iso2.CertificateUpdateRes(
        header=base.header,
        response_code=base.response_code,
        provisioning_chain=base.provisioning_chain,
        contract_chain=base.contract_chain,
        encrypted_key=base.encrypted_key,
        dh_public_key=base.dh_public_key,
        emaid=base.emaid,
        retry_counter=-1,
    )


def payment_details_req() -> iso2.PaymentDetailsReq:
    return iso2.PaymentDetailsReq(header=HEADER_2, emaid="DEABCC123ABC56", contract_chain=CHAIN_2)


def authorization_req() -> iso2.AuthorizationReq:
    return iso2.AuthorizationReq(header=HEADER_2, id="ID1", challenge=CHALLENGE)


def installation_req20() -> iso20.CertificateInstallationReq:
    chain = iso20.SignedCertificateChain(id="id1", certificate=b"oem", sub_certificates=(b"o2",))
    return iso20.CertificateInstallationReq(
        header=HEADER_20,
        oem_chain=chain,
        roots=ROOTS,
        maximum_contracts=3,
        prioritized_emaids=("DEABCC123ABC56",),
    )


def installation_res20() -> iso20.CertificateInstallationRes:
    return iso20.CertificateInstallationRes(
        header=HEADER_20,
        response_code=ResponseCode20.OK,
        evse_processing=EvseProcessing.FINISHED,
        cps_chain=CHAIN_20,
        installation_data=iso20.SignedInstallationData(
            id="id1",
            contract_chain=CHAIN_20,
            curve=EcdhCurve.SECP521,
            dh_public_key=bytes(133),
            secp521_key=bytes(94),
        ),
        remaining_contracts=1,
    )


def authorization_req20() -> iso20.AuthorizationReq:
    return iso20.AuthorizationReq(
        header=HEADER_20,
        service=AuthorizationService.PNC,
        pnc=iso20.PncMode(id="id1", challenge=CHALLENGE, contract_chain=CHAIN_20),
    )


SIGNED: tuple[Callable[[], Message], ...] = (
    installation_req,
    installation_res,
    update_req,
    update_res,
    authorization_req,
    installation_req20,
    installation_res20,
    authorization_req20,
)
EVERY: tuple[Callable[[], Message], ...] = (*SIGNED, payment_details_req)


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair as `sign` wants it."""

    public: object
    sign: Callable[[bytes], bytes]


def p256() -> Key:
    key = ec.generate_private_key(ec.SECP256R1())
    return Key(key.public_key(), lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))


def p521() -> Key:
    key = ec.generate_private_key(ec.SECP521R1())
    return Key(key.public_key(), lambda data: key.sign(data, ec.ECDSA(hashes.SHA512())))


def ed448_key() -> Key:
    key = ed448.Ed448PrivateKey.generate()
    return Key(key.public_key(), key.sign)
