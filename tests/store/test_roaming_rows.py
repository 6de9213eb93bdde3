"""Ranges, agreements, credentials and sessions come back as they went in."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from pki.errors import Conflict
from pki.ids import ProviderId
from pki.model import (
    Account,
    Agreement,
    AgreementState,
    ChangeKind,
    ContractState,
    Credential,
    CredentialKind,
    CredentialState,
    Emsp,
    NumberRange,
    Party,
    RangeKind,
    Remembered,
    Role,
    Session,
    SessionProtocol,
    Terms,
    Whitelist,
)
from pki.store.db import Database
from tests.store.samples import DE8AA, NOW, contract, emaid

HOUR = dt.timedelta(hours=1)
RANGE = NumberRange(
    kind=RangeKind.EMAID, prefix="DE8AAC1", role=Role.EMSP, party_id="FRMOB", valid_from=NOW
)


def _agreement(version: int = 1) -> Agreement:
    terms = Terms(
        cpo="DEABC",
        emsp="*",
        valid_from=NOW,
        valid_until=NOW + HOUR,
        countries=("DE",),
        operators=("DEABC",),
        evse_groups=("DEABCE1",),
        kinds=(CredentialKind.EMAID, CredentialKind.RFID),
        sessions=2,
        tariff="night",
    )
    return Agreement(
        agreement_id="a1",
        version=version,
        state=AgreementState.ACTIVE,
        terms=terms,
        created_at=NOW,
        created_by="cli:admin",
    )


def _card(uid: str = "04A2", *, emsp: str = "DE8AA", at: dt.datetime = NOW) -> Credential:
    return Credential(
        credential_id=f"{emsp}-{uid}",
        emsp=emsp,
        kind=CredentialKind.RFID,
        uid=uid,
        presented=uid.lower(),
        contract_id=None,
        contract="DE8AAC12345678",
        state=CredentialState.ACTIVE,
        created_at=at,
        updated_at=at,
        whitelist=Whitelist.NEVER,
        group_id="fleet",
        partner=True,
    )


def _session(name: str = "s1", *, contract_id: str | None = "c") -> Session:
    return Session(
        session_id=name,
        reference="r",
        protocol=SessionProtocol.OCPP,
        cpo="DEABC",
        station_id="cs-1",
        external_id=f"tx-{name}",
        emsp="DE8AA",
        contract_id=contract_id,
        contract="DE8AAC12345678",
        evse_id="DE*ABC*E1",
        started_at=NOW,
    )


def test_ranges_agreements_and_emsps_come_back(database: Database) -> None:
    emsp = Emsp(provider_id=DE8AA, party_id="DEXYZ", realtime_url="https://e.example/ask")
    with database.write() as tx:
        tx.contracts.add_account(Account(provider_id=DE8AA, name="A", created_at=NOW))
        tx.roaming.add_range(RANGE)
        tx.roaming.add_agreement(_agreement())
        tx.roaming.add_agreement(_agreement(2))
        tx.roaming.put_emsp(emsp)
        tx.roaming.put_emsp(replace(emsp, whitelist=Whitelist.ALWAYS))
    with database.read() as tx:
        assert tx.roaming.ranges() == [RANGE]
        assert tx.roaming.agreements() == [_agreement(2)]
        assert tx.roaming.agreement("a1", 1) == _agreement()
        assert tx.roaming.agreement("a1", 3) is None
        assert tx.roaming.agreement("none") is None
        assert tx.roaming.emsps() == [replace(emsp, whitelist=Whitelist.ALWAYS)]


def test_a_range_and_a_version_are_taken_once(database: Database) -> None:
    with database.write() as tx:
        tx.roaming.add_range(RANGE)
        tx.roaming.add_agreement(_agreement())
        with pytest.raises(Conflict, match="changes hands"):
            tx.roaming.add_range(replace(RANGE, party_id="DE8AA"))
        with pytest.raises(Conflict, match="version 1"):
            tx.roaming.add_agreement(_agreement())
        assert tx.roaming.end_range(RANGE, NOW + HOUR)
        assert not tx.roaming.end_range(replace(RANGE, prefix="DE8AAC2"), NOW)
    with database.read() as tx:
        assert tx.roaming.ranges() == [replace(RANGE, valid_until=NOW + HOUR)]


def test_a_change_of_roaming_stands_in_the_change_log(database: Database) -> None:
    with database.write() as tx:
        tx.roaming.changed(NOW)
    with database.read() as tx:
        assert [change.kind for change in tx.status.changes(0, 9)] == [ChangeKind.ROAMING]


def test_one_uid_may_be_a_card_of_several_emsps_but_once_of_each(database: Database) -> None:
    with database.write() as tx:
        tx.credentials.add(_card())
        tx.credentials.add(_card(emsp="FRMOB"))
        with pytest.raises(Conflict, match="04A2"):
            tx.credentials.add(replace(_card(), credential_id="another"))
        blocked = replace(_card(), credential_id="new id", state=CredentialState.BLOCKED)
        tx.credentials.put(blocked)
    with database.read() as tx:
        found = tx.credentials.named(CredentialKind.RFID, "04A2")
        assert found == [replace(blocked, credential_id="DE8AA-04A2"), _card(emsp="FRMOB")]
        assert tx.credentials.get("FRMOB-04A2") == _card(emsp="FRMOB")
        assert tx.credentials.find(CredentialKind.APP_USER, "04A2", "DE8AA") is None


def test_pages_of_credentials_meet_without_gap(database: Database) -> None:
    cards = [replace(_card(f"0{n}", at=NOW + n % 3 * HOUR), partner=False) for n in range(7)]
    with database.write() as tx:
        for card in cards:
            tx.credentials.add(card)
        tx.credentials.add(_card("0F", emsp="FRMOB"))
    seen: list[Credential] = []
    with database.read() as tx:
        while page := tx.credentials.search(
            emsps=("DE8AA",),
            after=(seen[-1].updated_at, seen[-1].credential_id) if seen else None,
            limit=2,
        ):
            seen += page
        assert tx.credentials.count("DE8AA", NOW + HOUR, NOW + 2 * HOUR) == 2
        assert len(tx.credentials.search(changed_from=NOW + HOUR)) == 4
        assert tx.credentials.count("FRMOB") == 0  # a partner's
        assert [c.emsp for c in tx.credentials.search(emsps=("FRMOB",))] == []
    assert seen == sorted(cards, key=lambda c: (c.updated_at, c.credential_id))


def test_a_session_begins_once_and_ends_once(database: Database) -> None:
    ended = replace(_session(), stopped_at=NOW + HOUR, energy_wh=9000, stop_reason="EVDisconnected")
    with database.write() as tx:
        assert tx.sessions.add(_session())
        assert not tx.sessions.add(replace(_session(), session_id="again"))
        assert tx.sessions.add(_session("s2"))
        assert tx.sessions.running("c") == 2
        assert tx.sessions.stop(ended)
        assert not tx.sessions.stop(ended)
        assert tx.sessions.running("c") == 1
    with database.read() as tx:
        assert tx.sessions.get("s1") == ended
        assert tx.sessions.find(SessionProtocol.OCPP, "DEABC", "cs-1", "tx-s1") == ended
        assert [s.session_id for s in tx.sessions.by_reference("r")] == ["s1", "s2"]
        assert tx.sessions.search(cpos=("DEABC",), after="s1") == [_session("s2")]
        found = tx.sessions.search(cpos=("DEXYZ", "DEABC"), limit=2)
        assert [each.session_id for each in found] == ["s1", "s2"]
        assert tx.sessions.search(emsps=("FRMOB",)) == []


def test_an_idempotency_key_is_kept_once_and_forgotten_when_old(database: Database) -> None:
    answer = Remembered(
        client="emsp-1", key="k", request=bytes(32), status=201, answer="{}", created_at=NOW
    )
    with database.write() as tx:
        assert tx.roaming.remember(answer)
        assert not tx.roaming.remember(replace(answer, status=200))
        assert tx.roaming.remembered("emsp-1", "k") == answer
        assert tx.roaming.forget(NOW, 10) == 0
        assert tx.roaming.forget(NOW + HOUR, 10) == 1
        assert tx.roaming.remembered("emsp-1", "k") is None


def test_terms_blocks_and_hubs_of_what_was_there_before(database: Database) -> None:
    known = contract("c1", emaid("DE8AAC12345678"), emaid("DEMOAC12345678"))
    hub = Party(party_id="NLHUB", role=Role.HUB, name="Hub", created_at=NOW)
    cpo = Party(party_id="DEABC", role=Role.CPO, name="Cpo", created_at=NOW, hub="NLHUB")
    terms = replace(known, valid_from=NOW, valid_until=NOW + HOUR, whitelist=Whitelist.NEVER)
    with database.write() as tx:
        tx.contracts.add(known)
        tx.contracts.set_terms(terms)
        assert tx.contracts.block("c1", "DE8AAC12345678", NOW) == 1
        for party in (hub, cpo):
            tx.contracts.add_party(party)
    with database.read() as tx:
        found = tx.contracts.get("c1")
        assert found == replace(terms, blocked=(emaid("DE8AAC12345678"),))
        assert tx.contracts.parties() == [cpo, hub]
    with database.write() as tx:
        assert tx.contracts.block("c1", "DE8AAC12345678", None) == 1
        assert tx.contracts.set_hub(Role.CPO, "DEABC", None)
        assert not tx.contracts.set_hub(Role.CPO, "DEXXX", None)
    with database.read() as tx:
        assert tx.contracts.get("c1") == terms
        assert tx.contracts.party(Role.CPO, "DEABC") == replace(cpo, hub=None)


def test_contracts_of_a_range_are_handed_over_with_their_cards(database: Database) -> None:
    contracts = [contract(f"c{n}", emaid(f"DE8AAC{n}2345678")) for n in range(4)]
    card = replace(_card(), contract_id="c1", partner=False)
    to, later = ProviderId(value="FRMOB"), NOW + HOUR
    with database.write() as tx:
        for each in contracts:
            tx.contracts.add(each)
        tx.credentials.add(card)
        tx.credentials.add(replace(card, credential_id="alike", uid="0B"))
        tx.credentials.add(_card("0B", emsp="FRMOB"))
        assert [tx.contracts.hand_over("DE8AAC1", to, 10, at=later) for _ in range(2)] == [1, 0]
    with database.read() as tx:
        assert [c.contract_id for c in tx.contracts.search(accounts=(to,))] == ["c1"]
        assert tx.credentials.of_contract("c1") == [
            replace(card, emsp="FRMOB", updated_at=later),
            replace(card, credential_id="alike", uid="0B"),
        ]


@pytest.mark.parametrize(
    ("minutes", "state"),
    [
        (-1, ContractState.SUSPENDED),
        (0, ContractState.ACTIVE),
        (59, ContractState.ACTIVE),
        (60, ContractState.ENDED),
    ],
)
def test_a_contract_is_active_within_its_validity(minutes: int, state: ContractState) -> None:
    bounded = replace(contract("c"), valid_from=NOW, valid_until=NOW + HOUR)
    assert bounded.state_at(NOW + dt.timedelta(minutes=minutes)) is state
    blocked = replace(bounded, state=ContractState.BLOCKED)
    assert blocked.state_at(NOW + dt.timedelta(minutes=minutes)) is ContractState.BLOCKED
