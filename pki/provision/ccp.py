"""The contract certificate pool as its callers see it: who reads what, and the default contract."""

from __future__ import annotations

from dataclasses import dataclass

from pki import access, audit
from pki.errors import BadInput, NotFound
from pki.ids import Edition, Fingerprint, Pcid
from pki.model import Bundle, Principal
from pki.ports import Deployment, Transaction
from pki.provision import notices, response, shelf
from pki.provision.install import Answer, install

__all__ = ["Held", "by_emaid", "by_pcid", "install", "provide", "set_default"]

_MAX_SESSION = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A bundle, and whether its contract is the car's default."""

    bundle: Bundle
    is_default: bool


def by_pcid(deployment: Deployment, principal: Principal, text: str) -> list[Held]:
    """
    Return a car's bundles to its maker.

    Raises:
        BadInput: `invalid_pcid`.
        NotFound: `contract_unknown`.
    """
    pcid = _own_car(principal, text)
    with deployment.store.read() as tx:
        return _held(tx, tx.pools.bundles(pcid))


def by_emaid(deployment: Deployment, principal: Principal, text: str) -> list[Held]:
    """
    Return a contract's bundles to its eMSP.

    Raises:
        BadInput: `invalid_emaid`.
        NotFound: `contract_unknown`.
    """
    access.require(principal, access.Action.READ_BUNDLES)  # or anybody learns which there are
    with deployment.store.read() as tx:
        contract = shelf.contract_of(tx, text)
        access.require(principal, access.Action.READ_BUNDLES, contract.account.value)
        return _held(tx, tx.pools.bundles_of(contract.contract_id))


def set_default(deployment: Deployment, principal: Principal, text: str, emaid: str) -> None:
    """
    Make a contract the one that a -2 car gets.

    Raises:
        BadInput: `invalid_pcid`, `invalid_emaid`.
        NotFound: `contract_unknown`: the pool holds no such contract of the car.
    """
    pcid = _own_car(principal, text)
    with deployment.store.write() as tx:
        tx.pools.chains(pcid, lock=True)
        contract = shelf.contract_of(tx, emaid)
        if all(b.contract_id != contract.contract_id for b in tx.pools.bundles(pcid)):
            raise _unknown()
        before = tx.pools.default_contract(pcid)
        tx.pools.put_default(pcid, contract.contract_id)
        audit.note(
            tx,
            deployment.clock.now(),
            principal.name,
            "bundle.default",
            pcid.value,
            {"before": before, "after": contract.contract_id},
        )


def provide(  # noqa: PLR0913 - whose contract, under which session and root
    deployment: Deployment,
    principal: Principal,
    text: str,
    emaid: str,
    *,
    session_id: bytes,
    edition: Edition = Edition.ISO2,
    root: Fingerprint | None = None,
) -> Answer:
    """
    Return a contract to the back end of the car's maker, who brings it into the car himself.

    Raises:
        BadInput: `invalid_pcid`, `invalid_emaid`, `invalid_session_id`.
        NotFound: `contract_unknown`.
    """
    pcid = _own_car(principal, text)
    if len(session_id) > _MAX_SESSION:
        raise BadInput("invalid_session_id", "A session id has at most eight octets.")
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        contract = shelf.contract_of(tx, emaid)
        fitting = [
            b
            for b in tx.pools.bundles(pcid)
            if b.contract_id == contract.contract_id
            and b.emaid.edition is edition
            and root in (None, b.root)
        ]
        if not fitting:
            raise _unknown()
        bundle = fitting[0]
        session = session_id or bytes(1 if edition is Edition.ISO2 else 8)
        tx.pools.mark_delivered(bundle.bundle_id, session.hex().upper(), now)
        notices.contract(tx, notices.DELIVERED_TO_OEM, bundle, now)
        audit.note(
            tx, now, principal.name, "bundle.provide", bundle.emaid.key, {"pcid": pcid.value}
        )
    message = response.read(bundle.message, edition)
    exi = response.for_session(message, session, int(now.timestamp()))
    return Answer(exi=exi, bundle=bundle)


def _own_car(principal: Principal, text: str) -> Pcid:
    pcid = Pcid.parse(text, Edition.ISO20)
    access.require(principal, access.Action.READ_OWN_CAR, pcid.wmi.value)
    return pcid


def _held(tx: Transaction, bundles: list[Bundle]) -> list[Held]:
    if not bundles:
        raise _unknown()
    defaults = {b.pcid: tx.pools.default_contract(b.pcid) for b in bundles}
    return [Held(bundle=b, is_default=defaults[b.pcid] == b.contract_id) for b in bundles]


def _unknown() -> NotFound:
    return NotFound("contract_unknown", "The pool holds no such contract.")
