"""Roots, cars, CPS leaves and bundles as OPCP 1.0 writes them."""

from __future__ import annotations

import base64
from typing import Any, Final

from cryptography.hazmat.primitives import hashes

from pki.clock import format_time
from pki.ids import Edition
from pki.model import Bundle, CpsSigner, ProvisioningChain
from pki.pkix.certificate import Certificate, load
from pki.pkix.suites import Suite
from pki.provision.ccp import Held
from pki.provision.rcp import Root
from pki.v2g import messages, xml
from web import pools

NAMESPACES: Final = {
    Edition.ISO2: "urn:iso:15118:2:2013:MsgDef",
    Edition.ISO20: "urn:iso:15118:20:2022:MsgDef",
}
_CURVES: Final = {Suite.P256: "secp256r1", Suite.P521: "secp521r1", Suite.ED448: "ed448"}


def root_json(root: Root) -> dict[str, Any]:
    """Return a RootCertV2; every text is a string or absent, as MaEVe's reader wants it."""
    found = root.certificate
    key_id = found.key_id or b""
    return pools.without_none(
        {
            "rootCertificateId": root.root_id,
            "distinguishedName": pools.name_of(found.x509.subject),
            "rootType": root.domain.value.upper(),
            "caCertificate": pools.text(found.der),
            "commonName": found.common_names[0] if found.common_names else None,
            "rootAuthorityKeyIdentifier": pools.text(key_id) if key_id else None,
            "rootAuthorityKeyIdentifierHex": key_id.hex().upper() if key_id else None,
            "rootIssuerSerialNumber": f"{found.serial:x}",
            "validFrom": format_time(found.not_before),
            "validTo": format_time(found.not_after),
            "organizationName": pools.organization(found.x509.subject) or None,
            "crossCertificatePair": pools.text(root.cross[0].der) if root.cross else None,
            "fingerprint": found.fingerprint.value,
            "fingerprintSha1": found.x509.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 - a label
            "xsdMsgDefNamespace": _namespace(found),
            "signatureAlgorithm": _CURVES[found.suite] if found.suite else None,
        }
    )


def _namespace(found: Certificate) -> str | None:
    return NAMESPACES[found.suite.edition] if found.suite else None


def vehicle_json(chain: ProvisioningChain, root: Certificate | None) -> dict[str, Any]:
    """Return a ProvisioningCertificateData."""
    body: dict[str, Any] = {
        "vehicleCertificate": pools.text(chain.certificate),
        **pools.sub_cas(chain.sub_cas, "subCA1Certificate", "subCA2Certificate"),
        "xsdMsgDefNamespace": NAMESPACES[chain.edition],
        "v2gRootAuthorityKeyIdentifiers": [
            pools.colons(bytes.fromhex(key_id)) for key_id in chain.v2g_root_key_ids
        ],
        "fingerprint": chain.fingerprint.value,
        "signatureAlgorithm": _CURVES[chain.suite],
    }
    if root is not None:
        body |= {
            "rootIssuerDistinguishedName": pools.name_of(root.x509.subject),
            "rootIssuerSerialNumber": f"{root.serial:x}",
            "rootAuthorityKeyIdentifier": pools.colons(root.key_id),
        }
    return pools.without_none(body)


def signer_json(signer: CpsSigner) -> dict[str, Any]:
    """Return a CPS leaf; examples and schema of the document differ, so both namings stand here."""
    leaf, root = load(signer.chain[0]), load(signer.root_der)
    subs = pools.sub_cas(signer.chain[1:], "cpsSubCa1Certificate", "cpsSubCa2Certificate")
    other = pools.sub_cas(signer.chain[1:], "cpsCa1Certificate", "cpsCa2Certificate")
    return {
        "cpsDistinguishedName": pools.name_of(leaf.x509.subject),
        "cpsCertificate": pools.text(leaf.der),
        "validFrom": format_time(signer.not_before),
        "validTo": format_time(signer.not_after),
        "organizationName": pools.organization(leaf.x509.subject),
        "cpsV2GRootCertificateFingerprint": signer.root.value,
        "cpsRootDistinguishedName": pools.name_of(root.x509.subject),
        "xsdMsgDefNamespace": NAMESPACES[signer.suite.edition],
        **subs,
        **other,
    }


def signed_json(bundle: Bundle, namespace: str, root_name: str | None) -> dict[str, Any]:
    """Return a signed bundle; `signedData` is XML."""
    message = messages.decode(bundle.message, bundle.emaid.edition).message
    body = {
        "pcid": bundle.pcid.value or None,
        "emaid": bundle.emaid.normalised,
        "xsdMsgDefNamespace": namespace,
        "signedData": pools.text(xml.write(message)),
        "cpsV2GRootCertificateFingerprint": bundle.root.value,
        "cpsRootDistinguishedName": root_name or "",
    }
    return body | ({"metaData": bundle.metadata} if bundle.metadata else {})


def contract_json(held: Held, root_name: str | None) -> dict[str, Any]:
    """Return a contract of the pool's table; `priority` is what the edition of 2022 called it."""
    return {
        **pools.contract_data(held, NAMESPACES[held.bundle.emaid.edition]),
        "cpsRootCertificateDN": root_name or "",
        "priority": 1 if held.is_default else 2,
    }


def base64_of(exi: bytes) -> str:
    """Return a message as OPCP carries it."""
    return base64.b64encode(exi).decode("ascii")
