"""
OPNC 1.0, the neutral successor of OPCP; its events are in `web.webhooks`, its EST comes later.

What its documents ask and OPCP's do not: messages are EXI everywhere, an eMSP's root is of type
`eMSP`, a certificate can be revoked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, request

from pki.clock import format_time
from pki.errors import BadInput, NotFound
from pki.ids import Edition, Fingerprint
from pki.model import Bundle, CpsSigner, Domain, ProvisioningChain, TrustList
from pki.pkix.certificate import Certificate, load
from pki.ports import Deployment
from pki.provision import ccp, cps, life, pcp, rcp
from pki.provision.cps import ContractData
from pki.provision.rcp import Root
from pki.revoke import parse_reason, revoke
from pki.v2g.namespaces import edition_of
from web import auth, pools
from web.answers import json_answer
from web.opcp import domain, wanted
from web.opcp_contracts import NOT_FOUND, installed, refuse_in_json

PREFIX: Final = "/opnc/v1"
NAMESPACES: Final = {
    Edition.ISO2: "urn:iso:15118:2:2013:MsgDef",
    Edition.ISO20: "urn:iso:15118:20:2020:MsgDef",
}
_TYPES: Final = {Domain.MO: "eMSP", Domain.V2G: "V2G", Domain.OEM: "OEM", Domain.PE: "PE"}


# --- roots ---------------------------------------------------------------------------------------


def root_json(root: Root) -> dict[str, Any]:
    """Return a rootCertificate."""
    found = root.certificate
    lists = root.trust_lists or (TrustList.NONE,)
    return pools.without_none(
        {
            "rootCertificateId": root.root_id,
            "distinguishedName": pools.name_of(found.x509.subject),
            "rootType": _TYPES[root.domain],
            "rootTypeList": [_TYPES[root.domain]],
            "rootCtlList": [each.value for each in lists],
            "caCertificate": pools.text(found.der),
            "commonName": found.common_names[0] if found.common_names else None,
            "rootAuthorityKeyIdentifier": pools.colons(found.key_id),
            "rootIssuerSerialNumber": f"{found.serial:x}",
            "validFrom": format_time(found.not_before),
            "validTo": format_time(found.not_after),
            "organizationName": pools.organization(found.x509.subject) or None,
            "crossCertificatePair": pools.text(root.cross[0].der) if root.cross else None,
            "fingerprint": found.fingerprint.value,
        }
    )


@dataclass(frozen=True, slots=True)
class Roots:
    """`/rcp`."""

    deployment: Deployment

    def list(self) -> Response:
        """Return the roots, of one type where the query names one."""
        principal = auth.principal(self.deployment)
        kind = request.args.get("pkiType")
        found = rcp.roots(self.deployment, principal, domain(kind) if kind else None)
        return json_answer({"rootCertificateCollection": [root_json(root) for root in found]})

    def get(self, root_id: str) -> Response:
        """Return one root, under its name and under the document's spelling of it."""
        found = root_json(rcp.root(self.deployment, auth.principal(self.deployment), root_id))
        return json_answer({"rootCertificate": found, "roootCertificate": found})

    def put(self) -> Response:
        """Add a root; its fingerprint stands in the call once more."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        data = pools.certificate(fields, "caCertificate")
        if data is None:
            raise pools.missing("caCertificate")
        rcp.add(
            self.deployment,
            principal,
            data,
            domain(fields.needed("rootType")),
            confirm=fields.text("confirmFingerprint") or fields.needed("fingerprint"),
            trust_lists=_trust_lists(pools.texts(fields, "rootCtlList", len(TrustList)) or ()),
        )
        return Response(status=200)

    def delete(self, root_id: str) -> Response:
        """Remove a root; the query confirms its fingerprint."""
        principal = auth.principal(self.deployment)
        confirm = request.args.get("confirmFingerprint") or ""
        rcp.remove(self.deployment, principal, root_id, confirm=confirm)
        return Response(status=200)


def _trust_lists(names: tuple[str, ...]) -> tuple[TrustList, ...]:
    try:
        return tuple(TrustList(name) for name in names)
    except ValueError as error:
        known = ", ".join(TrustList)
        raise BadInput("trust_list_unknown", f"A trust list is one of {known}.") from error


# --- cars ----------------------------------------------------------------------------------------


def chain_json(ders: tuple[bytes, ...]) -> dict[str, str]:
    """Return a certificateChain: leaf, then the issuer of the leaf."""
    subs = pools.sub_cas(ders[1:], "subCa1Certificate", "subCa2Certificate")
    return {"certificate": pools.text(ders[0]), **subs}


def vehicle_json(chain: ProvisioningChain, root: Certificate | None) -> dict[str, Any]:
    """Return a provisioningCertificate."""
    key_ids = [pools.colons(bytes.fromhex(key_id)) for key_id in chain.v2g_root_key_ids]
    return pools.without_none(
        {
            "provisioningCertificateChain": chain_json((chain.certificate, *chain.sub_cas)),
            "xsdMsgDefNamespace": NAMESPACES[chain.edition],
            "rootIssuerSerialNumber": f"{root.serial:x}" if root else None,
            "v2gRootAuthorityKeyIdentifiers": key_ids or None,
            "rootAuthorityKeyIdentifier": pools.colons(root.key_id) if root else None,
            "fingerprint": chain.fingerprint.value,
        }
    )


@dataclass(frozen=True, slots=True)
class Cars:
    """`/pcp`."""

    deployment: Deployment

    def put(self) -> Response:
        """Deposit a car's chain."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        certificates = pools.part(fields, "provisioningCertificateChain")
        names = "certificate", "subCa1Certificate", "subCa2Certificate"
        leaf, *subs = pools.chain(certificates, *names)
        key_ids = pools.texts(fields, "v2gRootAuthorityKeyIdentifiers", pools.MAX_KEY_IDS)
        pcp.deposit(
            self.deployment,
            principal,
            leaf,
            tuple(subs),
            previous=fields.text("previousPcid"),
            v2g_root_key_ids=key_ids or (),
        )
        return Response(status=200)

    def get(self, pcid: str) -> Response:
        """Return a car's chain, that of -2 first."""
        found = pcp.find(self.deployment, auth.principal(self.deployment), pcid)[0]
        roots = pools.roots_by_fingerprint(self.deployment)
        return json_answer({"provisioningCertificate": vehicle_json(found, roots.get(found.root))})

    def delete(self, pcid: str) -> Response:
        """Remove a car; its contracts go with it."""
        pcp.delete(self.deployment, auth.principal(self.deployment), pcid)
        return Response(status=200)

    def lookup(self, pcid: str) -> Response:
        """Tell whether the pool knows a car."""
        pcp.find(self.deployment, auth.principal(self.deployment), pcid)
        return Response(status=200)


# --- signing -------------------------------------------------------------------------------------


def signed_json(exi: bytes, bundle: Bundle, label: str, root_name: str | None) -> dict[str, Any]:
    """Return a signedContractData."""
    return pools.without_none(
        {
            "certificateInstallationRes": pools.text(exi),
            "emaid": bundle.emaid.normalised,
            "pcid": bundle.pcid.value,
            "xsdMsgDefNamespace": label,
            "metaData": bundle.metadata or None,
            "cpsV2GRootCertificateFingerprint": bundle.root.value,
            "cpsRootDistinguishedName": root_name,
        }
    )


def signer_json(signer: CpsSigner) -> dict[str, Any]:
    """Return a cpsCertificateData."""
    leaf = load(signer.chain[0])
    return {
        "cpsDistinguishedName": pools.name_of(leaf.x509.subject),
        "cpsCertificateChain": chain_json(signer.chain),
        "validFrom": format_time(signer.not_before),
        "validTo": format_time(signer.not_after),
        "organizationName": pools.organization(leaf.x509.subject),
        "cpsV2GRootCertificateFingerprint": signer.root.value,
        "cpsV2GRootDistinguishedName": pools.name_of(load(signer.root_der).x509.subject),
        "xsdMsgDefNamespace": NAMESPACES[signer.suite.edition],
    }


@dataclass(frozen=True, slots=True)
class Signing:
    """`/cps`."""

    deployment: Deployment

    def sign(self) -> Response:
        """Sign what an eMSP made, into the pool."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        label = fields.needed("xsdMsgDefNamespace")
        pools.edition(fields)
        inner = pools.part(fields, "contractCertificateBundle")
        certificates = pools.part(inner, "contractCertificateChain")
        names = "certificate", "subCa1Certificate", "subCa2Certificate"
        root = fields.text("cpsV2GRootCertificateFingerprint")
        data = ContractData(
            chain=pools.chain(certificates, *names),
            encrypted_key=pools.octets(inner, "contractSignatureEncryptedPrivateKey"),
            dh_public_key=pools.octets(inner, "dHpublickey"),
            emaid=inner.needed("emaid"),
            pcid=inner.needed("pcid"),
            root=Fingerprint.parse(root) if root else None,
            metadata=pools.metadata(fields),
        )
        bundle = cps.sign_contract(self.deployment, principal, data).bundle
        name = pools.cps_root_name(self.deployment, bundle.root)
        body = {"signedContractData": signed_json(bundle.message, bundle, label, name)}
        return json_answer(body, 201)

    def generate(self) -> Response:
        """Make a contract for an eMSP without a PKI of its own, into the pool."""
        principal = auth.principal(self.deployment)
        cps.generate_contract(self.deployment, principal, wanted(pools.body()))
        return Response(status=201)

    def signers(self) -> Response:
        """Return the leaves that sign."""
        found = cps.signers(self.deployment, auth.principal(self.deployment))
        return json_answer({"cpsCertificateDataCollection": [signer_json(s) for s in found]})


# --- contracts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contracts:
    """`/ccp`."""

    deployment: Deployment

    def install(self) -> Response:
        """Answer a car's request; a refusal is EXI too, unless the caller wants JSON."""
        fields, outcome = installed(self.deployment)
        label = fields.needed("xsdMsgDefNamespace")
        if outcome.refusal is None:
            found = [signed_json(a.exi, a.bundle, label, None) for a in outcome.answers]
            return json_answer({"signedContractDataCollection": found})
        refuse_in_json(outcome, "Contract or vehicle not found.")
        data = {
            "certificateInstallationRes": pools.text(outcome.refusal.exi),
            "xsdMsgDefNamespace": label,
        }
        body = {"signedContractDataCollection": [data]}
        return json_answer(body, 404 if outcome.refusal.code in NOT_FOUND else 400)

    def store(self) -> Response:
        """Take a bundle that a provisioning service signed."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        edition = pools.edition(fields)
        cps.store_signed(
            self.deployment,
            principal,
            pools.octets(fields, "certificateInstallationRes", longest=pools.MAX_MESSAGE),
            edition=edition,
            pcid=fields.needed("pcid"),
            emaid=fields.needed("emaid"),
            metadata=pools.metadata(fields),
        )
        return Response(status=201)

    def delete(self, emaid: str) -> Response:
        """Take a contract from the pool."""
        revoking = not pools.header_flag("X-Skip-Revocation", default=False)
        principal = auth.principal(self.deployment)
        life.delete(self.deployment, principal, emaid, revoking=revoking)
        return Response(status=200)

    def provide(self, emaid: str, pcid: str) -> Response:
        """Give a contract to the back end of the car's maker."""
        principal = auth.principal(self.deployment)
        label = request.args.get("xsdMsgDefNamespace") or NAMESPACES[Edition.ISO2]
        answer = ccp.provide(
            self.deployment,
            principal,
            pcid,
            emaid,
            session_id=pools.session_id(request.args.get("sessionID")),
            edition=edition_of(label),
            root=pools.asked_root(),
        )
        name = pools.cps_root_name(self.deployment, answer.bundle.root)
        found = signed_json(answer.exi, answer.bundle, label, name)
        return json_answer({"signedContractDataCollection": [found]})

    def set_default(self, emaid: str, pcid: str) -> Response:
        """Make a contract the one that a -2 car gets."""
        ccp.set_default(self.deployment, auth.principal(self.deployment), pcid, emaid)
        return Response(status=200)

    def of_emaid(self, emaid: str) -> Response:
        """Return where a contract lies."""
        return self._table(ccp.by_emaid(self.deployment, auth.principal(self.deployment), emaid))

    def of_car(self, pcid: str) -> Response:
        """Return the contracts of a car."""
        return self._table(ccp.by_pcid(self.deployment, auth.principal(self.deployment), pcid))

    def _table(self, held: list[ccp.Held]) -> Response:
        selected = pools.selected(held)
        if not selected:
            raise NotFound("contract_unknown", "The contract is not found.")
        names = {b: pools.cps_root_name(self.deployment, b) for b in {h.bundle.root for h in held}}
        found = [
            pools.contract_data(h, NAMESPACES[h.bundle.emaid.edition])
            | {"cpsV2GRootDistinguishedName": names[h.bundle.root] or ""}
            for h in selected
        ]
        return json_answer({"contractDataCollection": found})


@dataclass(frozen=True, slots=True)
class Revoking:
    """`/pki`."""

    deployment: Deployment

    def revoke(self) -> Response:
        """Revoke a certificate of the caller's."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        der = pools.certificate(fields, "certificate")
        if der is None:
            raise pools.missing("certificate")
        reason = parse_reason(fields.needed("revocationReason"))
        revoke(self.deployment, principal, load(der).fingerprint.value, reason)
        return Response(status=200)


def routes(deployment: Deployment) -> tuple[tuple[str, str, Callable[..., Response]], ...]:
    """Return method, path behind the prefix, and handler."""
    roots, cars = Roots(deployment), Cars(deployment)
    signing, contracts = Signing(deployment), Contracts(deployment)
    return (
        ("GET", "/rcp/rootcertificates", roots.list),
        ("PUT", "/rcp/rootcertificates", roots.put),
        ("GET", "/rcp/rootcertificates/<root_id>", roots.get),
        ("DELETE", "/rcp/rootcertificates/<root_id>", roots.delete),
        ("PUT", "/pcp/provisioningcertificates", cars.put),
        ("GET", "/pcp/provisioningcertificates/<pcid>", cars.get),
        ("DELETE", "/pcp/provisioningcertificates/<pcid>", cars.delete),
        ("GET", "/pcp/lookupvehicle/<pcid>", cars.lookup),
        ("PUT", "/cps/contractData/sign", signing.sign),
        ("PUT", "/cps/contractData/generateandsign", signing.generate),
        ("GET", "/cps/cpsCertificates", signing.signers),
        ("POST", "/ccp/signedcontractdata", contracts.install),
        ("PUT", "/ccp/signedcontractdata", contracts.store),
        ("DELETE", "/ccp/signedcontractdata/<emaid>", contracts.delete),
        ("GET", "/ccp/signedcontractdata/<emaid>/<pcid>", contracts.provide),
        ("POST", "/ccp/signedcontractdata/<emaid>/<pcid>/setdefault", contracts.set_default),
        ("GET", "/ccp/contractData/emaid/<emaid>", contracts.of_emaid),
        ("GET", "/ccp/contractData/pcid/<pcid>", contracts.of_car),
        ("POST", "/pki/revokeCertificate", Revoking(deployment).revoke),
    )


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    made = Blueprint("opnc", __name__)
    for number, (method, path, handler) in enumerate(routes(deployment)):
        made.add_url_rule(PREFIX + path, f"opnc_{number}", handler, methods=[method])
    return made
