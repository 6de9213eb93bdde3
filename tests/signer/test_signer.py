"""The signer: it signs what was committed and judged, and for nobody but its own."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pki import hierarchy, parties, rotate
from pki.errors import Conflict, NotAllowed, NotFound, PolicyViolation, Unavailable
from pki.ids import SerialNumber
from pki.model import CertificateRecord, CrlIntent, Intent, IntentState, Reason
from pki.pkix.certificate import load
from pki.pkix.ocsp import (
    CertStatus,
    ResponseData,
    SingleAnswer,
    parse_request,
    responder_by_name,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.revoke import revoke
from pki.services import Services
from pki.settings import FILE_NAME
from pki.signer import Server, SignerClient, SocketPlace, frames
from pki.status import crls
from pki.status.policy import StatusPolicy
from tests.homes import ADMIN, MO_BRANCH, PROVIDER, demo_plans
from tests.signing import beside, short_path, signing
from tests.status import hosts
from web.problems import problem_of


@dataclass(frozen=True)
class Pair:
    """A worker without keys of CAs, and the signer that holds them."""

    worker: Services
    signer: Services
    client: SignerClient


@pytest.fixture
def place() -> Iterator[Path]:
    with short_path() as path:
        yield path


@pytest.fixture
def pair(small_home: Path, tmp_path: Path, place: Path) -> Iterator[Pair]:
    """The small PKI: CAs' keys with the signer, responders' with a worker in a home of its own."""
    worker_home = tmp_path / "worker"
    (worker_home / "keys").mkdir(parents=True)
    for path in (small_home / "keys").iterdir():
        if path.name.startswith(("ocsp.", "passphrase")):
            path.rename(worker_home / "keys" / path.name)
    (small_home / "keys" / "passphrase").write_bytes(
        (worker_home / "keys" / "passphrase").read_bytes()
    )
    url = f"sqlite:///{small_home / 'pnc.db'}"
    with signing(small_home, place) as signer, beside(worker_home, place, url) as worker:
        yield Pair(worker, signer, SignerClient(place))


def _sign(pair: Pair) -> None:
    record = hosts.issued(pair.worker)
    assert hosts.ask(pair.worker, record) == hosts.GOOD
    crls.publish(pair.worker.deployment, ADMIN, hosts.issuer_of(pair.worker), 0, StatusPolicy())
    assert hosts.listed(pair.worker) == {}


def test_a_hierarchy_is_made_by_a_worker_that_never_sees_a_key(
    tmp_path: Path, place: Path, database_url: str
) -> None:
    signer_home, worker_home = tmp_path / "signer", tmp_path / "worker"
    worker_home.mkdir()
    given_to = {"PNC_SIGNER_DATABASE_URL": database_url}
    with signing(signer_home, place, given_to), beside(worker_home, place, database_url) as worker:
        worker.database.migrate()
        hierarchy.create(worker.deployment, ADMIN, demo_plans(*MO_BRANCH))
        parties.add_emsp(worker.deployment, ADMIN, PROVIDER, "Demo Mobility")
        record = hosts.issued(worker)
        assert hosts.ask(worker, record) == hosts.GOOD
    kept = {path.name for path in (signer_home / "keys").glob("*.pem")}
    assert kept == {f"{name}.g1.pem" for name in MO_BRANCH}
    others = {path.name.split(".")[0] for path in (worker_home / "keys").glob("*.pem")}
    assert others == {"ocsp"}


def test_workers_issue_answer_and_publish(pair: Pair) -> None:
    _sign(pair)
    assert not any(p.name.startswith("mo") for p in (pair.worker.settings.home / "keys").iterdir())


def test_a_root_is_rotated_with_cross_certificates_through_the_signer(pair: Pair) -> None:
    deployment = pair.worker.deployment
    rotate.prepare(deployment, ADMIN, "mo-2")
    rotate.switch(deployment, ADMIN, "mo-2")
    with deployment.store.read() as tx:
        assert tx.pools.cross_certificates()
    assert (pair.signer.settings.home / "keys" / "mo-2.g2.pem").exists()
    _sign(pair)


def test_delegated_keys_may_lie_with_the_signer_too(
    small_home: Path, tmp_path: Path, place: Path
) -> None:
    (tmp_path / "worker").mkdir()
    for home in (small_home, tmp_path / "worker"):
        (home / FILE_NAME).write_text('[keys]\ndelegated = "same"\n')
    url = f"sqlite:///{small_home / 'pnc.db'}"
    with signing(small_home, place) as signer, beside(tmp_path / "worker", place, url) as worker:
        _sign(Pair(worker, signer, SignerClient(place)))
    assert not (tmp_path / "worker" / "keys").exists()


def test_a_key_of_a_ca_signs_no_octets_that_are_handed_over(pair: Pair) -> None:
    signer = pair.worker.deployment.keys.signer("mo2-2.g1")
    with pytest.raises(Unavailable, match="signs intents only"):
        signer.sign(b"octets")
    with pytest.raises(NotAllowed) as caught:
        pair.client.sign_delegated("mo2-2.g1", b"octets")
    assert caught.value.code == "key_of_ca"


def test_delegated_keys_are_refused_where_they_lie_with_the_workers(pair: Pair) -> None:
    with pytest.raises(NotAllowed) as caught:
        pair.client.sign_delegated("ocsp.mo2-2.g1.1", b"octets")
    assert caught.value.code == "key_elsewhere"


def test_an_intent_is_signed_once_and_errors_come_as_they_are(pair: Pair) -> None:
    with pytest.raises(NotFound) as unknown:
        pair.client.sign_intents(["nothing"])
    assert unknown.value.code == "intent_unknown"
    record = hosts.issued(pair.worker)
    with pytest.raises(Conflict) as spent:
        pair.client.sign_intents([record.intent_id])
    assert spent.value.code == "intent_spent"
    with pytest.raises(Conflict) as exists:
        pair.worker.deployment.keys.create("mo2-2.g1", Suite.P256)
    assert exists.value.code == "key_exists"


# --- what a worker that was taken over would try ----------------------------------------------


def _commit(pair: Pair, intent: Intent) -> str:
    with pair.worker.deployment.store.write() as tx:
        tx.intents.add(intent)
    return intent.intent_id


def _intent_of(pair: Pair) -> Intent:
    """Return an intent that was signed, as a form for others."""
    record = hosts.issued(pair.worker)
    with pair.worker.deployment.store.read() as tx:
        intent = tx.intents.get(record.intent_id)
    assert intent is not None
    return intent


def _refused(pair: Pair, intent: Intent) -> str:
    with pytest.raises(PolicyViolation) as caught:
        pair.client.sign_intents([_commit(pair, intent)])
    with pair.worker.deployment.store.read() as tx:
        kept = tx.intents.get(intent.intent_id)
    assert kept is not None
    assert kept.state is IntentState.OPEN
    return caught.value.code


def _serial(number: int) -> SerialNumber:
    return SerialNumber.from_int((1 << 126) + number)


def test_octets_that_are_not_what_the_intent_says_are_not_signed(pair: Pair) -> None:
    usual = replace(_intent_of(pair), state=IntentState.OPEN)
    forged = (
        # a contract that calls itself a responder
        replace(usual, serial=_serial(1), kind=Kind.OCSP, profile="ocsp.2", intent_id="a"),
        # a sub-CA that calls itself a contract
        replace(usual, serial=_serial(2), tbs=_tbs(pair, "mo2-2.g1"), intent_id="b"),
        replace(usual, serial=_serial(3), tbs=b"octets", intent_id="c"),
        # the serial of another
        replace(usual, serial=_serial(4), intent_id="d"),
    )
    assert {_refused(pair, intent) for intent in forged} == {"intent_differs"}


def _tbs(pair: Pair, issuer_id: str) -> bytes:
    certificate = load(hosts.issuer_of(pair.worker, issuer_id).certificate)
    return certificate.x509.tbs_certificate_bytes


def test_a_crl_intent_signs_neither_a_certificate_nor_the_crl_of_another(pair: Pair) -> None:
    crls.publish(
        pair.worker.deployment, ADMIN, hosts.issuer_of(pair.worker, "mo1-2.g1"), 0, StatusPolicy()
    )
    other = x509.load_der_x509_crl(hosts.crl_of(pair.worker, "mo1-2.g1")).tbs_certlist_bytes
    for number, tbs in enumerate((_tbs(pair, "mo2-2.g1"), other, b"", b"0", b"\x30\x84")):
        intent = CrlIntent(
            intent_id=f"crl-{number}",
            issuer_id="mo2-2.g1",
            shard=0,
            number=1000 + number,
            tbs_sha256=hashlib.sha256(tbs).digest(),
            state=IntentState.OPEN,
            created_at=pair.worker.deployment.clock.now(),
        )
        with pair.worker.deployment.store.write() as tx:
            tx.status.add_crl_intent(intent)
        with pytest.raises(PolicyViolation) as caught:
            pair.client.sign_crl(intent.intent_id, tbs)
        assert caught.value.code == "intent_differs"
        with pytest.raises(Conflict) as differs:
            pair.client.sign_crl(intent.intent_id, tbs + b"x")
        assert differs.value.code == "crl_differs"


# --- answers that CAs sign ---------------------------------------------------------------------


@pytest.fixture
def answering(small_home: Path, tmp_path: Path, place: Path) -> Iterator[Pair]:
    """A pair whose CAs sign OCSP answers themselves."""
    (tmp_path / "worker").mkdir()
    for home in (small_home, tmp_path / "worker"):
        (home / FILE_NAME).write_text('[status]\nsigner = "ca"\n')
    url = f"sqlite:///{small_home / 'pnc.db'}"
    with signing(small_home, place) as signer, beside(tmp_path / "worker", place, url) as worker:
        yield Pair(worker, signer, SignerClient(place))


def test_cas_sign_answers_where_a_setting_says_so(answering: Pair) -> None:
    record = hosts.issued(answering.worker)
    assert hosts.ask(answering.worker, record) == hosts.GOOD
    assert hosts.ask(answering.worker, record, nonce=b"n" * 32) == hosts.GOOD
    revoke(answering.worker.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    hosts.wait_for(lambda: hosts.ask(answering.worker, record) == hosts.REVOKED)


def _answer(pair: Pair, record: CertificateRecord, serial: int | None = None) -> ResponseData:
    now = pair.worker.deployment.clock.now()
    issuer = hosts.issuer_of(pair.worker)
    request = hosts.request_about(issuer, serial or record.serial.as_int)
    single = SingleAnswer(
        cert_id=parse_request(request).cert_ids[0].raw,
        status=CertStatus.GOOD,
        this_update=now,
        next_update=now + dt.timedelta(days=1),
    )
    responder = responder_by_name(load(issuer.certificate).subject)
    return ResponseData(responder=responder, produced_at=now, answers=(single,))


def test_an_answer_survives_the_way(answering: Pair) -> None:
    data = _answer(answering, hosts.issued(answering.worker))
    later = dt.timedelta(hours=1)
    revoked = replace(
        data.answers[0],
        status=CertStatus.REVOKED,
        revoked_at=data.produced_at - later,
        reason="keyCompromise",
        archive_cutoff=data.produced_at - 2 * later,
    )
    for one in (data, replace(data, answers=(revoked,), nonce=b"n", extended_revoked=True)):
        assert frames.to_answer(json.loads(json.dumps(frames.of_answer(one)))) == one
        tbs, _ = answering.client.sign_answer("mo2-2.g1", one)
        assert tbs == one.der()


def test_no_answer_says_good_against_the_store(answering: Pair) -> None:
    record = hosts.issued(answering.worker)
    good = _answer(answering, record)
    answering.client.sign_answer("mo2-2.g1", good)
    revoke(answering.worker.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    old = replace(good, produced_at=good.produced_at - dt.timedelta(days=2))
    for lie in (good, _answer(answering, record, serial=12345), old):
        with pytest.raises(PolicyViolation) as caught:
            answering.client.sign_answer("mo2-2.g1", lie)
        assert caught.value.code == "answer_differs"


def test_cas_sign_no_answers_where_responders_do(pair: Pair) -> None:
    with pytest.raises(NotAllowed) as caught:
        pair.client.sign_answer("mo2-2.g1", _answer(pair, hosts.issued(pair.worker)))
    assert caught.value.code == "answers_delegated"


# --- the socket --------------------------------------------------------------------------------


def _raw(place: Path, octets: bytes) -> bytes:
    """Send octets as they are; return what comes back until the signer leaves."""
    with socket.socket(socket.AF_UNIX) as ours:
        ours.settimeout(20)
        ours.connect(str(place))
        ours.sendall(octets)
        ours.shutdown(socket.SHUT_WR)
        try:
            return b"".join(iter(lambda: ours.recv(4096), b""))
        except ConnectionResetError:
            return b""


def _framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({}, "question_unknown"),
        ({"do": ["sign_intents"]}, "question_unknown"),
        ({"do": "sign_intents"}, "question_malformed"),
        ({"do": "sign_intents", "intents": []}, "question_malformed"),
        ({"do": "sign_intents", "intents": [5]}, "question_malformed"),
        ({"do": "sign_intents", "intents": ["x"] * 1000}, "question_malformed"),
        ({"do": "sign_intents", "intents": ["x", "x"]}, "intent_unknown"),
        ({"do": "sign_crl", "intent": "x"}, "question_malformed"),
        ({"do": "create", "label": "a.g1", "suite": "rsa"}, "question_malformed"),
        ({"do": "create", "label": "../a", "suite": "p256"}, "invalid_key_label"),
        ({"do": "public_key", "label": "a.g1"}, "key_missing"),
        ({"do": "sign_intents", "intents": ["a\0b"]}, "text_not_storable"),
    ],
)
def test_odd_questions_are_answered_with_a_code(
    pair: Pair, place: Path, question: object, code: str
) -> None:
    answer = _raw(place, _framed(json.dumps(question).encode()))
    assert json.loads(answer[4:])["code"] == code
    pair.client.ping()


@given(st.binary(max_size=200), st.booleans())
def test_any_octets_are_survived(shared: Path, octets: bytes, framed: bool) -> None:  # noqa: FBT001
    answer = _raw(shared, _framed(octets) if framed else octets)
    if answer:
        assert "code" in json.loads(answer[4:])
    SignerClient(shared).ping()


@pytest.fixture(scope="module")
def shared(small_home_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A signer for many questions that change nothing."""
    home = Path(shutil.copytree(small_home_template, tmp_path_factory.mktemp("signer") / "home"))
    with short_path() as place, signing(home, place):
        yield place


def test_too_long_a_question_is_not_even_read(shared: Path) -> None:
    assert _raw(shared, struct.pack(">I", frames.LONGEST + 1) + b"x" * 100) == b""
    assert _raw(shared, _framed(b"[" * 100_000)) == b""
    SignerClient(shared).ping()


def test_silent_peers_keep_nobody_else_waiting_for_long(shared: Path) -> None:
    """More than there are threads: their time is bounded."""
    silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    try:
        for one in silent:
            one.connect(str(shared))
            one.sendall(b"\0")
        SignerClient(shared).ping()
    finally:
        for one in silent:
            one.close()


def test_a_descriptor_that_is_no_file_is_refused(shared: Path) -> None:
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX) as ours:
        ours.settimeout(20)
        ours.connect(str(shared))
        frames.send(ours, {"do": "sign_crl", "intent": "x"}, (reading,))
        answer, _ = frames.receive(ours, 20)
    os.close(reading)
    os.close(writing)
    assert answer["code"] == "question_malformed"


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_signer(
    small_home: Path, place: Path
) -> None:
    with signing(small_home, place):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert not place.exists()


def test_a_second_signer_is_refused_and_a_dead_ones_socket_replaced(
    small_home: Path, place: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(place))
    with signing(small_home, place) as running:
        server = Server(running.deployment, SocketPlace(path=place), delegated=True, answers=False)
        with pytest.raises(Conflict) as caught:
            server.run()
        assert caught.value.code == "already_signing"
        SignerClient(place).ping()


NOBODY, GROUP = 65534, 60001


def _as_nobody(place: Path, groups: list[int]) -> str:
    """Ask as another user, from a child; return what came of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                SignerClient(place).ping()
                told = b"answered"
            except Unavailable as error:
                told = error.message.encode()
            os.write(writing, told)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        return file.read().decode()


@pytest.mark.filterwarnings("ignore:This process .* multi-threaded:DeprecationWarning")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_stranger_is_told_nothing_and_a_member_of_the_group_is(
    small_home: Path, place: Path
) -> None:
    place.parent.chmod(0o755)
    with signing(small_home, place) as running:
        assert "PermissionError" in _as_nobody(place, [GROUP])
        place.chmod(0o666)  # even if somebody opened it: the kernel says who asks
        assert "does not answer" in _as_nobody(place, [GROUP])
    served = SocketPlace(path=place, group=GROUP)
    server = Server(running.deployment, served, delegated=True, answers=False)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        hosts.wait_for(lambda: place.exists() and stat.S_IMODE(place.stat().st_mode) == 0o660)
        assert _as_nobody(place, [GROUP]) == "answered"
        assert _as_nobody(place, []) != "answered"
    finally:
        server.stop()
        thread.join()


# --- without a signer --------------------------------------------------------------------------


def test_without_a_signer_nothing_is_half_written_and_all_goes_on_when_it_is_back(
    small_home: Path, tmp_path: Path, place: Path
) -> None:
    url = f"sqlite:///{small_home / 'pnc.db'}"
    with beside(tmp_path / "worker", place, url) as worker:
        for act in (
            lambda: hosts.issued(worker),
            lambda: crls.publish(
                worker.deployment, ADMIN, hosts.issuer_of(worker), 0, StatusPolicy()
            ),
            lambda: worker.deployment.keys.signer("mo2-2.g1"),
        ):
            with pytest.raises(Unavailable) as caught:
                act()
            assert caught.value.code == "key_unavailable"
            assert "pnc signer" in (caught.value.hint or "")
            assert problem_of(caught.value).status == 503
        with worker.deployment.store.read() as tx:
            assert tx.intents.unfinished() == []
            assert tx.status.unfinished_crl_intents() == []
        with signing(small_home, place):
            assert hosts.issued(worker)
