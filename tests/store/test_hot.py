"""Statements that go to the driver itself say and find what SQLAlchemy would, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Executable, bindparam, select

from pki.errors import BadInput, Conflict, PkiError
from pki.model import IntentState
from pki.store.db import Database
from pki.store.hot import hot
from pki.store.schema import intents, issuers
from pki.store.session import Session
from pki.store.transaction import Unit
from tests.store import samples

_SOME = (
    select(intents)
    .where(
        intents.c.intent_id.in_(bindparam("ids", expanding=True)),
        intents.c.state == IntentState.OPEN,
        intents.c.owner.like("%"),
        intents.c.kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(intents.c.intent_id)
)


def _session(tx: Unit) -> Session:
    return tx.intents._session


def _alike(tx: Unit, statement: Executable, **parameters: object) -> int:
    """Return how many rows both ways find, which must be the same."""
    found = _session(tx).rows(hot(statement), parameters)
    expected = _session(tx).rows(statement, parameters)
    assert [tuple(row) for row in found] == [tuple(row) for row in expected]
    assert [row._asdict() for row in found] == [row._asdict() for row in expected]
    first = _session(tx).first(hot(statement), parameters)
    assert (first is None) == (not expected)
    return len(found)


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as tx:
        tx.issuers.add(samples.issuer())
        for number in range(9):
            tx.intents.add(samples.intent(number + 1, intent_id=f"i{number}"))
    return database


def test_rows_are_those_of_sqlalchemy_whatever_the_lists_hold(filled: Database) -> None:
    kinds = [samples.intent().kind, "other"]
    with filled.read() as tx:
        assert _alike(tx, select(issuers)) == 1
        for count in (0, 1, 2, 3, 5, 8, 9):
            ids = [f"i{number}" for number in range(count)]
            assert _alike(tx, _SOME, ids=ids, kinds=kinds) == count
        assert _alike(tx, _SOME, ids=["i1", "none"], kinds=kinds) == 1
        assert _alike(tx, _SOME, ids=["i1"], kinds=[]) == 0


def test_rows_that_are_loaded_together_come_back_as_they_were(filled: Database) -> None:
    nasty = ["a\\, b", "\\N", "\\", "a\tb\nc\rd", "\x7f\x01", "ü €", "", "\\x00", "%s {}", "\u2028"]
    tbs = [b"", b"\x00\xff\\\n\t", bytes(range(256))]
    intents_ = [
        replace(
            samples.intent(100 + number, intent_id=f"n{number}"),
            owner=text,
            requested_by=text[::-1],
            tbs=tbs[number % 3],
        )
        for number, text in enumerate(nasty)
    ]
    with filled.write() as tx:
        tx.intents.add_many(intents_)
    with filled.read() as tx:
        found = tx.intents.several([intent.intent_id for intent in intents_])
    assert found == {intent.intent_id: intent for intent in intents_}


def test_a_text_that_no_column_keeps_is_not_loaded(filled: Database) -> None:
    good = samples.intent(200, intent_id="good")
    bad = replace(samples.intent(201, intent_id="bad"), owner="a\0b")
    with pytest.raises(BadInput, match="kept"), filled.write() as tx:
        tx.intents.add_many([good, bad])
    with filled.read() as tx:
        assert tx.intents.several(["good", "bad"]) == {}


def _swallow(database: Database, work: Callable[[Unit], object]) -> None:
    with database.write() as tx:
        tx.put_setting("a", "b")
        with suppress(PkiError):
            work(tx)


def test_a_value_that_a_column_refuses_ends_the_transaction(filled: Database) -> None:
    with pytest.raises(BadInput, match="kept"):
        _swallow(filled, lambda tx: tx.intents.get("a\0b"))
    with filled.read() as tx:
        assert tx.setting("a") is None


def test_what_the_schema_forbids_ends_the_transaction(filled: Database) -> None:
    foreign = samples.intent(77, issuer_id="nobody")
    with pytest.raises(Conflict, match="contradicts"):
        _swallow(filled, lambda tx: tx.intents.add(foreign))
    with filled.read() as tx:
        assert tx.setting("a") is None
