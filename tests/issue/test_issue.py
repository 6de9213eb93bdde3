"""Issuance: what a CSR decides, what the profile decides, and what is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki import access, audit, lookup, parties
from pki.clock import FixedClock
from pki.errors import Conflict, NotAllowed, NotFound, PkiError, PolicyViolation, Unavailable
from pki.ids import Edition, Emaid, Fingerprint
from pki.issue import IssueRequest, issue
from pki.model import IntentState, Principal, Reason, Role
from pki.pkix.certificate import load
from pki.pkix.path import Path, find
from pki.pkix.profiles import Kind, all_profiles
from pki.pkix.suites import PrivateKey, PublicKey, Suite, generate
from pki.ports import Signer
from pki.revoke import revoke
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened

EMSP = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))


def csr(
    common_name: str = EMAID,
    *,
    key: PrivateKey | None = None,
    extra: tuple[x509.NameAttribute[str], ...] = (),
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    key = key or generate(Suite.P256)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name), *extra])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    digest: Any = None if isinstance(key, ed448.Ed448PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


def _code(services: Services, request: IssueRequest, principal: Principal = ADMIN) -> str:
    with services.deployment.store.read() as tx:
        before = len(tx.certificates.search(limit=10_000))
    with pytest.raises(PkiError) as caught:
        issue(services.deployment, principal, request)
    with services.deployment.store.read() as tx:
        assert len(tx.certificates.search(limit=10_000)) == before
        assert tx.intents.unfinished() == []
    return caught.value.code


def test_a_contract_is_issued_from_a_csr_and_only_key_and_cn_come_from_it(small: Services) -> None:
    key = generate(Suite.P256)
    request = csr(
        "de-moa-c12345678",
        key=key,
        extra=(x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody Else"),),
        extensions=(x509.BasicConstraints(ca=True, path_length=None),),
    )
    issued = issue(small.deployment, EMSP, IssueRequest(kind=Kind.CONTRACT, request=request))
    certificate = load(issued.record.der)
    assert certificate.subject_text == "O=Demo Mobility,CN=DEMOAC12345678"
    assert not certificate.is_ca
    assert certificate.x509.public_key() == key.public_key()
    assert issued.ignored
    assert issued.private_key is None


def test_the_chain_leads_to_the_root_without_holding_it(small: Services) -> None:
    issued = issue(small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    leaf, *others = [load(der) for der in issued.chain]
    with small.deployment.store.read() as tx:
        root = next(load(i.certificate) for i in tx.issuers.all() if i.kind is Kind.MO_ROOT)
    assert isinstance(find(leaf, tuple(others), (root,)), Path)
    assert root not in others


LEAVES: list[tuple[Kind, str, Suite]] = [
    (Kind.SECC, "DE*CPA*E12*3", Suite.P256),
    (Kind.SECC, "DECPAS" + "7" * 40, Suite.P521),
    (Kind.SECC, "DECPAS1", Suite.ED448),
    (Kind.CONTRACT, EMAID, Suite.P256),
    (Kind.CONTRACT, "DEMOAC123456789012345", Suite.P521),
    (Kind.CONTRACT, "DEMOAC1234567890X", Suite.ED448),
    (Kind.OEM, "WPN12345678901234", Suite.P256),
    (Kind.OEM, "WPNP1234567890ABCDE", Suite.P521),
    (Kind.OEM, "WPNP1234567890ABCDE", Suite.ED448),
    (Kind.CPS, "Demo CPS 1", Suite.P256),
    (Kind.CPS, "Demo CPS 1", Suite.P521),
    (Kind.CPS, "Demo CPS 1", Suite.ED448),
    (Kind.VEHICLE, "WPNV1234567890ABCDE", Suite.P521),
    (Kind.VEHICLE, "WPNV1234567890ABCDE", Suite.ED448),
    (Kind.OCSP, "Responder", Suite.P256),
]


def test_every_kind_and_suite_is_issued_and_verifies(full: Services) -> None:
    for role, party in ((Role.CPO, "DE*CPA"), (Role.OEM, "WPN")):
        parties.add_party(full.deployment, ADMIN, role, party, f"Demo {role.value}")
    with full.deployment.store.read() as tx:
        roots = tuple(load(i.certificate) for i in tx.issuers.all() if i.parent_id is None)
    for kind, name, suite in LEAVES:
        request = IssueRequest(kind=kind, common_name=name, suite=suite, edition=suite.edition)
        issued = issue(full.deployment, ADMIN, request)
        leaf, *others = [load(der) for der in issued.chain]
        assert leaf.common_names == (issued.record.common_name,)
        assert isinstance(find(leaf, tuple(others), roots), Path), (kind, suite)
        limit = 800 if suite is Suite.P256 else 1600
        assert max(map(len, issued.chain)) <= limit


def test_the_private_root_issues_chargers_directly_in_both_editions(full: Services) -> None:
    parties.add_party(full.deployment, ADMIN, Role.CPO, "DE*CPA", "Demo CPO")
    for name, suite in (("pe-2", Suite.P256), ("pe-20", Suite.P521), ("pe-20e", Suite.ED448)):
        request = IssueRequest(
            kind=Kind.SECC, common_name="DE*CPA*E1", issuer=name, suite=suite, edition=suite.edition
        )
        issued = issue(full.deployment, ADMIN, request)
        assert issued.record.kind is Kind.PE_SECC
        assert len(issued.chain) == 1
        assert b"/ocsp" not in issued.record.der


def test_i5_no_leaf_outlives_its_issuer(small: Services) -> None:
    with small.deployment.store.read() as tx:
        issuer = next(load(i.certificate) for i in tx.issuers.all() if i.kind is Kind.MO_SUB_CA2)
    late = FixedClock(issuer.not_after - dt.timedelta(days=3))
    deployment = replace(small.deployment, clock=late)
    issued = issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    assert issued.record.not_after == issuer.not_after
    too_long = issuer.not_after + dt.timedelta(seconds=1)
    with pytest.raises(PolicyViolation) as caught:
        issue(
            deployment,
            ADMIN,
            IssueRequest(kind=Kind.CONTRACT, request=csr(), not_after=too_long),
        )
    assert caught.value.code == "outlives_issuer"


def test_an_expired_issuer_issues_nothing(small: Services) -> None:
    with small.deployment.store.read() as tx:
        issuer = next(load(i.certificate) for i in tx.issuers.all() if i.kind is Kind.MO_SUB_CA2)
    deployment = replace(small.deployment, clock=FixedClock(issuer.not_after))
    with pytest.raises(PolicyViolation, match="expired"):
        issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (IssueRequest(kind=Kind.CONTRACT, request=b"garbage"), "csr_unreadable"),
        (IssueRequest(kind=Kind.CONTRACT, request=csr("DE*CPA*E1")), "invalid_emaid"),
        (IssueRequest(kind=Kind.CONTRACT, request=csr("FRXXXC12345678")), "account_unknown"),
        (IssueRequest(kind=Kind.CONTRACT), "csr_missing"),
        (
            IssueRequest(kind=Kind.CONTRACT, request=csr(), common_name="DEMOAC99999999"),
            "common_name_mismatch",
        ),
        (
            IssueRequest(kind=Kind.CONTRACT, request=csr(), edition=Edition.ISO20),
            "suite_mismatch",
        ),
        (IssueRequest(kind=Kind.CONTRACT, request=csr(), suite=Suite.P521), "suite_mismatch"),
        (IssueRequest(kind=Kind.CONTRACT, request=csr(), issuer="nobody"), "issuer_unknown"),
        (IssueRequest(kind=Kind.CONTRACT, request=csr(), issuer="mo1-2"), "issuer_not_fitting"),
        (IssueRequest(kind=Kind.SECC, request=csr("DE*CPA*E1")), "issuer_unknown"),
        (
            IssueRequest(
                kind=Kind.CONTRACT,
                request=csr(),
                not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
            ),
            "not_after_past",
        ),
        (
            IssueRequest(
                kind=Kind.CONTRACT,
                request=csr(),
                not_after=dt.datetime(2031, 1, 1, tzinfo=dt.UTC),
            ),
            "validity_too_long",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_and_leaves_nothing(small: Services, request_: IssueRequest, code: str) -> None:
    assert _code(small, request_) == code


def test_a_private_environment_root_issues_no_contracts(full: Services) -> None:
    request = IssueRequest(kind=Kind.CONTRACT, request=csr(), issuer="pe-2")
    assert _code(full, request) == "issuer_not_fitting"


def test_only_the_owner_of_a_name_gets_it(small: Services) -> None:
    stranger = Principal(name="emsp-2", role=Role.EMSP, parties=("FRMOB",))
    request = IssueRequest(kind=Kind.CONTRACT, request=csr())
    assert _code(small, request, stranger) == "party_not_allowed"
    for role in (Role.CPO, Role.OEM, Role.CPS, Role.AUDITOR):
        caller = Principal(name="x", role=role, parties=("DEMOA",))
        assert _code(small, request, caller) == "role_not_allowed"


def test_an_unregistered_operator_gets_no_charger_certificate(full: Services) -> None:
    request = IssueRequest(kind=Kind.SECC, request=csr("DE*ABC*E1"))
    assert _code(full, request) == "party_unknown"


def test_a_blocked_key_is_never_certified_again(small: Services) -> None:
    key = generate(Suite.P256)
    request = IssueRequest(kind=Kind.CONTRACT, request=csr(key=key))
    issued = issue(small.deployment, ADMIN, request)
    revoke(small.deployment, ADMIN, issued.record.serial.value, Reason.KEY_COMPROMISE)
    assert _code(small, request) == "key_blocked"


def test_issuing_twice_for_one_contract_keeps_one_contract(small: Services) -> None:
    first = issue(small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    second = issue(
        small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr(EMAID + "X"))
    )
    assert first.record.contract_id == second.record.contract_id


def test_a_car_that_speaks_both_editions_has_one_contract(full: Services) -> None:
    for suite in (Suite.P256, Suite.P521, Suite.ED448):
        key = generate(suite)
        issue(
            full.deployment,
            ADMIN,
            IssueRequest(kind=Kind.CONTRACT, request=csr(EMAID + "5", key=key)),
        )
    with full.deployment.store.read() as tx:
        old = tx.contracts.find(Edition.ISO2, EMAID)
        new = tx.contracts.find(Edition.ISO20, EMAID + "5")
    assert old is not None
    assert old == new
    assert {i.edition for i in old.identifiers} == {Edition.ISO2, Edition.ISO20}


def test_a_look_alike_of_another_contract_is_refused(full: Services) -> None:
    issue(full.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    digit = Emaid.parse(EMAID, Edition.ISO2).check_character
    other = "Q" if digit != "Q" else "R"
    request = IssueRequest(kind=Kind.CONTRACT, request=csr(EMAID + other, key=generate(Suite.P521)))
    assert _code(full, request) == "emaid_ambiguous"


def test_i2_issuer_and_serial_are_unique_and_long(small: Services) -> None:
    serials = {
        issue(
            small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr())
        ).record.serial
        for _ in range(10)
    }
    assert len(serials) == 10
    assert {len(serial.value) for serial in serials} == {32}


class _WrongSigner:
    """A signer whose device answers with a signature over something else."""

    def __init__(self, real: Signer) -> None:
        self._real = real

    @property
    def suite(self) -> Suite:
        return self._real.suite

    @property
    def public_key(self) -> PublicKey:
        return self._real.public_key

    @property
    def quick(self) -> bool:
        return self._real.quick

    def sign(self, data: bytes) -> bytes:
        return self._real.sign(data + b"x")


class _WrongKeys:
    def __init__(self, services: Services) -> None:
        self._services = services

    def create(self, label: str, suite: Suite) -> Signer:
        return self._services.deployment.keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        return _WrongSigner(self._services.deployment.keys.signer(label))


def test_a_signature_that_does_not_verify_never_leaves(small: Services) -> None:
    deployment = replace(small.deployment, keys=_WrongKeys(small))
    with pytest.raises(Unavailable, match="does not verify"):
        issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    (intent,) = lookup.intents(small.deployment, ADMIN)
    assert intent.state is IntentState.SIGNING
    with small.deployment.store.read() as tx:
        assert tx.certificates.search(kinds=(Kind.CONTRACT,)) == []
        assert tx.contracts.find(Edition.ISO2, EMAID) is None


def test_a_missing_ca_key_is_unavailable(small: Services) -> None:
    for file in (small.settings.home / "keys").glob("mo2*.pem"):
        file.unlink()
    with pytest.raises(Unavailable) as caught:
        issue(small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    assert caught.value.code == "key_missing"


def test_production_refuses_to_sign_with_a_demo_key(small: Services) -> None:
    deployment = replace(small.deployment, demo=False)
    with pytest.raises(Unavailable) as caught:
        issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    assert caught.value.code == "demo_key"


def test_issuing_works_the_same_on_every_database(anywhere: Services) -> None:
    issued = issue(anywhere.deployment, EMSP, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    found = lookup.find(anywhere.deployment, EMSP, issued.record.fingerprint.value)
    assert found.record == issued.record
    assert found.record.contract_id is not None
    assert [r.problem for r in audit.verify(anywhere.deployment.store)] == [None] * 4


def test_revocation_is_previewed_and_then_done_once(anywhere: Services) -> None:
    deployment = anywhere.deployment
    issued = issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    serial = issued.record.serial.value
    assert revoke(deployment, EMSP, serial, Reason.SUPERSEDED, dry_run=True).dry_run
    assert lookup.find(deployment, ADMIN, serial).revocation is None
    revoke(deployment, EMSP, serial, Reason.SUPERSEDED)
    with pytest.raises(Conflict) as caught:
        revoke(deployment, EMSP, serial, Reason.SUPERSEDED)
    assert caught.value.code == "already_revoked"
    stranger = Principal(name="x", role=Role.EMSP, parties=("FRMOB",))
    with pytest.raises(NotAllowed):
        revoke(deployment, stranger, serial, Reason.SUPERSEDED)


def test_a_hold_may_become_final(small: Services) -> None:
    issued = issue(small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    serial = issued.record.serial.value
    revoke(small.deployment, ADMIN, serial, Reason.CERTIFICATE_HOLD)
    revoke(small.deployment, ADMIN, serial, Reason.KEY_COMPROMISE)
    found = lookup.find(small.deployment, ADMIN, serial).revocation
    assert found is not None
    assert found.reason is Reason.KEY_COMPROMISE


def test_revoking_a_sub_ca_lists_what_falls_and_stops_its_issuing(small: Services) -> None:
    issue(small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr()))
    with small.deployment.store.read() as tx:
        sub = next(i for i in tx.issuers.all() if i.kind is Kind.MO_SUB_CA1)
    fingerprint = Fingerprint.of(sub.certificate).value
    report = revoke(small.deployment, ADMIN, fingerprint, Reason.CESSATION_OF_OPERATION)
    assert set(report.issuers_below) == {"mo1-2.g1", "mo2-2.g1"}
    assert report.certificates_below >= 1
    assert _code(small, IssueRequest(kind=Kind.CONTRACT, request=csr())) == "issuer_unknown"


def test_an_unknown_reference_says_what_to_do(small: Services) -> None:
    with pytest.raises(NotFound) as caught:
        revoke(small.deployment, ADMIN, "abcdef", Reason.SUPERSEDED)
    assert caught.value.hint


def test_every_profile_has_an_issuing_action_or_is_a_ca() -> None:
    for profile in all_profiles():
        assert profile.ca or profile.kind in access.ISSUE_ACTIONS


def test_a_csr_key_must_be_of_a_known_curve(small: Services) -> None:
    key: Any = ec.generate_private_key(ec.SECP256K1())
    request = IssueRequest(kind=Kind.CONTRACT, request=csr(key=key))
    assert _code(small, request) == "key_not_allowed"


def test_the_small_home_reopens(small_home: Any) -> None:
    with opened(small_home) as services:
        assert len(lookup.issuers(services.deployment)) == 3
