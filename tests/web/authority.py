"""A PKI whose status is asked: CAs of every suite, one of them with sharded CRLs, real time."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from flask import Flask
from werkzeug.test import TestResponse

from pki import demo, hierarchy, issue, revoke, services, settings
from pki.clock import FixedClock, SystemClock
from pki.ids import Fingerprint, SerialNumber
from pki.model import CertificateRecord, Issuer, IssuerState, Reason
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.services import Services
from pki.status import StatusPolicy, crls, responders
from tests.homes import ADMIN, MO_BRANCH, demo_plans
from tests.web import asking
from tests.web.asking import Answer
from web.app import create_app

AT = SystemClock().now()  # the peers of tests/interop know no other time
SECOND = dt.timedelta(seconds=1)
DAY = dt.timedelta(days=1)
SHARDED = "oem2-2"
SHARDS = 4
LOWEST = {Suite.P256: "mo2-2", Suite.P521: "mo2-20", Suite.ED448: "mo2-20e"}
_BRANCHES = (
    *MO_BRANCH,
    *("mo-20", "mo1-20", "mo2-20", "mo-20e", "mo1-20e", "mo2-20e"),
    *("oem-2", "oem1-2", "oem2-2"),
)
_NUMBERS = count(1)


def plans() -> list[hierarchy.IssuerPlan]:
    """Return the MO branch of every suite and an OEM branch whose lowest CA shards its CRL."""
    return [
        replace(plan, crl_shards=SHARDS if plan.name == SHARDED else 0)
        for plan in demo_plans(*_BRANCHES)
    ]


def opened(home: Path, *, at: dt.datetime = AT, policy: StatusPolicy | None = None) -> Services:
    """Return the services of a home at a time that stands still."""
    loaded = settings.load({"PNC_PUBLIC_URL": "http://pki.example"}, home)
    return services.build(replace(loaded, status=policy or loaded.status), clock=FixedClock(at))


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate that was issued, and the CA that issued it."""

    record: CertificateRecord
    issuer: x509.Certificate

    @property
    def serial(self) -> int:
        return self.record.serial.as_int

    @property
    def reference(self) -> str:
        return self.record.fingerprint.value

    def cert_id(self, algorithm: str = "sha1", *, null: bool = True) -> bytes:
        return asking.cert_id(self.issuer, self.serial, algorithm, null=null)

    @property
    def request(self) -> bytes:
        return asking.request(self.cert_id())


@dataclass(frozen=True)
class Authority:
    """One process over a home: its services and its app."""

    services: Services
    app: Flask

    def issuer(self, name: str) -> Issuer:
        with self.services.deployment.store.read() as tx:
            found = [i for i in tx.issuers.all() if i.name == name]
        return found[-1]

    def ca(self, name: str) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.issuer(name).certificate)

    def issue(self, suite: Suite = Suite.P256, *, not_after: dt.datetime | None = None) -> Leaf:
        """Issue a contract certificate."""
        request = issue.IssueRequest(
            kind=Kind.CONTRACT,
            common_name=f"DEMOAC{next(_NUMBERS):08}",
            suite=suite,
            edition=suite.edition,
            not_after=not_after,
        )
        record = issue.issue(self.services.deployment, ADMIN, request).record
        return Leaf(record=record, issuer=self.ca(LOWEST[suite]))

    def issue_sharded(self) -> Leaf:
        """Issue a provisioning certificate, whose CA has sharded CRLs."""
        name = f"WPN{next(_NUMBERS):014}"
        request = issue.IssueRequest(kind=Kind.OEM, common_name=name)
        record = issue.issue(self.services.deployment, ADMIN, request).record
        return Leaf(record=record, issuer=self.ca(SHARDED))

    def adopt(self, leaf: Leaf, serial: int) -> Leaf:
        """Keep a record like that of `leaf` with a serial of the test's choice."""
        record = replace(
            leaf.record,
            serial=SerialNumber.from_int(serial),
            fingerprint=Fingerprint(value=secrets.token_hex(32)),
            intent_id=secrets.token_hex(12),
        )
        with self.services.deployment.store.write() as tx:
            intent = tx.intents.get(leaf.record.intent_id)
            assert intent is not None
            tx.intents.add(replace(intent, intent_id=record.intent_id, serial=record.serial))
            tx.certificates.add(record)
        return Leaf(record=record, issuer=leaf.issuer)

    def revoke(self, leaf: Leaf, reason: Reason = Reason.SUPERSEDED) -> None:
        revoke.revoke(self.services.deployment, ADMIN, leaf.reference, reason)

    def release(self, leaf: Leaf) -> None:
        revoke.release(self.services.deployment, ADMIN, leaf.reference)

    def publish_crls(self) -> int:
        deployment, policy = self.services.deployment, self.services.settings.status
        return crls.publish_due(deployment, ADMIN, policy)

    def post(self, der: bytes, content_type: str | None = asking.TYPE) -> TestResponse:
        return self.app.test_client().post("/ocsp", data=der, content_type=content_type)

    def get(self, der: bytes, **headers: str) -> TestResponse:
        return self.fetch(f"/ocsp/{asking.in_path(der)}", **headers)

    def fetch(self, path: str, **headers: str) -> TestResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        # buffered: the file of a CRL is closed once its answer is
        return self.app.test_client().get(path, headers=sent, buffered=True)

    def ask(self, der: bytes) -> Answer:
        """Ask by POST; whatever was sent, the answer is an OCSPResponse."""
        answer = self.post(der)
        assert (answer.status_code, answer.mimetype) == (200, "application/ocsp-response")
        return asking.read(answer.data)

    def status(self, leaf: Leaf) -> str:
        """Return what POST and GET agree on."""
        posted, got = self.ask(leaf.request), asking.read(self.get(leaf.request).data)
        assert posted.status == got.status
        return posted.status


@contextmanager
def working(
    home: Path, *, at: dt.datetime = AT, policy: StatusPolicy | None = None
) -> Iterator[Authority]:
    """Open a home as one more process would."""
    running = opened(home, at=at, policy=policy)
    try:
        yield Authority(running, create_app(running))
    finally:
        running.close()


def next_generation(authority: Authority, name: str, *, same_key: bool = False) -> Issuer:
    """Make a further generation of a CA: the same name, its own responder, usually a new key."""
    deployment = authority.services.deployment
    (plan,) = (p for p in plans() if p.name == name)
    older = authority.issuer(name)
    number = older.generation + 1
    issuer = replace(
        older,
        issuer_id=f"{name}.g{number}",
        generation=number,
        state=IssuerState.PENDING,
        certificate=b"",
        key_label=older.key_label if same_key else f"{name}.g{number}",
    )
    keys = deployment.keys
    signer = (
        keys.signer(issuer.key_label) if same_key else keys.create(issuer.key_label, older.suite)
    )
    parent = authority.issuer(plan.parent or "")
    order = hierarchy.order_for(deployment, plan, parent, signer.public_key)
    issue.carry_out(deployment, ADMIN, replace(order, new_issuer=issuer))
    made = authority.issuer(name)
    responders.make(deployment, ADMIN, made)
    assert load(made.certificate).subject == load(older.certificate).subject
    return made


@pytest.fixture(scope="session")
def authority_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with these CAs and the demo's clients, not to be changed."""
    home = tmp_path_factory.mktemp("authority") / "home"
    home.mkdir()
    running = opened(home)
    running.database.migrate()
    hierarchy.create(running.deployment, ADMIN, plans())
    demo.register(running.deployment, ADMIN, home)
    running.close()
    return home


@pytest.fixture
def authority_home(authority_template: Path, tmp_path: Path) -> Path:
    """A home of the test's own."""
    return Path(shutil.copytree(authority_template, tmp_path / "authority"))


@pytest.fixture
def authority(authority_home: Path) -> Iterator[Authority]:
    """One process over the test's own home."""
    with working(authority_home) as opened_:
        yield opened_


@pytest.fixture(scope="module")
def common(
    authority_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Authority]:
    """One process over a home that tests of a module share; they touch only what they issue."""
    home = tmp_path_factory.mktemp("common") / "home"
    with working(Path(shutil.copytree(authority_template, home))) as opened_:
        yield opened_
