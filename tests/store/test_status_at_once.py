"""Writers and readers of the change log, of stored answers and of leases that meet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pki.model import Change, ChangeKind
from pki.store.db import Database
from tests.store import processes, samples, status_samples
from tests.store.samples import NOW
from tests.store.status_samples import HOUR, ISSUER, serial

WRITERS = 3
PROCESSES = 2
ROUNDS = 25
GIVEN_UP = 20.0
APPEND = f"""
import sys
from pki.store.db import Database
from tests.store.samples import NOW
from tests.store.status_samples import ISSUER, serial
from pki.model import ChangeKind
store = Database(sys.argv[1], wait=30)
for number in range({ROUNDS}):
    try:
        with store.write() as tx:
            tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(number + 1), NOW)
            if number % 5 == 4:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
"""


@pytest.fixture
def patient(database: Database, database_url: str) -> Iterator[Database]:
    """Yield the same database, with an issuer, for writers that wait longer for each other."""
    assert database.exists()
    store = Database(database_url, wait=GIVEN_UP)
    with store.write() as tx:
        tx.issuers.add(samples.issuer())
    yield store
    store.close()


def test_a_reader_that_polls_sees_every_change_once_in_order_while_processes_write(
    patient: Database, database_url: str
) -> None:
    running = [processes.start(APPEND, database_url) for _ in range(PROCESSES)]
    expected = PROCESSES * (ROUNDS - ROUNDS // 5)
    heard: list[Change] = []
    last = 0
    try:
        while any(process.poll() is None for process in running) or len(heard) < last:
            with patient.read() as tx:
                last = tx.status.sequence()
                heard += tx.status.changes(heard[-1].sequence if heard else 0, 7)
    finally:
        ended = [process.communicate(timeout=60)[1] for process in running]
    assert [text for text in ended if text] == []
    assert [change.sequence for change in heard] == list(range(1, expected + 1))


def test_the_first_changes_of_a_new_log_get_numbers_of_their_own(patient: Database) -> None:
    start = threading.Barrier(WRITERS)

    def append(number: int) -> None:
        start.wait()
        with patient.write() as tx:
            tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(number + 1), NOW)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(append, range(WRITERS)))
    with patient.read() as tx:
        assert [c.sequence for c in tx.status.changes(0, 10)] == [1, 2, 3]


def _revoke(store: Database, number: int) -> None:
    """Do as `pki.revoke` does."""
    with store.write() as tx:
        tx.certificates.revoke(samples.revocation(number))
        tx.status.drop_answers(ISSUER, serial(number))
        tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(number), NOW)


@pytest.mark.parametrize("log", ["new", "used"])
def test_a_revocation_waits_for_an_answer_that_is_being_kept_and_drops_it(
    patient: Database, log: str
) -> None:
    answer = status_samples.answer(1)
    if log == "used":
        _revoke(patient, 9)
    with ThreadPoolExecutor(1) as pool:
        with patient.write() as tx:
            tx.status.hold_changes()
            assert tx.certificates.revocation(ISSUER, answer.serial) is None
            revoking = pool.submit(_revoke, patient, 1)
            with pytest.raises(TimeoutError):
                revoking.result(timeout=0.3)
            tx.status.put_answer(answer)
        revoking.result(timeout=GIVEN_UP)
    with patient.read() as tx:
        assert tx.status.answer(answer.cert_id) is None


def test_an_answer_that_waited_for_a_revocation_learns_of_it(patient: Database) -> None:
    def revocation_seen() -> bool:
        with patient.write() as tx:
            tx.status.hold_changes()
            return tx.certificates.revocation(ISSUER, serial(1)) is not None

    _revoke(patient, 9)
    with ThreadPoolExecutor(1) as pool:
        with patient.write() as tx:
            tx.certificates.revoke(samples.revocation(1))
            tx.status.drop_answers(ISSUER, serial(1))
            keeping = pool.submit(revocation_seen)
            with pytest.raises(TimeoutError):
                keeping.result(timeout=0.3)
            tx.status.add_change(ChangeKind.REVOKED, ISSUER, serial(1), NOW)
        assert keeping.result(timeout=GIVEN_UP)


def test_answers_that_are_being_kept_do_not_wait_for_each_other_on_postgresql(
    patient: Database, database_url: str
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    _revoke(patient, 9)

    def keep(number: int) -> None:
        with patient.write() as tx:
            tx.status.hold_changes()
            tx.status.put_answer(status_samples.answer(number))

    with ThreadPoolExecutor(1) as pool, patient.write() as tx:
        tx.status.hold_changes()
        tx.status.put_answer(status_samples.answer(1))
        pool.submit(keep, 2).result(timeout=2)


def test_one_of_those_who_reach_for_a_lease_at_once_gets_it(patient: Database) -> None:
    start = threading.Barrier(WRITERS)

    def take(number: int) -> bool:
        start.wait()
        with patient.write() as tx:
            return tx.leases.take("crls", str(number), NOW, NOW + HOUR)

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sorted(pool.map(take, range(WRITERS))) == [False, False, True]
