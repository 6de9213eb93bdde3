"""Every value comes back as it went in, and every query finds what its name says."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from pki.errors import BadInput, Conflict, NotFound
from pki.ids import Edition, Fingerprint, ProviderId, SerialNumber, first_decision_id
from pki.model import (
    Account,
    CertificateRecord,
    ContractState,
    DecisionRecord,
    Domain,
    IntentState,
    IssuerState,
    Party,
    Repetition,
    Role,
    StatusRule,
)
from pki.pkix.profiles import Kind
from pki.ports import Store
from pki.store.db import Database
from tests.store import samples
from tests.store.samples import DE8AA, NOW

LATER = NOW + dt.timedelta(seconds=1)


def test_the_database_is_a_store(database: Database) -> None:
    store: Store = database
    with store.write() as tx:
        tx.put_setting("mode", "demo")
        tx.put_setting("mode", "production")
    with store.read() as tx:
        assert (tx.setting("mode"), tx.setting("other")) == ("production", None)


def test_issuers_come_back_and_the_newest_active_generation_is_found(database: Database) -> None:
    first = samples.issuer(generation=1)
    second = samples.issuer(generation=2, created_at=LATER)
    third = samples.issuer(generation=3, state=IssuerState.PENDING, parent_id=first.issuer_id)
    with database.write() as tx:
        for each in (second, first, third):
            tx.issuers.add(each)
    with database.read() as tx:
        assert tx.issuers.get(first.issuer_id) == first
        assert tx.issuers.get("none.g1") is None
        assert tx.issuers.active("mo-sub2") == second
        assert tx.issuers.active("other") is None
        assert tx.issuers.all() == [first, third, second]


def test_a_pending_issuer_is_activated_once(database: Database) -> None:
    pending = samples.issuer(state=IssuerState.PENDING)
    with database.write() as tx:
        tx.issuers.add(pending)
        tx.issuers.activate(pending.issuer_id, b"der")
    with database.write() as tx:
        with pytest.raises(Conflict) as conflict:
            tx.issuers.activate(pending.issuer_id, b"other")
        assert conflict.value.code == "issuer_not_pending"
        assert tx.issuers.active("mo-sub2") == replace(
            pending, certificate=b"der", state=IssuerState.ACTIVE
        )
        tx.issuers.set_state(pending.issuer_id, IssuerState.RETIRED)
        assert tx.issuers.active("mo-sub2") is None
        with pytest.raises(NotFound) as unknown:
            tx.issuers.set_state("none.g1", IssuerState.RETIRED)
        assert unknown.value.code == "issuer_unknown"


def test_intents_move_and_unfinished_ones_are_listed_oldest_first(database: Database) -> None:
    late = samples.intent(1, created_at=LATER)
    early = samples.intent(2)
    done = samples.intent(3)
    with database.write() as tx:
        tx.issuers.add(samples.issuer())
        for each in (late, early, done):
            tx.intents.add(each)
        assert tx.intents.get(late.intent_id) == late
        assert tx.intents.move(done.intent_id, IntentState.OPEN, IntentState.SIGNING)
        assert not tx.intents.move(done.intent_id, IntentState.OPEN, IntentState.SIGNING)
        assert tx.intents.move(done.intent_id, IntentState.SIGNING, IntentState.COMPLETED)
        assert tx.intents.move(late.intent_id, IntentState.OPEN, IntentState.SIGNING)
    with database.read() as tx:
        assert tx.intents.unfinished() == [early, replace(late, state=IntentState.SIGNING)]
        assert tx.intents.find(early.serial) == [early]
        assert tx.intents.find(done.serial) == []
        assert tx.intents.get("none") is None


def test_an_abandoned_intent_is_found_by_its_serial_on_every_issuer(database: Database) -> None:
    both = [samples.intent(7), samples.intent(7, issuer_id="oem-sub2.g1")]
    with database.write() as tx:
        for name in ("mo-sub2", "oem-sub2"):
            tx.issuers.add(samples.issuer(name))
        for each in both:
            tx.intents.add(each)
            tx.intents.move(each.intent_id, IntentState.OPEN, IntentState.ABANDONED)
        found = tx.intents.find(both[0].serial)
        assert found == [replace(each, state=IntentState.ABANDONED) for each in both]
        assert tx.intents.unfinished() == []


def test_certificates_are_found_by_every_key(database: Database) -> None:
    one, two = samples.certificate(0x10), samples.certificate(0x20, key="other")
    same_serial = samples.certificate(0x10, issuer_id="oem-sub2.g1", kind=Kind.OEM, owner="WVW")
    _store_certificates(database, one, two, same_serial)
    unknown = Fingerprint.of(b"unknown")
    with database.read() as tx:
        store = tx.certificates
        assert store.by_fingerprint(one.fingerprint) == one
        assert store.by_fingerprint(unknown) is None
        assert store.by_fingerprints([two.fingerprint, unknown, one.fingerprint]) == {
            one.fingerprint: one,
            two.fingerprint: two,
        }
        assert store.by_fingerprints([]) == {}
        assert store.by_serial(one.serial) == [one, same_serial]
        assert store.by_issuer_serial(one.issuer_id, two.serial) == two
        assert store.by_issuer_serial("oem-sub2.g1", two.serial) is None
        assert store.by_key(samples.sha256("other")) == [two]


def test_search_filters_and_pages_by_fingerprint(database: Database) -> None:
    mine = [samples.certificate(number) for number in range(1, 6)]
    other = samples.certificate(
        1, issuer_id="oem-sub2.g1", kind=Kind.OEM, owner="WVW", common_name="WVWPCID"
    )
    _store_certificates(database, *mine, other)
    ordered = sorted([*mine, other], key=lambda record: record.fingerprint.value)
    with database.read() as tx:
        search = tx.certificates.search
        assert search() == ordered
        assert search(limit=2) + search(after=ordered[1].fingerprint) == ordered
        assert search(after=ordered[-1].fingerprint) == []
        for found in (
            search(kinds=(Kind.OEM,)),
            search(owners=("WVW", "VF7")),
            search(issuer_id="oem-sub2.g1"),
            search(common_name="WVWPCID"),
            search(
                kinds=(Kind.OEM, Kind.SECC),
                owners=("WVW",),
                issuer_id="oem-sub2.g1",
                common_name="WVWPCID",
            ),
        ):
            assert found == [other]
        assert search(kinds=(Kind.OEM,), owners=("DE8AA",)) == []
        assert search(owners=()) == []
        assert tx.certificates.count("oem-sub2.g1") == 1
        assert tx.certificates.count("none.g1") == 0


def test_revocations_are_kept_and_released(database: Database) -> None:
    revoked = samples.revocation(1)
    key = (revoked.issuer_id, revoked.serial)
    other = (revoked.issuer_id, SerialNumber.from_int(2))
    with database.write() as tx:
        for name in ("mo-sub2", "oem-sub2"):
            tx.issuers.add(samples.issuer(name))
        tx.certificates.revoke(revoked)
        tx.certificates.revoke(samples.revocation(2, issuer_id="oem-sub2.g1"))
    with database.read() as tx:
        assert tx.certificates.revocation(*key) == revoked
        assert tx.certificates.revocation(*other) is None
        asked = [key, other, ("oem-sub2.g1", key[1])]  # crossed with what is revoked
        assert tx.certificates.revocations(asked) == {key: revoked}
        assert tx.certificates.revocations([]) == {}
    with database.write() as tx:
        tx.certificates.release(*key)
        tx.certificates.release(*other)
        assert tx.certificates.revocation(*key) is None


def test_blocking_a_key_twice_changes_nothing(database: Database) -> None:
    with database.write() as tx:
        tx.certificates.block_key(samples.sha256("k"), NOW, "keyCompromise")
        tx.certificates.block_key(samples.sha256("k"), LATER, "again")
    with database.read() as tx:
        assert tx.certificates.key_blocked(samples.sha256("k"))
        assert not tx.certificates.key_blocked(samples.sha256("other"))
        assert tx.certificates.all_blocked(1) == frozenset((samples.sha256("k"),))
        assert tx.certificates.all_blocked(0) is None


def test_parties_and_accounts_come_back(database: Database) -> None:
    parties = [
        Party(party_id="DE8AA", role=Role.CPO, name="Both", created_at=NOW),
        Party(party_id="DE8AA", role=Role.EMSP, name="Both", created_at=NOW),
    ]
    account = Account(provider_id=DE8AA, name="Fahrstrom", created_at=NOW)
    with database.write() as tx:
        for party in reversed(parties):
            tx.contracts.add_party(party)
        tx.contracts.add_account(account)
        assert tx.contracts.account(DE8AA, lock=True) == account
    with database.read() as tx:
        assert tx.contracts.parties() == parties
        assert tx.contracts.party(Role.CPO, "DE8AA") == parties[0]
        assert tx.contracts.party(Role.OEM, "DE8AA") is None
        assert tx.contracts.accounts() == [account]
        assert tx.contracts.account(DE8AA, lock=True) == account
        assert tx.contracts.account(ProviderId(value="DEICE")) is None


def test_a_contract_is_found_by_each_of_its_identifiers(database: Database) -> None:
    iso2 = samples.emaid("de-8aa-ca2b3c4d5")
    iso20 = samples.emaid("DE8AACA2B3C4D5L", Edition.ISO20)
    both = samples.contract("c1", iso2, iso20)
    with database.write() as tx:
        tx.contracts.add(replace(both, identifiers=(iso2,)))
        tx.contracts.add_identifier("c1", iso20)
    with database.read() as tx:
        found = tx.contracts.get("c1")
        assert found == both
        assert [each.presented for each in found.identifiers] == ["de-8aa-ca2b3c4d5", iso20.key]
        assert [each.check_digit for each in found.identifiers] == [
            iso2.check_digit,
            iso20.check_digit,
        ]
        assert tx.contracts.find(Edition.ISO2, iso2.key) == both
        assert tx.contracts.find(Edition.ISO20, iso20.key) == both
        assert tx.contracts.find(Edition.ISO20, iso2.key) is None
        assert tx.contracts.get("none") is None


def test_like_takes_one_more_character_and_no_two(database: Database) -> None:
    key = "DE8AACA2B3C4D5"
    names = {
        "exact": key,
        "digit": key + "0",
        "letter": key + "Z",
        "longer": key + "ZZ",
        "neighbour": "DE8AACA2B3C4D6",
    }
    with database.write() as tx:
        for name, text in names.items():
            tx.contracts.add(samples.contract(name, samples.emaid(text, Edition.ISO20)))
        tx.contracts.add(samples.contract("iso2", samples.emaid(key)))
    with database.read() as tx:
        found = [each.contract_id for each in tx.contracts.find_like(key)]
        assert found == ["digit", "exact", "iso2", "letter"]
        assert tx.contracts.find_like("DE8AACA2B3C4D7") == []


def test_contracts_change_state_and_are_paged_by_id(database: Database) -> None:
    all_of = [samples.contract(f"c{n}", samples.emaid(f"DE8AACA2B3C4D{n}")) for n in range(4)]
    foreign = samples.contract(
        "x", samples.emaid("DEICECOPNCCERT"), account=ProviderId(value="DEICE")
    )
    with database.write() as tx:
        for each in (*reversed(all_of), foreign):
            tx.contracts.add(each)
        tx.contracts.set_state("c0", ContractState.BLOCKED)
        with pytest.raises(NotFound) as unknown:
            tx.contracts.set_state("none", ContractState.BLOCKED)
    assert unknown.value.code == "contract_unknown"
    all_of[0] = replace(all_of[0], state=ContractState.BLOCKED)
    with database.read() as tx:
        search = tx.contracts.search
        assert search() == [*all_of, foreign]
        assert search(accounts=(DE8AA,)) == all_of
        assert search(accounts=(DE8AA,), after="c0", limit=2) == all_of[1:3]
        assert search(after="x") == []


def test_an_anchor_that_was_removed_comes_back_and_each_change_counts(database: Database) -> None:
    first, other_domain = samples.anchor(), samples.anchor(domain=Domain.MO)
    again = replace(first, added_at=LATER, added_by="cli:other")
    with database.write() as tx:
        assert tx.trust.version() == 0
        tx.trust.add_anchor(first)
        tx.trust.add_anchor(other_domain)
        assert tx.trust.remove_anchor(first.fingerprint, Domain.V2G, LATER)
        assert not tx.trust.remove_anchor(first.fingerprint, Domain.V2G, LATER)
        assert not tx.trust.remove_anchor(first.fingerprint, Domain.PE, LATER)
    with database.write() as tx:
        assert tx.trust.anchors() == [other_domain]
        assert tx.trust.version() == 3
        tx.trust.add_anchor(again)
    with database.read() as tx:
        assert tx.trust.anchors() == [other_domain, again]
        assert tx.trust.version() == 4


def test_a_rule_that_is_set_again_is_no_change(database: Database) -> None:
    with database.write() as tx:
        assert tx.trust.rules() == {}
        tx.trust.set_rule(Domain.MO, StatusRule.REQUIRED)
        tx.trust.set_rule(Domain.MO, StatusRule.NOT_REQUIRED)
        tx.trust.set_rule(Domain.MO, StatusRule.NOT_REQUIRED)
    with database.read() as tx:
        assert tx.trust.rules() == {Domain.MO: StatusRule.NOT_REQUIRED}
        assert tx.trust.version() == 2


def test_clients_are_found_by_token_and_disabled_once(database: Database) -> None:
    one = samples.client(token="one")
    two = replace(samples.client("emsp-1", token="other"), role=Role.EMSP, parties=(), pki="own")
    with database.write() as tx:
        tx.clients.add(two)
        tx.clients.add(one)
        assert tx.clients.by_token_hash(one.token_hash) == one
        assert tx.clients.by_token_hash(bytes(32)) is None
        assert tx.clients.disable("cpo-1", LATER)
        assert not tx.clients.disable("cpo-1", LATER)
        assert not tx.clients.disable("none", LATER)
    with database.read() as tx:
        assert tx.clients.all() == [replace(one, disabled_at=LATER), two]
        assert tx.clients.get("emsp-1") == two
        assert tx.clients.get("none") is None


def test_decisions_come_back(database: Database) -> None:
    record = DecisionRecord(
        decision_id="d1",
        decided_at=NOW,
        accepted=False,
        fault="revoked",
        emaid=None,
        asked_by="cpo-1",
        record='{"token":"\\u0000ü"}',
    )
    with database.write() as tx:
        tx.decisions.add(record)
    with database.read() as tx:
        assert tx.decisions.get("d1") == record
        assert tx.decisions.get("none") is None


def test_a_decision_that_repeats_another_comes_back_with_what_that_one_holds(
    database: Database,
) -> None:
    def identifier(at: dt.datetime) -> str:
        return first_decision_id(int(at.timestamp())) + "0" * 16

    full = DecisionRecord(
        decision_id=identifier(NOW),
        decided_at=NOW,
        accepted=True,
        fault=None,
        emaid="DE8AACA2B3C4D5",
        asked_by="cpo-1",
        record="{}",
    )
    again = Repetition(identifier(LATER), LATER, full.decision_id)
    short = replace(full, **again._asdict())
    with database.write() as tx:
        tx.decisions.add_many([full], repeated=[again])
    with database.read() as tx:
        assert tx.decisions.get(full.decision_id) == full
        assert tx.decisions.get(short.decision_id) == short
    with database.write() as tx:
        assert tx.decisions.prune(LATER, NOW, 10) == 0
        assert tx.decisions.prune(LATER + dt.timedelta(seconds=1), NOW, 10) == 1
        assert tx.decisions.get(short.decision_id) is None
        assert tx.decisions.prune(LATER, NOW + dt.timedelta(seconds=1), 10) == 1


def test_intents_and_certificates_that_were_loaded_together_come_back(database: Database) -> None:
    zone = dt.timezone(dt.timedelta(hours=-3))
    intents = [samples.intent(n, created_at=LATER.astimezone(zone)) for n in (1, 2, 3)]
    records = [samples.certificate(n, common_name=f"DE8AACA2B3C4D{n}") for n in (1, 2, 3)]
    with database.write() as tx:
        tx.issuers.add(samples.issuer())
        tx.intents.add_many(intents)
        tx.certificates.add_many(records)
    with database.read() as tx:
        found = tx.intents.several([each.intent_id for each in intents])
        assert list(found.values()) == intents
        assert tx.certificates.by_intents([each.intent_id for each in intents]) == records


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
def test_one_text_that_no_database_keeps_stops_all_that_are_loaded(
    database: Database, text: str
) -> None:
    wrong = replace(samples.intent(2), owner=text)
    with pytest.raises(BadInput) as refused, database.write() as tx:
        tx.intents.add_many([samples.intent(1), wrong, replace(wrong, owner="\ud800ß")])
    assert refused.value.code == "text_not_storable"
    with database.read() as tx:
        assert tx.intents.get(samples.intent(1).intent_id) is None


def test_audit_chains_are_apart_and_in_order(database: Database) -> None:
    first = samples.entry()
    second = samples.entry(first)
    other = samples.entry(chain="mo-sub2.g1")
    with database.write() as tx:
        assert tx.audit.head("admin") is None
        for each in (first, other, second):
            tx.audit.append(each)
        assert tx.audit.head("admin") == second
        assert tx.audit.head("looked at only") is None
    with database.read() as tx:
        assert tx.audit.head("admin") == second
        assert tx.audit.head("none") is None
        assert tx.audit.chains() == ["admin", "mo-sub2.g1"]
        assert list(tx.audit.entries("admin")) == [first, second]
        assert list(tx.audit.entries("none")) == []
        assert tx.audit.heads() == {
            "admin": (2, second.entry_hash),
            "mo-sub2.g1": (1, other.entry_hash),
        }


def test_a_chain_longer_than_a_page_is_yielded_whole(database: Database) -> None:
    last = None
    with database.write() as tx:
        for _ in range(501):
            last = samples.entry(last)
            tx.audit.append(last)
    with database.read() as tx:
        assert [each.sequence for each in tx.audit.entries("admin")] == list(range(1, 502))


def _store_certificates(database: Database, *records: CertificateRecord) -> None:
    with database.write() as tx:
        for record in records:
            if tx.issuers.get(record.issuer_id) is None:
                tx.issuers.add(samples.issuer(record.issuer_id.removesuffix(".g1")))
            tx.intents.add(samples.intent(record.serial.as_int, issuer_id=record.issuer_id))
            tx.certificates.add(record)
