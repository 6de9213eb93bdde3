"""A CA of each suite with leaves, a delegated OCSP signer and CRLs; times around the present."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from cryptography import x509

from pki.clock import SystemClock
from pki.pkix import build, crl, ocsp
from pki.pkix.pem import encode as pem
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import PrivateKey, Suite, generate, sign
from tests.pkix.samples import OCSP_URL

NOW = SystemClock().now()  # openssl compares answers with the host's clock
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
SHARD_URL = "http://pki.example/crl/demo.g1/2"


@dataclass(frozen=True, kw_only=True)
class Authority:
    suite: Suite
    key: PrivateKey
    der: bytes

    @property
    def x509(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @property
    def name(self) -> bytes:
        return self.x509.subject.public_bytes()

    @property
    def key_id(self) -> bytes:
        return self.x509.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


@dataclass(frozen=True, kw_only=True)
class Holder:
    key: PrivateKey
    der: bytes

    @property
    def x509(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @property
    def spki(self) -> bytes:
        return build.spki(self.key.public_key())


@cache
def authority(suite: Suite, generation: int = 1) -> Authority:
    """Return a root; generations share a name and differ in the key."""
    profile = find(Kind.V2G_ROOT, suite.edition)
    name = build.subject_name(profile, common_name="Root", organization="Test", country="DE")
    key = generate(suite)
    facts = build.Facts(
        serial=generation,
        subject=name,
        issuer=name,
        public_key=key.public_key(),
        issuer_key_id=None,
        not_before=NOW - 30 * DAY,
        not_after=NOW + 365 * DAY,
        ocsp_url=None,
        crl_url=None,
    )
    der = build.encoded(build.builder(profile, facts).sign(key, suite.hash))
    return Authority(suite=suite, key=key, der=der)


def issued(
    ca: Authority, kind: Kind, *, serial: int, name: str, crl_url: str | None = None
) -> Holder:
    """Issue a certificate of that kind directly below the root."""
    profile = find(kind, ca.suite.edition)
    key = generate(ca.suite)
    facts = build.Facts(
        serial=serial,
        subject=build.subject_name(profile, common_name=name, organization="Test", country="DE"),
        issuer=ca.x509.subject,
        public_key=key.public_key(),
        issuer_key_id=ca.key_id,
        not_before=NOW - 10 * DAY,
        not_after=NOW + 10 * DAY,
        ocsp_url=OCSP_URL if profile.ocsp_url else None,
        crl_url=crl_url,
    )
    built = build.builder(profile, facts).sign(ca.key, ca.suite.hash)
    return Holder(key=key, der=build.encoded(built))


@cache
def contract(suite: Suite, serial: int = 0x1234567890, crl_url: str | None = None) -> Holder:
    ca = authority(suite)
    return issued(ca, Kind.CONTRACT, serial=serial, name="DEMOAC12345678", crl_url=crl_url)


@cache
def responder(suite: Suite) -> Holder:
    return issued(authority(suite), Kind.OCSP, serial=77, name="OCSP 1")


GOOD = ocsp.SingleAnswer(
    cert_id=b"",
    status=ocsp.CertStatus.GOOD,
    this_update=NOW - MINUTE,
    next_update=NOW + DAY,
)
REVOKED = replace(
    GOOD,
    status=ocsp.CertStatus.REVOKED,
    revoked_at=NOW - DAY,
    reason="keyCompromise",
)
UNKNOWN = replace(GOOD, status=ocsp.CertStatus.UNKNOWN)


def answered(
    suite: Suite,
    answers: Iterable[ocsp.SingleAnswer],
    *,
    nonce: bytes | None = None,
    extended_revoked: bool = False,
    by_name: bool = False,
) -> bytes:
    """Return the answer signed by the delegated responder of the suite."""
    signer = responder(suite)
    tbs = ocsp.response_data(
        responder=ocsp.responder_by_name(signer.x509.subject.public_bytes())
        if by_name
        else ocsp.responder_by_key(signer.spki),
        produced_at=NOW,
        answers=tuple(answers),
        nonce=nonce,
        extended_revoked=extended_revoked,
    )
    return ocsp.assemble(tbs, suite, sign(signer.key, tbs), (signer.der,))


def crl_facts(suite: Suite, *, number: int = 7, shard: str | None = None) -> crl.CrlFacts:
    ca = authority(suite)
    return crl.CrlFacts(
        issuer=ca.name,
        suite=suite,
        authority_key_id=ca.key_id,
        number=number,
        this_update=NOW - MINUTE,
        next_update=NOW + DAY,
        distribution_point=shard,
    )


def crl_of(facts: crl.CrlFacts, entries: Iterable[crl.CrlEntry] = ()) -> bytes:
    """Return a CRL signed by the authority of its suite."""
    tbs, whole = io.BytesIO(), io.BytesIO()
    crl.build_tbs(tbs, facts, entries=(crl.entry(*e) for e in entries), scratch=io.BytesIO())
    signature = sign(authority(facts.suite).key, tbs.getvalue())
    crl.assemble_crl(whole, tbs.getvalue(), facts.suite, signature)
    return whole.getvalue()


def pem_bytes(der: bytes, label: str = "CERTIFICATE") -> bytes:
    return pem(der, label).encode()
