"""The contract certificate pool: what is put on the shelf and taken from it, with its rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from pki import audit, revoke
from pki.errors import BadInput, Conflict, NotFound
from pki.ids import Edition, Emaid, Fingerprint, Pcid, quote
from pki.model import Bundle, CertificateRecord, Contract, Reason
from pki.ports import Transaction
from pki.provision import notices


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """
    What leaves the pool, or would leave it.

    Attributes:
        emaids: contracts that the car loses.
        bundles: how many bundles go.
        revoked: serials of our contract certificates that are revoked with them.
        defaults: cars that are left without a default contract.
        events: types, one for each event.
    """

    emaids: tuple[str, ...]
    bundles: int
    revoked: tuple[str, ...]
    defaults: tuple[str, ...]
    events: tuple[str, ...]
    dry_run: bool


def contract_of(tx: Transaction, text: str, edition: Edition | None = None) -> Contract:
    """
    Return the contract of an EMAID; without an edition, -2 is tried first.

    Raises:
        BadInput: `invalid_emaid`.
        NotFound: `contract_unknown`.
    """
    emaids = list(_read(text, edition))
    if not emaids:
        Emaid.parse(text, edition or Edition.ISO2)
    for emaid in emaids:
        found = tx.contracts.find(emaid.edition, emaid.key)
        if found is not None:
            return found
    raise NotFound(
        "contract_unknown",
        f"There is no contract {quote(text)}.",
        hint="`pnc contract list` shows the contracts.",
    )


def _read(text: str, edition: Edition | None) -> Iterable[Emaid]:
    for candidate in (edition,) if edition else (Edition.ISO2, Edition.ISO20):
        try:
            yield Emaid.parse(text, candidate)
        except BadInput:
            continue


def refuse_other_car(tx: Transaction, contract_id: str, pcid: Pcid) -> None:
    """
    Refuse a contract that another car holds: an EMAID belongs to one PCID (spec 2.5).

    Raises:
        Conflict: `emaid_in_use`.
    """
    others = {b.pcid.value for b in tx.pools.bundles_of(contract_id)} - {pcid.value}
    if others:
        raise Conflict(
            "emaid_in_use",
            "The EMAID is already used by another PCID.",
            hint="`pnc contract move` gives a contract to another car.",
        )


def put(tx: Transaction, bundle: Bundle) -> bool:
    """
    Put a bundle on the shelf with its audit entry and event; tell whether one was replaced.

    The first contract of a car becomes its default; no later one does so by itself. The caller
    holds the car (`tx.pools.chains(…, lock=True)`) and the account.

    Raises:
        Conflict: `emaid_in_use`.
    """
    refuse_other_car(tx, bundle.contract_id, bundle.pcid)
    held = tx.pools.bundles(bundle.pcid)
    replaces = any(_same_place(bundle, other) for other in held)
    tx.pools.put_bundle(bundle)
    if not held and tx.pools.default_contract(bundle.pcid) is None:
        tx.pools.put_default(bundle.pcid, bundle.contract_id)
    known = any(other.contract_id == bundle.contract_id for other in held)
    notices.contract(tx, notices.UPDATED if known else notices.CREATED, bundle, bundle.created_at)
    audit.note(
        tx,
        bundle.created_at,
        bundle.created_by,
        "bundle.store",
        bundle.emaid.key,
        {
            "bundle": bundle.bundle_id,
            "pcid": bundle.pcid.value,
            "contract": bundle.certificate.value,
            "cps": bundle.cps.value,
        },
    )
    return replaces


def _same_place(one: Bundle, other: Bundle) -> bool:
    return (one.contract_id, one.suite, one.root) == (other.contract_id, other.suite, other.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """
    How bundles are taken from the shelf.

    Attributes:
        reason: of the revocations; None: nothing is revoked.
        told: type of the event to each eMSP, or None.
        tell_oem: the maker of the car is told of every contract.
        why: action of the audit entry.
    """

    at: dt.datetime
    by: str
    why: str
    reason: Reason | None
    told: str | None = None
    tell_oem: bool = True
    dry_run: bool = False


def take(
    tx: Transaction,
    bundles: list[Bundle],
    taking: Taking,
    *,
    also: tuple[str, ...] = (),
    spare: frozenset[Fingerprint] = frozenset(),
) -> Removal:
    """
    Take bundles from the shelf and revoke, last, what we issued for their contracts.

    With `dry_run`, the same report and no change. A caller that puts something on the shelf in the
    same transaction does so before or after; nothing of it is touched.

    Args:
        also: further contract ids whose certificates are revoked.
        spare: certificates that are not.
    """
    first = {bundle.contract_id: bundle for bundle in reversed(bundles)}
    wanted = tuple(dict.fromkeys((*first, *also)))
    records = [r for r in _ours(tx, wanted) if r.fingerprint not in spare] if taking.reason else []
    defaults = _lost_defaults(tx, bundles)
    events = [
        (kind, bundle)
        for bundle in first.values()
        for kind in (taking.told, notices.DELETED if taking.tell_oem else None)
        if kind is not None
    ]
    removal = Removal(
        emaids=tuple(sorted({bundle.emaid.normalised for bundle in bundles})),
        bundles=len(bundles),
        revoked=tuple(record.serial.value for record in records),
        defaults=tuple(pcid.value for pcid in defaults),
        events=tuple(kind for kind, _ in events),
        dry_run=taking.dry_run,
    )
    if not taking.dry_run:
        for kind, bundle in events:
            notices.contract(tx, kind, bundle, taking.at)
        for pcid in defaults:
            tx.pools.drop_default(pcid)
        tx.pools.delete_bundles([bundle.bundle_id for bundle in bundles])
        _record(tx, first, removal, taking)
        revoke.hold(tx, [record.issuer_id for record in records])
        for record in records:
            revoke.within(tx, record, taking.reason or Reason.UNSPECIFIED, taking.at, taking.by)
    return removal


def _record(tx: Transaction, first: dict[str, Bundle], removal: Removal, taking: Taking) -> None:
    for bundle in first.values():
        audit.note(
            tx,
            taking.at,
            taking.by,
            taking.why,
            bundle.emaid.key,
            {"pcid": bundle.pcid.value, "revoked": list(removal.revoked)},
        )


def _lost_defaults(tx: Transaction, bundles: list[Bundle]) -> list[Pcid]:
    """Return the cars whose default contract has no bundle left afterwards."""
    going = {bundle.bundle_id for bundle in bundles}
    lost = []
    for pcid in dict.fromkeys(bundle.pcid for bundle in bundles):
        default = tx.pools.default_contract(pcid)
        held = [b for b in tx.pools.bundles(pcid) if b.contract_id == default]
        if held and all(bundle.bundle_id in going for bundle in held):
            lost.append(pcid)
    return lost


def _ours(tx: Transaction, contract_ids: tuple[str, ...]) -> list[CertificateRecord]:
    """Return our certificates of these contracts that are not revoked for good."""
    records = [r for c in contract_ids for r in tx.certificates.by_contract(c)]
    revoked = tx.certificates.revocations([(r.issuer_id, r.serial) for r in records])
    final = {k for k, r in revoked.items() if r.reason is not Reason.CERTIFICATE_HOLD}
    return [record for record in records if (record.issuer_id, record.serial) not in final]
