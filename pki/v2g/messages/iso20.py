"""Messages of ISO 15118-20; a class has the name of its element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pki.v2g.enumerations import (
    AuthorizationService,
    EcdhCurve,
    EvseProcessing,
    ResponseCode20,
)
from pki.v2g.messages.binding import At, Id, Length
from pki.v2g.messages.common import RootCertificateId, Signature

_CERTIFICATE = Length(1600)
_IDENTIFIER = Length(255)
_SUB_CERTIFICATES = At("SubCertificates", "Certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Header of every -20 message; the time stamp counts seconds since 1970."""

    session_id: Annotated[bytes, At("SessionID"), Length(8, least=8)]
    timestamp: Annotated[int, At("TimeStamp")]
    signature: Annotated[Signature | None, At("Signature")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateChain:
    """
    DER of a leaf and its sub-CAs, the issuer of the leaf first; the root never travels.

    The chain of a contract has at least one sub-CA by its schema.
    """

    certificate: Annotated[bytes, At("Certificate"), _CERTIFICATE]
    sub_certificates: Annotated[tuple[bytes, ...], _SUB_CERTIFICATES, _CERTIFICATE] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificateChain:
    """The provisioning chain of a car, which its signature covers."""

    id: Id
    certificate: Annotated[bytes, At("Certificate"), _CERTIFICATE]
    sub_certificates: Annotated[tuple[bytes, ...], _SUB_CERTIFICATES, _CERTIFICATE] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInstallationData:
    """A contract and its encrypted key: exactly one of the three is there."""

    id: Id
    contract_chain: Annotated[CertificateChain, At("ContractCertificateChain")]
    curve: Annotated[EcdhCurve, At("ECDHCurve")]
    # The schema fixes 133 octets, X448 needs 56 or 57; see pki.v2g.envelope.
    dh_public_key: Annotated[bytes, At("DHPublicKey"), Length(133, least=56)]
    secp521_key: Annotated[
        bytes | None, At("SECP521_EncryptedPrivateKey"), Length(94, least=94)
    ] = None
    x448_key: Annotated[bytes | None, At("X448_EncryptedPrivateKey"), Length(84, least=84)] = None
    tpm_key: Annotated[bytes | None, At("TPM_EncryptedPrivateKey"), Length(206, least=206)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EimMode:
    """External identification: nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PncMode:
    """Plug and charge: the challenge and the contract, signed with the contract's key."""

    id: Id
    challenge: Annotated[bytes, At("GenChallenge"), Length(16, least=16)]
    contract_chain: Annotated[CertificateChain, At("ContractCertificateChain")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInstallationReq:
    """A car asks for contracts; signed with the key of its provisioning certificate."""

    header: Annotated[Header, At("Header")]
    oem_chain: Annotated[SignedCertificateChain, At("OEMProvisioningCertificateChain")]
    roots: Annotated[
        tuple[RootCertificateId, ...], At("ListOfRootCertificateIDs", "RootCertificateID")
    ]
    maximum_contracts: Annotated[int, At("MaximumContractCertificateChains")]
    prioritized_emaids: Annotated[
        tuple[str, ...], At("PrioritizedEMAIDs", "EMAID"), _IDENTIFIER
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInstallationRes:
    """One contract; `installation_data` is signed with the leaf of `cps_chain`."""

    header: Annotated[Header, At("Header")]
    response_code: Annotated[ResponseCode20, At("ResponseCode")]
    evse_processing: Annotated[EvseProcessing, At("EVSEProcessing")]
    cps_chain: Annotated[CertificateChain, At("CPSCertificateChain")]
    installation_data: Annotated[SignedInstallationData, At("SignedInstallationData")]
    remaining_contracts: Annotated[int, At("RemainingContractCertificateChains")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationReq:
    """A car asks to charge: exactly one of the two modes is there."""

    header: Annotated[Header, At("Header")]
    service: Annotated[AuthorizationService, At("SelectedAuthorizationService")]
    eim: Annotated[EimMode | None, At("EIM_AReqAuthorizationMode")] = None
    pnc: Annotated[PncMode | None, At("PnC_AReqAuthorizationMode")] = None


Message20 = CertificateInstallationReq | CertificateInstallationRes | AuthorizationReq
