"""Stored answers: fresh while a runner lives, never stale, and never in anybody's way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from pki.errors import Unavailable
from pki.ids import SerialNumber
from pki.model import CertificateRecord, Reason, Responder, StoredAnswer
from pki.pkix.suites import PublicKey, Suite
from pki.ports import Deployment, Signer, Store, Transaction
from pki.revoke import release, revoke
from pki.services import Services
from pki.status import Answers, StatusPolicy, refresh, responders
from pki.status.refresh import refresh_answers
from pki.store.status import StatusRows
from tests.homes import ADMIN, opened
from tests.status import hosts
from tests.status.hosts import GOOD, REVOKED, TRY_LATER, MovableClock, Switch

POLICY = StatusPolicy()
HALF = POLICY.validity / 2
SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)
HOLD = Reason.CERTIFICATE_HOLD


def stored(
    services: Services, record: CertificateRecord, algorithm: str = "sha1"
) -> StoredAnswer | None:
    issuer = hosts.issuer_of(services, record.issuer_id)
    request = ocsp.load_der_ocsp_request(
        hosts.request_about(issuer, record.serial.as_int, algorithm)
    )
    assert request.serial_number == record.serial.as_int
    with services.deployment.store.read() as tx:
        rows = tx.status.due_answers(dt.datetime(9999, 1, 1, tzinfo=dt.UTC), 10_000)
    size = request.hash_algorithm.digest_size
    found = [r for r in rows if r.serial == record.serial and len(r.cert_id) > size]
    of_hash = [r for r in found if request.issuer_key_hash in r.cert_id]
    return of_hash[0] if of_hash else None


def renew(services: Services) -> int:
    return refresh_answers(services.deployment, services.view, services.answers)


def this_update(services: Services, record: CertificateRecord) -> dt.datetime:
    """Return thisUpdate of what is answered now."""
    request = hosts.request_about(hosts.issuer_of(services), record.serial.as_int)
    answer = ocsp.load_der_ocsp_response(services.answers.respond(request).der)
    assert answer.this_update_utc <= services.deployment.clock.now() < answer.next_update_utc  # type: ignore[operator]
    return answer.this_update_utc


# --- in time -------------------------------------------------------------------------------------


def test_an_answer_is_renewed_at_half_of_its_life_whoever_asked_how(
    timed: Services, clock: MovableClock
) -> None:
    record = hosts.issued(timed)
    for algorithm in ("sha1", "sha256"):
        assert hosts.ask(timed, record, algorithm) == GOOD
    begun = clock.at
    clock.at = begun + HALF - SECOND
    assert renew(timed) == 0
    clock.at = begun + HALF
    assert renew(timed) == 2
    for algorithm in ("sha1", "sha256"):
        answer = stored(timed, record, algorithm)
        assert answer is not None
        assert (answer.this_update, answer.refresh_at) == (clock.at, clock.at + HALF)
    assert renew(timed) == 0
    assert this_update(timed, record) == clock.at


def test_no_stored_answer_is_past_half_of_its_life_while_a_runner_lives(
    timed: Services, clock: MovableClock
) -> None:
    records = [hosts.issued(timed) for _ in range(2)]
    begun = clock.at
    for hours in (0, 1, 83, 84, 85, 200, 201, 350, 700, 1000):
        clock.at = begun + hours * HOUR
        renew(timed)
        for record in records:
            answer = stored(timed, record)
            assert answer is None or answer.this_update <= clock.at < answer.refresh_at
            assert hosts.ask(timed, record) == GOOD
            assert clock.at - this_update(timed, record) < HALF


def test_a_clock_that_jumps_never_leads_to_a_wrong_or_future_answer(
    timed: Services, clock: MovableClock
) -> None:
    good, bad = hosts.issued(timed), hosts.issued(timed)
    begun = clock.at
    assert hosts.ask(timed, bad) == GOOD
    revoke(timed.deployment, ADMIN, bad.fingerprint.value, Reason.SUPERSEDED)
    for days in (3, -1 / 24, 10, 2, 0, 50, 1):
        clock.at = (begun + dt.timedelta(days=days)).replace(microsecond=0)
        renew(timed)
        if days < 0:  # before the responder's own time
            assert hosts.ask(timed, good) in {GOOD, TRY_LATER}
            continue
        assert (hosts.ask(timed, good), hosts.ask(timed, bad)) == (GOOD, REVOKED)
        for record in (good, bad):
            this_update(timed, record)


# --- never stale ---------------------------------------------------------------------------------


@dataclass
class _Signer:
    """A signer that lets something happen before it signs."""

    signer: Signer
    before: Callable[[], None]

    @property
    def suite(self) -> Suite:
        return self.signer.suite

    @property
    def public_key(self) -> PublicKey:
        return self.signer.public_key

    @property
    def quick(self) -> bool:
        return self.signer.quick

    def sign(self, data: bytes) -> bytes:
        self.before()
        return self.signer.sign(data)


@dataclass
class _Keys:
    deployment: Deployment
    before: Callable[[], None]

    def create(self, label: str, suite: Suite) -> Signer:
        return self.deployment.keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        return _Signer(self.deployment.keys.signer(label), self.before)


def test_i4_a_revocation_between_read_and_write_keeps_the_answer_out_of_the_store(
    anywhere: Services,
) -> None:
    record = hosts.issued(anywhere)
    assert hosts.ask(anywhere, record) == GOOD
    answer = stored(anywhere, record)
    assert answer is not None
    waiting = [lambda: revoke(anywhere.deployment, ADMIN, record.fingerprint.value, HOLD)]

    def happen() -> None:
        if waiting:
            waiting.pop()()

    deployment = replace(anywhere.deployment, keys=_Keys(anywhere.deployment, happen))
    late = Answers(deployment, anywhere.view, POLICY)
    assert not late.renew(answer)
    assert stored(anywhere, record) is None
    waiting.append(lambda: release(anywhere.deployment, ADMIN, record.fingerprint.value))  # type: ignore[arg-type, return-value]
    request = hosts.request_about(hosts.issuer_of(anywhere), record.serial.as_int)
    assert hosts.status_in(late.respond(request).der) in {GOOD, REVOKED, TRY_LATER}
    assert hosts.ask(anywhere, record) == GOOD


@dataclass
class _Late:
    """A status store in which somebody else comes between the judging and the keeping."""

    status: StatusRows
    between: Callable[[], None]
    appended: bool = False

    def hold_changes(self) -> None:
        self.status.hold_changes()

    def put_answer(self, answer: StoredAnswer) -> None:
        self.between()
        self.status.put_answer(answer)


@dataclass
class _LateStore:
    store: Store
    between: Callable[[], None]

    def read(self) -> AbstractContextManager[Transaction]:
        return self.store.read()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self.store.write() as tx:
            tx.status = _Late(tx.status, self.between)  # type: ignore[misc, assignment, arg-type]
            yield tx

    def ping(self) -> None:
        self.store.ping()


def test_i4_a_revocation_between_the_last_look_and_the_commit_drops_the_answer(
    anywhere: Services,
) -> None:
    record = hosts.issued(anywhere)
    assert hosts.ask(anywhere, record) == GOOD
    answer = stored(anywhere, record)
    assert answer is not None
    with ThreadPoolExecutor(1) as pool:
        revoking: list[Future[object]] = []

        def between() -> None:
            reference = record.fingerprint.value
            revoking.append(pool.submit(revoke, anywhere.deployment, ADMIN, reference, HOLD))
            wait(revoking, timeout=0.5)  # it ends now, or waits for this transaction

        deployment = replace(
            anywhere.deployment, store=_LateStore(anywhere.deployment.store, between)
        )
        Answers(deployment, anywhere.view, POLICY).renew(answer)
        assert revoking[0].result(timeout=20)
    assert stored(anywhere, record) is None
    with hosts.same_host(anywhere) as other:
        assert hosts.ask(other, record) == REVOKED


def test_a_change_of_status_drops_what_is_stored(anywhere: Services) -> None:
    record, other = hosts.issued(anywhere), hosts.issued(anywhere)
    for algorithm in ("sha1", "sha256"):
        hosts.ask(anywhere, record, algorithm)
    hosts.ask(anywhere, other)
    revoke(anywhere.deployment, ADMIN, record.fingerprint.value, HOLD)
    assert stored(anywhere, record) is stored(anywhere, record, "sha256") is None
    assert stored(anywhere, other) is not None
    assert hosts.ask(anywhere, record) == REVOKED
    release(anywhere.deployment, ADMIN, record.fingerprint.value)
    assert stored(anywhere, record) is None
    assert hosts.ask(anywhere, record) == GOOD


# --- batches -------------------------------------------------------------------------------------


def _lost(services: Services, count: int, at: dt.datetime) -> list[StoredAnswer]:
    """Store answers that nobody can renew: their certificate or their issuer is not there."""
    answers = [
        StoredAnswer(
            cert_id=f"lost {number}".encode(),
            issuer_id=hosts.LEAF_ISSUER if number % 2 else "gone.g1",
            serial=SerialNumber.from_int(number + 1),
            der=b"\x30\x00",
            this_update=at - DAY,
            next_update=at,
            refresh_at=at - HOUR,
        )
        for number in range(count)
    ]
    with services.deployment.store.write() as tx:
        for answer in answers:
            tx.status.put_answer(answer)
    return answers


def test_answers_that_nobody_can_renew_end_the_batches_and_hold_up_no_other(
    timed: Services, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "_BATCH", 2)
    records = [hosts.issued(timed) for _ in range(3)]
    for record in records:
        assert hosts.ask(timed, record) == GOOD
    lost = _lost(timed, 5, clock.at)
    clock.at += HALF
    assert renew(timed) == len(records)
    with timed.deployment.store.read() as tx:
        assert [tx.status.answer(answer.cert_id) for answer in lost] == [None] * 5
        assert tx.status.due_answers(clock.at, 10) == []


def test_a_key_that_is_gone_is_told_after_the_others_had_their_turn(
    small_home: Path, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "_BATCH", 1)
    with opened(small_home, clock=clock) as services:
        one = hosts.issued(services)
        root = _record_of_ca(services, "mo1-2.g1")
        for record in (root, one):
            assert hosts.ask(services, record) == GOOD
        clock.at += HALF
        (small_home / "keys" / f"ocsp.{root.issuer_id}.1.pem").unlink()
    with opened(small_home, clock=clock) as services:
        with pytest.raises(Unavailable) as refused:
            renew(services)
        assert refused.value.code == "key_missing"
        answer = stored(services, one)
        assert answer is not None
        assert answer.this_update == clock.at
        assert hosts.ask(services, root) == TRY_LATER
        assert renew(services) == 0


def _record_of_ca(services: Services, issuer_id: str) -> CertificateRecord:
    der = hosts.issuer_of(services, issuer_id).certificate
    with services.deployment.store.read() as tx:
        found = [r for r in tx.certificates.search(limit=1000) if r.der == der]
    return found[0]


def test_a_store_that_is_gone_ends_the_work_at_once(timed: Services, clock: MovableClock) -> None:
    hosts.ask(timed, hosts.issued(timed))
    clock.at += HALF
    switch = Switch(timed.deployment.store, fault="gone")
    deployment = replace(timed.deployment, store=switch)
    with pytest.raises(Unavailable):
        refresh_answers(deployment, timed.view, Answers(deployment, timed.view, POLICY))
    assert switch.reads == 1


def test_the_work_lets_go_after_its_time(
    timed: Services, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "_BATCH", 1)
    records = [hosts.issued(timed) for _ in range(2)]
    for record in records:
        hosts.ask(timed, record)
    clock.at += HALF
    monkeypatch.setattr(refresh, "_BUDGET", 0.0)
    assert renew(timed) == 0
    monkeypatch.setattr(refresh, "_BUDGET", 10.0)
    assert renew(timed) == 2


# --- signers -------------------------------------------------------------------------------------


def signer_of(services: Services) -> Responder:
    with services.deployment.store.read() as tx:
        return [r for r in tx.status.responders() if r.issuer_id == hosts.LEAF_ISSUER][-1]


def test_an_expired_signer_signs_nothing_and_its_successor_does(
    timed: Services, clock: MovableClock
) -> None:
    record = hosts.issued(timed)
    assert hosts.ask(timed, record) == GOOD
    signer = signer_of(timed)
    clock.at = signer.not_after + SECOND
    for nonce in (b"", bytes(16)):
        assert hosts.ask(timed, record, nonce=nonce) == TRY_LATER
    assert renew(timed) == 0
    assert hosts.ask(timed, record) == TRY_LATER
    assert responders.renew(timed.deployment, ADMIN, POLICY) == 3
    for nonce in (b"", bytes(16)):
        assert hosts.ask(timed, record, nonce=nonce) == GOOD


@pytest.mark.parametrize("left", [1, 2, 3, 3601])
def test_an_answer_ends_with_its_signer(timed: Services, clock: MovableClock, left: int) -> None:
    record = hosts.issued(timed)
    signer = signer_of(timed)
    clock.at = signer.not_after - left * SECOND
    assert hosts.ask(timed, record) == GOOD
    answer = stored(timed, record)
    assert answer is not None
    assert answer.next_update == signer.not_after
    assert answer.refresh_at <= answer.next_update
