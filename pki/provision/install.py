"""
Installation: a car's request in, a signed contract out.

The request is decoded, its signature and the pooled chain of the car are verified, and a bundle
that was signed ahead is handed out under the request's session id. No CA signs here: a car waits
4.5 s for the whole way through station and back ends (spec 5.2).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from pki import access
from pki.errors import BadInput, PolicyViolation
from pki.ids import Edition, Emaid, Pcid
from pki.model import Bundle, ContractState, Principal, ProvisioningChain, Role
from pki.pkix.certificate import Certificate, load
from pki.ports import Deployment, Transaction
from pki.provision import chains, names, refusals, response
from pki.provision.refusals import Refusal, Why
from pki.v2g import messages
from pki.v2g.messages import Received, RootCertificateId, iso2, iso20
from pki.v2g.signature import SignatureFault, verify

Request = (
    iso2.CertificateInstallationReq | iso2.CertificateUpdateReq | iso20.CertificateInstallationReq
)
MAX_CONTRACTS: Final = 8
"""Bundles in one answer, whatever a car asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response, ready for the car."""

    exi: bytes
    bundle: Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """
    The outcome: answers, or a refusal.

    Attributes:
        remaining: contracts that further requests of this session can fetch.
    """

    edition: Edition
    answers: tuple[Answer, ...] = ()
    remaining: int = 0
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    What a caller says beside the message.

    Attributes:
        at_most: answers wanted now; one for a station, more for a pool's client.
        prioritized: EMAIDs to be preferred, besides those in the message.
        maximum: contracts of the whole session, where the caller knows better than the message.
        update: the caller says that this is an update (True) or not (False); None: it does not say.
    """

    at_most: int = 1
    prioritized: tuple[str, ...] = ()
    maximum: int | None = None
    update: bool | None = None


_ONE: Final = Asked()


def install(
    deployment: Deployment,
    principal: Principal,
    data: bytes,
    edition: Edition,
    asked: Asked = _ONE,
) -> Installation:
    """
    Answer a request: bare EXI in, bare EXI out; what is refused is a value, not an error.

    Args:
        data: a CertificateInstallationReq, or a CertificateUpdateReq of -2.

    Raises:
        NotAllowed: `role_not_allowed`; `party_not_allowed`, where an OEM asks for another's car.
        BadInput: the codes of the EXI layer, `not_a_request`, `action_mismatch`.
        Unavailable: the store is out of reach; never a made-up answer.
    """
    access.require(principal, access.Action.INSTALL)
    received = messages.decode(data, edition)
    request = _request(received, asked)
    try:
        return _granted(deployment, principal, received, request, asked)
    except Why as why:
        now = int(deployment.clock.now().timestamp())
        return Installation(edition=edition, refusal=refusals.refuse(request, why, now))


def _request(received: Received, asked: Asked) -> Request:
    message = received.message
    if not isinstance(message, Request):
        raise BadInput("not_a_request", "The message asks for no contract certificate.")
    if asked.update not in (None, isinstance(message, iso2.CertificateUpdateReq)):
        raise BadInput("action_mismatch", "The message is not what the action says.")
    return message


def _granted(
    deployment: Deployment,
    principal: Principal,
    received: Received,
    request: Request,
    asked: Asked,
) -> Installation:
    now = deployment.clock.now()
    session = request.header.session_id.hex().upper()
    with deployment.store.read() as tx:
        judge = chains.Judge.of(tx, now)
        if isinstance(request, iso2.CertificateUpdateReq):
            found = [_for_update(tx, judge, received, request)]
        else:
            car = _car(tx, principal, judge, received, request)
            found = _for_car(tx, car, request, asked, judge)
        listed = [b for b in found if _root_listed(tx, b, request.roots)]
    if not listed:
        raise Why("no_listed_root", "The car lists no V2G root under which its contract was signed")
    if isinstance(request, iso20.CertificateInstallationReq):
        chosen, remaining = _portion(listed, request, asked, session)
    else:
        chosen, remaining = listed[:1], 0
    answers = _answers(request, chosen, remaining, int(now.timestamp()))
    _mark(deployment, chosen, session)
    edition = messages.edition_of(received.message)
    return Installation(edition=edition, answers=answers, remaining=remaining)


def _car(
    tx: Transaction,
    principal: Principal,
    judge: chains.Judge,
    received: Received,
    request: iso2.CertificateInstallationReq | iso20.CertificateInstallationReq,
) -> ProvisioningChain:
    """Return the pooled chain of the car that signed, its state judged now."""
    leaf, others = _presented(request)
    pcid = _pcid(leaf)
    if principal.role is Role.OEM:
        access.require(principal, access.Action.INSTALL, pcid.wmi.value)
    car = tx.pools.chain(pcid, leaf.suite) if leaf.suite else None
    if car is None:
        raise Why("vehicle_unknown", "The pool has no provisioning certificate of this car")
    pooled = tuple(chains.parsed(der) for der in car.sub_cas)
    chain = tuple(dict.fromkeys((leaf, *pooled, *others)))
    try:
        judge.check(tx, chain, chains.OEM)
        verify(received, leaf.public_key)
    except SignatureFault as fault:
        raise Why("signature", fault.message) from fault
    except PolicyViolation as fault:
        raise Why(fault.code, fault.message) from fault
    if car.spki_sha256 != response.spki_hash(leaf):
        raise Why("vehicle_key", "The pool knows another key of this car")
    return car


def _presented(
    request: iso2.CertificateInstallationReq | iso20.CertificateInstallationReq,
) -> tuple[Certificate, tuple[Certificate, ...]]:
    """Return the leaf, and in -20 the sub-CAs that came with it."""
    try:
        if isinstance(request, iso2.CertificateInstallationReq):
            return load(request.oem_certificate), ()
        chain = request.oem_chain
        return load(chain.certificate), tuple(chains.parsed(der) for der in chain.sub_certificates)
    except BadInput as error:
        raise Why("unreadable", "The provisioning certificate cannot be read") from error


def _pcid(leaf: Certificate) -> Pcid:
    if leaf.suite is None or len(leaf.common_names) != 1:
        raise Why("unreadable", "The provisioning certificate names no car")
    try:
        return Pcid.parse(leaf.common_names[0], leaf.suite.edition)
    except BadInput as error:
        raise Why("unreadable", "The provisioning certificate names no car") from error


def _for_car(
    tx: Transaction,
    car: ProvisioningChain,
    request: iso2.CertificateInstallationReq | iso20.CertificateInstallationReq,
    asked: Asked,
    judge: chains.Judge,
) -> list[Bundle]:
    """Return the bundles that a car may get, best first: in -2 those of its default contract."""
    held = [
        b
        for b in tx.pools.bundles(car.pcid)
        if b.suite is car.suite and b.vehicle_key == car.spki_sha256
    ]
    default = tx.pools.default_contract(car.pcid)
    if isinstance(request, iso2.CertificateInstallationReq):
        held = [b for b in held if b.contract_id == default]
        if not held:
            raise Why("no_contract", "The car has no default contract in the pool")
        _require_in_force(tx, held[0], judge.now)
        return _good(tx, held, judge)
    in_force = [b for b in held if _in_force(tx, b, judge.now)]
    if not held:
        raise Why("no_contract", "The car has no contract in the pool")
    if not in_force:
        raise Why("contract_not_active", "None of the car's contracts is active")
    wanted = _keys((*request.prioritized_emaids, *asked.prioritized))
    good = _good(tx, in_force, judge)
    order = {key: place for place, key in enumerate(wanted)}
    last = len(order)
    return sorted(
        good, key=lambda b: (order.get(b.emaid.key, last), b.contract_id != default, b.created_at)
    )


def _keys(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return canonical EMAIDs; what is none is passed over."""
    found = []
    for text in texts:
        try:
            found.append(Emaid.parse(text, Edition.ISO20).key)
        except BadInput:
            continue
    return tuple(dict.fromkeys(found))


def _in_force(tx: Transaction, bundle: Bundle, now: dt.datetime) -> bool:
    """Tell whether a decision would find this contract active, now or from its beginning on."""
    contract = tx.contracts.get(bundle.contract_id)
    return (
        contract is not None
        and contract.state_at(max(now, contract.valid_from or now)) is ContractState.ACTIVE
        and bundle.emaid not in contract.blocked
        and tx.contracts.account(contract.account) is not None
    )


def _require_in_force(tx: Transaction, bundle: Bundle, now: dt.datetime) -> None:
    if not _in_force(tx, bundle, now):
        raise Why("contract_not_active", "The car's contract is not active")


def _good(tx: Transaction, bundles: list[Bundle], judge: chains.Judge) -> list[Bundle]:
    """Leave out bundles whose contract or CPS certificate ended or was revoked."""
    in_date = [b for b in bundles if b.not_after > judge.now]
    records = tx.certificates.by_fingerprints([f for b in in_date for f in (b.certificate, b.cps)])
    revoked = tx.certificates.revocations([(r.issuer_id, r.serial) for r in records.values()])
    bad = {
        f
        for f, r in records.items()
        if (r.issuer_id, r.serial) in revoked or r.not_after <= judge.now
    }
    good = [b for b in in_date if not {b.certificate, b.cps} & bad]
    if not good:
        raise Why("bundle_ended", "The contract's certificate has ended")
    return good


def _root_listed(tx: Transaction, bundle: Bundle, listed: tuple[RootCertificateId, ...]) -> bool:
    der = tx.trust.anchor_der(bundle.root)
    return der is not None and names.lists(listed, chains.parsed(der))


def _for_update(
    tx: Transaction,
    judge: chains.Judge,
    received: Received,
    request: iso2.CertificateUpdateReq,
) -> Bundle:
    """Return the renewed bundle whose key was encrypted for the contract that asks."""
    try:
        chain = tuple(
            load(der)
            for der in (
                request.contract_chain.certificate,
                *request.contract_chain.sub_certificates,
            )
        )
    except BadInput as error:
        raise Why("unreadable", "The contract certificate cannot be read") from error
    try:
        judge.check(tx, chain, chains.CONTRACTS)
        verify(received, chain[0].public_key)
    except SignatureFault as fault:
        raise Why("signature", fault.message) from fault
    except PolicyViolation as fault:
        raise Why(fault.code, fault.message) from fault
    bundles = _renewed(tx, chain[0], request.emaid)
    _require_in_force(tx, bundles[0], judge.now)
    return _good(tx, bundles, judge)[0]


def _renewed(tx: Transaction, leaf: Certificate, text: str) -> list[Bundle]:
    try:
        named = Emaid.parse(text, Edition.ISO2)
        own = Emaid.parse("".join(leaf.common_names), Edition.ISO2)
    except BadInput as error:
        raise Why("unreadable", "The contract certificate names no contract") from error
    contract = tx.contracts.find(Edition.ISO2, own.key) if named == own else None
    if contract is None:
        raise Why("no_contract", "The contract that the car names is not in the pool")
    key = response.spki_hash(leaf)
    bundles = [b for b in tx.pools.bundles_of(contract.contract_id) if b.replaced_key == key]
    if not bundles:
        raise Why("not_renewed", "The contract has not been renewed yet")
    return bundles


def _portion(
    bundles: list[Bundle], request: iso20.CertificateInstallationReq, asked: Asked, session: str
) -> tuple[list[Bundle], int]:
    """
    Return what a -20 car gets now and how much is left for it.

    A car fetches its contracts one request after the other in one session; one that got all that it
    wanted and asks again has lost something, and begins anew.
    """
    contracts = list({b.contract_id: b for b in reversed(bundles)}.values())[::-1]
    wanted = asked.maximum or request.maximum_contracts or 1
    contracts = contracts[: min(wanted, len(contracts))]
    left = [b for b in contracts if b.delivered_session != session] or contracts
    now = left[: min(asked.at_most, MAX_CONTRACTS)]
    return now, len(left) - len(now)


def _answers(
    request: Request, chosen: list[Bundle], remaining: int, timestamp: int
) -> tuple[Answer, ...]:
    update = isinstance(request, iso2.CertificateUpdateReq)
    edition = messages.edition_of(request)
    answers = []
    for place, bundle in enumerate(chosen):
        message: response.Pooled = (
            response.read_update(bundle.update_message)
            if update
            else response.read(bundle.message, edition)
        )
        left = remaining + len(chosen) - 1 - place
        exi = response.for_session(message, request.header.session_id, timestamp, left)
        answers.append(Answer(exi=exi, bundle=bundle))
    return tuple(answers)


def _mark(deployment: Deployment, chosen: list[Bundle], session: str) -> None:
    """Note what was handed out; a repeated request writes nothing."""
    new = [bundle for bundle in chosen if bundle.delivered_session != session]
    if not new:
        return
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        for bundle in new:
            tx.pools.mark_delivered(bundle.bundle_id, session, now)
