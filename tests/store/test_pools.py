"""The pools of provisioning and the outbox: what goes in comes back, one of each kind."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from pki.errors import Conflict
from pki.ids import Edition, Emaid, Fingerprint, Pcid
from pki.model import (
    Bundle,
    Contract,
    ContractState,
    CpsSigner,
    CrossCertificate,
    Domain,
    Event,
    ProvisioningChain,
    RootNote,
    TrustList,
)
from pki.pkix.suites import Suite
from pki.store.db import Database
from tests.store.samples import DE8AA, NOW

LATER = NOW + dt.timedelta(seconds=1)
PCID = Pcid(value="WMIV1234567890ABCD")
EMAID = Emaid.parse("DE-8AA-CA2B3C4D5", Edition.ISO2)
CAR = ProvisioningChain(
    pcid=PCID,
    suite=Suite.P256,
    fingerprint=Fingerprint.of(b"leaf"),
    certificate=b"\x30\x01\x01",
    sub_cas=(b"\x30\x02\x02\x02", b"\x30\x00"),
    root=Fingerprint.of(b"root"),
    spki_sha256=bytes(32),
    v2g_root_key_ids=("AB12", "CD34"),
    not_after=LATER,
    deposited_at=NOW,
    deposited_by="oem-1",
)
BUNDLE = Bundle(
    bundle_id="b1",
    pcid=PCID,
    contract_id="c1",
    emaid=EMAID,
    suite=Suite.P256,
    root=Fingerprint.of(b"v2g"),
    message=b"\x80\x98",
    vehicle_key=bytes(32),
    certificate=Fingerprint.of(b"contract"),
    cps=Fingerprint.of(b"cps"),
    not_before=NOW,
    not_after=LATER,
    created_at=NOW,
    created_by="emsp-1",
)


def contract(contract_id: str = "c1", emaid: Emaid = EMAID) -> Contract:
    return Contract(
        contract_id=contract_id,
        identifiers=(emaid,),
        account=DE8AA,
        state=ContractState.ACTIVE,
        created_at=NOW,
    )


def test_notes_on_roots_are_kept_per_type_and_replaced(database: Database) -> None:
    root = Fingerprint.of(b"root")
    note = RootNote(fingerprint=root, domain=Domain.V2G, trust_lists=(TrustList.EUROPEAN,))
    newer = replace(note, trust_lists=(TrustList.EUROPEAN, TrustList.AMERICAN))
    other = replace(note, domain=Domain.MO, trust_lists=())
    with database.write() as tx:
        for each in (note, other, newer):
            tx.pools.put_root_note(each)
        assert tx.pools.root_notes() == {(root, Domain.V2G): newer, (root, Domain.MO): other}


def test_a_cross_certificate_is_there_once_until_it_is_removed(database: Database) -> None:
    cross = CrossCertificate(
        fingerprint=Fingerprint.of(b"cross"),
        certified=Fingerprint.of(b"root"),
        der=b"cross",
        added_at=NOW,
        added_by="admin",
    )
    with database.write() as tx:
        tx.pools.add_cross_certificate(cross)
        assert tx.pools.cross_certificates() == [cross]
        with pytest.raises(Conflict) as caught:
            tx.pools.add_cross_certificate(cross)
        assert caught.value.code == "cross_certificate_exists"
        assert tx.pools.remove_cross_certificate(cross.fingerprint) is True
        assert tx.pools.remove_cross_certificate(cross.fingerprint) is False


def test_a_car_has_one_chain_per_suite(database: Database) -> None:
    second = replace(CAR, suite=Suite.P521, sub_cas=())
    newer = replace(CAR, deposited_at=LATER, sub_cas=CAR.sub_cas[:1])
    with database.write() as tx:
        for each in (CAR, second, newer):
            tx.pools.put_chain(each)
        assert tx.pools.chain(PCID, Suite.P256) == newer
        assert tx.pools.chain(PCID, Suite.ED448) is None
        assert tx.pools.chains(PCID, lock=True) == [newer, second]
        assert tx.pools.delete_chains(PCID) == 2
        assert tx.pools.chains(PCID) == []


def test_chains_are_paged_by_car_and_seen_by_their_maker(database: Database) -> None:
    cars = [replace(CAR, pcid=Pcid(value=f"{wmi}V1234567890ABC")) for wmi in ("AAA", "BBB", "CCC")]
    with database.write() as tx:
        for each in reversed(cars):
            tx.pools.put_chain(each)
    with database.read() as tx:
        assert tx.pools.search_chains(wmis=None, after=None, limit=2) == cars[:2]
        assert (
            tx.pools.search_chains(wmis=None, after=(cars[1].pcid.value, "p256"), limit=2)
            == cars[2:]
        )
        assert tx.pools.search_chains(wmis=("BBB",), after=None, limit=9) == cars[1:2]
        assert tx.pools.search_chains(wmis=(), after=None, limit=9) == []


def test_a_page_that_ends_between_the_chains_of_a_car_is_followed_by_the_others(
    database: Database,
) -> None:
    second = replace(CAR, suite=Suite.P521)
    with database.write() as tx:
        tx.pools.put_chain(CAR)
        tx.pools.put_chain(second)
    with database.read() as tx:
        assert tx.pools.search_chains(wmis=None, after=(PCID.value, "p256"), limit=1) == [second]


def test_cps_leaves_come_back_newest_first(database: Database) -> None:
    older = CpsSigner(
        fingerprint=Fingerprint.of(b"1"),
        key_label="cps.1",
        suite=Suite.P256,
        chain=(b"\x30\x01\x01", b"\x30\x00"),
        root=Fingerprint.of(b"v2g"),
        root_der=b"v2g",
        not_before=NOW,
        not_after=LATER,
        created_at=NOW,
    )
    newer = replace(older, fingerprint=Fingerprint.of(b"2"), key_label="cps.2", created_at=LATER)
    with database.write() as tx:
        tx.pools.add_signer(older)
        tx.pools.add_signer(newer)
        assert tx.pools.signers() == [newer, older]
        with pytest.raises(Conflict) as caught:
            tx.pools.add_signer(replace(newer, fingerprint=Fingerprint.of(b"3")))
        assert caught.value.code == "cps_exists"


def test_a_bundle_replaces_that_of_the_same_car_contract_suite_and_root(
    database: Database,
) -> None:
    renewed = replace(
        BUNDLE,
        bundle_id="b2",
        message=b"\x80\x99",
        metadata="{}",
        update_message=b"u",
        replaced_key=b"k",
    )
    elsewhere = replace(BUNDLE, bundle_id="b3", root=Fingerprint.of(b"v2g 2"), created_at=LATER)
    with database.write() as tx:
        tx.contracts.add(contract())
        for each in (BUNDLE, elsewhere, renewed):
            tx.pools.put_bundle(each)
        assert tx.pools.bundles(PCID) == [renewed, elsewhere]
        assert tx.pools.bundles_of("c1") == [renewed, elsewhere]
        assert tx.pools.bundle("b1") is None
        assert tx.pools.bundle("b2") == renewed
        assert tx.pools.search_bundles(accounts=(DE8AA,), after="b2", limit=5) == [elsewhere]
        assert tx.pools.search_bundles(accounts=(), after=None, limit=5) == []
        tx.pools.mark_delivered("b3", "0A", LATER)
        delivered = replace(elsewhere, delivered_at=LATER, delivered_session="0A")
        assert tx.pools.bundle("b3") == delivered
        assert tx.pools.delete_bundles(["b2", "b3", "b4"]) == 2
        assert tx.pools.bundles(PCID) == []


def test_a_car_has_one_default_contract_or_none(database: Database) -> None:
    with database.write() as tx:
        tx.contracts.add(contract())
        tx.contracts.add(contract("c2", Emaid.parse("DE8AAC00000001", Edition.ISO2)))
        assert tx.pools.default_contract(PCID) is None
        tx.pools.put_default(PCID, "c1")
        tx.pools.put_default(PCID, "c2")
        assert tx.pools.default_contract(PCID) == "c2"
        tx.pools.drop_default(PCID)
        assert tx.pools.default_contract(PCID) is None


def test_events_come_back(database: Database) -> None:
    event = Event(
        event_id="e1", type="mo.prov.cert.deleted", party="DE8AA", payload="{}", created_at=NOW
    )
    with database.write() as tx:
        tx.outbox.add(event)
        assert tx.outbox.get("e1") == event
        assert tx.outbox.get("e2") is None
