"""ISO 15118-20, schema set V2G_CI_CommonMessages: the messages that carry certificates."""

from __future__ import annotations

from typing import Final

from pki.v2g.enumerations import (
    AuthorizationService,
    EcdhCurve,
    EvseProcessing,
    ResponseCode20,
)
from pki.v2g.exi.grammar import Root, Schema, compile_type
from pki.v2g.exi.schema import (
    BINARY,
    OCTET,
    STRING,
    UNSIGNED,
    Attribute,
    Choice,
    Complex,
    Element,
    enumeration,
    optional,
    repeated,
)
from pki.v2g.exi.xmldsig import ROOT_CERTIFICATE_IDS, SIGNATURE

_REQUIRED_ID: Final = (Attribute("Id", required=True),)

_CERTIFICATE: Final = Element("Certificate", BINARY)
_SUB_CERTIFICATES: Final = repeated("Certificate", BINARY, 3)
_PLAIN_CHAIN: Final = Complex(
    content=(_CERTIFICATE, optional("SubCertificates", _SUB_CERTIFICATES))
)
_SIGNED_CHAIN: Final = Complex(_REQUIRED_ID, _PLAIN_CHAIN.content)
_CONTRACT_CHAIN: Final = Complex(
    content=(_CERTIFICATE, Element("SubCertificates", _SUB_CERTIFICATES))
)

_HEADER: Final = Element(
    "Header",
    Complex(
        content=(
            Element("SessionID", BINARY),
            Element("TimeStamp", UNSIGNED),
            optional("Signature", SIGNATURE),
        )
    ),
)
_SIGNED_INSTALLATION_DATA: Final = Complex(
    _REQUIRED_ID,
    (
        Element("ContractCertificateChain", _CONTRACT_CHAIN),
        Element("ECDHCurve", enumeration(EcdhCurve)),
        Element("DHPublicKey", BINARY),
        Choice((
            Element("SECP521_EncryptedPrivateKey", BINARY),
            Element("X448_EncryptedPrivateKey", BINARY),
            Element("TPM_EncryptedPrivateKey", BINARY),
        )),
    ),
)  # fmt: skip
_PNC_MODE: Final = Complex(
    _REQUIRED_ID,
    (Element("GenChallenge", BINARY), Element("ContractCertificateChain", _CONTRACT_CHAIN)),
)

_CERTIFICATE_INSTALLATION_REQ: Final = Complex(
    content=(
        _HEADER,
        Element("OEMProvisioningCertificateChain", _SIGNED_CHAIN),
        Element("ListOfRootCertificateIDs", ROOT_CERTIFICATE_IDS),
        Element("MaximumContractCertificateChains", OCTET),
        optional("PrioritizedEMAIDs", repeated("EMAID", STRING, 8)),
    )
)
_CERTIFICATE_INSTALLATION_RES: Final = Complex(
    content=(
        _HEADER,
        Element("ResponseCode", enumeration(ResponseCode20)),
        Element("EVSEProcessing", enumeration(EvseProcessing)),
        Element("CPSCertificateChain", _PLAIN_CHAIN),
        Element("SignedInstallationData", _SIGNED_INSTALLATION_DATA),
        Element("RemainingContractCertificateChains", OCTET),
    )
)
_AUTHORIZATION_REQ: Final = Complex(
    content=(
        _HEADER,
        Element("SelectedAuthorizationService", enumeration(AuthorizationService)),
        Choice((
            Element("EIM_AReqAuthorizationMode", Complex()),
            Element("PnC_AReqAuthorizationMode", _PNC_MODE),
        )),
    )
)  # fmt: skip

_NAMES: Final = 281
"""Distinct element names that the schema set declares anywhere."""

ISO20: Final = Schema(
    "urn:iso:std:iso:15118:-20:CommonMessages",
    Root(
        9,
        _NAMES + 2,
        {
            "CertificateInstallationReq": (27, compile_type(_CERTIFICATE_INSTALLATION_REQ)),
            "OEMProvisioningCertificateChain": (128, compile_type(_SIGNED_CHAIN)),
            "PnC_AReqAuthorizationMode": (151, compile_type(_PNC_MODE)),
            "SignedInstallationData": (231, compile_type(_SIGNED_INSTALLATION_DATA)),
        },
        end=_NAMES + 1,
    ),
    Root(
        6,
        55,
        {
            "AuthorizationReq": (0, compile_type(_AUTHORIZATION_REQ)),
            "CertificateInstallationReq": (7, compile_type(_CERTIFICATE_INSTALLATION_REQ)),
            "CertificateInstallationRes": (8, compile_type(_CERTIFICATE_INSTALLATION_RES)),
        },
    ),
)
