"""What a process keeps between decisions: nobody is told of a receipt that is not on disk."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pki import contracts, revoke, trust, validate
from pki.errors import Conflict, PkiError, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import (
    Accepted,
    ContractCheck,
    ContractState,
    DecisionRecord,
    Fault,
    Reason,
    Rejected,
)
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.services import Services
from tests.builders import NOW
from tests.homes import ADMIN, EMAID, opened

ROOT = Path(__file__).resolve().parents[1]


def _record(decision_id: str) -> DecisionRecord:
    return DecisionRecord(
        decision_id=decision_id,
        decided_at=NOW,
        accepted=True,
        fault=None,
        emaid=EMAID,
        asked_by="test",
        record="{}",
    )


def _desk(services: Services) -> Callable[[DecisionRecord], None]:
    desk = services.deployment.desk
    assert desk is not None
    return lambda record: desk.keep(record, ())


def _at_once(work: Callable[[str], None], names: list[str]) -> dict[str, PkiError | None]:
    """Do some work in a thread for each name, all beginning together."""
    begin = threading.Barrier(len(names))
    ended: dict[str, PkiError | None] = {}

    def one(at: int, name: str) -> None:
        begin.wait()
        try:
            work(name)
        except PkiError as error:
            ended[f"{name}/{at}"] = error
        else:
            ended[f"{name}/{at}"] = None

    threads = [threading.Thread(target=one, args=(at, name)) for at, name in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def test_receipts_of_many_at_once_are_all_kept(anywhere: Services) -> None:
    keep = _desk(anywhere)
    names = [f"{number:024x}" for number in range(24)]
    ended = _at_once(lambda name: keep(_record(name)), names)
    assert set(ended.values()) == {None}
    with anywhere.deployment.store.read() as tx:
        assert all(tx.decisions.get(name) is not None for name in names)


def test_a_receipt_that_cannot_be_kept_is_nobody_elses_loss(anywhere: Services) -> None:
    keep = _desk(anywhere)
    keep(_record("taken"))
    ended = _at_once(lambda name: keep(_record(name)), ["a", "taken", "b", "c", "d", "e"])
    assert [name for name, error in ended.items() if error is not None] == ["taken/1"]
    assert isinstance(ended["taken/1"], Conflict)
    with anywhere.deployment.store.read() as tx:
        assert all(tx.decisions.get(name) is not None for name in "abcde")


def test_without_a_database_nothing_is_accepted(small: Services) -> None:
    keep = _desk(small)
    keep(_record("before"))
    (small.settings.home / "pnc.db").rename(small.settings.home / "away")
    ended = _at_once(lambda name: keep(_record(name)), ["a", "b", "c"])
    assert all(isinstance(error, Unavailable) for error in ended.values())
    with pytest.raises(Unavailable):
        validate.validate(small.deployment, ADMIN, ContractCheck(token=EMAID))


def test_kill_every_acknowledged_decision_is_in_the_store(small_home: Path) -> None:
    with opened(small_home) as services:
        contracts.add(services.deployment, ADMIN, EMAID)
    words = [sys.executable, "-m", "tests.faults.decider", str(small_home)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        told = [running.stdout.readline().strip() for _ in range(50)]
        running.kill()
        told += [line.strip() for line in running.stdout if line.endswith("\n")]
    assert running.returncode == -signal.SIGKILL
    with opened(small_home) as services, services.deployment.store.read() as tx:
        assert all(tx.decisions.get(decision_id) is not None for decision_id in told)


# --- what is remembered follows the change log ---------------------------------------------------


def _revoke_leaf(services: Services, chain: tuple[bytes, ...]) -> None:
    _revoke(services, chain[0])


def _revoke_ca(services: Services, chain: tuple[bytes, ...]) -> None:
    _revoke(services, chain[1])


def _revoke(services: Services, der: bytes) -> None:
    serial = load(der).serial_number.value
    revoke.revoke(services.deployment, ADMIN, serial, Reason.SUPERSEDED)


def _block_key(services: Services, chain: tuple[bytes, ...]) -> None:
    digest = hashlib.sha256(load(chain[0]).spki).digest()
    with services.database.write() as tx:
        tx.certificates.block_key(digest, services.deployment.clock.now(), "lost")


def _block(services: Services, _chain: tuple[bytes, ...]) -> None:
    contracts.set_state(services.deployment, ADMIN, EMAID, ContractState.BLOCKED)


def _distrust(services: Services, _chain: tuple[bytes, ...]) -> None:
    for anchor in trust.anchors(services.deployment, ADMIN):
        trust.remove(services.deployment, ADMIN, anchor.fingerprint)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_revoke_leaf, {Fault.REVOKED}),
        (_revoke_ca, {Fault.REVOKED}),
        (_block_key, {Fault.REVOKED}),
        (_block, {Fault.CONTRACT_BLOCKED}),
        (_distrust, {Fault.NO_PATH}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_next_decision_of_another_process_sees_a_change(
    anywhere: Services,
    change: Callable[[Services, tuple[bytes, ...]], None],
    fault: set[Fault],
) -> None:
    request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
    chain = issue(anywhere.deployment, ADMIN, request).chain
    check = ContractCheck(chain=chain, token=EMAID)
    home, url = anywhere.settings.home, anywhere.settings.database_url
    with opened(home, database_url=url) as other:
        other.view.start()
        for _ in range(3):
            verdict = validate.validate(other.deployment, ADMIN, check).verdict
            assert isinstance(verdict, Accepted)
        change(anywhere, chain)
        verdict = validate.validate(other.deployment, ADMIN, check).verdict
    assert isinstance(verdict, Rejected)
    assert verdict.fault in fault
