"""Partners, their parties and objects come back as they went in; older words do not win."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from pki.errors import Conflict
from pki.model import (
    CommandState,
    OwnParty,
    Partner,
    PartnerCommand,
    PartnerEndpoint,
    PartnerObject,
    PartnerParty,
    PartnerState,
)
from pki.store.db import Database
from tests.store.samples import NOW

PARTNER = Partner(
    partner_id="acme",
    name="Acme",
    state=PartnerState.REGISTERED,
    own=(OwnParty(role="EMSP", party="DE8AA", name="My Mobility"),),
    created_at=NOW,
    token_hash=bytes(32),
    sealed_token=b"sealed",
    version="2.2.1",
    versions_url="https://acme.example/ocpi/versions",
    endpoints=(PartnerEndpoint(identifier="tokens", role="RECEIVER", url="https://a.example"),),
    hub="DEHUB",
    registered_at=NOW,
)
CPO = PartnerParty(partner_id="acme", role="CPO", party="NLCPX", name="CPX")
SESSION = PartnerObject(
    kind="session",
    party="NLCPX",
    key="S1",
    partner_id="acme",
    updated=1,
    received_at=NOW,
    document="{}",
    reference="AUTH-1",
)
COMMAND = PartnerCommand(
    command_id="c1",
    inbound=True,
    kind="START_SESSION",
    partner_id="acme",
    party="DEABC",
    response_url="https://acme.example/r",
    document="{}",
    created_at=NOW,
    expires_at=NOW + dt.timedelta(seconds=60),
)


def _with_partner(database: Database) -> None:
    with database.write() as tx:
        tx.partners.add(PARTNER)


def test_a_partner_comes_back_and_is_found_by_its_token(database: Database) -> None:
    _with_partner(database)
    other = replace(PARTNER, partner_id="other", token_hash=None, own=())
    with database.write() as tx:
        tx.partners.add(other)
        with pytest.raises(Conflict) as caught:
            tx.partners.add(PARTNER)
    assert caught.value.code == "partner_exists"
    with database.read() as tx:
        assert tx.partners.get("acme") == PARTNER
        assert tx.partners.by_token_hash(bytes(32)) == PARTNER
        assert tx.partners.by_token_hash(b"x" * 32) is None
        assert tx.partners.all() == [PARTNER, other]
        assert tx.partners.with_own("DE8AA") == [PARTNER]


def test_a_replaced_partner_deals_with_its_new_parties_only(database: Database) -> None:
    _with_partner(database)
    own = (OwnParty(role="CPO", party="DEABC", name="Poles"),)
    with database.write() as tx:
        tx.partners.get("acme", lock=True)
        tx.partners.replace(replace(PARTNER, own=own))
    with database.read() as tx:
        assert tx.partners.with_own("DE8AA") == []
        assert [p.own for p in tx.partners.with_own("DEABC")] == [own]


def test_a_party_is_reached_directly_before_through_a_hub(database: Database) -> None:
    hub = replace(PARTNER, partner_id="a-hub", token_hash=None)
    behind = replace(CPO, partner_id="a-hub", behind_hub=True, updated=5)
    with database.write() as tx:
        tx.partners.add(PARTNER)
        tx.partners.add(hub)
        tx.partners.put_client(behind)
        tx.partners.set_parties("acme", [CPO])
    with database.read() as tx:
        found = tx.partners.reaching("NLCPX", "CPO")
        assert found == [(PARTNER, CPO), (hub, behind)]
        assert tx.partners.reaching("NLCPX", "EMSP") == []


def test_a_suspended_partner_reaches_nobody(database: Database) -> None:
    with database.write() as tx:
        tx.partners.add(replace(PARTNER, state=PartnerState.SUSPENDED))
        tx.partners.set_parties("acme", [CPO])
    with database.read() as tx:
        assert tx.partners.reaching("NLCPX", "CPO") == []
        assert tx.partners.with_own("DE8AA") == []


def test_new_credentials_leave_the_directory_of_a_hub_alone(database: Database) -> None:
    _with_partner(database)
    behind = replace(CPO, party="NLCPY", behind_hub=True, updated=5)
    with database.write() as tx:
        tx.partners.set_parties("acme", [CPO])
        tx.partners.put_client(behind)
        tx.partners.set_parties("acme", [replace(CPO, role="EMSP")])
    with database.read() as tx:
        assert tx.partners.parties("acme") == [replace(CPO, role="EMSP"), behind]


def test_an_older_word_of_a_hub_changes_nothing(database: Database) -> None:
    _with_partner(database)
    newer = replace(CPO, behind_hub=True, updated=9, status="OFFLINE")
    with database.write() as tx:
        assert tx.partners.put_client(newer)
        assert not tx.partners.put_client(replace(newer, updated=8, status="CONNECTED"))
    with database.read() as tx:
        assert tx.partners.parties("acme") == [newer]


def test_objects_are_replaced_and_found_by_their_reference(database: Database) -> None:
    _with_partner(database)
    with database.write() as tx:
        tx.partner_objects.put(SESSION)
        tx.partner_objects.put(replace(SESSION, updated=2))
        tx.partner_objects.put(replace(SESSION, kind="cdr", key="C1"))
    with database.read() as tx:
        held = tx.partner_objects.get("session", "NLCPX", "S1")
        assert held == replace(SESSION, updated=2)
        assert tx.partner_objects.get("session", "NLCPY", "S1") is None
        assert tx.partner_objects.of_reference("session", "AUTH-1") == [held]
        assert tx.partner_objects.of_key("cdr", "C1") == [replace(SESSION, kind="cdr", key="C1")]


def test_every_version_of_a_tariff_is_kept(database: Database) -> None:
    _with_partner(database)
    first = replace(SESSION, kind="tariff", key="T1", reference=None)
    second = replace(first, sequence=2, updated=2, deleted=True)
    with database.write() as tx:
        tx.partner_objects.put(first)
        tx.partner_objects.put(second)
    with database.read() as tx:
        assert tx.partner_objects.get("tariff", "NLCPX", "T1") == second
        assert tx.partner_objects.versions("NLCPX", "T1") == [first, second]


def test_a_command_is_answered_once(database: Database) -> None:
    _with_partner(database)
    with database.write() as tx:
        tx.partner_objects.add_command(COMMAND)
        with pytest.raises(Conflict):
            tx.partner_objects.add_command(COMMAND)
    with database.write() as tx:
        assert tx.partner_objects.open_commands(("DEABC",)) == [COMMAND]
        assert tx.partner_objects.open_commands(("DEXYZ",)) == []
        assert tx.partner_objects.open_commands(None, after="c1") == []
        assert tx.partner_objects.expired_commands(NOW, 10) == []
        assert tx.partner_objects.expired_commands(COMMAND.expires_at, 10) == [COMMAND]
        assert tx.partner_objects.finish_command("c1", "ACCEPTED")
        assert not tx.partner_objects.finish_command("c1", "TIMEOUT", expired=True)
    with database.read() as tx:
        done = replace(COMMAND, state=CommandState.ANSWERED, result="ACCEPTED")
        assert tx.partner_objects.command("c1") == done
        assert tx.partner_objects.open_commands(None) == []
