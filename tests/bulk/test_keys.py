"""Keys that a job makes: of the kind that its certificates want, kept beside what was issued."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from pki import lookup, parties
from pki.cli import main
from pki.issue import chain_to_root
from pki.model import CertificateRecord, Role
from pki.pkix import alternate, fulllint, lint, pem
from pki.pkix.certificate import load
from pki.pkix.lint import IssuerFacts
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import PrivateKey, Suite, generate, suite_of
from pki.services import Services
from tests.homes import ADMIN, opened
from tests.interop.field import run

PHRASE = "correct horse battery"
NAMES = {
    Kind.CONTRACT: ("emaid", "DEMOAC12345678", "DEMOAC87654321"),
    Kind.SECC: ("secc_id", "DE*CPA*E12*3", "DE*CPA*E12*4"),
    Kind.OEM: ("pcid", "WPNP1234567890ABCDE", "WPNP1234567890ABCDF"),
}


@dataclass(frozen=True)
class Job:
    """A home with all CAs, the file of a job, and where it goes."""

    home: Path
    folder: Path

    def run(self, text: str, *words: str, kind: Kind, out: str = "out") -> dict[str, Any]:
        source, phrase = self.folder / "job.csv", self.folder / "phrase"
        source.write_text(text, "utf-8")
        phrase.write_text(PHRASE, "utf-8")
        given = ["--from", str(source), "--out", str(self.folder / out)]
        given += ["--passphrase-file", str(phrase), "--json", *words]
        done = CliRunner().invoke(
            main, ["--home", str(self.home), "issue", "--profile", kind.value, *given]
        )
        return dict(json.loads(done.output[: done.output.rindex("}") + 1]))

    def keys(self, name: str, out: str = "out") -> list[object]:
        file = self.folder / out / f"{name.replace('*', '_')}.key.pem"
        blocks = file.read_bytes().split(b"-----BEGIN")[1:]
        return [load_pem_private_key(b"-----BEGIN" + b, PHRASE.encode()) for b in blocks]


@pytest.fixture
def job(full_home: Path, tmp_path: Path) -> Job:
    with opened(full_home) as services:
        parties.add_party(services.deployment, ADMIN, Role.CPO, "DE*CPA", "Demo CPO")
        parties.add_party(services.deployment, ADMIN, Role.OEM, "WPN", "Demo OEM")
    return Job(full_home, tmp_path)


def issued(services: Services, name: str) -> CertificateRecord:
    (found,) = lookup.search(services.deployment, ADMIN, common_name=name)
    return found


@pytest.mark.parametrize("kind", list(NAMES))
@pytest.mark.parametrize(
    ("words", "suite"),
    [
        (("--edition", "20"), Suite.P521),
        (("--edition", "20", "--suite", "ed448"), Suite.ED448),
        (("--suite", "p521"), Suite.P521),
    ],
)
def test_keys_for_iso_15118_20_make_certificates_that_judges_pass(
    job: Job, kind: Kind, words: tuple[str, ...], suite: Suite
) -> None:
    column, *names = NAMES[kind]
    text = f"{column},not_after,csr\n" + "".join(f"{name},,\n" for name in names)
    for before in (0, 2):
        report = job.run(text, *words, kind=kind)
        assert (report["issued"], report["issuedBefore"], report["faults"]) == (
            2 - before,
            before,
            [],
        )
    with opened(job.home) as services:
        records = [issued(services, name) for name in names]
        for record in records:
            judged(services, record, suite, job.folder)
    for name, record in zip(names, records, strict=True):
        key, *others = job.keys(name)
        assert suite_of(key) is suite
        assert load(record.der).public_key == key.public_key()  # type: ignore[attr-defined]
        told = alternate.find(x509.load_der_x509_certificate(record.der).extensions)
        assert [other.public_key() for other in others] == ([told] if told else [])  # type: ignore[attr-defined]
        assert bool(told) is (kind is Kind.OEM and suite is Suite.ED448)


def judged(services: Services, record: CertificateRecord, suite: Suite, folder: Path) -> None:
    profile = find(record.kind, suite.edition)
    with services.deployment.store.read() as tx:
        issuer = tx.issuers.get(record.issuer_id)
        assert issuer is not None
        *below, root = chain_to_root(tx, issuer)
    parent = load(below[0])
    facts = IssuerFacts(
        subject=parent.subject,
        key_id=parent.key_id,
        not_before=parent.not_before,
        not_after=parent.not_after,
        path_length=0,
        suite=suite,
    )
    assert lint.lint(record.der, profile, facts) == ()
    assert list(fulllint.unwaived(record.der, profile)) == []
    files = [folder / "leaf.pem", folder / "below.pem", folder / "root.pem"]
    for file, ders in zip(files, ([record.der], below, [root]), strict=True):
        file.write_text("".join(map(pem.encode, ders)), "ascii")
    leaf, untrusted, anchor = files
    said = run(
        "openssl", "verify", "-x509_strict", "-CAfile", anchor, "-untrusted", untrusted, leaf
    )
    assert said.strip() == f"{leaf}: OK"


def test_a_file_that_was_issued_is_not_given_out_for_keys_of_another_place(job: Job) -> None:
    text = "emaid,not_after,csr\nDEMOAC12345678,,\n"
    assert job.run(text, kind=Kind.CONTRACT)["issued"] == 1
    other = job.run(text, kind=Kind.CONTRACT, out="other")
    assert [fault["code"] for fault in other["faults"]] == ["issued_before"]
    assert (job.folder / "out" / "DEMOAC12345678.pem").exists()
    assert not (job.folder / "other" / "DEMOAC12345678.pem").exists()
    again = job.run(text, "--suite", "p521", kind=Kind.CONTRACT)
    assert [fault["code"] for fault in again["faults"]] == ["key_file_unreadable"]


def row(name: str, key: PrivateKey, *more: x509.ExtensionType) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    suite = suite_of(key)
    assert suite is not None
    der = builder.sign(key, suite.hash).public_bytes(Encoding.DER)
    return f"{name},,{base64.b64encode(der).decode()}\n"


def test_the_second_key_of_a_csr_in_a_file_is_taken_over(job: Job) -> None:
    second = x448.X448PrivateKey.generate().public_key()
    _, name, other = NAMES[Kind.OEM]
    good = row(name, generate(Suite.ED448), alternate.extension(second))
    bare = row(other, generate(Suite.ED448))
    refused = job.run("pcid,not_after,csr\n" + good + bare, kind=Kind.OEM)
    assert [(f["line"], f["code"]) for f in refused["faults"]] == [(3, "alternate_key_missing")]
    assert job.run("pcid,not_after,csr\n" + good, kind=Kind.OEM)["issued"] == 1
    with opened(job.home) as services:
        record = issued(services, name)
    assert alternate.find(x509.load_der_x509_certificate(record.der).extensions) == second


def test_csrs_must_have_keys_of_what_is_asked_for(job: Job) -> None:
    _, name, other = NAMES[Kind.SECC]
    text = "secc_id,not_after,csr\n"
    text += row(name, generate(Suite.P256)) + row(other, generate(Suite.P521))
    report = job.run(text, "--edition", "20", kind=Kind.SECC)
    assert [(f["line"], f["code"]) for f in report["faults"]] == [(2, "suite_mismatch")]
    report = job.run(text, "--edition", "2", "--suite", "p521", kind=Kind.SECC)
    assert report["code"] == "suite_mismatch"


def test_what_is_for_one_certificate_is_not_passed_over_beside_a_file(job: Job) -> None:
    source = job.folder / "job.csv"
    source.write_text("emaid,not_after,csr\nDEMOAC12345678,,\n", "utf-8")
    for option in ("--emaid", "--issuer", "--not-after"):
        words = ["contract", "issue", "--from", str(source), "--out", str(job.folder / "out")]
        done = CliRunner().invoke(main, ["--home", str(job.home), *words, option, "x"])
        assert (done.exit_code, option in done.output) == (2, True)
