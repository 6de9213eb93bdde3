"""Writers that meet: each waits its turn, and none overwrites another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pki.errors import Conflict
from pki.ids import Edition
from pki.model import Account
from pki.store.db import Database
from tests.store import processes, samples
from tests.store.samples import DE8AA, NOW

WRITERS = 4
ROUNDS = 10
APPEND = """
import sys
from pki.store.db import Database
from tests.store import samples
store = Database(sys.argv[1], wait=30)
for _ in range(10):
    with store.write() as tx:
        tx.audit.append(samples.entry(tx.audit.head("admin")))
"""
OPEN = """
import os, sys
from pathlib import Path
from pki.store.db import Database
folder = Path(sys.argv[1])
for attempt in range(60):
    file = folder / f"{attempt}.db"
    file.touch()
    (folder / f"{attempt}.{os.getpid()}.here").touch()
    while len(list(folder.glob(f"{attempt}.*.here"))) < 3:
        pass
    store = Database(f"sqlite:///{file}")
    assert not store.exists()
    store.close()
"""
FORK = """
import os, sys
from pki.store.db import Database
store = Database(sys.argv[1])
def count():
    with store.write() as tx:
        tx.put_setting("count", str(int(tx.setting("count") or 0) + 1))
count()
for _ in range(2):
    child = os.fork()
    if child == 0:
        count()
        store.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    count()
store.close()
"""


@pytest.fixture
def patient(database: Database, database_url: str) -> Iterator[Database]:
    """Yield the same database for writers that wait longer for each other."""
    assert database.exists()
    store = Database(database_url, wait=30)
    yield store
    store.close()


def _at_once(work: Callable[[int], object], writers: int = WRITERS) -> list[object]:
    start = threading.Barrier(writers)

    def run(number: int) -> object:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(run, range(writers)))


def test_threads_that_append_to_a_new_chain_leave_no_gap(patient: Database) -> None:
    def append(_: int) -> None:
        for _round in range(ROUNDS):
            with patient.write() as tx:
                tx.audit.append(samples.entry(tx.audit.head("admin")))

    _at_once(append)
    _assert_gapless(patient, WRITERS * ROUNDS)


def test_processes_that_append_to_a_new_chain_leave_no_gap(
    patient: Database, database_url: str
) -> None:
    assert processes.complaints(APPEND, database_url) == []
    _assert_gapless(patient, 30)


def test_processes_that_open_a_new_file_at_once_are_all_let_in(tmp_path: Path) -> None:
    """The switch to write-ahead logging does not wait by itself: one in twelve was refused."""
    assert processes.complaints(OPEN, str(tmp_path)) == []


def _assert_gapless(store: Database, count: int) -> None:
    with store.read() as tx:
        entries = list(tx.audit.entries("admin"))
        assert [entry.sequence for entry in entries] == list(range(1, count + 1))
        assert [entry.previous_hash for entry in entries[1:]] == [
            entry.entry_hash for entry in entries[:-1]
        ]
        assert tx.audit.heads() == {"admin": (count, entries[-1].entry_hash)}


def test_one_of_the_writers_of_a_serial_gets_it(patient: Database) -> None:
    with patient.write() as tx:
        tx.issuers.add(samples.issuer())

    def reserve(number: int) -> str:
        try:
            with patient.write() as tx:
                tx.intents.add(samples.intent(7, intent_id=f"intent-{number}"))
        except Conflict as conflict:
            return conflict.code
        return "reserved"

    outcomes = _at_once(reserve)
    assert sorted(map(str, outcomes)) == ["reserved"] + ["serial_taken"] * (WRITERS - 1)
    with patient.read() as tx:
        assert len(tx.intents.unfinished()) == 1


def test_every_change_of_trust_counts(patient: Database) -> None:
    def add(number: int) -> None:
        with patient.write() as tx:
            tx.trust.add_anchor(samples.anchor(f"root {number}".encode()))

    _at_once(add)
    with patient.read() as tx:
        assert (tx.trust.version(), len(tx.trust.anchors())) == (WRITERS, WRITERS)


def test_who_locks_an_account_sees_what_the_earlier_holder_wrote(patient: Database) -> None:
    with patient.write() as tx:
        tx.contracts.add_account(Account(provider_id=DE8AA, name="A", created_at=NOW))
    emaid = samples.emaid("DE8AACA2B3C4D5")

    def register(number: int) -> bool:
        with patient.write() as tx:
            assert tx.contracts.account(DE8AA, lock=True) is not None
            if tx.contracts.find(Edition.ISO2, emaid.key) is not None:
                return False
            tx.contracts.add(samples.contract(f"c{number}", emaid))
            return True

    assert sum(map(bool, _at_once(register))) == 1


def test_a_forked_child_uses_connections_of_its_own(patient: Database, database_url: str) -> None:
    assert processes.complaints(FORK, database_url, processes=1) == []
    with patient.read() as tx:
        assert tx.setting("count") == "5"
