"""CRLs: their numbers, signatures, shards, and the files in which they are served."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509

from pki import hierarchy, sign
from pki.errors import Conflict, NotFound, PkiError, PolicyViolation, Unavailable
from pki.model import CrlIntent, IntentState
from pki.pkix.certificate import load
from pki.pkix.crl import shard_of
from pki.pkix.pem import encode as pem
from pki.pkix.suites import Suite, verifies
from pki.ports import Deployment, Signer, Transaction
from pki.services import Services
from pki.status import crl_draft, crls
from tests.homes import ADMIN, MO_BRANCH, demo_plans, make_home, opened
from tests.status import hosts
from tests.status.crl_work import POLICY, intents, publish, publish_due, revoked
from tests.status.hosts import LEAF_ISSUER
from tests.store.status_samples import crl_intent

SUITES = {Suite.P256: "mo-2", Suite.P521: "mo-20", Suite.ED448: "mo-20e"}


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

        def read(self) -> AbstractContextManager[Transaction]:
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


def test_each_shard_lists_its_own_and_is_made_anew_only_for_them(tmp_path: Path) -> None:
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
        serial = revoked(services)
        assert publish_due(services) == 2
        touched = {0, shard_of(serial, 3)}
        for shard in range(4):
            assert (serial in hosts.listed(services, shard=shard)) == (shard in touched)
        assert publish_due(services) == 0


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
