"""The view of a process: at once on its host, soon on others, and honest while it is blind."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pki import hierarchy
from pki.beacon import Beacon
from pki.errors import Unavailable
from pki.model import CertificateRecord, Change, ChangeKind, Reason, Responder
from pki.ports import StatusStore, Transaction
from pki.revoke import release, revoke
from pki.services import Services
from pki.status import StatusPolicy, View, responders
from tests.homes import ADMIN, MO_BRANCH, demo_plans, make_home, opened
from tests.status import hosts
from tests.status.hosts import Switch, wait_for
from tests.store import processes
from tests.store.samples import NOW

HOLD = Reason.CERTIFICATE_HOLD
FORK = """
import os, sys, time
from pathlib import Path
from tests.homes import opened

def child(view, wait):
    time.sleep(wait)  # longer than a view without a thread may be trusted
    assert view.ready() and not view._is_followed()
    view.start()
    assert view.ready() and view._is_followed()
    view.stop()
    os._exit(0)

with opened(Path(sys.argv[1])) as services:
    services.view.start()
    assert services.view.ready()
    for wait in (0, 0.6):
        with services.view._lock, services.view._caught_up:  # as its thread may, in a fork
            pid = os.fork()
        if pid == 0:
            begun = time.monotonic()
            child(services.view, wait)
        assert os.waitpid(pid, 0)[1] == 0
    assert services.view._is_followed()
"""


def _change(services: Services, record: CertificateRecord) -> None:
    """Change the status of a certificate and leave it as it was."""
    revoke(services.deployment, ADMIN, record.fingerprint.value, HOLD)
    release(services.deployment, ADMIN, record.fingerprint.value)


def _sequence(services: Services) -> int:
    with services.deployment.store.read() as tx:
        return tx.status.sequence()


@contextmanager
def _switched(services: Services, max_view_age: float = 1.0) -> Iterator[tuple[View, Switch]]:
    """Yield a view with a thread, over a store that can fail."""
    switch = Switch(services.deployment.store)
    view = View(
        replace(services.deployment, store=switch),
        Beacon(services.run_directory / "changes"),
        StatusPolicy(max_view_age=max_view_age),
    )
    view.start()
    try:
        assert view.ready()
        yield view, switch
    finally:
        switch.restore()
        view.stop()


# --- at once, and soon ---------------------------------------------------------------------------


@pytest.mark.parametrize("threaded", [False, True], ids=["alone", "threaded"])
def test_a_change_of_this_host_is_seen_by_the_next_question(
    anywhere: Services, *, threaded: bool
) -> None:
    record = hosts.issued(anywhere)
    with hosts.same_host(anywhere) as other:
        if threaded:
            other.view.start()
        assert other.view.ready()
        for _ in range(3):
            _change(anywhere, record)
            assert other.view.ready()
            assert other.view.sequence == _sequence(anywhere)


def test_a_change_of_another_host_is_seen_within_a_second(
    anywhere: Services, tmp_path: Path
) -> None:
    record = hosts.issued(anywhere)
    with hosts.other_host(anywhere, tmp_path / "other") as other:
        other.view.start()
        assert other.view.ready()
        _change(anywhere, record)
        last = _sequence(anywhere)
        assert wait_for(lambda: other.view.sequence >= last) < 1.0


def test_without_a_thread_a_question_looks_for_changes_of_other_hosts(
    small: Services, tmp_path: Path
) -> None:
    record = hosts.issued(small)
    with hosts.other_host(small, tmp_path / "other") as other:
        assert other.view.ready()
        _change(small, record)
        time.sleep(0.6)
        assert other.view.ready()
        assert other.view.sequence == _sequence(small)


def test_the_view_stays_ready_while_others_change_without_end(small: Services) -> None:
    ended = threading.Event()
    beacon = Beacon(small.run_directory / "changes")

    def change() -> None:
        while not ended.wait(0.0005):
            beacon.count_up()

    small.view.start()
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        try:
            assert all(small.view.ready() for _ in range(200))
        finally:
            ended.set()
        changing.result()


def test_listeners_hear_every_change_once_in_order_before_ready_says_yes(small: Services) -> None:
    record = hosts.issued(small)
    heard: list[Change] = []
    small.view.listen(heard.append)
    assert small.view.ready()
    for _ in range(3):
        _change(small, record)
    assert small.view.ready()
    first = heard[0].sequence
    assert [c.sequence for c in heard] == list(range(first, first + 6))
    assert {c.serial for c in heard} == {record.serial}


# --- outages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["gone", "silent"])
def test_a_view_that_is_blind_for_too_long_says_so_and_recovers(
    small: Services, fault: str
) -> None:
    with _switched(small) as (view, switch):
        switch.fault = fault
        assert view.ready()
        assert 0.4 < wait_for(lambda: not view.ready()) < 3.0
        switch.restore()
        assert wait_for(view.ready) < 3.0


def test_a_change_that_cannot_be_looked_up_makes_it_unready_at_once(small: Services) -> None:
    with _switched(small, max_view_age=60.0) as (view, switch):
        switch.fault = "gone"
        Beacon(small.run_directory / "changes").count_up()
        assert not view.ready()
        switch.restore()
        assert wait_for(view.ready) < 3.0


@pytest.mark.parametrize("threaded", [True, False], ids=["threaded", "alone"])
def test_no_request_waits_for_a_silent_database(small: Services, *, threaded: bool) -> None:
    with _switched(small, max_view_age=60.0) as (view, switch):
        if not threaded:
            view.stop()
        switch.fault = "silent"
        Beacon(small.run_directory / "changes").count_up()

        def wait(_: int) -> float:
            begun = time.monotonic()
            assert not view.ready()
            return time.monotonic() - begun

        with ThreadPoolExecutor(8) as pool:
            first = [pool.submit(wait, n) for n in range(8)]
            time.sleep(1.5)
            waits = sorted(done.result() for done in first if done.done())
            # without a thread of its own, one request does the looking
            assert len(waits) == (8 if threaded else 7)
            assert waits[-1] < 1.4
            assert max(pool.map(wait, range(20))) < 0.2
            assert not view.database_answers()
            switch.restore()
        assert wait_for(view.ready) < 3.0
        assert view.database_answers()


def test_a_database_that_is_gone_is_asked_by_the_thread_and_not_by_every_request(
    small: Services,
) -> None:
    with _switched(small) as (view, switch):
        switch.fault = "gone"
        Beacon(small.run_directory / "changes").count_up()
        wait_for(lambda: view.failing)
        before = switch.reads
        assert not any(view.ready() for _ in range(500))
        assert switch.reads - before < 5


def test_a_file_that_vanishes_and_comes_back_is_an_outage(small: Services) -> None:
    file = small.settings.home / "pnc.db"
    assert small.view.ready()
    file.rename(file.with_suffix(".gone"))
    small.view.start()
    wait_for(lambda: small.view.failing)
    file.with_suffix(".gone").rename(file)
    wait_for(lambda: not small.view.failing)
    assert small.view.ready()


@dataclass
class _Torn:
    """A status store whose connection breaks when responders are read."""

    status: StatusStore

    def sequence(self) -> int:
        return self.status.sequence()

    def responders(self) -> list[Responder]:
        raise Unavailable("store_unavailable", "The connection broke.")


class _TornSwitch(Switch):
    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self.store.read() as tx:
            if self.fault:
                tx.status = _Torn(tx.status)  # type: ignore[misc, assignment]
            yield tx


def test_a_first_look_that_fails_half_way_is_repeated_as_a_whole(small: Services) -> None:
    """The view once took over the number but no issuers, and called all of them unauthorized."""
    store = _TornSwitch(small.deployment.store, fault="torn")
    deployment = replace(small.deployment, store=store)
    view = View(deployment, Beacon(small.run_directory / "changes"), StatusPolicy())
    with pytest.raises(Unavailable):
        view.follow()
    assert not view.ready()
    store.restore()
    view.follow()
    small.view.follow()
    assert view.ready()
    assert view.index.keys() == small.view.index.keys() != set()


def test_a_log_that_went_back_with_a_restored_database_is_read_anew(
    small: Services, tmp_path: Path
) -> None:
    file, backup = small.settings.home / "pnc.db", tmp_path / "backup.db"
    record = hosts.issued(small)
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(backup)) as copy:
        live.backup(copy)
    before = _sequence(small)
    _change(small, record)
    responders.make(small.deployment, ADMIN, hosts.issuer_of(small))
    small.view.follow()
    assert hosts.ask(small, record) == hosts.GOOD
    heard: list[Change] = []
    small.view.listen(heard.append)
    small.database.close()
    for leftover in ("-wal", "-shm"):
        file.with_name(file.name + leftover).unlink(missing_ok=True)
    backup.replace(file)
    small.view.follow()
    assert small.view.sequence == before
    assert [(c.kind, c.serial) for c in heard] == [(ChangeKind.ISSUERS, None)]
    assert {len(k.responders) for known in small.view.index.values() for k in known} == {1}
    _change(small, record)
    small.view.follow()
    assert [c.kind for c in heard[1:]] == [ChangeKind.REVOKED, ChangeKind.RELEASED]


# --- issuers and responders ----------------------------------------------------------------------


def _signers(services: Services, issuer_id: str = hosts.LEAF_ISSUER) -> list[Responder]:
    assert services.view.ready()
    found = {
        signer.fingerprint: signer
        for named in services.view.index.values()
        for known in named
        for signer in known.responders
        if known.issuer.issuer_id == issuer_id
    }
    return list(found.values())


def test_a_new_responder_is_used_by_other_processes_at_once(anywhere: Services) -> None:
    with hosts.same_host(anywhere) as other:
        (first,) = _signers(other)
        second = responders.make(anywhere.deployment, ADMIN, hosts.issuer_of(anywhere))
        assert _signers(other) == [first, second]
        record = hosts.issued(anywhere)
        request = hosts.request_about(hosts.issuer_of(anywhere), record.serial.as_int)
        assert second.der in other.answers.respond(request).der


def test_a_new_issuer_is_known_to_other_processes_at_once(tmp_path: Path) -> None:
    make_home(tmp_path / "home", "mo-2", "mo1-2")
    with opened(tmp_path / "home") as first, opened(tmp_path / "home") as other:
        assert other.view.ready()
        assert len(other.view.index) == 2 * 4
        hierarchy.create(first.deployment, ADMIN, demo_plans(*MO_BRANCH))
        assert other.view.ready()
        assert len(other.view.index) == 3 * 4


def test_a_revoked_responder_signs_nothing_until_it_is_released(small: Services) -> None:
    record = hosts.issued(small)
    issuer = hosts.issuer_of(small)
    (signer,) = _signers(small)
    request = hosts.request_about(issuer, record.serial.as_int, nonce=bytes(16))
    with hosts.same_host(small) as other:
        assert hosts.answer_to(other, request) == hosts.GOOD
        revoke(small.deployment, ADMIN, signer.fingerprint.value, HOLD)
        assert hosts.answer_to(other, request) == hosts.TRY_LATER
        successor = responders.make(small.deployment, ADMIN, issuer)
        assert successor.der in other.answers.respond(request).der
        release(small.deployment, ADMIN, signer.fingerprint.value)
        assert _signers(other) == [signer, successor]


def test_a_page_of_changes_costs_no_parsing_of_responders_for_each(small: Services) -> None:
    record = hosts.issued(small)
    assert small.view.ready()
    with small.deployment.store.write() as tx:
        for _ in range(3000):
            tx.status.add_change(ChangeKind.REVOKED, record.issuer_id, record.serial, NOW)
    begun = time.process_time()
    small.view.follow()
    assert small.view.sequence == _sequence(small)
    assert time.process_time() - begun < 1.0


# --- threads and processes -----------------------------------------------------------------------


def test_a_view_can_be_stopped_and_started_again(small: Services) -> None:
    for _ in range(3):
        small.view.start()
        small.view.start()
        assert small.view.ready()
        assert [t.name for t in threading.enumerate()].count("status-view") == 1
        small.view.stop()
        small.view.stop()
        assert "status-view" not in [t.name for t in threading.enumerate()]
        assert small.view.ready()


def test_the_thread_outlives_a_listener_that_raises(small: Services) -> None:
    record = hosts.issued(small)
    broken = [True]

    def listener(_: Change) -> None:
        if broken[0]:
            raise ZeroDivisionError

    small.view.listen(listener)
    small.view.start()
    assert small.view.ready()
    _change(small, record)
    assert not small.view.ready()
    broken[0] = False
    wait_for(small.view.ready)
    assert small.view._is_followed()


def test_a_fork_is_ready_and_may_start_a_thread_of_its_own(small_home: Path) -> None:
    assert processes.complaints(FORK, str(small_home), processes=1) == []
