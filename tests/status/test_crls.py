"""CRLs: when they are made, what they list, that nothing leaves them without leave."""

from __future__ import annotations

import datetime as dt
import io
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509

from pki import hierarchy, sign
from pki.errors import Conflict, NotFound, PkiError, PolicyViolation, Unavailable
from pki.jobs import Job, holder, run_once
from pki.model import CrlIntent, IntentState, IssuerState, Reason
from pki.pkix.certificate import load
from pki.pkix.crl import shard_of
from pki.pkix.pem import encode as pem
from pki.pkix.suites import Suite, verifies
from pki.ports import Deployment, Signer, Transaction
from pki.revoke import release, revoke
from pki.services import Services
from pki.status import StatusPolicy, crl_draft, crls
from tests.homes import ADMIN, MO_BRANCH, demo_plans, make_home, opened
from tests.status import hosts
from tests.status.hosts import LEAF_ISSUER, MovableClock
from tests.store.status_samples import crl_intent

POLICY = StatusPolicy()
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
HOLD = Reason.CERTIFICATE_HOLD
SUITES = {Suite.P256: "mo-2", Suite.P521: "mo-20", Suite.ED448: "mo-20e"}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def timed(small_home: Path, clock: MovableClock) -> Iterator[Services]:
    """The small PKI under a clock that the test sets."""
    with opened(small_home, clock=clock) as services:
        yield services


def publish_due(services: Services, policy: StatusPolicy = POLICY) -> int:
    return crls.publish_due(services.deployment, ADMIN, policy)


def publish(services: Services, issuer_id: str = LEAF_ISSUER, shard: int = 0) -> int:
    issuer = hosts.issuer_of(services, issuer_id)
    return crls.publish(services.deployment, ADMIN, issuer, shard, POLICY).number


def revoked(services: Services, reason: Reason = Reason.SUPERSEDED) -> int:
    """Issue a certificate and revoke it; return its serial."""
    record = hosts.issued(services)
    revoke(services.deployment, ADMIN, record.fingerprint.value, reason)
    return record.serial.as_int


def intents(services: Services) -> list[CrlIntent]:
    """Return every CRL intent of the issuer of leaves, in order of number."""
    with services.deployment.store.read() as tx:
        rows = tx.status._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            "SELECT intent_id FROM crl_intents ORDER BY number"
        ).all()
        found = [tx.status.crl_intent(row[0]) for row in rows]
    return [intent for intent in found if intent and intent.issuer_id == LEAF_ISSUER]


# --- when ----------------------------------------------------------------------------------------


def test_every_ca_gets_a_first_crl_and_then_one_for_each_change(anywhere: Services) -> None:
    assert publish_due(anywhere) == 3
    assert hosts.listed(anywhere) == {}
    assert publish_due(anywhere) == 0
    serial = revoked(anywhere, Reason.KEY_COMPROMISE)
    other = revoked(anywhere, Reason.UNSPECIFIED)
    assert publish_due(anywhere) == 1
    assert hosts.listed(anywhere) == {serial: "keyCompromise", other: "unspecified"}
    assert [hosts.number_of(anywhere, i) for i in (LEAF_ISSUER, "mo-2.g1")] == [2, 1]
    assert publish_due(anywhere) == 0


def test_a_crl_is_renewed_at_half_of_its_life(timed: Services, clock: MovableClock) -> None:
    publish_due(timed)
    begun = clock.at
    clock.at = begun + POLICY.crl_validity / 2 - dt.timedelta(seconds=1)
    assert publish_due(timed) == 0
    clock.at = begun + POLICY.crl_validity / 2
    assert publish_due(timed) == 3
    assert hosts.number_of(timed) == 2


def test_a_longer_policy_leaves_no_gap_behind_a_shorter_crl(
    timed: Services, clock: MovableClock
) -> None:
    publish_due(timed, StatusPolicy(crl_validity=2 * HOUR))
    clock.at += HOUR
    assert publish_due(timed) == 3
    clock.at += HOUR
    assert publish_due(timed, StatusPolicy(crl_validity=2 * HOUR)) == 3


def test_a_crl_ends_with_its_ca_and_is_not_renewed_ever_faster_before(
    timed: Services, clock: MovableClock
) -> None:
    end = load(hosts.issuer_of(timed).certificate).not_after
    clock.at = end - 2 * HOUR
    publish(timed)
    with timed.deployment.store.read() as tx:
        record = tx.status.crl(LEAF_ISSUER, 0)
    assert record is not None
    assert record.next_update == end
    number = hosts.number_of(timed)
    for minutes in range(0, 120, 10):
        clock.at = end - 2 * HOUR + dt.timedelta(minutes=minutes)
        publish_due(timed)
    assert hosts.number_of(timed) == number


def test_a_ca_that_expired_gets_no_crl_and_holds_up_no_other(
    timed: Services, clock: MovableClock
) -> None:
    """The writer refuses a CRL that ends before it begins, which once ended the runner."""
    clock.at = load(hosts.issuer_of(timed).certificate).not_after
    assert publish_due(timed) == 2
    with pytest.raises(PolicyViolation) as refused:
        publish(timed)
    assert refused.value.code == "issuer_expired"
    assert intents(timed) == []


@pytest.mark.parametrize(
    ("state", "made"), [(IssuerState.STATUS_ONLY, 3), (IssuerState.RETIRED, 2)]
)
def test_a_ca_with_status_only_signs_crls_and_a_retired_one_does_not(
    small: Services, state: IssuerState, made: int
) -> None:
    issuer = hosts.issuer_of(small)
    with small.deployment.store.write() as tx:
        tx.issuers.set_state(LEAF_ISSUER, state)
    assert publish_due(small) == made
    if state is IssuerState.RETIRED:
        with pytest.raises(Conflict) as refused:
            crls.publish(small.deployment, ADMIN, issuer, 0, POLICY)
        assert refused.value.code == "issuer_not_active"
        assert [intent.state for intent in intents(small)] == [IntentState.ABANDONED]


@pytest.mark.parametrize("leased", [True, False], ids=["leased", "by hand"])
def test_runners_that_meet_publish_each_crl_once_and_without_leases_do_no_harm(
    anywhere: Services, *, leased: bool
) -> None:
    serial = revoked(anywhere)
    with hosts.same_host(anywhere) as second, hosts.same_host(anywhere) as third:
        runners = (anywhere, second, third)
        start = threading.Barrier(len(runners))

        def run(services: Services) -> int:
            start.wait()
            if not leased:
                return publish_due(services)
            job = Job(name="crls", every=1.0, work=lambda: publish_due(services))
            return run_once(services.deployment, job, holder()) or 0

        with ThreadPoolExecutor(len(runners)) as pool:
            made = sum(pool.map(run, runners))
    assert hosts.listed(anywhere) == {serial: "superseded"}
    found = [(i.number, i.state) for i in intents(anywhere)]
    numbers = [hosts.number_of(anywhere, f"{name}.g1") for name in MO_BRANCH]
    if leased:
        assert (made, numbers) == (3, [1, 1, 1])
        assert found == [(1, IntentState.COMPLETED)]
    else:
        assert 3 <= made <= 9
        assert found[-1][1] is IntentState.COMPLETED
        assert {state for _, state in found} <= {IntentState.COMPLETED, IntentState.ABANDONED}
    assert publish_due(anywhere) == 0


def test_a_crl_that_was_due_is_not_made_after_somebody_else_made_it(small: Services) -> None:
    assert publish(small) == 1
    issuer = hosts.issuer_of(small)
    with pytest.raises(Conflict) as refused:
        crls.publish(small.deployment, ADMIN, issuer, 0, POLICY, after=0)
    assert refused.value.code == "crl_number_taken"
    assert crls.publish(small.deployment, ADMIN, issuer, 0, POLICY, after=1).number == 2


# --- what leaves ---------------------------------------------------------------------------------


def _delete(services: Services, serial: int) -> None:
    """Delete a revocation as nobody should."""
    with services.deployment.store.write() as tx:
        tx.certificates._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            f"DELETE FROM revocations WHERE serial = '{serial:x}'"  # noqa: S608 - hexadecimal
        )


def test_a_crl_from_which_an_entry_vanished_is_refused_before_anything_is_signed(
    small: Services,
) -> None:
    serial, other = revoked(small), revoked(small)
    publish_due(small)
    before = hosts.crl_of(small)
    _delete(small, serial)
    revoked(small)
    revoke(small.deployment, ADMIN, _ca_serial(small, "mo2-2.g1"), HOLD)
    for _ in range(2):
        with pytest.raises(PolicyViolation) as refused:
            publish_due(small)
    assert refused.value.code == "crl_differs"
    assert f"{serial:x}" in str(refused.value.data["findings"])
    assert f"{other:x}" not in str(refused.value.data["findings"])
    assert hosts.crl_of(small) == before
    assert [intent.number for intent in intents(small)] == [1]
    # the others had their turn
    assert hosts.number_of(small, "mo1-2.g1") == 2


def _ca_serial(services: Services, issuer_id: str) -> str:
    return load(hosts.issuer_of(services, issuer_id).certificate).fingerprint.value


def test_a_predecessor_that_cannot_be_read_is_no_leave_to_go_on(small: Services) -> None:
    publish(small)
    with small.deployment.store.write() as tx:
        tx.status._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            "UPDATE crl_chunks SET data = x'3003020101'"
        )
    with pytest.raises(PolicyViolation) as refused:
        publish(small)
    assert refused.value.code == "crl_differs"
    assert len(intents(small)) == 1


def test_an_entry_leaves_one_crl_after_its_certificate_ended(
    timed: Services, clock: MovableClock
) -> None:
    record = hosts.issued(timed, until=clock.at + DAY)
    revoke(timed.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    serial = record.serial.as_int
    seen = []
    for days in (0.5, 1.5, 1.6, 1.7):
        clock.at += dt.timedelta(days=days) - (clock.at - record.not_before)
        publish(timed)
        seen.append(serial in hosts.listed(timed))
    assert seen == [True, True, False, False]


def test_an_entry_released_from_hold_leaves_with_the_next_crl(small: Services) -> None:
    record = hosts.issued(small)
    kept = revoked(small, HOLD)
    revoke(small.deployment, ADMIN, record.fingerprint.value, HOLD)
    publish(small)
    assert hosts.listed(small) == {
        record.serial.as_int: "certificateHold",
        kept: "certificateHold",
    }
    release(small.deployment, ADMIN, record.fingerprint.value)
    assert publish_due(small) == 3
    assert hosts.listed(small) == {kept: "certificateHold"}


def test_an_entry_that_a_clock_ahead_dropped_comes_back(
    timed: Services, clock: MovableClock
) -> None:
    begun = clock.at
    record = hosts.issued(timed, until=begun + 10 * DAY)
    revoke(timed.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    seen = []
    for days in (1, 20, 21):
        clock.at = begun + days * DAY
        publish(timed)
        seen.append(record.serial.as_int in hosts.listed(timed))
    assert seen == [True, True, False]
    clock.at = begun + 2 * DAY
    issuer = hosts.issuer_of(timed)
    draft = crl_draft.write(timed.deployment, issuer, 0, POLICY, io.BytesIO())
    assert draft.entries == 1


def test_a_certificate_that_ended_before_the_first_crl_stands_on_it_once(
    timed: Services, clock: MovableClock
) -> None:
    record = hosts.issued(timed, until=clock.at + DAY)
    revoke(timed.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    clock.at += 2 * DAY
    publish(timed)
    assert record.serial.as_int in hosts.listed(timed)
    clock.at += DAY
    publish(timed)
    assert hosts.listed(timed) == {}


# --- numbers and signatures ----------------------------------------------------------------------


@dataclass
class NoKeys:
    """Keys of which one cannot be used."""

    deployment: Deployment
    label: str
    broken: bool = True

    def create(self, label: str, suite: Suite) -> Signer:
        return self.deployment.keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        if self.broken and label == self.label:
            raise Unavailable("key_unavailable", "The key cannot be opened.")
        return self.deployment.keys.signer(label)


def test_a_key_out_of_reach_leaves_a_closed_intent_and_no_hole_in_the_order(
    small: Services,
) -> None:
    keys = NoKeys(small.deployment, hosts.issuer_of(small).key_label)
    deployment = replace(small.deployment, keys=keys)
    with pytest.raises(Unavailable) as refused:
        crls.publish_due(deployment, ADMIN, POLICY)
    assert refused.value.code == "key_unavailable"
    assert hosts.number_of(small, "mo-2.g1") == hosts.number_of(small, "mo1-2.g1") == 1
    keys.broken = False
    assert crls.publish_due(deployment, ADMIN, POLICY) == 1
    assert hosts.number_of(small) == 2
    assert [i.state for i in intents(small)] == [IntentState.ABANDONED, IntentState.COMPLETED]


def _open_intent(services: Services, tbs: bytes) -> CrlIntent:
    import hashlib  # noqa: PLC0415

    intent = replace(crl_intent(issuer_id=LEAF_ISSUER), tbs_sha256=hashlib.sha256(tbs).digest())
    with services.deployment.store.write() as tx:
        tx.status.add_crl_intent(intent)
    return intent


def _refusal(services: Services, intent_id: str, tbs: bytes, *, demo: bool = True) -> str:
    with pytest.raises(PkiError) as refused:
        sign.sign_crl(replace(services.deployment, demo=demo), intent_id, tbs)
    return refused.value.code


def test_i1_only_the_octets_of_a_committed_intent_are_signed_and_only_once(
    small: Services,
) -> None:
    intent = _open_intent(small, b"octets")
    assert _refusal(small, "another", b"octets") == "intent_unknown"
    assert _refusal(small, intent.intent_id, b"others") == "crl_differs"
    assert _refusal(small, intent.intent_id, b"octets", demo=False) == "demo_key"
    key = load(hosts.issuer_of(small).certificate).public_key
    signature = sign.sign_crl(small.deployment, intent.intent_id, b"octets")
    assert verifies(key, signature, b"octets")
    assert _refusal(small, intent.intent_id, b"octets") == "intent_spent"


@pytest.mark.parametrize("state", [IntentState.OPEN, IntentState.SIGNING])
def test_an_intent_that_a_crash_left_holds_up_nothing_and_is_closed_by_the_next_crl(
    small: Services, state: IntentState
) -> None:
    left = replace(crl_intent(7, issuer_id=LEAF_ISSUER), state=state)
    with small.deployment.store.write() as tx:
        tx.status.add_crl_intent(left)
    assert publish(small) == 8
    assert [i.state for i in intents(small)] == [IntentState.ABANDONED, IntentState.COMPLETED]


def test_a_runner_that_was_overtaken_publishes_nothing(small: Services) -> None:
    """Its intent is closed by the newer CRL, and its own would go back."""

    @dataclass
    class Overtaken:
        """A store in which another runner publishes before the last write of this one."""

        deployment: Deployment
        writes: int = 0

        def read(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a context manager
            return self.deployment.store.read()

        @contextmanager
        def write(self) -> Iterator[Transaction]:
            self.writes += 1
            if self.writes == 3:
                assert publish(small) == 2
            with self.deployment.store.write() as tx:
                yield tx

        def ping(self) -> None:
            self.deployment.store.ping()

    slow = replace(small.deployment, store=Overtaken(small.deployment))
    with pytest.raises(Conflict) as refused:
        crls.publish(slow, ADMIN, hosts.issuer_of(small), 0, POLICY)
    assert refused.value.code == "crl_number_taken"
    assert hosts.number_of(small) == 2
    assert [i.state for i in intents(small)] == [IntentState.ABANDONED, IntentState.COMPLETED]


def test_a_crl_in_which_pkilint_finds_something_is_refused(small: Services) -> None:
    issuer = hosts.issuer_of(small)
    draft = crl_draft.write(small.deployment, issuer, 0, POLICY, io.BytesIO())
    crl_draft.lint(draft)
    with pytest.raises(PolicyViolation) as refused:
        crl_draft.lint(replace(draft, facts=replace(draft.facts, issuer=b"\x30\x00")))
    assert refused.value.code == "lint_failed"
    assert refused.value.data["findings"] == ["pkix.name_empty"]


@pytest.fixture(scope="module")
def three_suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a root of each suite, its CRL made."""
    home = tmp_path_factory.mktemp("suites") / "home"
    make_home(home, *SUITES.values())
    with opened(home) as services:
        assert publish_due(services) == len(SUITES)
    return home


@pytest.mark.parametrize("suite", Suite)
def test_cryptography_and_openssl_verify_the_crl_of_each_suite(
    three_suites: Path, tmp_path: Path, suite: Suite
) -> None:
    with opened(three_suites) as services:
        issuer = hosts.issuer_of(services, f"{SUITES[suite]}.g1")
        der = hosts.crl_of(services, issuer.issuer_id)
    key = x509.load_der_x509_certificate(issuer.certificate).public_key()
    assert x509.load_der_x509_crl(der).is_signature_valid(key)  # type: ignore[arg-type]
    (tmp_path / "ca.pem").write_text(pem(issuer.certificate))
    (tmp_path / "crl.der").write_bytes(der)
    files = ("-in", "crl.der", "-inform", "DER", "-CAfile", "ca.pem")
    done = subprocess.run(
        ["openssl", "crl", *files, "-verify", "-noout"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "verify OK\n")


# --- shards --------------------------------------------------------------------------------------


def test_each_shard_lists_its_own_and_the_full_crl_all(tmp_path: Path) -> None:
    make_home(tmp_path / "home", "mo-2", "mo1-2")
    with opened(tmp_path / "home") as services:
        plans = [replace(plan, crl_shards=3) for plan in demo_plans(*MO_BRANCH)]
        hierarchy.create(services.deployment, ADMIN, plans)
        serials = {revoked(services) for _ in range(8)}
        assert publish_due(services) == 2 + 4
        assert set(hosts.listed(services)) == serials
        for shard in (1, 2, 3):
            mine = {serial for serial in serials if shard_of(serial, 3) == shard}
            assert set(hosts.listed(services, shard=shard)) == mine
            point = x509.load_der_x509_crl(hosts.crl_of(services, shard=shard))
            extension = point.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
            names = extension.value.full_name or []
            url = f"{services.settings.public_url}/crl/mo2-2/{shard}"
            assert (extension.critical, [name.value for name in names]) == (True, [url])
        numbers = {hosts.number_of(services, shard=shard) for shard in range(4)}
        assert numbers == {1, 2, 3, 4}
        revoked(services)
        assert publish_due(services) == 4


# --- publication ---------------------------------------------------------------------------------


def test_the_newest_crl_is_found_by_the_name_of_its_ca(small: Services) -> None:
    for name, shard in (("mo2-2", 0), ("nobody", 0), ("mo2-2", 1)):
        with pytest.raises(NotFound) as refused:
            crls.current(small.deployment, name, shard)
        assert refused.value.code == "crl_unknown"
    publish(small)
    publish(small)
    assert crls.current(small.deployment, "mo2-2", 0).number == 2


def test_a_crl_is_fetched_once_and_the_one_before_it_stays(small: Services) -> None:
    directory = small.run_directory / "crls"
    paths = []
    for number in range(1, 12):
        assert publish(small) == number
        record = crls.current(small.deployment, "mo2-2", 0)
        path = crls.file_of(small.deployment, record, directory)
        assert path.read_bytes() == hosts.crl_of(small)
        stamp = path.stat().st_mtime_ns
        assert crls.file_of(small.deployment, record, directory) == path
        assert path.stat().st_mtime_ns == stamp
        paths.append(path)
    assert set(directory.iterdir()) == set(paths[-2:])


def test_a_late_process_does_not_take_the_newer_file_away(small: Services) -> None:
    directory = small.run_directory / "crls"
    publish(small)
    late = crls.current(small.deployment, "mo2-2", 0)
    publish(small)
    newest = crls.file_of(small.deployment, crls.current(small.deployment, "mo2-2", 0), directory)
    assert crls.file_of(small.deployment, late, directory).exists()
    assert newest.exists()


def test_a_crl_that_is_not_whole_is_never_served(small: Services) -> None:
    directory = small.run_directory / "crls"
    publish(small)
    record = crls.current(small.deployment, "mo2-2", 0)
    for missing in (replace(record, number=9), replace(record, sha256=bytes(32))):
        with pytest.raises(Unavailable) as refused:
            crls.file_of(small.deployment, missing, directory)
        assert refused.value.code == "crl_incomplete"
    assert list(directory.iterdir()) == []
    (directory / "in the way").touch()
    with pytest.raises(Unavailable):
        crls.file_of(small.deployment, record, directory / "in the way" / "x")


def test_processes_that_fetch_at_once_all_get_the_whole_file(small: Services) -> None:
    publish(small)
    record = crls.current(small.deployment, "mo2-2", 0)
    whole = hosts.crl_of(small)
    with ThreadPoolExecutor(8) as pool:
        paths = pool.map(
            lambda n: crls.file_of(small.deployment, record, small.run_directory / str(n % 2)),
            range(16),
        )
        assert {path.read_bytes() for path in paths} == {whole}
