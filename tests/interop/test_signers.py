"""Who signs and how it is named, by setting: peers believe each form (cases 42 and 44)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.pkix.suites import Suite
from tests.interop.field import Field, prepare
from tests.interop.test_cryptography import answer_to
from tests.interop.test_java import classes, judged
from tests.interop.test_openssl import asked, cert
from tests.status import hosts
from tests.web import asking
from tests.web.authority import working
from tests.web.serving import serving

CHOICES = {
    "delegated, by name": 'responder_id = "name"',
    "the CA, by key": 'signer = "ca"',
    "the CA, by name": 'signer = "ca"\nresponder_id = "name"',
}
__all__ = ["classes"]


@contextmanager
def chosen(template: Path, folder: Path, text: str) -> Iterator[Field]:
    """Serve a field under these settings."""
    home = Path(shutil.copytree(template, folder / "home"))
    with working(home) as authority:
        leaves = prepare(authority, folder)
        with serving(home, folder / "log", more=f"[status]\n{text}\n") as server:
            field = Field(authority=authority, server=server, folder=folder, leaves=leaves)
            hosts.wait_for(lambda: settled(field), within=60)
            yield field


def settled(field: Field) -> bool:
    """Tell whether every worker has begun; on a busy machine the first questions come too early."""
    request = field.leaves[Suite.P256, "good"].request
    said = [answer_to(field, request).response_status for _ in range(10)]
    return set(said) == {ocsp.OCSPResponseStatus.SUCCESSFUL}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_peer_believes_the_signer_that_a_setting_chose(
    authority_template: Path, tmp_path: Path, classes: Path, choice: str
) -> None:
    with chosen(authority_template, tmp_path, CHOICES[choice]) as field:
        for suite in Suite:
            openssl_believes(field, suite)
            openssl_believes(field, suite, "-no_nonce")
            cryptography_finds_the_signer_by_what_names_it(field, suite)
        java_believes(field, classes)


def ca_signs(field: Field) -> bool:
    return "ca" in re.findall(r'signer = "(\w+)"', _settings(field))


def by_name(field: Field) -> bool:
    return 'responder_id = "name"' in _settings(field)


def _settings(field: Field) -> str:
    return (field.folder / "home" / "pnc.toml").read_text("utf-8")


def openssl_believes(field: Field, suite: Suite, *nonce: str) -> None:
    for _ in range(2):  # signed, then stored
        for state, status in (("good", "good"), ("revoked", "revoked"), ("held", "revoked")):
            said = asked(field, suite, *cert(field, suite, state), *nonce)
            assert "Response verify OK" in said
            assert re.search(rf"{state}\.pem: {status}$", said, re.MULTILINE)
            assert "WARNING" not in said
    said = asked(field, suite, *cert(field, suite, "good"), *nonce, "-resp_text")
    assert ("Certificate:" in said) is not ca_signs(field)
    name = r"Responder Id: .*CN ?=" if by_name(field) else "Responder Id: [0-9A-F]{40}"
    assert re.search(name, said)


def cryptography_finds_the_signer_by_what_names_it(field: Field, suite: Suite) -> None:
    leaf = field.leaves[suite, "good"]
    certificate = x509.load_der_x509_certificate(leaf.record.der)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, leaf.issuer, hashes.SHA256())
    for request in (
        builder.build(),
        builder.add_extension(x509.OCSPNonce(bytes(range(32))), critical=False).build(),
    ):
        answer = answer_to(field, request.public_bytes(Encoding.DER))
        assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
        (signer,) = answer.certificates or [leaf.issuer]
        assert (signer == leaf.issuer) is ca_signs(field)
        asking.verify(signer, answer.signature, answer.tbs_response_bytes)
        if by_name(field):
            assert answer.responder_name == signer.subject
            assert answer.responder_key_hash is None
        else:
            identifier = x509.SubjectKeyIdentifier.from_public_key(signer.public_key())
            assert answer.responder_key_hash == identifier.digest


def java_believes(field: Field, classes: Path) -> None:
    cases = [(suite, state) for suite in Suite for state in ("good", "revoked", "held")]
    said = judged(field, classes, (), *cases)
    expected = ["VALID", "REVOKED KEY_COMPROMISE at 0", "REVOKED CERTIFICATE_HOLD at 0"]
    assert said == expected * len(Suite)
