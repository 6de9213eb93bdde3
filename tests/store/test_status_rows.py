"""Everything of the status authority comes back as it went in, and is found as promised."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from pki.errors import Conflict
from pki.model import ChangeKind, IntentState, IssuerState, RevokedRow, StoredAnswer
from pki.store import status_sql
from pki.store.db import Database
from tests.databases import sqlite_url
from tests.status import seeding
from tests.store import samples, status_samples
from tests.store.samples import NOW
from tests.store.status_samples import HOUR, ISSUER, serial

SECOND = dt.timedelta(seconds=1)
MEBIBYTE = 1 << 20


@pytest.fixture
def stocked(database: Database) -> Database:
    """The store with two issuers."""
    with database.write() as tx:
        tx.issuers.add(samples.issuer())
        tx.issuers.add(samples.issuer("cpo-sub2", state=IssuerState.STATUS_ONLY))
    return database


def _change_and_fail(store: Database) -> None:
    with suppress(ZeroDivisionError), store.write() as tx:
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(3), NOW)
        raise ZeroDivisionError


# --- change log ----------------------------------------------------------------------------------


def test_changes_come_back_in_order_and_pages(stocked: Database) -> None:
    with stocked.read() as tx:
        assert (tx.status.sequence(), tx.status.changes(0, 10)) == (0, [])
    with stocked.write() as tx:
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(7), NOW)
        tx.status.add_change(ChangeKind.ISSUERS, "cpo-sub2.g1", None, NOW + SECOND)
    with stocked.write() as tx:
        tx.status.add_change(ChangeKind.RELEASED, ISSUER, serial(7), NOW + HOUR)
    with stocked.read() as tx:
        assert tx.status.sequence() == 3
        found = tx.status.changes(0, 10)
        assert [(c.sequence, c.kind, c.issuer_id, c.serial, c.changed_at) for c in found] == [
            (1, ChangeKind.REVOKED, ISSUER, serial(7), NOW),
            (2, ChangeKind.ISSUERS, "cpo-sub2.g1", None, NOW + SECOND),
            (3, ChangeKind.RELEASED, ISSUER, serial(7), NOW + HOUR),
        ]
        assert tx.status.changes(1, 1) == found[1:2]
        assert tx.status.changes(3, 10) == []


def test_an_issuer_changed_where_one_of_its_certificates_did(stocked: Database) -> None:
    with stocked.write() as tx:
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(1), NOW)
        tx.status.add_change(ChangeKind.ISSUERS, "cpo-sub2.g1", None, NOW)
        tx.status.add_change(ChangeKind.RELEASED, ISSUER, serial(2), NOW)
        tx.status.add_change(ChangeKind.RELEASED, "cpo-sub2.g1", serial(3), NOW)
    with stocked.read() as tx:
        assert [tx.status.changed(ISSUER, behind) for behind in range(4)] == [True] * 3 + [False]
        assert [tx.status.changed("cpo-sub2.g1", behind) for behind in (0, 3, 4)] == [
            True,
            True,
            False,
        ]
        assert tx.status.released(ISSUER, 0) == {serial(2)}
        assert tx.status.released(ISSUER, 3) == set()


def test_a_change_that_is_not_committed_leaves_no_gap(stocked: Database) -> None:
    _change_and_fail(stocked)
    with stocked.write() as tx:
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(2), NOW)
    with stocked.read() as tx:
        assert [c.sequence for c in tx.status.changes(0, 10)] == [tx.status.sequence()] == [1]


def test_the_call_comes_after_the_commit_and_only_for_changes(
    stocked: Database, database_url: str
) -> None:
    heard: list[int] = []

    def on_change() -> None:
        with stocked.read() as tx:  # another connection: it sees what is committed
            heard.append(tx.status.sequence())

    store = Database(database_url, on_change=on_change)
    with store.write() as tx:
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(1), NOW)
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(2), NOW)
        assert heard == []
    assert heard == [2]
    with store.write() as tx:
        tx.put_setting("mode", "demo")
        tx.status.put_answer(status_samples.answer())
    _change_and_fail(store)
    assert heard == [2]
    store.close()


# --- responders and answers ----------------------------------------------------------------------


def test_responders_come_back_oldest_first_and_a_key_has_one(stocked: Database) -> None:
    newer, older = status_samples.responder(2), status_samples.responder(1)
    other = status_samples.responder(3, issuer_id="cpo-sub2.g1")
    with stocked.write() as tx:
        for each in (newer, other, older):
            tx.status.add_responder(each)
    with stocked.read() as tx:
        assert tx.status.responders() == [other, older, newer]
    twin = replace(newer, fingerprint=status_samples.responder(9).fingerprint)
    with pytest.raises(Conflict) as refused, stocked.write() as tx:
        tx.status.add_responder(twin)
    assert refused.value.code == "responder_exists"


def test_an_answer_is_found_by_its_cert_id_and_replaced_by_a_newer_one(stocked: Database) -> None:
    one, other = status_samples.answer(1), status_samples.answer(1, of="sha256")
    newer = replace(one, der=bytes(3000), refresh_at=NOW + HOUR, this_update=NOW)
    with stocked.write() as tx:
        for each in (one, other, newer):
            tx.status.put_answer(each)
    with stocked.read() as tx:
        assert tx.status.answer(one.cert_id) == newer
        assert tx.status.answer(other.cert_id) == other
        assert tx.status.answer(one.cert_id + b"\0") is None


def test_dropping_forgets_every_answer_about_one_certificate(stocked: Database) -> None:
    mine = [status_samples.answer(1), status_samples.answer(1, of="sha256")]
    others: list[StoredAnswer] = [
        status_samples.answer(2),
        replace(status_samples.answer(1, of="other"), issuer_id="cpo-sub2.g1"),
    ]
    with stocked.write() as tx:
        for each in (*mine, *others):
            tx.status.put_answer(each)
        tx.status.drop_answers(ISSUER, serial(1))
    with stocked.read() as tx:
        assert [tx.status.answer(each.cert_id) for each in (*mine, *others)] == [
            None,
            None,
            *others,
        ]


def test_due_answers_come_most_urgent_first(stocked: Database) -> None:
    stored = [status_samples.answer(n, refresh_at=NOW + n * HOUR) for n in (3, 1, 2)]
    with stocked.write() as tx:
        for each in stored:
            tx.status.put_answer(each)
    with stocked.read() as tx:
        due = tx.status.due_answers(NOW + 2 * HOUR, 10)
        assert [each.serial for each in due] == [serial(1), serial(2)]
        assert tx.status.due_answers(NOW + 9 * HOUR, 2) == due
        assert tx.status.due_answers(NOW + HOUR - SECOND, 10) == []


# --- CRLs ----------------------------------------------------------------------------------------


def test_a_crl_of_several_mebibytes_comes_back_in_its_chunks(stocked: Database) -> None:
    chunks = [bytes([n]) * (MEBIBYTE + n) for n in range(7)]
    record = status_samples.crl(octets=sum(map(len, chunks)))
    with stocked.write() as tx:
        assert tx.status.put_crl(record, iter(chunks))
    with stocked.read() as tx:
        assert tx.status.crl(ISSUER, 0) == record
        assert (tx.status.crl(ISSUER, 1), tx.status.crl("cpo-sub2.g1", 0)) == (None, None)
        assert list(tx.status.crl_chunks(record)) == chunks
        assert list(tx.status.crl_chunks(replace(record, number=2))) == []


def test_the_last_two_crls_of_a_shard_stay(stocked: Database) -> None:
    numbers = (1, 4, 5, 9)
    others = [status_samples.crl(2, shard=1), status_samples.crl(3, issuer_id="cpo-sub2.g1")]
    with stocked.write() as tx:
        for record in (*others, *map(status_samples.crl, numbers)):
            assert tx.status.put_crl(record, [b"abc"])
    with stocked.read() as tx:
        kept = {n: b"".join(tx.status.crl_chunks(status_samples.crl(n))) for n in numbers}
        assert kept == {1: b"", 4: b"", 5: b"abc", 9: b"abc"}
        assert tx.status.crl(ISSUER, 0) == status_samples.crl(9)
        assert [b"".join(tx.status.crl_chunks(record)) for record in others] == [b"abc"] * 2


@pytest.mark.parametrize("number", [5, 4])
def test_a_crl_never_takes_the_place_of_one_as_new(stocked: Database, number: int) -> None:
    with stocked.write() as tx:
        assert tx.status.put_crl(status_samples.crl(3), [b"3"])
        assert tx.status.put_crl(status_samples.crl(5), [b"5"])
        assert not tx.status.put_crl(status_samples.crl(number, at=NOW + HOUR), [b"new"])
    with stocked.read() as tx:
        assert tx.status.crl(ISSUER, 0) == status_samples.crl(5)
        assert list(tx.status.crl_chunks(status_samples.crl(5))) == [b"5"]
        assert list(tx.status.crl_chunks(status_samples.crl(3))) == [b"3"]


def test_crl_intents_move_once_and_give_the_number(stocked: Database) -> None:
    first, second = status_samples.crl_intent(1), status_samples.crl_intent(7, shard=2)
    with stocked.write() as tx:
        assert tx.status.crl_number(ISSUER) == 0
        tx.status.add_crl_intent(first)
        tx.status.add_crl_intent(second)
        assert (tx.status.crl_number(ISSUER), tx.status.crl_number("cpo-sub2.g1")) == (7, 0)
        assert tx.status.crl_intent(second.intent_id) == second
        assert tx.status.crl_intent("none") is None
        assert not tx.status.move_crl_intent("none", IntentState.OPEN, IntentState.SIGNING)
        step = (first.intent_id, IntentState.OPEN, IntentState.SIGNING)
        assert [tx.status.move_crl_intent(*step) for _ in range(2)] == [True, False]
        assert tx.status.crl_intent(first.intent_id) == replace(first, state=IntentState.SIGNING)
    with pytest.raises(Conflict) as refused, stocked.write() as tx:
        tx.status.add_crl_intent(status_samples.crl_intent(7, intent_id="another"))
    assert refused.value.code == "crl_number_taken"


def test_a_crl_closes_what_older_intents_left_open(stocked: Database) -> None:
    begun = {
        1: IntentState.SIGNING,
        2: IntentState.OPEN,
        3: IntentState.COMPLETED,
        4: IntentState.SIGNING,
        6: IntentState.OPEN,
    }
    intents = [status_samples.crl_intent(n, state=state) for n, state in begun.items()]
    other = status_samples.crl_intent(5, shard=1, state=IntentState.SIGNING)
    with stocked.write() as tx:
        for intent in (*intents, other):
            tx.status.add_crl_intent(intent)
        tx.status.put_crl(status_samples.crl(4), [b"abc"])
        states = [tx.status.crl_intent(intent.intent_id) for intent in (*intents, other)]
        left = tx.status.unfinished_crl_intents()
    assert [intent.number for intent in left] == [4, 5, 6]
    assert [intent.state for intent in states if intent] == [
        IntentState.ABANDONED,
        IntentState.ABANDONED,
        IntentState.COMPLETED,
        IntentState.SIGNING,
        IntentState.OPEN,
        IntentState.SIGNING,
    ]


# --- revoked -------------------------------------------------------------------------------------


def _revoke(store: Database, *numbers: int, not_after: dt.datetime | None) -> None:
    with store.write() as tx:
        for number in numbers:
            if not_after is not None:
                tx.intents.add(samples.intent(number))
                tx.certificates.add(replace(samples.certificate(number), not_after=not_after))
            tx.certificates.revoke(replace(samples.revocation(number), not_after=not_after))


def _streamed(store: Database, ended_before: dt.datetime = NOW) -> list[RevokedRow]:
    with store.read() as tx:
        return [row for page in tx.status.revoked(ISSUER, ended_before) for row in page]


def test_revocations_stream_in_pages_each_once_in_order(stocked: Database) -> None:
    count = 2 * status_sql.PAGE + 7
    seeding.revoke_many(stocked, samples.issuer(), count, now=NOW, until=NOW)
    with stocked.write() as tx:
        tx.certificates.revoke(samples.revocation(5, issuer_id="cpo-sub2.g1"))
    assert [row[0] for row in _streamed(stocked)] == sorted(seeding.serials(count))


def test_a_revocation_streams_as_it_was_stored(stocked: Database) -> None:
    _revoke(stocked, 1, not_after=None)
    assert _streamed(stocked) == [("1", "keyCompromise", int(NOW.timestamp()), 0)]


def test_a_shard_streams_without_the_others(stocked: Database) -> None:
    shards = {1: 2, 2: 1, 3: 2, 4: 3}
    with stocked.write() as tx:
        for number, shard in shards.items():
            tx.certificates.revoke(replace(samples.revocation(number), shard=shard))
    with stocked.read() as tx:
        for shard in range(5):
            rows = [row for page in tx.status.revoked(ISSUER, NOW, shard) for row in page]
            expected = [f"{number:x}" for number, one in shards.items() if one == shard]
            assert [row[0] for row in rows] == expected
    assert [(row[0], row[3]) for row in _streamed(stocked)] == [
        ("2", 1),
        ("1", 2),
        ("3", 2),
        ("4", 3),
    ]


def test_what_ended_is_left_out_and_what_never_became_a_certificate_stays(
    stocked: Database,
) -> None:
    _revoke(stocked, 1, 2, not_after=NOW - SECOND)
    _revoke(stocked, 3, not_after=NOW)
    _revoke(stocked, 4, not_after=NOW + HOUR)
    _revoke(stocked, 5, not_after=None)
    with stocked.read() as tx:
        both = {serial(1), serial(2)}
        assert tx.certificates.ended(ISSUER, [serial(n) for n in range(1, 6)], NOW) == both
    assert [row[0] for row in _streamed(stocked)] == ["3", "4", "5"]
    assert [row[0] for row in _streamed(stocked, NOW - SECOND)] == ["1", "2", "3", "4", "5"]


def test_a_page_of_ended_ones_does_not_end_the_stream(stocked: Database) -> None:
    count = status_sql.PAGE + 1
    seeding.revoke_many(stocked, samples.issuer(), count, now=NOW, until=NOW - SECOND)
    _revoke(stocked, 1 << 150, not_after=NOW)
    with stocked.read() as tx:
        assert [page[0][0] for page in tx.status.revoked(ISSUER, NOW)] == [f"{1 << 150:x}"]


def test_the_stream_keeps_one_page_in_memory(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path))
    store.migrate()
    count = 4 * status_sql.PAGE
    with store.write() as tx:
        tx.issuers.add(samples.issuer())
    seeding.revoke_very_many(store, samples.issuer(), count, now=NOW)
    with store.read() as tx:
        next(tx.status.revoked(ISSUER, NOW))  # whatever is made once
        tracemalloc.start()
        found = sum(len(page) for page in tx.status.revoked(ISSUER, NOW))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    store.close()
    assert found == count
    assert peak < 2 * status_sql.PAGE * 600


# --- plans ---------------------------------------------------------------------------------------


def test_no_look_up_of_status_scans_a_table(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path))
    store.migrate()
    seen: dict[str, object] = {}
    event.listen(
        store._backend.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, text, values, _context, _many: seen.setdefault(text, values),
    )
    with store.write() as tx:
        tx.issuers.add(samples.issuer())
        tx.status.sequence()
        tx.status.hold_changes()
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(1), NOW)
        tx.status.changes(0, 10)
        tx.status.changed(ISSUER, 0)
        tx.status.released(ISSUER, 0)
        tx.status.answer(b"")
        tx.status.put_answer(status_samples.answer())
        tx.status.drop_answers(ISSUER, serial(1))
        tx.status.due_answers(NOW, 10)
        tx.status.crl(ISSUER, 0)
        tx.status.crl_number(ISSUER)
        tx.status.add_crl_intent(status_samples.crl_intent())
        tx.status.crl_intent("i")
        tx.status.move_crl_intent("i", IntentState.OPEN, IntentState.SIGNING)
        tx.status.put_crl(status_samples.crl(), [b"abc"])
        list(tx.status.crl_chunks(status_samples.crl()))
        tx.certificates.ended(ISSUER, [serial(1)], NOW)
        tx.status.changed(ISSUER, 0, 1)
        list(tx.status.revoked(ISSUER, NOW))
        list(tx.status.revoked(ISSUER, NOW, 2))
        tx.leases.take("crls", "a", NOW, NOW)
        tx.leases.give_back("crls", "a")
    plans = {}
    with store._backend.engine.connect() as connection:
        for text, values in list(seen.items()):
            if text.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)  # type: ignore[arg-type]
                plans[text] = [str(row[-1]) for row in rows]
    store.close()
    assert len(plans) > 14
    for text, steps in plans.items():
        if text.startswith("SELECT change_sequence"):
            continue  # it has one row
        bad = ("SCAN", "USE TEMP")
        scans = [step for step in steps if step.startswith(bad)]
        assert scans == [], text
        if text.startswith("SELECT revocations.serial"):
            assert "COVERING INDEX ix_revocations_crl" in steps[0]
