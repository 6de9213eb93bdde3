"""
Contracts of an eMSP with a PKI of its own: signed for it, or taken in as another service signed.

What comes in is judged before it is signed or kept: chain, name, sizes, and whose it is.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from pki import access, audit, contracts, route
from pki.errors import BadInput, Conflict, NotFound, PolicyViolation
from pki.ids import Edition, Emaid, Fingerprint, Pcid, quote
from pki.model import Bundle, ContractState, Principal, ProvisioningChain, Role
from pki.pkix.certificate import Certificate, load
from pki.pkix.suites import Suite
from pki.ports import Deployment, Transaction
from pki.provision import chains, response, shelf, signers
from pki.provision.generate import Signed, require
from pki.provision.response import Contents, Response
from pki.v2g import messages
from pki.v2g.signature import verify

_PARTS = ("contractCertificate", "contractSubCa1Certificate", "contractSubCa2Certificate")
_MAX_SUB_CAS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractData:
    """
    What an eMSP made with its own PKI.

    Attributes:
        chain: contract leaf and sub-CAs, DER, leaf first, the issuer of the leaf next.
        emaid: where the caller names it; the leaf's CN must say the same.
        pcid: None: the bundle is signed and given back, not put into the pool.
        root: V2G root at the end of the CPS chain; None: the service decides.
    """

    chain: tuple[bytes, ...]
    encrypted_key: bytes
    dh_public_key: bytes
    emaid: str | None = None
    pcid: str | None = None
    root: Fingerprint | None = None
    metadata: str = ""


def sign_contract(deployment: Deployment, principal: Principal, data: ContractData) -> Signed:
    """
    Sign what an eMSP made with its own PKI and, for a car that it names, put it into the pool.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`, `pki_not_own`.
        BadInput: `invalid_certificate`, `invalid_emaid`, `emaid_mismatch`, `envelope_size`,
            `envelope_point`, `invalid_pcid`.
        NotFound: `provisioning_certificate_unknown`, `cps_unknown`.
        Conflict: `emaid_in_use`, `emaid_ambiguous`, `contract_ended`.
        PolicyViolation: those of `pki.provision.chains.ChainFault`, `account_unknown`,
            `suite_mismatch`, `response_too_large`, `message_schema`.
    """
    access.require(principal, access.Action.SIGN_BUNDLE)
    certificates = _read(data.chain)
    contents = _contents(certificates, data)
    emaid = _emaid(certificates[0], contents.edition, data.emaid)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        account = route.holder(tx, emaid.key, now)
        require(principal, access.Action.SIGN_BUNDLE, account, "hosted")
        chains.Judge.of(tx, now).check(tx, certificates, chains.CONTRACTS)
        car = _car(tx, data.pcid, contents.suite) if data.pcid else None
        held = car.v2g_root_key_ids if car else ()
        signer = signers.choose(tx, contents.suite, now, root=data.root, held=held)
    unsigned = response.unsigned(contents, signer.chain)
    _fits(unsigned)
    cps_key = load(signer.chain[0]).public_key
    size = response.predicted_size(contents, signer.chain, cps_key)
    warnings = response.judge(size, contents.edition, deployment.budget)
    signed = signers.signed(deployment, signer, unsigned)
    bundle = _bundle(deployment, principal, signed, certificates[0], emaid, signer.root, car)
    bundle = replace(bundle, metadata=data.metadata)
    return _keep(deployment, bundle, car, warnings)


def store_signed(  # noqa: PLR0913 - whose, what, for which car
    deployment: Deployment,
    principal: Principal,
    message: bytes,
    *,
    edition: Edition,
    pcid: str,
    emaid: str | None = None,
    metadata: str = "",
) -> Signed:
    """
    Take a bundle that a provisioning service signed into the pool.

    Args:
        message: EXI of a CertificateInstallationRes.

    Raises:
        As `sign_contract`, and BadInput (`not_a_bundle`, codes of the EXI layer), and
        PolicyViolation (codes of `pki.v2g.signature.SignatureFault`).
    """
    access.require(principal, access.Action.STORE_BUNDLE)
    signed = response.read(message, edition)
    contents = response.contents_of(signed)
    certificates = _read(contents.chain)
    name = _emaid(certificates[0], edition, emaid or contents.emaid or None)
    cps = tuple(load(der) for der in response.cps_chain_of(signed))
    verify(messages.decode(message, edition), cps[0].public_key)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        if principal.role is not Role.CPS:
            account = route.holder(tx, name.key, now)
            require(principal, access.Action.STORE_BUNDLE, account, "hosted")
        judge = chains.Judge.of(tx, now)
        path = judge.check(tx, cps, chains.CPS)
        judge.check(tx, certificates, chains.CONTRACTS)
        car = _car(tx, pcid, contents.suite)
    _fits(signed)
    warnings = response.judge(len(message), edition, deployment.budget)
    root = path.anchor.fingerprint
    bundle = _bundle(deployment, principal, signed, certificates[0], name, root, car)
    return _keep(deployment, replace(bundle, metadata=metadata), car, warnings)


def _read(ders: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    found = []
    for part, der in zip(_PARTS + _PARTS[-1:], ders[: _MAX_SUB_CAS + 1], strict=False):
        try:
            found.append(load(der))
        except BadInput as error:
            raise BadInput(
                "invalid_certificate",
                f"Invalid certificate format on {part}.",
                data={"part": part},
            ) from error
    if len(ders) > _MAX_SUB_CAS + 1 or not found:
        raise BadInput("invalid_certificate", "A chain has one leaf and at most three sub-CAs.")
    return tuple(found)


def _contents(certificates: tuple[Certificate, ...], data: ContractData) -> Contents:
    suite = certificates[0].suite
    if suite is None:
        raise PolicyViolation("suite_mismatch", "The contract's key is none of ISO 15118.")
    key_size, point_size = response.envelope_sizes(suite)
    if len(data.encrypted_key) != key_size:
        raise BadInput("envelope_size", f"The encrypted key has not {key_size} octets.")
    if suite is not Suite.ED448 and len(data.dh_public_key) != point_size:
        raise BadInput("envelope_point", f"The DH public key has not {point_size} octets.")
    if suite is not Suite.ED448:
        _point(suite, data.dh_public_key)
    return Contents(
        suite=suite,
        chain=data.chain,
        encrypted_key=data.encrypted_key,
        dh_public_key=data.dh_public_key,
        emaid=certificates[0].common_names[0] if certificates[0].common_names else "",
    )


def _point(suite: Suite, octets: bytes) -> None:
    curve = ec.SECP256R1() if suite is Suite.P256 else ec.SECP521R1()
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(curve, octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput("envelope_point", "The DH public key is no point of the curve.") from error


def _emaid(leaf: Certificate, edition: Edition, named: str | None) -> Emaid:
    """Return the EMAID of the leaf; a name beside it must be the same."""
    if len(leaf.common_names) != 1:
        raise BadInput("invalid_emaid", "The contract certificate has not exactly one CN.")
    emaid = Emaid.parse(leaf.common_names[0], edition)
    if named is not None and Emaid.parse(named, edition) != emaid:
        raise BadInput(
            "emaid_mismatch", f"The contract certificate names {emaid}, not {quote(named)}."
        )
    return emaid


def _car(tx: Transaction, text: str, suite: Suite) -> ProvisioningChain:
    car = tx.pools.chain(Pcid.parse(text, suite.edition), suite)
    if car is None:
        raise NotFound(
            "provisioning_certificate_unknown",
            f"The OEM provisioning certificate with the PCID {quote(text)} is not available.",
        )
    return car


def _fits(message: Response) -> None:
    """Refuse what a strict reader of the schema would not take. Raises PolicyViolation."""
    faults = messages.schema_faults(message)
    if faults:
        raise PolicyViolation("message_schema", faults[0], data={"faults": list(faults)})


def _bundle(  # noqa: PLR0913 - the facts of one bundle
    deployment: Deployment,
    principal: Principal,
    signed: Response,
    leaf: Certificate,
    emaid: Emaid,
    root: Fingerprint,
    car: ProvisioningChain | None,
) -> Bundle:
    return Bundle(
        bundle_id=secrets.token_hex(12),
        pcid=car.pcid if car else Pcid(value=""),
        contract_id="",
        emaid=emaid,
        suite=leaf.suite or Suite.P256,
        root=root,
        message=messages.encode(signed),
        vehicle_key=car.spki_sha256 if car else b"",
        certificate=leaf.fingerprint,
        cps=Fingerprint.of(response.cps_chain_of(signed)[0]),
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        created_at=deployment.clock.now(),
        created_by=principal.name,
    )


def _keep(
    deployment: Deployment,
    bundle: Bundle,
    car: ProvisioningChain | None,
    warnings: tuple[str, ...],
) -> Signed:
    size = len(bundle.message)
    with deployment.store.write() as tx:
        contract = contracts.attach(tx, bundle.emaid, bundle.created_at, bundle.created_by)
        if contract.state_at(bundle.created_at) is ContractState.ENDED:
            raise Conflict("contract_ended", f"The contract {bundle.emaid} has ended.")
        bundle = replace(bundle, contract_id=contract.contract_id)
        if car is None:
            _signed_only(tx, bundle)
            return Signed(bundle=bundle, stored=False, replaced=False, size=size, warnings=warnings)
        now = tx.pools.chains(car.pcid, lock=True)
        if not any(c.spki_sha256 == car.spki_sha256 for c in now):
            raise Conflict("vehicle_changed", "The car's certificate was replaced meanwhile.")
        replaced = shelf.put(tx, bundle)
    return Signed(bundle=bundle, stored=True, replaced=replaced, size=size, warnings=warnings)


def _signed_only(tx: Transaction, bundle: Bundle) -> None:
    audit.note(
        tx,
        bundle.created_at,
        bundle.created_by,
        "bundle.sign",
        bundle.emaid.key,
        {"contract": bundle.certificate.value, "cps": bundle.cps.value},
    )
