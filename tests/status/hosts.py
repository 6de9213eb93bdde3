"""Processes and hosts of one installation, played by several `Services` over one database."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.clock import Clock, SystemClock
from pki.errors import Unavailable
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, Issuer, Responder
from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.pkix.ocsp_ask import request_for
from pki.pkix.profiles import Kind
from pki.ports import Store, Transaction
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened

GOOD, REVOKED, UNKNOWN, TRY_LATER = "good", "revoked", "unknown", "try_later"
LEAF_ISSUER = "mo2-2.g1"


@contextmanager
def same_host(services: Services, *, clock: Clock | None = None) -> Iterator[Services]:
    """Open the home once more, as another process of this host does."""
    url = services.settings.database_url
    with opened(services.settings.home, database_url=url, clock=clock) as other:
        yield other


@contextmanager
def other_host(services: Services, home: Path, *, clock: Clock | None = None) -> Iterator[Services]:
    """Open a home with the same keys and database, but a beacon of its own."""
    if not home.exists():
        shutil.copytree(services.settings.home / "keys", home / "keys")
    with opened(home, database_url=services.settings.database_url, clock=clock) as other:
        yield other


def issued(services: Services, *, until: dt.datetime | None = None) -> CertificateRecord:
    """Issue one contract certificate."""
    request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID, not_after=until)
    return issue(services.deployment, ADMIN, request).record


def issuer_of(services: Services, issuer_id: str = LEAF_ISSUER) -> Issuer:
    with services.deployment.store.read() as tx:
        found = tx.issuers.get(issuer_id)
    assert found is not None
    return found


def responders_of(services: Services) -> list[Responder]:
    with services.deployment.store.read() as tx:
        return tx.status.responders()


def request_about(
    issuer: Issuer, serial: int, algorithm: str = "sha1", *, nonce: bytes = b""
) -> bytes:
    """Return a DER OCSPRequest."""
    names = issuer_hashes(load(issuer.certificate), algorithm)
    if not nonce:
        return request_for(algorithm, *names, serial)
    algorithms = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}  # noqa: S303 - RFC 5019
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        *names, serial, algorithms[algorithm]
    )
    request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    return request.public_bytes(Encoding.DER)


def ask(
    services: Services, record: CertificateRecord, algorithm: str = "sha1", *, nonce: bytes = b""
) -> str:
    """Return what a process answers about a certificate."""
    issuer = issuer_of(services, record.issuer_id)
    return answer_to(services, request_about(issuer, record.serial.as_int, algorithm, nonce=nonce))


def answer_to(services: Services, request: bytes) -> str:
    return status_in(services.answers.respond(request).der)


def status_in(response: bytes) -> str:
    """Return the status of the certificate, or why there is none."""
    read = ocsp.load_der_ocsp_response(response)
    if read.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return read.response_status.name.lower()
    return read.certificate_status.name.lower()


def wait_for(condition: Callable[[], bool], *, within: float = 10.0) -> float:
    """Wait until something is so; return the seconds that it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within, "it never happened"
        time.sleep(0.005)
    return time.monotonic() - begun


@dataclass
class Switch:
    """
    The real store behind a switch.

    Attributes:
        fault: `gone` refuses at once; `silent` lets callers wait until `restore`, as a network
            that swallows everything does.
        reads: how many were begun.
    """

    store: Store
    fault: str = ""
    reads: int = 0
    _restored: threading.Event = field(default_factory=threading.Event)

    def restore(self) -> None:
        self.fault = ""
        self._restored.set()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        self._pass()
        with self.store.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        self._pass()
        with self.store.write() as tx:
            yield tx

    def ping(self) -> None:
        self._pass()
        self.store.ping()

    def _pass(self) -> None:
        self.reads += 1
        if self.fault == "silent":
            self._restored.wait(60)
        if self.fault:
            raise Unavailable("store_unavailable", "The switch is off.")


@dataclass
class MovableClock:
    """A clock that a test sets."""

    at: dt.datetime = field(default_factory=lambda: SystemClock().now())

    def now(self) -> dt.datetime:
        return self.at


def listed(services: Services, issuer_id: str = LEAF_ISSUER, shard: int = 0) -> dict[int, str]:
    """Return serials and reasons on the newest CRL, as cryptography reads them."""
    read = x509.load_der_x509_crl(crl_of(services, issuer_id, shard))
    found = {}
    for entry in read:
        extensions = [extension.value for extension in entry.extensions]
        reasons = [e.reason.value for e in extensions if isinstance(e, x509.CRLReason)]
        found[entry.serial_number] = reasons[0] if reasons else "unspecified"
    return found


def crl_of(services: Services, issuer_id: str = LEAF_ISSUER, shard: int = 0) -> bytes:
    """Return the octets of the newest CRL."""
    with services.deployment.store.read() as tx:
        record = tx.status.crl(issuer_id, shard)
        assert record is not None
        return b"".join(tx.status.crl_chunks(record))


def number_of(services: Services, issuer_id: str = LEAF_ISSUER, shard: int = 0) -> int:
    """Return the number of the newest CRL, 0 where there is none."""
    with services.deployment.store.read() as tx:
        record = tx.status.crl(issuer_id, shard)
    return record.number if record else 0
