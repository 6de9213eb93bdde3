"""Requests that `cryptography` builds, answers that it reads."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki.pkix.suites import Suite
from tests.interop.field import Field
from tests.web import asking
from tests.web.authority import AT

HASHES = [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]  # noqa: S303 - asked


def answer_to(field: Field, der: bytes) -> ocsp.OCSPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", field.server.port, timeout=10)
    with closing(connection):
        connection.request("POST", "/ocsp", der, {"Content-Type": asking.TYPE})
        return ocsp.load_der_ocsp_response(connection.getresponse().read())


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("algorithm", HASHES, ids=lambda a: a.name)
def test_cryptography_reads_the_answer_to_its_request(
    field: Field, suite: Suite, algorithm: hashes.HashAlgorithm
) -> None:
    for state, status in (
        ("good", ocsp.OCSPCertStatus.GOOD),
        ("revoked", ocsp.OCSPCertStatus.REVOKED),
        ("held", ocsp.OCSPCertStatus.REVOKED),
    ):
        leaf = field.leaves[suite, state]
        certificate = x509.load_der_x509_certificate(leaf.record.der)
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, leaf.issuer, algorithm)
        request = builder.add_extension(x509.OCSPNonce(bytes(range(32))), critical=False).build()
        answer = answer_to(field, request.public_bytes(Encoding.DER))
        assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        assert answer.certificate_status is status
        assert answer.serial_number == certificate.serial_number
        assert answer.issuer_key_hash == request.issuer_key_hash
        assert answer.issuer_name_hash == request.issuer_name_hash
        nonce = answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        assert nonce == bytes(range(32))
        (signer,) = answer.certificates
        signer.verify_directly_issued_by(leaf.issuer)
        asking.verify(signer, answer.signature, answer.tbs_response_bytes)
        if state == "revoked":
            assert answer.revocation_reason is x509.ReasonFlags.key_compromise
            assert answer.revocation_time_utc == AT
