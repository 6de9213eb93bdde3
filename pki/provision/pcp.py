"""
The provisioning certificate pool: the chains of cars, deposited by their makers.

A maker owns what begins with its WMI. What cars a maker has is nobody else's business: others look
up one PCID at a time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pki import access, audit
from pki.errors import BadInput, NotFound, PolicyViolation
from pki.ids import Edition, Pcid, quote
from pki.model import Principal, ProvisioningChain, Reason, Role
from pki.pkix import alternate, pem
from pki.pkix.certificate import Certificate, load
from pki.pkix.suites import Suite
from pki.ports import Deployment, Transaction
from pki.provision import chains, notices, shelf
from pki.provision.shelf import Removal, Taking

_NAMES = ("vehicle_certificate", "sub_ca1_certificate", "sub_ca2_certificate")
_MAX_SUB_CAS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """
    What a deposit did, or would do.

    Attributes:
        replaced: there was a chain of the same PCID and suite.
        removal: the contracts that go with a changed key or a changed PCID.
    """

    chain: ProvisioningChain
    replaced: bool
    removal: Removal


def deposit(  # noqa: PLR0913 - leaf, chain, and what came with them
    deployment: Deployment,
    principal: Principal,
    certificate: bytes,
    sub_cas: tuple[bytes, ...],
    *,
    previous: str | None = None,
    v2g_root_key_ids: tuple[str, ...] = (),
    dry_run: bool = False,
) -> Deposit:
    """
    Put a car's chain into the pool, in place of an older one of the same PCID and suite.

    Asked in this order, the first error wins: WMI, dates, status, path to an OEM root (spec 6.2).
    With another key, the contracts of the car go and ours are revoked: their keys were encrypted
    for the old one.

    Args:
        certificate, sub_cas: PEM or DER; the issuer of the leaf in any place.
        previous: PCID that the car had before; its chain and contracts go.
        v2g_root_key_ids: of the V2G roots that the car holds, hex, with or without colons.

    Raises:
        BadInput: `invalid_vehicle_certificate`, `invalid_sub_ca1_certificate`,
            `invalid_sub_ca2_certificate`, `invalid_pcid`, `invalid_key_id`.
        NotAllowed: `role_not_allowed`, `party_not_allowed`.
        PolicyViolation: those of `pki.provision.chains.ChainFault`, `suite_mismatch`,
            `key_agreement_missing`.
    """
    access.require(principal, access.Action.KEEP_VEHICLES)
    leaf, *subs = _read(certificate, sub_cas)
    pcid = _pcid(leaf)
    access.require(principal, access.Action.KEEP_VEHICLES, pcid.wmi.value)
    before = Pcid.parse(previous, Edition.ISO20) if previous else None
    if before is not None:
        access.require(principal, access.Action.KEEP_VEHICLES, before.wmi.value)
    key_ids = tuple(_key_id(text) for text in v2g_root_key_ids)
    store = deployment.store
    with store.read() if dry_run else store.write() as tx:
        now = deployment.clock.now()
        judge = chains.Judge.of(tx, now)
        path = judge.check(tx, (leaf, *subs), chains.OEM)
        chain = ProvisioningChain(
            pcid=pcid,
            suite=_suite(leaf),
            fingerprint=leaf.fingerprint,
            certificate=leaf.der,
            sub_cas=tuple(c.der for c in path.intermediates),
            root=path.anchor.fingerprint,
            spki_sha256=hashlib.sha256(leaf.spki).digest(),
            v2g_root_key_ids=key_ids,
            not_after=leaf.not_after,
            deposited_at=now,
            deposited_by=principal.name,
        )
        return _put(tx, chain, before, dry_run=dry_run)


def _put(
    tx: Transaction, chain: ProvisioningChain, before: Pcid | None, *, dry_run: bool
) -> Deposit:
    held = {c.suite: c for c in tx.pools.chains(chain.pcid, lock=True)}
    old = held.get(chain.suite)
    stale = [
        b
        for b in tx.pools.bundles(chain.pcid)
        if b.suite is chain.suite and b.vehicle_key != chain.spki_sha256
    ]
    if before is not None and before != chain.pcid:
        tx.pools.chains(before, lock=True)
        stale += tx.pools.bundles(before)
    if not dry_run:
        tx.pools.put_chain(chain)
        if before is not None and before != chain.pcid:
            tx.pools.delete_chains(before)
        _record(tx, chain, "vehicle.deposit", before)
    taking = Taking(
        at=chain.deposited_at,
        by=chain.deposited_by,
        why="vehicle.update",
        reason=Reason.SUPERSEDED,
        told=notices.CAR_UPDATED,
        tell_oem=False,
        dry_run=dry_run,
    )
    return Deposit(chain=chain, replaced=old is not None, removal=shelf.take(tx, stale, taking))


def _record(tx: Transaction, chain: ProvisioningChain, action: str, before: Pcid | None) -> None:
    audit.note(
        tx,
        chain.deposited_at,
        chain.deposited_by,
        action,
        chain.pcid.value,
        {
            "fingerprint": chain.fingerprint.value,
            "previous": before.value if before else None,
        },
    )


def find(deployment: Deployment, principal: Principal, text: str) -> list[ProvisioningChain]:
    """
    Return the chains of one car; an OEM sees its own only.

    Raises:
        BadInput: `invalid_pcid`.
        NotFound: `provisioning_certificate_unknown`.
    """
    pcid = Pcid.parse(text, Edition.ISO20)
    _may_see(principal, pcid)
    with deployment.store.read() as tx:
        return _known(tx, pcid)


def search(
    deployment: Deployment, principal: Principal, *, after: str | None = None, limit: int = 100
) -> list[ProvisioningChain]:
    """Return a page of a maker's own chains, by PCID and suite; `after` is a `place_of`."""
    access.require(principal, access.Action.KEEP_VEHICLES)
    wmis = None if principal.role is Role.ADMIN else principal.parties
    with deployment.store.read() as tx:
        place = _place(after) if after is not None else None
        return tx.pools.search_chains(wmis=wmis, after=place, limit=limit)


def place_of(chain: ProvisioningChain) -> str:
    """Return where a page ended, as `search` takes it."""
    return f"{chain.pcid.value},{chain.suite.value}"


def _place(text: str) -> tuple[str, str]:
    """Return PCID and suite; a PCID by itself comes before its chains."""
    pcid, _, suite = text.partition(",")
    return pcid.upper(), suite


def delete(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> Removal:
    """
    Remove a car's chains; its contracts go, and ours are revoked, in one transaction.

    Raises:
        BadInput: `invalid_pcid`.
        NotFound: `provisioning_certificate_unknown`.
    """
    return _empty(deployment, principal, text, notices.CAR_DELETED, dry_run=dry_run)


def factory_reset(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> Removal:
    """
    Remove the contracts of a car that was reset or sold; its chains stay. Errors as `delete`.

    The eMSPs are told not to make them again (spec 6.2 row 10).
    """
    return _empty(deployment, principal, text, notices.CAR_RESET, dry_run=dry_run)


def _empty(
    deployment: Deployment, principal: Principal, text: str, told: str, *, dry_run: bool
) -> Removal:
    pcid = Pcid.parse(text, Edition.ISO20)
    access.require(principal, access.Action.KEEP_VEHICLES, pcid.wmi.value)
    store = deployment.store
    with store.read() if dry_run else store.write() as tx:
        now = deployment.clock.now()
        _known(tx, pcid, lock=True)
        deleting = told == notices.CAR_DELETED
        taking = Taking(
            at=now,
            by=principal.name,
            why="vehicle.delete" if deleting else "vehicle.reset",
            reason=Reason.CESSATION_OF_OPERATION,
            told=told,
            tell_oem=False,
            dry_run=dry_run,
        )
        if not dry_run:
            if deleting:
                tx.pools.delete_chains(pcid)
            audit.note(tx, now, principal.name, taking.why, pcid.value)
        return shelf.take(tx, tx.pools.bundles(pcid), taking)


def _known(tx: Transaction, pcid: Pcid, *, lock: bool = False) -> list[ProvisioningChain]:
    found = tx.pools.chains(pcid, lock=lock)
    if not found:
        raise NotFound(
            "provisioning_certificate_unknown",
            f"The OEM provisioning certificate with the PCID {quote(pcid.value)} is not found.",
        )
    return found


def _may_see(principal: Principal, pcid: Pcid) -> None:
    oem = principal.role is Role.OEM
    access.require(principal, access.Action.READ_VEHICLES, pcid.wmi.value if oem else None)


def _read(certificate: bytes, sub_cas: tuple[bytes, ...]) -> list[Certificate]:
    if len(sub_cas) > _MAX_SUB_CAS:
        raise BadInput("invalid_sub_ca2_certificate", f"At most {_MAX_SUB_CAS} sub-CAs.")
    found = []
    for name, data in zip(_NAMES, (certificate, *sub_cas), strict=False):
        try:
            found.append(load(pem.one(data, "CERTIFICATE")))
        except BadInput as error:
            raise BadInput(
                f"invalid_{name}",
                f"Invalid certificate format on {name}.",
                data={"part": name},
            ) from error
    return found


def _pcid(leaf: Certificate) -> Pcid:
    """Return the PCID in the leaf's only CN ([V2G2-933])."""
    edition = leaf.suite.edition if leaf.suite else Edition.ISO2
    if len(leaf.common_names) != 1:
        raise BadInput("invalid_pcid", "The vehicle certificate has not exactly one CN.")
    return Pcid.parse(leaf.common_names[0], edition)


def _suite(leaf: Certificate) -> Suite:
    if leaf.suite is None:
        raise PolicyViolation("suite_mismatch", "The vehicle's key is none of ISO 15118.")
    if leaf.suite is Suite.ED448 and alternate.find(leaf.extensions) is None:
        raise PolicyViolation(
            "key_agreement_missing",
            "An Ed448 provisioning certificate carries an X448 key as well; this one has none.",
        )
    return leaf.suite


def _key_id(text: str) -> str:
    digits = text.replace(":", "").upper()
    if not 2 <= len(digits) <= 80 or not set(digits) <= set("0123456789ABCDEF"):  # noqa: PLR2004 - 1 to 40 octets
        raise BadInput("invalid_key_id", f"{quote(text)} is no key identifier in hexadecimal.")
    return digits
