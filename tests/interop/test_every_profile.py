"""A certificate of every profile and suite: our lints, pkilint, OpenSSL and Java's parser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pki import parties
from pki.issue import IssueRequest, chain_to_root, issue
from pki.model import CertificateRecord, Issuer, IssuerState, Role
from pki.pkix import fulllint, lint, pem
from pki.pkix.certificate import Certificate, load
from pki.pkix.lint import IssuerFacts
from pki.pkix.profiles import Kind, Profile, all_profiles, find
from pki.pkix.suites import Suite
from pki.services import Services
from tests.homes import ADMIN
from tests.interop.field import run

JAVA = Path(__file__).parent / "java" / "Parsing.java"
NAMES = {
    "emaid": "DEMOAC12345678",
    "secc_id": "DE*CPA*E12*3",
    "evcc_id": "WPNV1234567890ABCDE",
    "station": "SN-0042.A",
    "host": "csms.example.com",
    "name": "Every profile",
}
PCIDS = {Suite.P256: "WPN12345678901234"}


@dataclass(frozen=True)
class Made:
    """A certificate and all that is above it, the root last."""

    profile: Profile
    suite: Suite
    record: CertificateRecord
    above: tuple[bytes, ...]


def _request(profile: Profile, suite: Suite, issuer: str | None) -> IssueRequest:
    pcid = PCIDS.get(suite, "WPNP1234567890ABCDE")
    kind = Kind.SECC if profile.kind is Kind.PE_SECC else profile.kind
    name = pcid if profile.common_name == "pcid" else NAMES[profile.common_name]
    needs_party = kind in (Kind.STATION, Kind.CSMS)
    return IssueRequest(
        kind=kind,
        common_name=name,
        edition=profile.edition,
        suite=suite,
        issuer=issuer,
        party="DECPA" if needs_party else None,
    )


def _leaves(services: Services, issuers: list[Issuer]) -> list[Made]:
    found = []
    for profile in all_profiles():
        for suite in profile.suites if not profile.ca else ():
            able = [
                i
                for i in issuers
                if i.kind in profile.issued_by
                and i.suite is suite
                and i.state is IssuerState.ACTIVE
            ]
            if not able:
                continue
            named = able[0].name if profile.kind in (Kind.PE_SECC, Kind.SECC) else None
            record = issue(services.deployment, ADMIN, _request(profile, suite, named)).record
            found.append(_made(services, profile, suite, record))
    return found


def _made(services: Services, profile: Profile, suite: Suite, record: CertificateRecord) -> Made:
    with services.deployment.store.read() as tx:
        issuer = tx.issuers.get(record.issuer_id)
        assert issuer is not None
        return Made(profile, suite, record, chain_to_root(tx, issuer))


def _cas(services: Services, issuers: list[Issuer]) -> list[Made]:
    with services.deployment.store.read() as tx:
        pairs = [
            (i, tx.certificates.by_fingerprint(load(i.certificate).fingerprint)) for i in issuers
        ]
    return [
        _made(services, find(issuer.kind, issuer.edition), issuer.suite, record)
        for issuer, record in pairs
        if record is not None
    ]


def _facts(parent: Certificate, suite: Suite) -> IssuerFacts:
    limits = parent.basic_constraints
    return IssuerFacts(
        subject=parent.subject,
        key_id=parent.key_id,
        not_before=parent.not_before,
        not_after=parent.not_after,
        path_length=limits.path_length if limits else None,
        suite=suite,
    )


def _lints(made: Made) -> list[object]:
    parent = None if made.profile.self_signed else _facts(load(made.above[0]), made.suite)
    der = made.record.der
    return [*lint.lint(der, made.profile, parent), *fulllint.unwaived(der, made.profile)]


def test_every_profile_passes_every_judge(full: Services, tmp_path: Path) -> None:
    for role, party in ((Role.CPO, "DE*CPA"), (Role.OEM, "WPN")):
        parties.add_party(full.deployment, ADMIN, role, party, f"Demo {role.value}")
    with full.deployment.store.read() as tx:
        issuers = tx.issuers.all()
    every = [*_leaves(full, issuers), *_cas(full, issuers)]
    covered = {(made.profile.profile_id, made.suite) for made in every}
    expected = {(p.profile_id, suite) for p in all_profiles() for suite in p.suites}
    assert expected - covered == set()
    words: list[Path] = []
    for number, made in enumerate(every):
        assert _lints(made) == [], made.profile.profile_id
        leaf, root = tmp_path / f"{number}.pem", tmp_path / f"{number}.root.pem"
        below = tmp_path / f"{number}.below.pem"
        leaf.write_text(pem.encode(made.record.der), "ascii")
        root.write_text(pem.encode(made.above[-1]), "ascii")
        below.write_text("".join(map(pem.encode, made.above[:-1])), "ascii")
        untrusted = ("-untrusted", below) if made.above[:-1] else ()
        said = run("openssl", "verify", "-x509_strict", "-CAfile", root, *untrusted, leaf)
        assert said.strip() == f"{leaf}: OK"
        issuer = tmp_path / f"{number}.issuer.pem"
        issuer.write_text(pem.encode(made.above[0]), "ascii")
        words += [leaf, issuer]
    printed = run("java", "-XX:TieredStopAtLevel=1", JAVA, *words).split()
    assert printed == [made.record.serial.value.lstrip("0") for made in every]
