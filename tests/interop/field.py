"""What the peers look at: a home, its server, and files in the forms that tools read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as attribute
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.model import Reason
from pki.pkix.suites import Suite
from tests.web.authority import LOWEST, Authority, Leaf, working
from tests.web.serving import Server, serving

NEEDED = {
    "openssl": "openssl",
    "curl": "curl",
    "javac": "openjdk-17-jdk-headless",
    "java": "openjdk-17-jdk-headless",
    "pki": "strongswan-pki",
}
"""Program to the Debian package that `.ci/run` installs."""
STATES = ("good", "revoked", "held", "never_issued")


def tool(name: str) -> str:
    """Return the path of a program; a test that needs it fails where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing; .ci/run installs the package {NEEDED[name]}")
    return found


def run(name: str, *arguments: str | Path, code: int | None = 0) -> str:
    """Run a program and return all that it said."""
    command = [tool(name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode()
    assert code is None or done.returncode == code, said
    return said


@dataclass(frozen=True, kw_only=True)
class Field:
    """
    Attributes:
        leaves: by suite and state.
        folder: holds `{state}.pem`, `{state}.der` and the CAs `{name}.pem`, `{name}.der` in a
            folder for each suite; `below.pem` are the CAs below the root.
    """

    authority: Authority
    server: Server
    folder: Path
    leaves: dict[tuple[Suite, str], Leaf] = attribute(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.server.url}/ocsp"

    def file(self, suite: Suite, name: str) -> Path:
        return self.folder / suite.value / name


def never_issued(authority: Authority, leaf: Leaf) -> x509.Certificate:
    """Return a certificate that a stolen CA key signed: good but for its serial, which is ours."""
    like = x509.load_der_x509_certificate(leaf.record.der)
    signer = authority.services.deployment.keys.signer(authority.issuer("mo2-2").key_label)
    builder = (
        x509.CertificateBuilder()
        .subject_name(like.subject)
        .issuer_name(like.issuer)
        .public_key(like.public_key())
        .serial_number(like.serial_number + 1)
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
    )
    for extension in like.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(signer.key, leaf.record.suite.hash)  # type: ignore[attr-defined]


def write(folder: Path, name: str, certificate: x509.Certificate) -> None:
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.der").write_bytes(certificate.public_bytes(Encoding.DER))


def branch(suite: Suite) -> tuple[str, str, str]:
    """Return the names of root, sub-CA 1 and sub-CA 2."""
    suffix = LOWEST[suite].removeprefix("mo2")
    return f"mo{suffix}", f"mo1{suffix}", f"mo2{suffix}"


def prepare(authority: Authority, folder: Path) -> dict[tuple[Suite, str], Leaf]:
    """Issue, revoke, hold; write every certificate."""
    leaves: dict[tuple[Suite, str], Leaf] = {}
    for suite in Suite:
        place = folder / suite.value
        place.mkdir()
        for state in STATES[:3]:
            leaves[suite, state] = authority.issue(suite)
            der = leaves[suite, state].record.der
            write(place, state, x509.load_der_x509_certificate(der))
        names = branch(suite)
        for name, role in zip(names, ("root", "sub1", "sub2"), strict=True):
            write(place, role, authority.ca(name))
        below = b"".join((place / f"{role}.pem").read_bytes() for role in ("sub2", "sub1"))
        (place / "below.pem").write_bytes(below)
        authority.revoke(leaves[suite, "revoked"], Reason.KEY_COMPROMISE)
        authority.revoke(leaves[suite, "held"], Reason.CERTIFICATE_HOLD)
    write(
        folder / Suite.P256.value,
        "never_issued",
        never_issued(authority, leaves[Suite.P256, "good"]),
    )
    authority.publish_crls()
    return leaves


@pytest.fixture(scope="session")
def field(authority_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """The field of this test process."""
    folder = tmp_path_factory.mktemp("field")
    home = Path(shutil.copytree(authority_template, folder / "home"))
    with working(home) as authority:
        leaves = prepare(authority, folder)
        with serving(home, folder / "log") as server:
            yield Field(authority=authority, server=server, folder=folder, leaves=leaves)
