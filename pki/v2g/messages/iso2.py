"""Messages of ISO 15118-2; a class has the name of its element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pki.v2g.enumerations import FaultCode, ResponseCode2
from pki.v2g.exi import TEXT
from pki.v2g.messages.binding import At, Id, Length, OptionalId
from pki.v2g.messages.common import RootCertificateId, Signature

_CERTIFICATE = Length(800)  # [V2G2-010]
_EMAID = Length(15, least=14)

Roots = Annotated[
    tuple[RootCertificateId, ...], At("ListOfRootCertificateIDs", "RootCertificateID")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What the other side complains about."""

    fault_code: Annotated[FaultCode, At("FaultCode")]
    fault_message: Annotated[str | None, At("FaultMsg"), Length(64)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Header of every -2 message; the session id is 1 to 8 octets, leading zeros kept."""

    session_id: Annotated[bytes, At("SessionID"), Length(8)]
    notification: Annotated[Notification | None, At("Notification")] = None
    signature: Annotated[Signature | None, At("Signature")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateChain:
    """DER of a leaf and its sub-CAs, the issuer of the leaf first; the root never travels."""

    id: OptionalId = None
    certificate: Annotated[bytes, At("Certificate"), _CERTIFICATE]
    sub_certificates: Annotated[
        tuple[bytes, ...], At("SubCertificates", "Certificate"), _CERTIFICATE
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedPrivateKey:
    """IV and ciphertext of the contract's private key."""

    id: Id
    value: Annotated[bytes, At(TEXT), Length(48)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DhPublicKey:
    """The ephemeral public key, an uncompressed point."""

    id: Id
    value: Annotated[bytes, At(TEXT), Length(65)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedEmaid:
    """The contract identifier of a response."""

    id: Id
    value: Annotated[str, At(TEXT), _EMAID]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInstallationReq:
    """A car asks for its contract; signed with the key of its provisioning certificate."""

    header: Annotated[Header, At("Header")]
    id: Id
    oem_certificate: Annotated[bytes, At("OEMProvisioningCert"), _CERTIFICATE]
    roots: Roots


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInstallationRes:
    """The contract bundle: four elements are signed with the leaf of `provisioning_chain`."""

    header: Annotated[Header, At("Header")]
    response_code: Annotated[ResponseCode2, At("ResponseCode")]
    provisioning_chain: Annotated[CertificateChain, At("SAProvisioningCertificateChain")]
    contract_chain: Annotated[CertificateChain, At("ContractSignatureCertChain")]
    encrypted_key: Annotated[EncryptedPrivateKey, At("ContractSignatureEncryptedPrivateKey")]
    dh_public_key: Annotated[DhPublicKey, At("DHpublickey")]
    emaid: Annotated[SignedEmaid, At("eMAID")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateUpdateReq:
    """A car asks for a new contract certificate; signed with the key in use."""

    header: Annotated[Header, At("Header")]
    id: Id
    contract_chain: Annotated[CertificateChain, At("ContractSignatureCertChain")]
    emaid: Annotated[str, At("eMAID"), _EMAID]
    roots: Roots


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateUpdateRes:
    """The new bundle; `retry_counter` says when to ask again after a refusal [V2G2-696]."""

    header: Annotated[Header, At("Header")]
    response_code: Annotated[ResponseCode2, At("ResponseCode")]
    provisioning_chain: Annotated[CertificateChain, At("SAProvisioningCertificateChain")]
    contract_chain: Annotated[CertificateChain, At("ContractSignatureCertChain")]
    encrypted_key: Annotated[EncryptedPrivateKey, At("ContractSignatureEncryptedPrivateKey")]
    dh_public_key: Annotated[DhPublicKey, At("DHpublickey")]
    emaid: Annotated[SignedEmaid, At("eMAID")]
    retry_counter: Annotated[int | None, At("RetryCounter")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDetailsReq:
    """A car presents its contract; not signed."""

    header: Annotated[Header, At("Header")]
    emaid: Annotated[str, At("eMAID"), _EMAID]
    contract_chain: Annotated[CertificateChain, At("ContractSignatureCertChain")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationReq:
    """A car proves that it holds the contract's key, by signing the challenge."""

    header: Annotated[Header, At("Header")]
    id: OptionalId = None
    challenge: Annotated[bytes | None, At("GenChallenge"), Length(16, least=16)] = None


Message2 = (
    CertificateInstallationReq
    | CertificateInstallationRes
    | CertificateUpdateReq
    | CertificateUpdateRes
    | PaymentDetailsReq
    | AuthorizationReq
)
