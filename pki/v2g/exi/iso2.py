"""ISO 15118-2, schema set V2G_CI_MsgDef: the messages that carry certificates."""

from __future__ import annotations

from typing import Final

from pki.v2g.enumerations import FaultCode, ResponseCode2
from pki.v2g.exi.grammar import Root, Schema, compile_type, relaxed
from pki.v2g.exi.schema import (
    BINARY,
    INTEGER,
    STRING,
    Attribute,
    Choice,
    Complex,
    Element,
    enumeration,
    optional,
    repeated,
)
from pki.v2g.exi.xmldsig import ROOT_CERTIFICATE_IDS, SIGNATURE

_ID: Final = (Attribute("Id"),)
_REQUIRED_ID: Final = (Attribute("Id", required=True),)

_CHAIN: Final = Complex(
    _ID,
    (
        Element("Certificate", BINARY),
        optional("SubCertificates", repeated("Certificate", BINARY, 4)),
    ),
)
_BINARY_WITH_ID: Final = Complex(_REQUIRED_ID, text=BINARY)
_STRING_WITH_ID: Final = Complex(_REQUIRED_ID, text=STRING)

_CERTIFICATE_INSTALLATION_REQ: Final = Complex(
    _REQUIRED_ID,
    (
        Element("OEMProvisioningCert", BINARY),
        Element("ListOfRootCertificateIDs", ROOT_CERTIFICATE_IDS),
    ),
)
_CERTIFICATE_UPDATE_REQ: Final = Complex(
    _REQUIRED_ID,
    (
        Element("ContractSignatureCertChain", _CHAIN),
        Element("eMAID", STRING),
        Element("ListOfRootCertificateIDs", ROOT_CERTIFICATE_IDS),
    ),
)
_BUNDLE: Final = (
    Element("ResponseCode", enumeration(ResponseCode2)),
    Element("SAProvisioningCertificateChain", _CHAIN),
    Element("ContractSignatureCertChain", _CHAIN),
    Element("ContractSignatureEncryptedPrivateKey", _BINARY_WITH_ID),
    Element("DHpublickey", _BINARY_WITH_ID),
    Element("eMAID", _STRING_WITH_ID),
)
_PAYMENT_DETAILS_REQ: Final = Complex(
    content=(Element("eMAID", STRING), Element("ContractSignatureCertChain", _CHAIN))
)
_AUTHORIZATION_REQ: Final = Complex(_ID, (optional("GenChallenge", BINARY),))

_MESSAGES: Final[dict[str, Complex]] = {
    "AuthorizationReq": _AUTHORIZATION_REQ,
    "CertificateInstallationReq": _CERTIFICATE_INSTALLATION_REQ,
    "CertificateInstallationRes": Complex(content=_BUNDLE),
    "CertificateUpdateReq": _CERTIFICATE_UPDATE_REQ,
    "CertificateUpdateRes": Complex(content=(*_BUNDLE, optional("RetryCounter", INTEGER))),
    "PaymentDetailsReq": _PAYMENT_DETAILS_REQ,
}
# The substitution group of BodyElement (abstract, hence itself refused), sorted by name.
_BODY_ELEMENTS: Final = sorted(
    ["BodyElement"]
    + [
        name + kind
        for name in [
            "Authorization",
            "CableCheck",
            "CertificateInstallation",
            "CertificateUpdate",
            "ChargeParameterDiscovery",
            "ChargingStatus",
            "CurrentDemand",
            "MeteringReceipt",
            "PaymentDetails",
            "PaymentServiceSelection",
            "PowerDelivery",
            "PreCharge",
            "ServiceDetail",
            "ServiceDiscovery",
            "SessionSetup",
            "SessionStop",
            "WeldingDetection",
        ]
        for kind in ("Req", "Res")
    ]
)
_BODY: Final = Complex(
    content=(
        Choice(tuple(Element(name, _MESSAGES.get(name)) for name in _BODY_ELEMENTS), optional=True),
    )
)
_HEADER: Final = Complex(
    content=(
        Element("SessionID", BINARY),
        optional(
            "Notification",
            Complex(
                content=(Element("FaultCode", enumeration(FaultCode)), optional("FaultMsg", STRING))
            ),
        ),
        optional("Signature", SIGNATURE),
    )
)
_V2G_MESSAGE: Final = Complex(content=(Element("Header", _HEADER), Element("Body", _BODY)))

_NAMES: Final = 243
"""Distinct element names that the schema set declares anywhere."""
_ATTRIBUTE_NAMES: Final = 10
# {MsgBody}eMAID is declared with two types, so as a fragment it follows the relaxed grammar.
_EMAID_FRAGMENT: Final = relaxed("Id", 4, _ATTRIBUTE_NAMES, _NAMES)

ISO2: Final = Schema(
    "urn:iso:15118:2:2013:MsgDef",
    Root(
        8,
        _NAMES + 2,
        {
            "AuthorizationReq": (4, compile_type(_AUTHORIZATION_REQ)),
            "CertificateInstallationReq": (15, compile_type(_CERTIFICATE_INSTALLATION_REQ)),
            "CertificateUpdateReq": (17, compile_type(_CERTIFICATE_UPDATE_REQ)),
            "ContractSignatureCertChain": (33, compile_type(_CHAIN)),
            "ContractSignatureEncryptedPrivateKey": (34, compile_type(_BINARY_WITH_ID)),
            "DHpublickey": (45, compile_type(_BINARY_WITH_ID)),
            "eMAID": (236, _EMAID_FRAGMENT),
        },
        end=_NAMES + 1,
    ),
    Root(7, 81, {"V2G_Message": (76, compile_type(_V2G_MESSAGE))}),
    ambiguous=frozenset({"eMAID"}),
)
