"""Messages to stations on both databases: one open one of a kind, closed once, found by page."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from pki.model import MessageState, StationMessage
from pki.ports.stations import MessageFilter
from pki.store.db import Database
from tests.store.samples import NOW

MESSAGE = StationMessage(
    message_id="1-a",
    operator="DECPA",
    station_id="cs-1",
    version="2.0.1",
    action="CertificateSigned",
    use="V2GCertificate",
    digest="d1",
    payload="{}",
    state=MessageState.PENDING,
    created_at=NOW,
    created_by="test",
    expires_at=NOW + dt.timedelta(days=1),
)


def test_a_message_comes_back_as_it_was(database: Database) -> None:
    answered = replace(MESSAGE, answer="{}", answered_at=NOW, certificate="ab")
    with database.write() as tx:
        assert tx.stations.newest() is None
        assert tx.stations.add(MESSAGE)
        assert tx.stations.add(replace(answered, message_id="2-b", digest="d2"))
    with database.read() as tx:
        assert tx.stations.get("1-a") == MESSAGE
        assert tx.stations.get("2-b") == replace(answered, message_id="2-b", digest="d2")
        assert tx.stations.get("3") is None
        assert tx.stations.newest() == "2-b"


def test_of_one_digest_one_message_is_open(database: Database) -> None:
    again = replace(MESSAGE, message_id="2-b")
    with database.write() as tx:
        assert tx.stations.add(MESSAGE)
        assert not tx.stations.add(again)
        assert tx.stations.add(replace(again, message_id="3-c", station_id="cs-2"))
        assert tx.stations.open_like("DECPA", "cs-1", "d1") == MESSAGE
        assert tx.stations.count_open("DECPA", "cs-1") == 1
        done = replace(MESSAGE, state=MessageState.ACCEPTED)
        assert tx.stations.move(done, MessageState.PENDING)
        assert not tx.stations.move(done, MessageState.PENDING)
        assert tx.stations.open_like("DECPA", "cs-1", "d1") is None
        assert tx.stations.add(again)


def test_a_page_is_filtered_and_goes_on(database: Database) -> None:
    with database.write() as tx:
        for number in range(6):
            tx.stations.add(
                replace(
                    MESSAGE,
                    message_id=f"{number}-x",
                    digest=f"d{number}",
                    operator="DECPA" if number % 2 else "DEXYZ",
                )
            )
    with database.read() as tx:
        mine = MessageFilter(operators=("DECPA",))
        page = tx.stations.page(mine, "", 2)
        assert [m.message_id for m in page] == ["1-x", "3-x"]
        assert [m.message_id for m in tx.stations.page(mine, "3-x", 2)] == ["5-x"]
        assert tx.stations.page(MessageFilter(operators=()), "", 9) == []
        assert tx.stations.page(MessageFilter(station_id="cs-2"), "", 9) == []
        assert tx.stations.page(MessageFilter(state=MessageState.FAILED), "", 9) == []
        assert len(tx.stations.page(MessageFilter(action="CertificateSigned"), "", 9)) == 6


def test_newer_ones_supersede_and_old_ones_are_forgotten(database: Database) -> None:
    newer = replace(MESSAGE, message_id="2-b", digest="d2")
    other = replace(MESSAGE, message_id="3-c", digest="d3", use="")
    making = replace(MESSAGE, message_id="4-d", digest="d4", state=MessageState.MAKING)
    with database.write() as tx:
        for message in (MESSAGE, newer, other, making):
            assert tx.stations.add(message)
        assert tx.stations.supersede(newer) == 1
        assert tx.stations.expire(NOW) == 0
        assert tx.stations.drop("4-d")
        assert not tx.stations.drop("3-c")
        assert tx.stations.expire(MESSAGE.expires_at) == 2
        states = [m.state.value for m in tx.stations.page(MessageFilter(), "", 9)]
        assert states == ["superseded", "expired", "expired"]
        assert tx.stations.prune("3", 1) == 1
        assert tx.stations.prune("3", 9) == 1
        assert tx.stations.newest() == "3-c"
