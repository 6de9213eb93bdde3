"""Certificates of the connection between station and CSMS: whose, what, and where they end."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from pki import clients, rotate
from pki.errors import BadInput, PkiError
from pki.ids import HostName, StationSerial
from pki.issue import Issued, IssueRequest, issue
from pki.model import EnrolmentRules, Principal, Reason, Role, TenantRules
from pki.pkix import build, pem, weak
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import PublicKey, suite_of
from pki.ports import Deployment
from pki.revoke import revoke
from pki.services import Services
from tests.homes import ADMIN
from tests.web.calling import csr

CPO = Principal(name="cpo", role=Role.CPO, parties=("DECPA",))
OTHER = Principal(name="other", role=Role.CPO, parties=("DECPB",))
HOST = "csms.example.com"


@pytest.fixture
def deployment(full: Services) -> Deployment:
    for party in ("DECPA", "DECPB"):
        clients.add(full.deployment, ADMIN, Role.CPO, (party,), name=f"Operator {party}")
    rules = EnrolmentRules(tenants={"DECPA": TenantRules(csms_domains=("example.com",))})
    return replace(full.deployment, enrolment=rules)


def made(
    deployment: Deployment,
    kind: Kind,
    name: str,
    principal: Principal = CPO,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Issued:
    request = IssueRequest(kind=kind, request=csr(name, key).encode())
    return issue(deployment, principal, request)


def code(
    deployment: Deployment,
    kind: Kind,
    name: str,
    principal: Principal = CPO,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> str:
    with pytest.raises(PkiError) as caught:
        made(deployment, kind, name, principal, key)
    return caught.value.code


def test_a_station_gets_its_serial_number_and_the_purpose_of_a_client(
    deployment: Deployment,
) -> None:
    issued = made(deployment, Kind.STATION, "SN-0042.A")
    certificate = load(issued.record.der).x509
    assert issued.record.owner == "DECPA"
    subject = certificate.subject.rfc4514_string()
    assert subject == "C=DE,O=Operator DECPA,CN=SN-0042.A"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_csms_gets_its_host_name_twice_and_the_purpose_of_a_server(
    deployment: Deployment,
) -> None:
    issued = made(deployment, Kind.CSMS, "CSMS.example.com")
    certificate = load(issued.record.der).x509
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == HOST
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOST]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.parametrize(
    ("kind", "name", "purpose"),
    [(Kind.STATION, "SN-0042.A", "sslclient"), (Kind.CSMS, HOST, "sslserver")],
)
def test_openssl_verifies_it_under_the_root_of_stations_and_under_no_other(
    deployment: Deployment, tmp_path: Path, kind: Kind, name: str, purpose: str
) -> None:
    issued = made(deployment, kind, name)
    with deployment.store.read() as tx:
        roots = {i.name: i.certificate for i in tx.issuers.all() if i.parent_id is None}
    (tmp_path / "leaf").write_text(pem.encode(issued.chain[0]))
    (tmp_path / "above").write_text("".join(map(pem.encode, issued.chain[1:])))
    for root, der in roots.items():
        (tmp_path / "root").write_text(pem.encode(der))
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root"]
        run = subprocess.run(
            [*command, "-untrusted", "above", "leaf"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert (run.returncode == 0) is (root == "tls-p256"), root


def test_a_host_that_is_not_listed_for_the_operator_is_refused(deployment: Deployment) -> None:
    assert code(deployment, Kind.CSMS, "csms.example.org") == "host_not_allowed"
    assert code(deployment, Kind.CSMS, "badexample.com") == "host_not_allowed"
    assert code(deployment, Kind.CSMS, HOST, OTHER) == "host_not_allowed"


def test_a_name_of_another_operator_is_free_when_its_certificate_is_revoked(
    deployment: Deployment,
) -> None:
    first = made(deployment, Kind.STATION, "SN1")
    made(deployment, Kind.STATION, "SN1")  # a renewal
    assert code(deployment, Kind.STATION, "SN1", OTHER) == "common_name_taken"
    with deployment.store.read() as tx:
        mine = tx.certificates.search(kinds=(Kind.STATION,), common_name="SN1")
    for record in mine:
        revoke(deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    assert made(deployment, Kind.STATION, "SN1", OTHER).record.owner == "DECPB"
    assert first.record.owner == "DECPA"


def test_a_key_stands_for_one_station(deployment: Deployment) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made(deployment, Kind.STATION, "SN1", key=key)
    made(deployment, Kind.STATION, "SN1", key=key)
    assert code(deployment, Kind.STATION, "SN2", key=key) == "key_reused"
    assert code(deployment, Kind.SECC, "DECPAE1", key=key) == "key_reused"
    relaxed = EnrolmentRules(tenants={"DECPA": TenantRules(reuse_keys=True)})
    made(replace(deployment, enrolment=relaxed), Kind.STATION, "SN2", key=key)


def test_a_key_of_a_ca_is_certified_for_nothing_else(deployment: Deployment) -> None:
    with deployment.store.read() as tx:
        ca = next(i for i in tx.issuers.all() if i.kind is Kind.CPO_SUB_CA2)
    key = load(ca.certificate).spki
    request = IssueRequest(kind=Kind.SECC, spki=key, common_name="DECPAE1")
    with pytest.raises(PkiError) as caught:
        issue(deployment, CPO, request)
    assert caught.value.code == "key_reused"


def test_a_key_that_everybody_knows_is_refused(deployment: Deployment) -> None:
    for number in (1, 2, 42):
        key = ec.derive_private_key(number, ec.SECP256R1())
        assert code(deployment, Kind.SECC, "DECPAE1", key=key) == "key_weak"


def is_weak(key: PublicKey) -> bool:
    suite = suite_of(key)
    return suite is not None and weak.is_weak(suite, build.spki(key))


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP521R1()], ids=lambda c: c.name)
def test_an_ordinary_key_is_not_weak(curve: ec.SECP256R1 | ec.SECP521R1) -> None:
    assert not is_weak(ec.generate_private_key(curve).public_key())
    assert is_weak(ec.derive_private_key(7, curve).public_key())


def test_an_ed448_key_of_small_order_is_weak() -> None:
    assert not is_weak(ed448.Ed448PrivateKey.generate().public_key())
    for octets in (b"\1" + bytes(56), bytes(57), bytes(56) + b"\x80"):
        assert is_weak(ed448.Ed448PublicKey.from_public_bytes(octets))


@pytest.mark.parametrize(
    "text",
    ["192.0.2.1", "http://station", "2001:db8::1", "", "a b", "-x", "x" * 65, "sn\n", "Ä1"],
)
def test_an_address_is_no_serial_number(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        StationSerial.parse(text)
    assert caught.value.code == "invalid_station_serial"


@pytest.mark.parametrize("text", ["localhost", "192.0.2.1", "*.example.com", "a..b", "x." * 33, ""])
def test_a_host_has_a_full_name(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        HostName.parse(text)
    assert caught.value.code == "invalid_host_name"


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    for parsed in (StationSerial, HostName):
        try:
            found = parsed.parse(text)
        except BadInput:
            continue
        assert parsed.parse(found.value) == found


def test_nobody_but_an_operator_gets_one(deployment: Deployment) -> None:
    for role in (Role.EMSP, Role.OEM, Role.CPS, Role.AUDITOR):
        caller = Principal(name="x", role=role, parties=("DECPA",))
        assert code(deployment, Kind.STATION, "SN1", caller) == "role_not_allowed"


def test_its_cas_are_rotated_like_others(full: Services, deployment: Deployment) -> None:
    for name in ("tls-p256", "tls1-p256"):
        for step in (rotate.prepare, rotate.switch):
            step(full.deployment, ADMIN, name)
    record = made(deployment, Kind.STATION, "SN1").record
    assert record.issuer_id == "tls1-p256.g2"
    with deployment.store.read() as tx:
        anchors = {anchor.der for anchor in tx.trust.anchors()}
        assert not anchors & {i.certificate for i in tx.issuers.all() if i.kind is Kind.TLS_ROOT}
