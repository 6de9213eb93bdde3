"""JSON schemas of OPCP and OPNC; both allow members that nobody named."""

from __future__ import annotations

from typing import Any, Final

from web.schemas import COUNT, FINGERPRINT, FLAG, TEXT, TIME, Schema, many, nullable, one, ref

_BASE64: Final[Schema] = {"type": "string", "contentEncoding": "base64"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
    }


def _all(kind: Schema, *names: str) -> dict[str, Any]:
    return dict.fromkeys(names, kind)


_LABEL: Final = {"xsdMsgDefNamespace": TEXT}
_ROOT_PRINT: Final = {"cpsV2GRootCertificateFingerprint": FINGERPRINT}
_ENVELOPE: Final = _all(_BASE64, "contractSignatureEncryptedPrivateKey", "dHpublickey")
_META: Final = {"metaData": TEXT}
_CHAIN: Final = _object(
    {"certificate": _BASE64}, _all(_BASE64, "subCa1Certificate", "subCa2Certificate")
)
_ROOT_FACTS: Final = _all(
    TEXT,
    "distinguishedName",
    "commonName",
    "rootAuthorityKeyIdentifier",
    "rootIssuerSerialNumber",
    "organizationName",
    "crossCertificatePair",
) | {"validFrom": TIME, "validTo": TIME, "fingerprint": FINGERPRINT}
_CONTRACT: Final = (
    _all(TEXT, "pcid", "emaid", "xsdMsgDefNamespace")
    | {"contractCertificate": _BASE64, "defaultContract": FLAG}
    | _all(TIME, "certValidFrom", "certValidTo")
    | _ROOT_PRINT
)
_REFUSED: Final = _object({"certificateInstallationRes": _BASE64} | _LABEL)

_OPCP: Final[dict[str, Schema]] = {
    "OpcpRoot": _object(
        {"rootCertificateId": TEXT, "rootType": TEXT, "caCertificate": _BASE64},
        _ROOT_FACTS
        | _all(
            TEXT,
            "rootAuthorityKeyIdentifierHex",
            "fingerprintSha1",
            "xsdMsgDefNamespace",
            "signatureAlgorithm",
        ),
    ),
    "OpcpRoots": _object(
        {"RootCertificateCollection": _object({"rootCertificates": many(ref("OpcpRoot"))})}
    ),
    "OpcpRootAnswer": _object({"RootResponse": ref("OpcpRoot")}),
    "OpcpNewRoot": _object(
        {"caCertificate": _BASE64, "rootType": TEXT, "confirmFingerprint": FINGERPRINT}
    ),
    "OpcpDeposit": _object(
        {"vehicleCertificate": _BASE64, "subCA1Certificate": _BASE64},
        {
            "subCA2Certificate": _BASE64,
            "previousPcid": TEXT,
            "v2gRootAuthorityKeyIdentifiers": many(TEXT),
        },
    ),
    "OpcpVehicle": _object(
        {"vehicleCertificate": _BASE64, "fingerprint": FINGERPRINT} | _LABEL,
        _all(_BASE64, "subCA1Certificate", "subCA2Certificate")
        | _all(
            TEXT,
            "signatureAlgorithm",
            "rootIssuerDistinguishedName",
            "rootIssuerSerialNumber",
            "rootAuthorityKeyIdentifier",
        )
        | {"v2gRootAuthorityKeyIdentifiers": many(TEXT)},
    ),
    "OpcpVehicleAnswer": _object({"OEMMessage": ref("OpcpVehicle")}),
    "OpcpContractData": _object(
        {
            "contractData": _object(
                _all(_BASE64, "contractCertificate", "contractSubCa1Certificate") | _ENVELOPE,
                {"contractSubCa2Certificate": _BASE64},
            )
        }
        | _LABEL,
        {"pcid": TEXT} | _ROOT_PRINT | _META,
    ),
    "OpcpOlderContractData": _object(
        _all(TEXT, "pcid", "emaid", "xsdMsgDefNamespace")
        | {
            "contractData": _object(
                {
                    "contractSignatureCertChain": _object(
                        {
                            "contractSignatureCertChainCertificate": _BASE64,
                            "contractSignatureCertChainSubCertificates": many(_BASE64),
                        }
                    )
                }
                | _ENVELOPE
            )
        },
        _META,
    ),
    "OpcpSigned": _object(
        {
            "pcid": nullable(TEXT),
            "emaid": TEXT,
            "signedData": _BASE64 | {"description": "XML of a CertificateInstallationRes."},
            "cpsRootDistinguishedName": TEXT,
        }
        | _LABEL
        | _ROOT_PRINT,
        _META,
    ),
    "OpcpSigners": _object(
        {
            "cpsCertificates": many(
                _object(
                    {"cpsDistinguishedName": TEXT, "cpsCertificate": _BASE64}
                    | _all(TIME, "validFrom", "validTo")
                    | {"organizationName": TEXT, "cpsRootDistinguishedName": TEXT}
                    | _ROOT_PRINT
                    | _LABEL
                )
            )
        }
    ),
    "OpcpInstallation": _object(
        {
            "CCPResponse": _object(
                {
                    "emaidContent": many(
                        _object(
                            {
                                "messageDef": _object(
                                    {"certificateInstallationRes": _BASE64, "emaid": TEXT}
                                    | _ROOT_PRINT,
                                    _META | _LABEL,
                                )
                            }
                        )
                    )
                }
            )
        }
    ),
    "OpcpInstallationRefused": _object(
        {"CCPResponse": _object({"emaidContent": many(_object({"messageDef": _REFUSED}))})}
    ),
    "OpcpBundle": _object(
        _all(TEXT, "emaid", "pcid") | {"signedContractDataXML": _BASE64} | _LABEL, _META
    ),
    "OpcpContracts": _object(
        {
            "XMLContracts": many(
                _object(_CONTRACT, {"cpsRootCertificateDN": TEXT, "priority": COUNT})
            )
        }
    ),
    "OpcpProvided": _object({"certificateInstallationRes": _BASE64} | _LABEL | _ROOT_PRINT),
}
_SIGNED: Final = _object(
    {"certificateInstallationRes": _BASE64} | _all(TEXT, "emaid", "pcid") | _LABEL,
    _META | _ROOT_PRINT | {"cpsRootDistinguishedName": TEXT},
)
_OPNC: Final[dict[str, Schema]] = {
    "OpncRoot": _object(
        {"rootType": TEXT, "caCertificate": _BASE64},
        _ROOT_FACTS
        | {"rootCertificateId": TEXT, "confirmFingerprint": FINGERPRINT}
        | {"rootTypeList": many(TEXT), "rootCtlList": many(TEXT)},
    ),
    "OpncRoots": _object({"rootCertificateCollection": many(ref("OpncRoot"))}),
    "OpncRootAnswer": _object(
        {"rootCertificate": ref("OpncRoot"), "roootCertificate": ref("OpncRoot")}
    ),
    "OpncVehicle": _object(
        {"provisioningCertificateChain": _CHAIN},
        _LABEL
        | _all(TEXT, "rootIssuerSerialNumber", "rootAuthorityKeyIdentifier", "previousPcid")
        | {"v2gRootAuthorityKeyIdentifiers": many(TEXT), "fingerprint": FINGERPRINT},
    ),
    "OpncVehicleAnswer": _object({"provisioningCertificate": ref("OpncVehicle")}),
    "OpncBundle": _object(
        {
            "contractCertificateBundle": _object(
                _all(TEXT, "pcid", "emaid") | {"contractCertificateChain": _CHAIN} | _ENVELOPE
            )
        }
        | _LABEL,
        _ROOT_PRINT | _META,
    ),
    "OpncSigned": _SIGNED,
    "OpncSignedAnswer": _object({"signedContractData": ref("OpncSigned")}),
    "OpncSignedList": _object({"signedContractDataCollection": many(ref("OpncSigned"))}),
    "OpncSignedListRefused": _object({"signedContractDataCollection": many(_REFUSED)}),
    "OpncSigners": _object(
        {
            "cpsCertificateDataCollection": many(
                _object(
                    {"cpsDistinguishedName": TEXT, "cpsCertificateChain": _CHAIN}
                    | _all(TIME, "validFrom", "validTo")
                    | {"organizationName": TEXT, "cpsV2GRootDistinguishedName": TEXT}
                    | _ROOT_PRINT
                    | _LABEL
                )
            )
        }
    ),
    "OpncContracts": _object(
        {"contractDataCollection": many(_object(_CONTRACT, {"cpsV2GRootDistinguishedName": TEXT}))}
    ),
    "OpncRevocation": _object({"certificate": _BASE64, "revocationReason": TEXT}),
}
_SHARED: Final[dict[str, Schema]] = {
    "PoolError": _object({"errorMessages": many(TEXT, minItems=1), "traceId": TEXT, "code": TEXT}),
    "InstallationOrder": _object({"certificateInstallationReq": _BASE64} | _LABEL),
    "OcpiContractOrder": _object({"15118SchemaVersion": TEXT, "exiRequest": _BASE64}),
    "ContractOrder": _object(
        _all(TEXT, "emaid", "pcid", "contractEnds") | _LABEL,
        {"contractBegins": TEXT} | _ROOT_PRINT | _META,
    ),
    "WebhookOrder": _object(
        {},
        _all(TEXT, "url", "apiVersion", "description")
        | {"enabledEvents": many(TEXT), "metadata": {"type": "object"}}
        | {"status": one(("enabled", "disabled"))},
    ),
    "Webhook": _object(
        _all(TEXT, "id", "url", "secret", "apiVersion", "description", "userRole", "userName")
        | {"created": COUNT, "status": one(("enabled", "disabled")), "metadata": {"type": "object"}}
        | _all(many(TEXT), "enabledEvents", "events", "providerIds", "wmis"),
        {"nextSecret": TEXT},
    ),
    "Delivery": _object(
        _all(TEXT, "deliveryId", "eventId", "eventType")
        | {"state": one(("pending", "delivered", "refused", "failed")), "attempts": COUNT}
        | {"createdAt": TIME}
        | _all(nullable(TIME), "triedAt", "nextAt")
        | {"httpStatus": nullable(COUNT), "problem": nullable(TEXT)}
    ),
    "Deliveries": _object({"deliveries": many(ref("Delivery")), "next": nullable(TEXT)}),
}
SCHEMAS: Final[Schema] = _OPCP | _OPNC | _SHARED
