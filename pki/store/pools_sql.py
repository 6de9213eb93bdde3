"""The statements of the pools."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Executable, bindparam, delete, select, update

from pki.store.schema_provisioning import (
    bundles,
    cps_signers,
    cross_certificates,
    default_contracts,
    provisioning_chains,
    root_notes,
)
from pki.store.session import Insert, Upsert

Columns = tuple[str, ...]


def _replacing(keys: Columns, names: Columns) -> Upsert:
    table = _TABLES[keys]

    def finish(insert: Insert) -> Executable:
        return insert.on_conflict_do_update(
            index_elements=list(keys), set_={name: insert.excluded[name] for name in names}
        )

    return Upsert.of(table, finish)


_NOTE_KEY: Final = ("fingerprint", "domain")
_CHAIN_KEY: Final = ("pcid", "suite")
_BUNDLE_KEY: Final = ("pcid", "contract_id", "suite", "root")
_DEFAULT_KEY: Final = ("pcid",)
_TABLES: Final = {
    _NOTE_KEY: root_notes,
    _CHAIN_KEY: provisioning_chains,
    _BUNDLE_KEY: bundles,
    _DEFAULT_KEY: default_contracts,
}


def _others(keys: Columns) -> Columns:
    return tuple(c.name for c in _TABLES[keys].columns if c.name not in keys)


PUT_NOTE: Final = _replacing(_NOTE_KEY, _others(_NOTE_KEY))
NOTES: Final = select(root_notes)

ADD_CROSS: Final = Upsert.new(cross_certificates)
CROSS: Final = select(cross_certificates).order_by(
    cross_certificates.c.added_at, cross_certificates.c.fingerprint
)
REMOVE_CROSS: Final = delete(cross_certificates).where(
    cross_certificates.c.fingerprint == bindparam("the_certificate")
)

PUT_CHAIN: Final = _replacing(_CHAIN_KEY, _others(_CHAIN_KEY))
CHAIN: Final = select(provisioning_chains).where(
    provisioning_chains.c.pcid == bindparam("pcid"),
    provisioning_chains.c.suite == bindparam("suite"),
)
CHAINS: Final = (
    select(provisioning_chains)
    .where(provisioning_chains.c.pcid == bindparam("pcid"))
    .order_by(provisioning_chains.c.suite)
)
LOCK_CHAINS: Final = CHAINS.with_for_update()
DELETE_CHAINS: Final = delete(provisioning_chains).where(
    provisioning_chains.c.pcid == bindparam("the_car")
)

ADD_SIGNER: Final = Upsert.new(cps_signers)
SIGNERS: Final = select(cps_signers).order_by(
    cps_signers.c.created_at.desc(), cps_signers.c.fingerprint
)

PUT_BUNDLE: Final = _replacing(_BUNDLE_KEY, _others(_BUNDLE_KEY))
BUNDLE: Final = select(bundles).where(bundles.c.bundle_id == bindparam("bundle_id"))
BUNDLES: Final = (
    select(bundles)
    .where(bundles.c.pcid == bindparam("pcid"))
    .order_by(bundles.c.created_at, bundles.c.bundle_id)
)
BUNDLES_OF: Final = (
    select(bundles)
    .where(bundles.c.contract_id == bindparam("contract_id"))
    .order_by(bundles.c.created_at, bundles.c.bundle_id)
)
BUNDLES_SIGNED_BY: Final = (
    select(bundles)
    .where(bundles.c.cps == bindparam("cps"))
    .order_by(bundles.c.bundle_id)
    .limit(bindparam("most"))
)
DELETE_BUNDLES: Final = delete(bundles).where(
    bundles.c.bundle_id.in_(bindparam("the_bundles", expanding=True))
)
DELIVERED: Final = (
    update(bundles)
    .where(bundles.c.bundle_id == bindparam("the_bundle"))
    .values(delivered_at=bindparam("at"), delivered_session=bindparam("session"))
)

DEFAULT: Final = select(default_contracts.c.contract_id).where(
    default_contracts.c.pcid == bindparam("pcid")
)
PUT_DEFAULT: Final = _replacing(_DEFAULT_KEY, _others(_DEFAULT_KEY))
DROP_DEFAULT: Final = delete(default_contracts).where(
    default_contracts.c.pcid == bindparam("the_car")
)
