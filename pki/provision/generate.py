"""
The certificate provisioning service: signs what an eMSP made, or makes a contract for one.

A contract's private key exists in memory between its making and its envelope, and nowhere else.
So a bundle is stored in the transaction of its certificate: a crash leaves both or neither.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from pki import access, contracts, route
from pki.errors import BadInput, Conflict, NotAllowed, NotFound
from pki.ids import Edition, Emaid, Fingerprint, Pcid, quote
from pki.issue import IssueRequest, chain_of, issue, preview, spki_hash
from pki.model import (
    Bundle,
    CertificateRecord,
    ContractState,
    CpsSigner,
    Principal,
    ProvisioningChain,
)
from pki.pkix import build
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import PrivateKey, Suite, generate
from pki.ports import Deployment, Transaction
from pki.provision import response, shelf, signers
from pki.provision.response import Contents, Response
from pki.v2g import messages
from pki.v2g.envelope import generate_ed448, seal_iso2
from pki.v2g.messages import iso2

_SUITES: Final = (Suite.P256, Suite.P521, Suite.ED448)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    A contract that we shall make for an eMSP.

    Attributes:
        begins: None: now.
        edition, suite: None: that of the car's provisioning certificate, -2 first.
        root: V2G root at the end of the CPS chain; None: one that the car is known to hold.
    """

    emaid: str
    pcid: str
    ends: dt.datetime
    begins: dt.datetime | None = None
    edition: Edition | None = None
    suite: Suite | None = None
    root: Fingerprint | None = None
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """
    A signed bundle.

    Attributes:
        stored: it is in the pool.
        replaced: it took the place of another there.
        warnings: sentences about its size.
    """

    bundle: Bundle
    stored: bool
    replaced: bool
    size: int
    warnings: tuple[str, ...]


def generate_contract(deployment: Deployment, principal: Principal, wanted: Wanted) -> Signed:
    """
    Make key, certificate and envelope of a contract, sign the bundle and put it into the pool.

    The size of the answer is judged before the CA signs anything. A renewal is the same call under
    the same EMAID: the new bundle takes the place of the old one.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`, `pki_not_hosted`.
        BadInput: `invalid_emaid`, `invalid_pcid`, `contract_ends_past`, `contract_period`.
        NotFound: `provisioning_certificate_unknown`, `cps_unknown`, `issuer_unknown`.
        Conflict: `emaid_in_use`, `emaid_ambiguous`, `contract_ended`, `vehicle_changed`.
        PolicyViolation: `account_unknown`, `response_too_large`, `key_agreement_missing`, and what
            the issuance refuses.
        Unavailable: store or key out of reach.
    """
    order = prepare(deployment, principal, wanted)
    replaced: list[bool] = []

    def store(tx: Transaction, bundle: Bundle) -> None:
        bound(tx, bundle, wanted)
        replaced.append(shelf.put(tx, bundle))

    made = make(deployment, principal, order, store)
    return Signed(
        bundle=made,
        stored=True,
        replaced=any(replaced),
        size=len(made.message),
        warnings=order.warnings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A contract to be made: everything asked, nothing signed."""

    wanted: Wanted
    emaid: Emaid
    account: str
    car: ProvisioningChain
    signer: CpsSigner
    request: IssueRequest
    key: PrivateKey
    contract_id: str | None
    previous: ec.EllipticCurvePublicKey | None
    warnings: tuple[str, ...]


def prepare(
    deployment: Deployment, principal: Principal, wanted: Wanted, *, moving: bool = False
) -> Prepared:
    """
    Ask everything that can refuse a contract; errors as `generate_contract`.

    Args:
        moving: the contract may be another car's; its bundles there are the caller's to take.
    """
    access.require(principal, access.Action.GENERATE_BUNDLE)  # or anybody learns which cars exist
    now = deployment.clock.now()
    _period(wanted, now)
    with deployment.store.read() as tx:
        car = car_of(tx, wanted)
        emaid = Emaid.parse(wanted.emaid, car.edition)
        account = route.holder(tx, emaid.key, now)
        require(principal, access.Action.GENERATE_BUNDLE, account, "own")
        contract_id = _contract(tx, emaid, None if moving else car.pcid, now)
        held = car.v2g_root_key_ids
        signer = signers.choose(tx, car.suite, now, root=wanted.root, held=held)
        previous = _previous(tx, contract_id, car) if not moving else None
    key = generate_ed448() if car.suite is Suite.ED448 else generate(car.suite)
    request = IssueRequest(
        kind=Kind.CONTRACT,
        spki=build.spki(key.public_key()),
        common_name=emaid.normalised,
        edition=car.edition,
        suite=car.suite,
        not_before=wanted.begins,
        not_after=wanted.ends,
        cut=True,
    )
    prepared = Prepared(
        wanted=wanted,
        emaid=emaid,
        account=account,
        car=car,
        signer=signer,
        request=request,
        key=key,
        contract_id=contract_id,
        previous=previous,
        warnings=(),
    )
    return replace(prepared, warnings=_budget(deployment, principal, prepared))


def _period(wanted: Wanted, now: dt.datetime) -> None:
    if wanted.ends <= now:
        raise BadInput("contract_ends_past", "The given end of the contract is in the past.")
    if wanted.begins is not None and wanted.begins >= wanted.ends:
        raise BadInput("contract_period", "The contract begins after its end.")


def require(principal: Principal, action: access.Action, account: str, other: str) -> None:
    """Refuse a caller of another role, party or kind of PKI."""
    access.require(principal, action, account)
    if principal.pki == other:
        raise NotAllowed(
            "pki_not_hosted" if other == "own" else "pki_not_own",
            "This client is registered with "
            + ("a PKI of its own." if other == "own" else "a hosted PKI."),
        )


def car_of(tx: Transaction, wanted: Wanted) -> ProvisioningChain:
    """Return the provisioning chain of a wish. Raises NotFound, BadInput (`invalid_pcid`)."""
    pcid = Pcid.parse(wanted.pcid, wanted.edition or Edition.ISO20)
    found = {chain.suite: chain for chain in tx.pools.chains(pcid)}
    for suite in _SUITES:
        fits = wanted.suite in (None, suite) and wanted.edition in (None, suite.edition)
        if fits and suite in found:
            return found[suite]
    raise NotFound(
        "provisioning_certificate_unknown",
        f"The OEM provisioning certificate with the PCID {quote(wanted.pcid)} is not available.",
        hint="Its maker deposits it: `pnc pcp add`.",
    )


def _contract(tx: Transaction, emaid: Emaid, pcid: Pcid | None, now: dt.datetime) -> str | None:
    """Return the contract of an EMAID where there is one, refused if another car has it."""
    known = tx.contracts.find(emaid.edition, emaid.key)
    if known is None:
        contracts.check_identifier(tx, emaid)
        return None
    if known.state_at(now) is ContractState.ENDED:
        raise Conflict("contract_ended", f"The contract {emaid} has ended.")
    if pcid is not None:
        shelf.refuse_other_car(tx, known.contract_id, pcid)
    return known.contract_id


def _previous(
    tx: Transaction, contract_id: str | None, car: ProvisioningChain
) -> ec.EllipticCurvePublicKey | None:
    """
    Return the key of the contract certificate that the car holds now, for the answer to an update.

    A bundle that nobody fetched is not in the car: then it is still the one before.
    """
    if contract_id is None or car.suite is not Suite.P256:
        return None
    held = [
        b for b in tx.pools.bundles_of(contract_id) if b.pcid == car.pcid and b.suite is car.suite
    ]
    if not held:
        return None
    newest = max(held, key=lambda b: b.created_at)
    if newest.delivered_at is None and newest.replaced_key:
        records = tx.certificates.by_key(newest.replaced_key)
        der = records[0].der if records else None
    else:
        record = tx.certificates.by_fingerprint(newest.certificate)
        der = record.der if record else None
    key = load(der).public_key if der else None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def _budget(deployment: Deployment, principal: Principal, prepared: Prepared) -> tuple[str, ...]:
    """Judge the size that the answer will have, from the twin of a certificate not yet made."""
    chain = preview(deployment, principal, prepared.request)
    key_size, point_size = response.envelope_sizes(prepared.car.suite)
    contents = Contents(
        suite=prepared.car.suite,
        chain=chain,
        encrypted_key=bytes(key_size),
        dh_public_key=bytes(point_size),
        emaid=prepared.emaid.normalised,
    )
    leaf = load(prepared.signer.chain[0])
    size = response.predicted_size(contents, prepared.signer.chain, leaf.public_key)
    return response.judge(size, prepared.car.edition, deployment.budget)


def make(
    deployment: Deployment,
    principal: Principal,
    order: Prepared,
    store: Callable[[Transaction, Bundle], None],
) -> Bundle:
    """
    Issue the certificate, close the envelope and sign.

    Args:
        store: keeps the bundle, in the transaction of the certificate.
    """
    signers.require_key(deployment, order.signer)  # or a certificate would be signed for nothing
    beside = _Beside(deployment, principal, order, store)
    issue(deployment, principal, order.request, beside)
    return beside.bundle


class _Beside:
    """The bundle beside its certificate; see `pki.issue.Beside`."""

    def __init__(
        self,
        deployment: Deployment,
        principal: Principal,
        order: Prepared,
        store: Callable[[Transaction, Bundle], None],
    ) -> None:
        self._deployment, self._principal, self._order = deployment, principal, order
        self._store = store
        self.bundle: Bundle

    def ready(self, record: CertificateRecord) -> None:
        """Close the envelope and sign."""
        self.bundle = _bundle(self._deployment, self._principal, self._order, record)

    def hold(self, tx: Transaction) -> None:
        """Make other writers of the car and the account wait."""
        hold(tx, self._order)

    def store(self, tx: Transaction, record: CertificateRecord) -> None:
        """Keep the bundle under its contract."""
        self.bundle = replace(self.bundle, contract_id=record.contract_id or "")
        self._store(tx, self.bundle)


def _bundle(
    deployment: Deployment, principal: Principal, order: Prepared, record: CertificateRecord
) -> Bundle:
    with deployment.store.read() as tx:
        chain = chain_of(tx, record)
    unsigned = response.unsigned(_sealed(record, chain, order), order.signer.chain)
    signed = signers.signed(deployment, order.signer, unsigned)
    bundle = Bundle(
        bundle_id=secrets.token_hex(12),
        pcid=order.car.pcid,
        contract_id="",
        emaid=order.emaid,
        suite=order.car.suite,
        root=order.signer.root,
        message=messages.encode(signed),
        vehicle_key=order.car.spki_sha256,
        certificate=record.fingerprint,
        cps=order.signer.fingerprint,
        not_before=record.not_before,
        not_after=record.not_after,
        created_at=deployment.clock.now(),
        created_by=principal.name,
        metadata=order.wanted.metadata,
    )
    return _with_update(deployment, order, bundle, unsigned)


def _with_update(
    deployment: Deployment, order: Prepared, bundle: Bundle, unsigned: Response
) -> Bundle:
    """Add the answer to an update, where the car holds a contract certificate already."""
    if order.previous is None or not isinstance(unsigned, iso2.CertificateInstallationRes):
        return bundle
    if not isinstance(order.key, ec.EllipticCurvePrivateKey):
        return bundle
    envelope = seal_iso2(order.key, order.previous)
    update = response.as_update(
        replace(
            unsigned,
            encrypted_key=replace(unsigned.encrypted_key, value=envelope.encrypted_key),
            dh_public_key=replace(unsigned.dh_public_key, value=envelope.dh_public_key),
        )
    )
    signed = signers.signed(deployment, order.signer, update)
    return replace(
        bundle, update_message=messages.encode(signed), replaced_key=spki_hash(order.previous)
    )


def _sealed(record: CertificateRecord, chain: tuple[bytes, ...], order: Prepared) -> Contents:
    envelope = response.seal(order.key, order.car, load(record.der).key_id or b"")
    return Contents(
        suite=order.car.suite,
        chain=chain,
        encrypted_key=envelope.encrypted_key,
        dh_public_key=envelope.dh_public_key,
        emaid=record.common_name,
    )


def bound(tx: Transaction, bundle: Bundle, wanted: Wanted) -> None:
    """Write the times that the eMSP named into its contract; a renewal moves the end."""
    contract = tx.contracts.get(bundle.contract_id)
    if contract is not None:
        begin = wanted.begins or contract.valid_from
        tx.contracts.set_terms(replace(contract, valid_from=begin, valid_until=wanted.ends))


def hold(tx: Transaction, order: Prepared) -> None:
    """
    Make other writers of this car and account wait, and see that the car is still the same.

    Raises:
        Conflict: `vehicle_changed`.
    """
    contracts.require_account(tx, order.account, lock=True)
    chain_now = [
        c for c in tx.pools.chains(order.car.pcid, lock=True) if c.suite is order.car.suite
    ]
    if not chain_now or chain_now[0].spki_sha256 != order.car.spki_sha256:
        raise Conflict(
            "vehicle_changed",
            "The provisioning certificate of the car was replaced or removed meanwhile.",
            hint="Ask again.",
        )
