"""
OPCP 1.0, as MaEVe, CitrineOS and the back ends of vehicle makers speak it.

Paths and shapes are the documents'; where their editions differ, both are served. What is decided
is decided in `pki.provision`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from pki.errors import BadInput, NotFound
from pki.ids import Fingerprint
from pki.model import Domain, ProvisioningChain
from pki.ports import Deployment
from pki.provision import cps, pcp, rcp
from pki.provision.cps import ContractData, Signed, Wanted
from web import auth, opcp_render, pools
from web.answers import json_answer
from web.opcp_contracts import Contracts
from web.parsing import Fields


@dataclass(frozen=True, slots=True)
class Roots:
    """`/v1/root`."""

    deployment: Deployment

    def list(self) -> Response:
        """Return the roots, of one type where the query names one."""
        principal = auth.principal(self.deployment)
        kind = request.args.get("rootType")
        found = rcp.roots(self.deployment, principal, domain(kind) if kind else None)
        roots = [opcp_render.root_json(root) for root in found]
        return json_answer({"RootCertificateCollection": {"rootCertificates": roots}})

    def get(self, root_id: str) -> Response:
        """Return one root."""
        found = rcp.root(self.deployment, auth.principal(self.deployment), root_id)
        return json_answer({"RootResponse": opcp_render.root_json(found)})

    def put(self) -> Response:
        """Add a root; its fingerprint stands in the call once more."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        data = pools.certificate(fields, "caCertificate")
        if data is None:
            raise pools.missing("caCertificate")
        found = rcp.add(
            self.deployment,
            principal,
            data,
            domain(fields.needed("rootType")),
            confirm=fields.needed("confirmFingerprint"),
        )
        return json_answer({"RootResponse": opcp_render.root_json(found)})

    def delete(self, root_id: str) -> Response:
        """Remove a root; the query confirms its fingerprint."""
        principal = auth.principal(self.deployment)
        confirm = request.args.get("confirmFingerprint") or ""
        rcp.remove(self.deployment, principal, root_id, confirm=confirm)
        return Response(status=200)


def domain(text: str) -> Domain:
    """Return the domain of a root type, in any case; an eMSP's is `mo`."""
    name = text.lower()
    try:
        return Domain.MO if name == "emsp" else Domain(name)
    except ValueError as error:
        raise BadInput("root_type_unknown", "A root type is MO, V2G, OEM or PE.") from error


@dataclass(frozen=True, slots=True)
class Cars:
    """`/v1/oem`."""

    deployment: Deployment

    def put(self) -> Response:
        """Deposit a car's chain."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        leaf = pools.certificate(fields, "vehicleCertificate")
        if leaf is None:
            raise pools.missing("vehicleCertificate")
        names = (("subCA1Certificate", "subCa1Certificate"), ("subCA2Certificate",))
        subs = (pools.certificate(fields, *each) for each in names)
        found = pcp.deposit(
            self.deployment,
            principal,
            leaf,
            tuple(der for der in subs if der is not None),
            previous=fields.text("previousPcid"),
            v2g_root_key_ids=_key_ids(fields),
        )
        return json_answer(self._json(found.chain))

    def get(self, pcid: str) -> Response:
        """Return a car's chain: of the algorithm that the query names, or -2 first."""
        principal = auth.principal(self.deployment)
        found = pcp.find(self.deployment, principal, pcid)
        wanted = request.args.get("signatureAlgorithm")
        bodies = [self._json(chain) for chain in found]
        fitting = [b for b in bodies if wanted in (None, b["signatureAlgorithm"])]
        if not fitting:
            raise NotFound(
                "provisioning_certificate_unknown",
                "The OEM provisioning certificate with given PCID is not found.",
            )
        return json_answer({"OEMMessage": fitting[0]})

    def delete(self, pcid: str) -> Response:
        """Remove a car; its contracts go with it."""
        pcp.delete(self.deployment, auth.principal(self.deployment), pcid)
        return Response(status=200)

    def lookup(self, pcid: str) -> Response:
        """Tell whether the pool knows a car."""
        pcp.find(self.deployment, auth.principal(self.deployment), pcid)
        return Response(status=200)

    def _json(self, chain: ProvisioningChain) -> dict[str, Any]:
        roots = pools.roots_by_fingerprint(self.deployment)
        return opcp_render.vehicle_json(chain, roots.get(chain.root))


def _key_ids(fields: Fields) -> tuple[str, ...]:
    """Return the key identifiers; older clients send one, under a name without the plural."""
    single = fields.text("v2gRootAuthorityKeyIdentifier")
    several = pools.texts(fields, "v2gRootAuthorityKeyIdentifiers", pools.MAX_KEY_IDS) or ()
    return tuple(dict.fromkeys((*several, *((single,) if single else ()))))


@dataclass(frozen=True, slots=True)
class Signing:
    """`/v1/cps`."""

    deployment: Deployment

    def sign(self) -> Response:
        """Sign what an eMSP made; with a PCID, into the pool as well."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        label = fields.needed("xsdMsgDefNamespace")
        pools.edition(fields)
        inner = pools.part(fields, "contractData")
        names = "contractCertificate", "contractSubCa1Certificate", "contractSubCa2Certificate"
        data = self._data(fields, inner, pools.chain(inner, *names), fields.text("pcid"))
        signed = cps.sign_contract(self.deployment, principal, data)
        return self._answer(signed, label, 201)

    def sign_older(self) -> Response:
        """Sign what an eMSP made, in the deprecated form, and give it back."""
        signed, label = self._older(stored=False)
        return self._answer(signed, label, 200)

    def forward(self) -> Response:
        """Sign what an eMSP made, in the deprecated form, into the pool."""
        self._older(stored=True)
        return json_answer({}, 201)

    def _older(self, *, stored: bool) -> tuple[Signed, str]:
        principal = auth.principal(self.deployment)
        fields = pools.body()
        label = fields.needed("xsdMsgDefNamespace")
        pools.edition(fields)
        inner = pools.part(fields, "contractData")
        certificates = pools.part(inner, "contractSignatureCertChain")
        leaf = pools.certificate(certificates, "contractSignatureCertChainCertificate")
        if leaf is None:
            raise pools.missing("contractSignatureCertChainCertificate")
        subs = pools.texts(certificates, "contractSignatureCertChainSubCertificates", 4) or ()
        chain = (leaf, *(pools.decoded(each, "SubCertificate") for each in subs))
        pcid = fields.needed("pcid")
        data = self._data(fields, inner, chain, pcid if stored else None)
        return cps.sign_contract(self.deployment, principal, data), label

    def _data(
        self, fields: Fields, inner: Fields, chain: tuple[bytes, ...], pcid: str | None
    ) -> ContractData:
        root = fields.text("cpsV2GRootCertificateFingerprint")
        return ContractData(
            chain=chain,
            encrypted_key=pools.octets(inner, "contractSignatureEncryptedPrivateKey"),
            dh_public_key=pools.octets(inner, "dHpublickey"),
            emaid=fields.text("emaid") or inner.text("emaid"),
            pcid=pcid or None,
            root=Fingerprint.parse(root) if root else None,
            metadata=pools.metadata(fields),
        )

    def generate(self) -> Response:
        """Make a contract for an eMSP without a PKI of its own."""
        principal = auth.principal(self.deployment)
        fields = pools.body()
        label = fields.needed("xsdMsgDefNamespace")
        signed = cps.generate_contract(self.deployment, principal, wanted(fields))
        return self._answer(signed, label, 201)

    def signers(self) -> Response:
        """Return the leaves that sign."""
        found = cps.signers(self.deployment, auth.principal(self.deployment))
        return json_answer({"cpsCertificates": [opcp_render.signer_json(s) for s in found]})

    def _answer(self, signed: Signed, label: str, status: int) -> Response:
        root_name = pools.cps_root_name(self.deployment, signed.bundle.root)
        return json_answer(opcp_render.signed_json(signed.bundle, label, root_name), status)


def wanted(fields: Fields) -> Wanted:
    """Return the contract that a body asks for."""
    begins = fields.text("contractBegins")
    root = fields.text("cpsV2GRootCertificateFingerprint")
    return Wanted(
        emaid=fields.needed("emaid"),
        pcid=fields.needed("pcid"),
        begins=pools.time(begins) if begins else None,
        ends=pools.time(fields.needed("contractEnds")),
        edition=pools.edition(fields),
        root=Fingerprint.parse(root) if root else None,
        metadata=pools.metadata(fields),
    )


Route = tuple[str, str, Callable[..., Response]]


def routes(deployment: Deployment) -> tuple[Route, ...]:
    """Return method, path and handler of everything but the webhooks."""
    roots, cars = Roots(deployment), Cars(deployment)
    signing, contracts = Signing(deployment), Contracts(deployment)
    return (
        ("GET", "/v1/root/rootCerts", roots.list),
        ("PUT", "/v1/root/rootCerts", roots.put),
        ("GET", "/v1/root/rootCerts/<root_id>", roots.get),
        ("DELETE", "/v1/root/rootCerts/<root_id>", roots.delete),
        ("PUT", "/v1/oem/provCerts", cars.put),
        ("GET", "/v1/oem/provCerts/<pcid>", cars.get),
        ("DELETE", "/v1/oem/provCerts/<pcid>", cars.delete),
        ("GET", "/v1/oem/provCerts/lookupVehicle/<pcid>", cars.lookup),
        ("PUT", "/v1/cps/contractData/signed", signing.sign),
        ("PUT", "/v1/cps/signedContractData", signing.sign_older),
        ("PUT", "/v1/cps/forward/signedContractData", signing.forward),
        ("PUT", "/v1/cps/generate/signedContractData", signing.generate),
        ("GET", "/cps/signer", signing.signers),
        ("POST", "/v1/ccp/signedContractData", contracts.install),
        ("PUT", "/v1/ccp/signedContractData", contracts.store),
        ("GET", "/v1/ccp/signedContractData/<reference>", contracts.of_car),
        ("DELETE", "/v1/ccp/signedContractData/<reference>", contracts.delete),
        ("GET", "/v1/ccp/lookupContract/<emaid>", contracts.of_emaid),
        ("GET", "/v1/ccp/provideSignedContractData/<emaid>/<pcid>", contracts.provide),
        ("POST", "/v1/ccp/signedContractData/<pcid>/<emaid>/default", contracts.set_default),
        (
            "PUT",
            "/v1/ccp/signedContractData/priorities/<emaid>/<pcid>",
            contracts.set_priority,
        ),
    )


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    made = Blueprint("opcp", __name__)
    for number, (method, path, handler) in enumerate(routes(deployment)):
        made.add_url_rule(path, f"opcp_{number}", handler, methods=[method])
    return made
