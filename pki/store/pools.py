"""Root notes, provisioning chains, CPS signers and contract bundles."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, literal, select, tuple_

from pki.errors import Conflict
from pki.ids import Edition, Emaid, Fingerprint, Pcid, ProviderId
from pki.model import (
    Bundle,
    CpsSigner,
    CrossCertificate,
    Domain,
    ProvisioningChain,
    RootNote,
    TrustList,
)
from pki.pkix.der import element_at
from pki.pkix.suites import Suite
from pki.store import pools_sql as sql
from pki.store.columns import Line
from pki.store.schema_provisioning import bundles, provisioning_chains
from pki.store.session import Session


class PoolRows:
    """The pools of provisioning; see `pki.ports.Pools`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def put_root_note(self, note: RootNote) -> None:
        """Keep what is known of a root in place of what was."""
        row = {
            "fingerprint": note.fingerprint.value,
            "domain": note.domain,
            "trust_lists": json.dumps(note.trust_lists),
        }
        self._session.put(sql.PUT_NOTE, row)

    def root_notes(self) -> dict[tuple[Fingerprint, Domain], RootNote]:
        """Return every note by root and type."""
        notes = map(_note, self._session.rows(sql.NOTES))
        return {(note.fingerprint, note.domain): note for note in notes}

    def add_cross_certificate(self, cross: CrossCertificate) -> None:
        """Store one. Raises Conflict (`cross_certificate_exists`)."""
        row = {
            "fingerprint": cross.fingerprint.value,
            "certified": cross.certified.value,
            "der": cross.der,
            "added_at": cross.added_at,
            "added_by": cross.added_by,
        }
        if not self._session.put(sql.ADD_CROSS, row):
            raise Conflict("cross_certificate_exists", "This cross certificate is in the pool.")

    def cross_certificates(self) -> list[CrossCertificate]:
        """Return every cross certificate, oldest first."""
        return [_cross(row) for row in self._session.rows(sql.CROSS)]

    def remove_cross_certificate(self, fingerprint: Fingerprint) -> bool:
        """Remove one; tell whether it was there."""
        key = {"the_certificate": fingerprint.value}
        return self._session.change(sql.REMOVE_CROSS, key) > 0

    def put_chain(self, chain: ProvisioningChain) -> None:
        """Keep a provisioning chain in place of the one of the same PCID and suite."""
        row = {
            "pcid": chain.pcid.value,
            "suite": chain.suite,
            "wmi": chain.pcid.wmi.value,
            "fingerprint": chain.fingerprint.value,
            "certificate": chain.certificate,
            "sub_cas": b"".join(chain.sub_cas),
            "root": chain.root.value,
            "spki_sha256": chain.spki_sha256,
            "v2g_root_key_ids": json.dumps(chain.v2g_root_key_ids),
            "not_after": chain.not_after,
            "deposited_at": chain.deposited_at,
            "deposited_by": chain.deposited_by,
        }
        self._session.put(sql.PUT_CHAIN, row)

    def chain(self, pcid: Pcid, suite: Suite) -> ProvisioningChain | None:
        """Return a car's chain of one suite, or None."""
        row = self._session.first(sql.CHAIN, {"pcid": pcid.value, "suite": suite})
        return _chain(row) if row else None

    def chains(self, pcid: Pcid, *, lock: bool = False) -> list[ProvisioningChain]:
        """Return a car's chains; with `lock`, other writers of this car wait for this one."""
        query = sql.LOCK_CHAINS if lock and self._session.writable else sql.CHAINS
        return [_chain(row) for row in self._session.rows(query, {"pcid": pcid.value})]

    def delete_chains(self, pcid: Pcid) -> int:
        """Forget a car's chains; return how many there were."""
        return self._session.change(sql.DELETE_CHAINS, {"the_car": pcid.value})

    def search_chains(
        self, *, wmis: tuple[str, ...] | None, after: tuple[str, str] | None, limit: int
    ) -> list[ProvisioningChain]:
        """Return a page ordered by PCID and suite, beginning behind those of `after`."""
        columns = provisioning_chains.c
        page = select(provisioning_chains).order_by(columns.pcid, columns.suite).limit(limit)
        if wmis is not None:
            page = page.where(columns.wmi.in_(wmis))
        if after is not None:
            here = tuple_(*(literal(text, Line) for text in after))
            page = page.where(tuple_(columns.pcid, columns.suite) > here)
        return [_chain(row) for row in self._session.rows(page)]

    def add_signer(self, signer: CpsSigner) -> None:
        """Store a CPS leaf. Raises Conflict (`cps_exists`)."""
        row = {
            "fingerprint": signer.fingerprint.value,
            "key_label": signer.key_label,
            "suite": signer.suite,
            "chain": b"".join(signer.chain),
            "root": signer.root.value,
            "root_der": signer.root_der,
            "not_before": signer.not_before,
            "not_after": signer.not_after,
            "created_at": signer.created_at,
        }
        if not self._session.put(sql.ADD_SIGNER, row):
            raise Conflict("cps_exists", f"The key {signer.key_label} has a CPS certificate.")

    def signers(self) -> list[CpsSigner]:
        """Return every CPS leaf, newest first."""
        return [_signer(row) for row in self._session.rows(sql.SIGNERS)]

    def put_bundle(self, bundle: Bundle) -> None:
        """Keep a bundle in place of the one of the same car, contract, suite and V2G root."""
        row = {
            "bundle_id": bundle.bundle_id,
            "pcid": bundle.pcid.value,
            "contract_id": bundle.contract_id,
            "account": bundle.provider.value,
            "edition": bundle.emaid.edition,
            "emaid": bundle.emaid.presented,
            "suite": bundle.suite,
            "root": bundle.root.value,
            "message": bundle.message,
            "vehicle_key": bundle.vehicle_key,
            "certificate": bundle.certificate.value,
            "cps": bundle.cps.value,
            "not_before": bundle.not_before,
            "not_after": bundle.not_after,
            "created_at": bundle.created_at,
            "created_by": bundle.created_by,
            "metadata": bundle.metadata,
            "update_message": bundle.update_message,
            "replaced_key": bundle.replaced_key,
            "delivered_at": bundle.delivered_at,
            "delivered_session": bundle.delivered_session,
        }
        self._session.put(sql.PUT_BUNDLE, row)

    def bundle(self, bundle_id: str) -> Bundle | None:
        """Return the bundle, or None."""
        row = self._session.first(sql.BUNDLE, {"bundle_id": bundle_id})
        return _bundle(row) if row else None

    def bundles(self, pcid: Pcid) -> list[Bundle]:
        """Return a car's bundles, oldest first."""
        return [_bundle(row) for row in self._session.rows(sql.BUNDLES, {"pcid": pcid.value})]

    def bundles_of(self, contract_id: str) -> list[Bundle]:
        """Return a contract's bundles, oldest first."""
        rows = self._session.rows(sql.BUNDLES_OF, {"contract_id": contract_id})
        return [_bundle(row) for row in rows]

    def bundles_signed_by(self, cps: Fingerprint, limit: int) -> list[Bundle]:
        """Return bundles that a CPS leaf signed, at most `limit`, by bundle id."""
        rows = self._session.rows(sql.BUNDLES_SIGNED_BY, {"cps": cps.value, "most": limit})
        return [_bundle(row) for row in rows]

    def search_bundles(
        self, *, accounts: tuple[ProviderId, ...] | None, after: str | None, limit: int
    ) -> list[Bundle]:
        """Return a page ordered by bundle id, beginning behind `after`."""
        page = select(bundles).order_by(bundles.c.bundle_id).limit(limit)
        if accounts is not None:
            page = page.where(bundles.c.account.in_([account.value for account in accounts]))
        if after is not None:
            page = page.where(bundles.c.bundle_id > after)
        return [_bundle(row) for row in self._session.rows(page)]

    def delete_bundles(self, bundle_ids: list[str]) -> int:
        """Remove bundles; return how many there were."""
        return self._session.change(sql.DELETE_BUNDLES, {"the_bundles": bundle_ids})

    def mark_delivered(self, bundle_id: str, session: str, at: dt.datetime) -> None:
        """Note which session got a bundle last."""
        self._session.change(sql.DELIVERED, {"the_bundle": bundle_id, "session": session, "at": at})

    def default_contract(self, pcid: Pcid) -> str | None:
        """Return the contract id that a -2 car gets, or None."""
        row = self._session.first(sql.DEFAULT, {"pcid": pcid.value})
        return str(row.contract_id) if row else None

    def put_default(self, pcid: Pcid, contract_id: str) -> None:
        """Make a contract the default in place of the one before."""
        self._session.put(sql.PUT_DEFAULT, {"pcid": pcid.value, "contract_id": contract_id})

    def drop_default(self, pcid: Pcid) -> None:
        """Leave a car without a default contract."""
        self._session.change(sql.DROP_DEFAULT, {"the_car": pcid.value})


def _note(row: Row[Any]) -> RootNote:
    return RootNote(
        fingerprint=Fingerprint(value=row.fingerprint),
        domain=Domain(row.domain),
        trust_lists=tuple(map(TrustList, json.loads(row.trust_lists))),
    )


def _cross(row: Row[Any]) -> CrossCertificate:
    return CrossCertificate(
        fingerprint=Fingerprint(value=row.fingerprint),
        certified=Fingerprint(value=row.certified),
        der=row.der,
        added_at=row.added_at,
        added_by=row.added_by,
    )


def _chain(row: Row[Any]) -> ProvisioningChain:
    return ProvisioningChain(
        pcid=Pcid(value=row.pcid),
        suite=Suite(row.suite),
        fingerprint=Fingerprint(value=row.fingerprint),
        certificate=row.certificate,
        sub_cas=tuple(_parts(row.sub_cas)),
        root=Fingerprint(value=row.root),
        spki_sha256=row.spki_sha256,
        v2g_root_key_ids=tuple(json.loads(row.v2g_root_key_ids)),
        not_after=row.not_after,
        deposited_at=row.deposited_at,
        deposited_by=row.deposited_by,
    )


def _signer(row: Row[Any]) -> CpsSigner:
    return CpsSigner(
        fingerprint=Fingerprint(value=row.fingerprint),
        key_label=row.key_label,
        suite=Suite(row.suite),
        chain=tuple(_parts(row.chain)),
        root=Fingerprint(value=row.root),
        root_der=row.root_der,
        not_before=row.not_before,
        not_after=row.not_after,
        created_at=row.created_at,
    )


def _bundle(row: Row[Any]) -> Bundle:
    return Bundle(
        bundle_id=row.bundle_id,
        pcid=Pcid(value=row.pcid),
        contract_id=row.contract_id,
        emaid=Emaid.parse(row.emaid, Edition(row.edition)),
        suite=Suite(row.suite),
        root=Fingerprint(value=row.root),
        message=row.message,
        vehicle_key=row.vehicle_key,
        certificate=Fingerprint(value=row.certificate),
        cps=Fingerprint(value=row.cps),
        not_before=row.not_before,
        not_after=row.not_after,
        created_at=row.created_at,
        created_by=row.created_by,
        metadata=row.metadata,
        update_message=row.update_message,
        replaced_key=row.replaced_key,
        delivered_at=row.delivered_at,
        delivered_session=row.delivered_session,
    )


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield DER elements that stand one after the other."""
    at = 0
    while at < len(data):
        element = element_at(data, at, len(data))
        yield data[element.start : element.end]
        at = element.end
