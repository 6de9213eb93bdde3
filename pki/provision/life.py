"""
The life of a contract after its making, and what each step does to pool, status and events.

suspend, resume: the contract is suspended or active; bundles are withheld or given again; our
certificates are put on hold or released. end: the contract is ended, bundles go, certificates are
revoked (cessationOfOperation). delete: the contract stays as it was, bundles go, certificates are
revoked unless the caller says otherwise. move: a bundle is made for the other car, those of the
first go, its certificates are revoked (superseded).

Creation and renewal are `pki.provision.generate`, what a maker does to a car `pki.provision.pcp`.
"""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from pki import access, audit, contracts, revoke
from pki.errors import Conflict, NotFound
from pki.ids import Fingerprint
from pki.model import Bundle, CertificateRecord, Contract, ContractState, Principal, Reason
from pki.ports import Deployment, Transaction
from pki.provision import generate, shelf
from pki.provision.generate import Signed, Wanted
from pki.provision.shelf import Removal, Taking


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeReport:
    """
    What a step does, or would do.

    Attributes:
        before, after: states of the contract.
        held, released: serials of certificates put on hold or released.
        removal: what leaves the pool.
        made: the bundle for another car (`move` only).
    """

    emaid: str
    before: ContractState
    after: ContractState
    removal: Removal
    held: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    made: Bundle | None = None

    @property
    def dry_run(self) -> bool:
        """Tell whether nothing was changed."""
        return self.removal.dry_run


def suspend(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> LifeReport:
    """
    Suspend an active contract: no decision accepts it, no car gets it, its certificates are held.

    Raises:
        NotFound: `contract_unknown`.
        Conflict: `contract_state`.
    """
    return _switch(deployment, principal, text, ContractState.SUSPENDED, dry_run=dry_run)


def resume(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> LifeReport:
    """Make a suspended contract active again; errors as `suspend`."""
    return _switch(deployment, principal, text, ContractState.ACTIVE, dry_run=dry_run)


def _switch(
    deployment: Deployment, principal: Principal, text: str, after: ContractState, *, dry_run: bool
) -> LifeReport:
    with _opened(deployment, dry_run=dry_run) as tx:
        contract = _own(tx, principal, text)
        holding = after is ContractState.SUSPENDED
        if contract.state is not (ContractState.ACTIVE if holding else ContractState.SUSPENDED):
            raise Conflict(
                "contract_state", f"The contract is {contract.state.value}, not as this step needs."
            )
        now = deployment.clock.now()
        records = _certificates(tx, contract, now, held=not holding)
        if not dry_run:
            _set_state(tx, contract, after, now, principal)
            revoke.hold(tx, [record.issuer_id for record in records])
            for record in records:
                if holding:
                    revoke.within(tx, record, Reason.CERTIFICATE_HOLD, now, principal.name)
                else:
                    revoke.release_within(tx, record, now, principal.name)
        serials = tuple(record.serial.value for record in records)
        return LifeReport(
            emaid=contract.identifiers[0].normalised,
            before=contract.state,
            after=after,
            removal=_nothing(dry_run=dry_run),
            held=serials if holding else (),
            released=() if holding else serials,
        )


def end(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> LifeReport:
    """
    End a contract for good: its bundles go and its certificates are revoked.

    Raises:
        NotFound: `contract_unknown`.
        Conflict: `contract_ended`.
    """
    with _opened(deployment, dry_run=dry_run) as tx:
        contract = _own(tx, principal, text)
        if contract.state is ContractState.ENDED:
            raise Conflict("contract_ended", "The contract has ended already.")
        now = deployment.clock.now()
        if not dry_run:
            _set_state(tx, contract, ContractState.ENDED, now, principal)
        taking = _taking(principal, now, "contract.end", dry_run=dry_run)
        return LifeReport(
            emaid=contract.identifiers[0].normalised,
            before=contract.state,
            after=ContractState.ENDED,
            removal=_take_all(tx, contract, taking),
        )


def delete(
    deployment: Deployment,
    principal: Principal,
    text: str,
    *,
    revoking: bool = True,
    dry_run: bool = False,
) -> LifeReport:
    """
    Take a contract's bundles from the pool and, unless told otherwise, revoke our certificates.

    All or nothing: where the revocation fails, the bundles stay. The contract itself stays as it
    is.

    Raises:
        NotFound: `contract_unknown`, also where the pool has no bundle of it.
    """
    with _opened(deployment, dry_run=dry_run) as tx:
        contract = _own(tx, principal, text)
        bundles = tx.pools.bundles_of(contract.contract_id)
        if not bundles:
            raise NotFound(
                "contract_unknown", "The contract for the given EMAID is not in the pool."
            )
        now = deployment.clock.now()
        taking = _taking(principal, now, "bundle.delete", dry_run=dry_run)
        if not revoking:
            taking = replace(taking, reason=None)
        return LifeReport(
            emaid=contract.identifiers[0].normalised,
            before=contract.state,
            after=contract.state,
            removal=shelf.take(tx, bundles, taking),
        )


def move(
    deployment: Deployment, principal: Principal, wanted: Wanted, *, dry_run: bool = False
) -> LifeReport:
    """
    Give a contract to another car: a new bundle for it, and the old car's go with their status.

    The certificate for the new car and the exchange in the pool are one transaction.

    Raises:
        NotFound: `contract_unknown`, and as `generate_contract`.
    """
    with deployment.store.read() as tx:
        shelf.contract_of(tx, wanted.emaid, wanted.edition)
    order = generate.prepare(deployment, principal, wanted, moving=True)
    taking = _taking(principal, deployment.clock.now(), "contract.move", dry_run=dry_run)
    taking = replace(taking, reason=Reason.SUPERSEDED)
    if dry_run:
        with deployment.store.read() as tx:
            return _exchange(tx, order, taking, None)
    done: list[LifeReport] = []
    generate.make(
        deployment,
        principal,
        order,
        lambda tx, made: done.append(_exchange(tx, order, taking, made)),
    )
    return done[0]


def _exchange(
    tx: Transaction, order: generate.Prepared, taking: Taking, made: Bundle | None
) -> LifeReport:
    contract = shelf.contract_of(tx, order.wanted.emaid, order.emaid.edition)
    old = [b for b in tx.pools.bundles_of(contract.contract_id) if b.pcid != order.car.pcid]
    spare = frozenset({made.certificate}) if made else frozenset[Fingerprint]()
    report = shelf.take(tx, old, taking, spare=spare)
    if made is not None:
        generate.bound(tx, made, order.wanted)
        shelf.put(tx, made)
    return LifeReport(
        emaid=order.emaid.normalised,
        before=contract.state,
        after=contract.state,
        removal=report,
        made=made,
    )


def renew(
    deployment: Deployment, principal: Principal, text: str, ends: dt.datetime
) -> list[Signed]:
    """
    Make every bundle of a contract anew, with a later end, in place of the one before.

    Raises:
        NotFound: `contract_unknown`; and as `generate_contract`.
    """
    with deployment.store.read() as tx:
        contract = _own(tx, principal, text)
        bundles = tx.pools.bundles_of(contract.contract_id)
    if not bundles:
        raise NotFound("contract_unknown", "The contract for the given EMAID is not in the pool.")
    return [
        generate.generate_contract(
            deployment,
            principal,
            Wanted(
                emaid=bundle.emaid.presented,
                pcid=bundle.pcid.value,
                ends=ends,
                edition=bundle.emaid.edition,
                suite=bundle.suite,
                root=bundle.root,
                metadata=bundle.metadata,
            ),
        )
        for bundle in bundles
    ]


def _opened(deployment: Deployment, *, dry_run: bool) -> AbstractContextManager[Transaction]:
    return deployment.store.read() if dry_run else deployment.store.write()


def _own(tx: Transaction, principal: Principal, text: str) -> Contract:
    """Return a contract of the caller's, its account held in a write."""
    access.require(principal, access.Action.KEEP_BUNDLES)  # or anybody learns which there are
    contract = shelf.contract_of(tx, text)
    access.require(principal, access.Action.KEEP_BUNDLES, contract.account.value)
    contracts.require_account(tx, contract.account.value, lock=True)
    return shelf.contract_of(tx, text)


def _certificates(
    tx: Transaction, contract: Contract, now: dt.datetime, *, held: bool
) -> list[CertificateRecord]:
    """Return the contract's certificates in date that are on hold, or not revoked at all."""
    records = [r for r in tx.certificates.by_contract(contract.contract_id) if r.not_after > now]
    revoked = tx.certificates.revocations([(r.issuer_id, r.serial) for r in records])
    on_hold = {k for k, r in revoked.items() if r.reason is Reason.CERTIFICATE_HOLD}
    return [
        r
        for r in records
        for key in ((r.issuer_id, r.serial),)
        if (key in on_hold if held else key not in revoked)
    ]


def _set_state(
    tx: Transaction, contract: Contract, after: ContractState, at: dt.datetime, who: Principal
) -> None:
    tx.contracts.set_state(contract.contract_id, after)
    audit.note(
        tx,
        at,
        who.name,
        "contract.set",
        contract.identifiers[0].key,
        {"before": contract.state.value, "after": after.value},
    )


def _taking(principal: Principal, now: dt.datetime, why: str, *, dry_run: bool) -> Taking:
    return Taking(
        at=now,
        by=principal.name,
        why=why,
        reason=Reason.CESSATION_OF_OPERATION,
        dry_run=dry_run,
    )


def _take_all(tx: Transaction, contract: Contract, taking: Taking) -> Removal:
    """Take what there is; certificates of a contract that was never pooled fall as well."""
    return shelf.take(
        tx, tx.pools.bundles_of(contract.contract_id), taking, also=(contract.contract_id,)
    )


def _nothing(*, dry_run: bool) -> Removal:
    return Removal(emaids=(), bundles=0, revoked=(), defaults=(), events=(), dry_run=dry_run)
