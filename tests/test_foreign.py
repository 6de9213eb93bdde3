"""Status of foreign certificates; another PKI of ours is the foreign one, over real HTTP."""

from __future__ import annotations

import datetime as dt
import http.server
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pki import contracts, foreign, parties, trust, validate
from pki.clock import FixedClock
from pki.errors import BadInput, NotFound, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import (
    Accepted,
    ContractCheck,
    Domain,
    Fault,
    HashData,
    Reason,
    Rejected,
    SourceKind,
    StaleRule,
    StatusRule,
)
from pki.outbound import OutboundPolicy, call, check_address
from pki.pkix import pem
from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.pkix.ocsp_ask import status_in
from pki.pkix.profiles import Kind
from pki.revoke import release, revoke
from pki.services import Services
from pki.status import crls
from pki.status.ask import Told, certificate_status
from pki.validate.frame import read_frame
from pki.validate.gather import gather_many
from tests.conformance import makers
from tests.homes import ADMIN, EMAID, MO_BRANCH, demo_plans, make_home, opened

LOOPBACK = OutboundPolicy(allowed=(ip_network("127.0.0.0/8"),), seconds=5.0)


@dataclass
class Reply:
    """What the test's HTTP server does with the next requests."""

    act: Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def serving(reply: Reply) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply.act(self)

        def do_POST(self) -> None:
            reply.act(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up is what some tests want

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(body: bytes, status: int = 200) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def act(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act


@dataclass(frozen=True)
class Two:
    """Our PKI, and a foreign one whose contract is known to us."""

    ours: Services
    theirs: Services
    serial: str
    check: ContractCheck

    def decide(self, at: dt.datetime | None = None) -> Accepted | Rejected:
        decision = validate.validate(self.ours.deployment, ADMIN, self.check, at=at)
        return decision.verdict

    def fault(self, at: dt.datetime | None = None) -> Fault | None:
        verdict = self.decide(at)
        return verdict.fault if isinstance(verdict, Rejected) else None

    def issuer(self, name: str) -> bytes:
        with self.theirs.deployment.store.read() as tx:
            found = tx.issuers.active(name)
        assert found is not None
        return found.certificate

    def crl(self, name: str) -> bytes:
        policy = self.theirs.settings.status
        crls.publish_due(self.theirs.deployment, ADMIN, policy)
        record = crls.current(self.theirs.deployment, name, 0)
        return crls.file_of(
            self.theirs.deployment, record, self.theirs.run_directory / "crl"
        ).read_bytes()


@pytest.fixture
def two(small_home: Path, tmp_path: Path) -> Iterator[Two]:
    other = tmp_path / "ours"
    make_home(other, *MO_BRANCH)
    with opened(small_home) as theirs, opened(other) as ours:
        request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
        issued = issue(theirs.deployment, ADMIN, request)
        contracts.add(ours.deployment, ADMIN, EMAID)
        with theirs.deployment.store.read() as tx:
            root = tx.issuers.active("mo-2")
        assert root is not None
        trust.add(ours.deployment, ADMIN, root.certificate, Domain.MO)
        yield Two(
            ours=ours,
            theirs=theirs,
            serial=issued.record.serial.value,
            check=ContractCheck(chain=issued.chain, token=EMAID),
        )


LEVELS = (("mo2-2", "mo2-2"), ("mo1-2", "mo1-2"), ("mo-2", "mo-2"))


def _add_crl_sources(two: Two, url: str) -> None:
    for name, _ in LEVELS:
        foreign.add_source(
            two.ours.deployment,
            ADMIN,
            Domain.MO,
            SourceKind.CRL,
            f"{url}/{name}",
            two.issuer(name),
        )


def _serve_crls(two: Two) -> Reply:
    def act(handler: http.server.BaseHTTPRequestHandler) -> None:
        _send(two.crl(handler.path.removeprefix("/")))(handler)

    return Reply(act)


def _fetch(two: Two, later: dt.timedelta = dt.timedelta()) -> int:
    clock = FixedClock(two.ours.deployment.clock.now() + later)
    return foreign.fetch_due(replace(two.ours.deployment, clock=clock), LOOPBACK)


def test_crls_fetched_ahead_decide(two: Two) -> None:
    assert two.fault() is Fault.STATUS_MISSING
    with serving(_serve_crls(two)) as url:
        _add_crl_sources(two, url)
        assert _fetch(two) == 3
        verdict = two.decide()
        assert isinstance(verdict, Accepted)
        assert {p.status.source for p in verdict.path[:-1]} == {"foreign"}
        revoke(two.theirs.deployment, ADMIN, two.serial, Reason.CERTIFICATE_HOLD)
        assert isinstance(two.decide(), Accepted)
        _fetch(two, dt.timedelta(hours=2))
        assert two.fault() is Fault.REVOKED
        release(two.theirs.deployment, ADMIN, two.serial)
        _fetch(two, dt.timedelta(hours=4))
        assert two.fault() is None


def test_evidence_about_a_chain_that_is_all_ours_does_not_count(two: Two) -> None:
    own = replace(two, ours=two.theirs)
    deployment = own.ours.deployment
    revoke(deployment, ADMIN, two.serial, Reason.CERTIFICATE_HOLD)
    with serving(_serve_crls(own)) as url:  # as if our CAs were somebody else's
        _add_crl_sources(own, url)
        assert _fetch(own) == 3
    release(deployment, ADMIN, two.serial)
    with deployment.store.read() as tx:
        frame = read_frame(tx)
        assert frame.evidence_issuers
        (found,) = gather_many(tx, frame, [own.check], deployment.clock.now())
    assert found.foreign == {}
    verdict = own.decide()
    assert isinstance(verdict, Accepted)
    assert {p.status.source for p in verdict.path[:-1]} == {found.statuses.good.source}


def test_evidence_counts_where_a_single_certificate_of_a_chain_is_ours(two: Two) -> None:
    with two.ours.deployment.store.read() as tx:
        mine = tx.issuers.active("mo2-2")
    assert mine is not None
    mixed = replace(
        two, check=replace(two.check, chain=(*(two.check.chain or ()), mine.certificate))
    )
    with serving(_serve_crls(two)) as url:
        _add_crl_sources(two, url)
        _fetch(two)
        assert isinstance(mixed.decide(), Accepted)
        revoke(two.theirs.deployment, ADMIN, two.serial, Reason.SUPERSEDED)
        _fetch(two, dt.timedelta(hours=2))
        assert mixed.fault() is Fault.REVOKED


def test_ocsp_answers_are_asked_for_certificates_that_were_seen(two: Two) -> None:
    two.theirs.view.follow()

    def act(handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        _send(two.theirs.answers.respond(body).der)(handler)

    with serving(Reply(act)) as url:
        for name, _ in LEVELS:
            foreign.add_source(
                two.ours.deployment, ADMIN, Domain.MO, SourceKind.OCSP, url, two.issuer(name)
            )
        assert _fetch(two) == 0
        assert two.fault() is Fault.STATUS_MISSING
        assert _fetch(two) == 3
        assert two.fault() is None
        revoke(two.theirs.deployment, ADMIN, two.serial, Reason.SUPERSEDED)
        assert _fetch(two) == 0
        _fetch(two, dt.timedelta(days=4))
        assert two.fault() is Fault.REVOKED


def test_stale_evidence_refuses_unless_the_policy_accepts_it(two: Two) -> None:
    with serving(_serve_crls(two)) as url:
        _add_crl_sources(two, url)
        _fetch(two)
    later = two.ours.deployment.clock.now() + dt.timedelta(days=8)
    verdict = two.decide(later)
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.STATUS_MISSING
    assert "stale since" in verdict.explanation
    foreign.set_stale_rule(two.ours.deployment, ADMIN, Domain.MO, StaleRule.ACCEPT)
    accepted = two.decide(later)
    assert isinstance(accepted, Accepted)
    notes = [
        c.detail for c in accepted.checks if (c.question, c.answer) == ("status_known", "note")
    ]
    assert len(notes) == 3
    assert all("stale since" in note and "policy accepts" in note for note in notes)
    foreign.set_stale_rule(two.ours.deployment, ADMIN, Domain.MO, StaleRule.REFUSE)
    trust.set_rule(two.ours.deployment, ADMIN, Domain.MO, StatusRule.NOT_REQUIRED)
    assert two.fault(later) is None


def test_a_known_revocation_refuses_even_where_status_is_not_required(two: Two) -> None:
    trust.set_rule(two.ours.deployment, ADMIN, Domain.MO, StatusRule.NOT_REQUIRED)
    revoke(two.theirs.deployment, ADMIN, two.serial, Reason.KEY_COMPROMISE)
    with serving(_serve_crls(two)) as url:
        _add_crl_sources(two, url)
        _fetch(two)
    assert two.fault() is Fault.REVOKED


def test_a_crl_of_somebody_else_is_not_used(two: Two) -> None:
    with serving(Reply(_send(two.crl("mo1-2")))) as url:
        foreign.add_source(
            two.ours.deployment, ADMIN, Domain.MO, SourceKind.CRL, url, two.issuer("mo2-2")
        )
        assert _fetch(two) == 0
    (source,) = foreign.sources(two.ours.deployment, ADMIN)
    assert source.problem
    assert two.fault() is Fault.STATUS_MISSING


def test_an_old_crl_played_back_is_not_used(two: Two) -> None:
    old = two.crl("mo2-2")
    revoke(two.theirs.deployment, ADMIN, two.serial, Reason.SUPERSEDED)
    new = two.crl("mo2-2")
    reply = Reply(_send(new))
    with serving(reply) as url:
        foreign.add_source(
            two.ours.deployment, ADMIN, Domain.MO, SourceKind.CRL, url, two.issuer("mo2-2")
        )
        assert _fetch(two) == 1
        reply.act = _send(old)
        assert _fetch(two, dt.timedelta(hours=2)) == 0
    assert two.fault() is Fault.REVOKED


@pytest.mark.parametrize("key_ids", [True, False])
def test_i8_a_crl_speaks_for_its_own_ca_and_not_for_another_one_of_that_name(
    small: Services,
    key_ids: bool,  # noqa: FBT001 - a table
) -> None:
    here = replace(small.deployment, clock=FixedClock(makers.NOW))
    root = makers.ca("Root")
    first, second = (makers.ca("Sub", root, path_length=0, key_ids=key_ids) for _ in range(2))
    basic = (x509.BasicConstraints(ca=False, path_length=None), True)
    limits: makers.Extensions = (basic, (makers.usage("digital_signature"), True))
    leaf = makers.leaf(EMAID, second, extra=limits)
    trust.add(here, ADMIN, root.certificate.der, Domain.MO)
    contracts.add(here, ADMIN, EMAID)

    def fault(*presented: makers.Held) -> Fault | None:
        check = ContractCheck(chain=tuple(held.certificate.der for held in presented))
        verdict = validate.validate(here, ADMIN, check).verdict
        return verdict.fault if isinstance(verdict, Rejected) else None

    for issuer in (root, first):
        foreign.store_crl(here, issuer.certificate, makers.crl_der(issuer))
    assert fault(leaf, first, second) is Fault.STATUS_MISSING
    foreign.store_crl(here, second.certificate, makers.crl_der(second))
    assert fault(leaf, first, second) is None
    revoked = makers.crl_der(second, leaf.certificate, extra=((x509.CRLNumber(2), False),))
    foreign.store_crl(here, second.certificate, revoked)
    assert fault(leaf, first, second) is Fault.REVOKED


def test_the_answer_of_a_revoked_delegate_is_not_used(small: Services) -> None:
    """By the clock of the host: whoever signs an answer writes down when it is."""
    here = small.deployment
    now = here.clock.now().replace(microsecond=0)
    long: dict[str, Any] = {"not_before": now - makers.YEAR, "not_after": now + makers.YEAR}
    fresh: dict[str, Any] = {"this_update": now - makers.DAY, "next_update": now + makers.DAY}
    root = makers.ca("Root", **long)
    sub = makers.ca("Sub", root, path_length=0, **long)
    responder = makers.responder(sub, **long)
    basic = (x509.BasicConstraints(ca=False, path_length=None), True)
    limits: makers.Extensions = (basic, (makers.usage("digital_signature"), True))
    leaf = makers.leaf(EMAID, sub, extra=limits, **long)
    trust.add(here, ADMIN, root.certificate.der, Domain.MO)
    check = ContractCheck(chain=(leaf.certificate.der, sub.certificate.der))
    body = makers.answer(leaf, sub, responder, certificates=(responder,), **fresh)

    def answered(url: str, issuer: makers.Held) -> tuple[int, str | None]:
        source = foreign.add_source(
            here, ADMIN, Domain.MO, SourceKind.OCSP, url, issuer.certificate.der
        )
        validate.validate(here, ADMIN, check)  # the leaf is seen
        fetched = foreign.fetch_due(here, LOOPBACK)
        (told,) = (s for s in foreign.sources(here, ADMIN) if s.source_id == source.source_id)
        foreign.remove_source(here, ADMIN, source.source_id)
        return fetched, told.problem

    with serving(Reply(_send(body))) as url:
        foreign.store_crl(
            here, sub.certificate, makers.crl_der(sub, responder.certificate, **fresh)
        )
        assert answered(url, sub) == (0, "The OCSP answer is not used: CN=Responder is revoked.")
        held = makers.crl_der(sub, extra=((x509.CRLNumber(2), False),), **fresh)
        foreign.store_crl(here, sub.certificate, held)
        assert answered(url, sub) == (1, None)


def _stall(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def _redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (_send(b"", 500), "outbound_failed"),
        (_redirect, "outbound_failed"),
        (_send(b"x" * 3000), "answer_too_large"),
        (_stall, "outbound_timeout"),
        (lambda handler: handler.wfile.write(b"garbage\r\n\r\n"), "outbound_failed"),
        (lambda handler: handler.connection.close(), "outbound_failed"),
    ],
    ids=["status 500", "redirect", "too large", "trickle", "garbage", "hang-up"],
)
def test_a_bad_server_gives_a_named_error_in_bounded_time(
    act: Callable[[http.server.BaseHTTPRequestHandler], None], code: str
) -> None:
    policy = replace(LOOPBACK, seconds=1.0, octets=2000)
    begun = time.monotonic()
    with serving(Reply(act)) as url:
        with pytest.raises(Unavailable) as caught:
            call(policy, url)
        assert caught.value.code == code
        assert time.monotonic() - begun < 4


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:9/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
    ],
)
def test_internal_addresses_are_refused_by_default(url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        call(OutboundPolicy(), url)
    assert caught.value.code in {"address_refused", "outbound_failed"}


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x/", "file:///etc/passwd", "http://", "http://u:p@x/", "http://x/ y", "http://x:99999/",
     "http://x/#f", "http://\u0445.example/", "http://x/" + "a" * 3000],
)  # fmt: skip
def test_only_plain_http_addresses_can_be_configured(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_address(url)
    assert caught.value.code == "invalid_address"


def test_a_source_that_is_gone_is_said_and_evidence_stays(two: Two) -> None:
    with serving(_serve_crls(two)) as url:
        _add_crl_sources(two, url)
        _fetch(two)
    assert _fetch(two, dt.timedelta(hours=2)) == 0
    assert all(source.problem for source in foreign.sources(two.ours.deployment, ADMIN))
    assert two.fault() is None


def test_sources_are_listed_and_removed(two: Two) -> None:
    source = foreign.add_source(
        two.ours.deployment,
        ADMIN,
        Domain.MO,
        SourceKind.CRL,
        "http://crl.example/x",
        pem.encode(two.issuer("mo2-2")).encode(),
    )
    assert foreign.sources(two.ours.deployment, ADMIN) == [source]
    foreign.remove_source(two.ours.deployment, ADMIN, source.source_id)
    with pytest.raises(NotFound):
        foreign.remove_source(two.ours.deployment, ADMIN, source.source_id)


def test_files_are_evidence_on_the_command_line(two: Two) -> None:
    files = validate.EvidenceFiles(crls=tuple(two.crl(name) for name in ("mo-2", "mo1-2", "mo2-2")))
    decision = validate.validate(two.ours.deployment, ADMIN, two.check, files=files)
    assert isinstance(decision.verdict, Accepted)
    revoke(two.theirs.deployment, ADMIN, two.serial, Reason.SUPERSEDED)
    revoked = validate.EvidenceFiles(crls=(two.crl("mo2-2"),))
    verdict = validate.validate(two.ours.deployment, ADMIN, two.check, files=revoked).verdict
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.REVOKED


def test_the_two_homes_are_different_pkis(two: Two) -> None:
    assert len(demo_plans(*MO_BRANCH)) == 3
    with two.ours.deployment.store.read() as tx:
        mine = tx.issuers.active("mo2-2")
    assert mine is not None
    assert mine.certificate != two.issuer("mo2-2")
    assert parties.accounts(two.ours.deployment, ADMIN)


def test_fetched_answers_are_passed_on_by_hash_data(two: Two) -> None:
    two.theirs.view.follow()

    def act(handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        _send(two.theirs.answers.respond(body).der)(handler)

    leaf, issuer = (load(der) for der in (two.check.chain or ())[:2])
    name, key = issuer_hashes(issuer, "sha256")
    asked = HashData(
        algorithm="SHA256",
        issuer_name_hash=name,
        issuer_key_hash=key,
        serial=leaf.serial_number,
    )

    def told() -> Told | None:
        return certificate_status(two.ours.deployment, two.ours.answers, ADMIN, asked)

    assert told() is None
    with serving(Reply(act)) as url:
        for name_, _ in LEVELS:
            foreign.add_source(
                two.ours.deployment, ADMIN, Domain.MO, SourceKind.OCSP, url, two.issuer(name_)
            )
        two.decide()
        assert told() is None
        _fetch(two)
        found = told()
        assert found is not None
        assert found.status == "good"
        assert found.response is not None
        assert status_in(found.response) == ("good", found.next_update)


def test_a_foreign_crl_alone_tells_the_status_but_no_answer(two: Two) -> None:
    leaf, issuer = (load(der) for der in (two.check.chain or ())[:2])
    name, key = issuer_hashes(issuer, "sha512")
    asked = HashData(
        algorithm="SHA512", issuer_name_hash=name, issuer_key_hash=key, serial=leaf.serial_number
    )
    with serving(_serve_crls(two)) as url:
        _add_crl_sources(two, url)
        _fetch(two)
    found = certificate_status(two.ours.deployment, two.ours.answers, ADMIN, asked)
    assert found is not None
    assert (found.response, found.status) == (None, "good")
