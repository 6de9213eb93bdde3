"""Pulls of our tokens by partners that count `offset` by themselves, and by some that leap."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from pki import parties as companies
from pki.model import Role
from pki.partners import token_pages
from pki.services import Services
from tests.homes import ADMIN, make_home, opened
from tests.roaming.conftest import CPO, EMSP, Ours, allow_local, invited, registered
from tests.roaming.mock_partner import MockPartner
from tests.roaming.test_tokens import BEGUN, OWN, card, data

COUNT = 41
STRIDE = 7


def _ready(services: Services, partner: MockPartner) -> Ours:
    """Return a partner that deals with two eMSPs, which have 41 cards."""
    companies.add_emsp(services.deployment, ADMIN, "DEEMB", "Other")
    for n in range(COUNT):
        card(services, f"04{n:02X}", n // 3, credential_id=f"c{n:05d}", emsp=_emsp(n))
    return registered(invited(services, emsps=(EMSP, "DEEMB")), partner)


@pytest.fixture(autouse=True)
def _short_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_pages, "STRIDE", STRIDE)


@pytest.fixture
def puller(services: Services, partner: MockPartner) -> Ours:
    return _ready(services, partner)


@pytest.fixture
def puller_on_postgres(tmp_path: Path, postgres_url: str, partner: MockPartner) -> Iterator[Ours]:
    home = tmp_path / "home"
    make_home(home, "none", database_url=postgres_url)
    allow_local(home)
    with opened(home, database_url=postgres_url) as services:
        companies.add_party(services.deployment, ADMIN, Role.CPO, CPO, "Poles")
        yield _ready(services, partner)


def _emsp(n: int) -> str:
    return EMSP if n % 2 else "DEEMB"


def _uids(acme: Ours, query: str) -> list[str]:
    return [token["uid"] for token in data(acme.call("GET", f"{OWN}?{query}"))]


def _all(numbers: range) -> list[str]:
    return [f"04{n:02X}" for n in numbers]


def _seen(acme: Ours, query: str) -> tuple[list[str], list[str]]:
    """Return the uids of a page, and the queries for credentials that it took."""
    queries: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if text.startswith("SELECT") and "FROM credentials" in text:
            queries.append(text)

    engine = acme.services.database._backend.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        return _uids(acme, query), queries
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_who_counts_by_himself_pays_at_the_end_what_he_pays_at_the_start(puller: Ours) -> None:
    costs, found = [], []
    for offset in range(0, COUNT, 5):
        uids, queries = _seen(puller, f"limit=5&offset={offset}")
        found += uids
        costs.append(len(queries))
        assert not any("UNION" in query for query in queries)  # nothing is passed over
    assert found == _all(range(COUNT))
    assert set(costs[1:]) == {2}  # a page of each eMSP; the first counts besides


def test_a_leap_walks_there_once_and_further_leaps_are_near_a_mark(puller: Ours) -> None:
    assert _uids(puller, "limit=3&offset=38") == _all(range(38, COUNT))  # with no page before
    for offset in (30, 11, 29, 3, 40, 41, 10**9):
        expected = _all(range(min(offset, COUNT), min(offset + 3, COUNT)))
        uids, queries = _seen(puller, f"limit=3&offset={offset}")
        assert uids == expected
        assert len([query for query in queries if "UNION" in query]) <= 1


def test_postgresql_serves_them_alike(puller_on_postgres: Ours) -> None:
    test_a_leap_walks_there_once_and_further_leaps_are_near_a_mark(puller_on_postgres)
    test_who_counts_by_himself_pays_at_the_end_what_he_pays_at_the_start(puller_on_postgres)
    test_bounds_in_time_are_pulls_of_their_own(puller_on_postgres)
    test_marks_are_forgotten_after_a_day(puller_on_postgres)


def test_a_card_that_changes_meanwhile_hides_no_other(puller: Ours) -> None:
    found = _uids(puller, "limit=5") + _uids(puller, "limit=5&offset=5")
    moved = puller.services.deployment.clock.now()
    with puller.services.deployment.store.write() as tx:
        held = next(c for c in tx.credentials.search(emsps=(EMSP,), limit=5) if c.uid == "0403")
        tx.credentials.put(replace(held, updated_at=moved))
    for offset in range(10, COUNT + 5, 5):
        found += _uids(puller, f"limit=5&offset={offset}")
    assert found[:COUNT] == _all(range(COUNT))


def test_a_pull_that_begins_anew_forgets_where_the_one_before_was(puller: Ours) -> None:
    assert _uids(puller, "limit=5") == _all(range(5))
    with puller.services.deployment.store.write() as tx:
        first = tx.credentials.search(emsps=("DEEMB",), limit=1)[0]
        tx.credentials.put(replace(first, updated_at=BEGUN + dt.timedelta(hours=1)))
    assert _uids(puller, "limit=5") == _all(range(1, 6))
    assert _uids(puller, "limit=5&offset=5") == _all(range(6, 11))


def test_bounds_in_time_are_pulls_of_their_own(puller: Ours) -> None:
    since = "date_from=2026-01-01T00:00:05Z"
    assert _uids(puller, "limit=6") == _all(range(6))
    assert _uids(puller, f"limit=6&{since}") == _all(range(15, 21))
    assert _uids(puller, "limit=6&offset=6") == _all(range(6, 12))
    assert _uids(puller, f"limit=6&{since}&offset=6") == _all(range(21, 27))
    answer = puller.call("GET", f"{OWN}?{since}&offset=6")
    assert answer.headers["X-Total-Count"] == str(COUNT - 15)


def test_marks_are_forgotten_after_a_day(puller: Ours) -> None:
    _uids(puller, "limit=5")
    network = puller.services.partners
    assert token_pages.forget_old(network) == 0
    with puller.services.deployment.store.write() as tx:
        held = tx.page_marks.before("acme", "..", 5)
        assert held is not None
        tx.page_marks.put(replace(held, created_at=held.created_at - dt.timedelta(days=2)))
    assert _uids(puller, "limit=5&offset=5") == _all(range(5, 10))  # the old one is not believed
    with puller.services.deployment.store.write() as tx:
        old = held.created_at - 2 * token_pages.KEPT
        tx.page_marks.put(replace(held, position=9, created_at=old))
    assert token_pages.forget_old(network) == 1
