"""OCSP answers say what they were given, in the octets that RFC 6960 wants."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library
from hypothesis import given
from hypothesis import strategies as st

from pki.pkix import build, ocsp
from pki.pkix.der import encode
from pki.pkix.hashes import public_key_octets
from pki.pkix.status_der import ALGORITHM, REASON_CODES
from pki.pkix.suites import Suite, sign, verifies
from tests.pkix.samples import certificate as sample_certificate
from tests.pkix.samples import every_shape, oid, pieces, sequence
from tests.pkix.status_makers import (
    DAY,
    GOOD,
    MINUTE,
    NOW,
    REVOKED,
    UNKNOWN,
    answered,
    authority,
    contract,
    responder,
)

EVERY_HASH = (hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512())  # noqa: S303
NONCE = encode(0x04, b"n" * 32)


def cert_id(suite: Suite, algorithm: hashes.HashAlgorithm = EVERY_HASH[0]) -> bytes:
    """Return a CertID of the contract as cryptography writes it."""
    builder = library.OCSPRequestBuilder().add_certificate(
        contract(suite).x509, authority(suite).x509, algorithm
    )
    (found,) = ocsp.parse_request(builder.build().public_bytes(Encoding.DER)).cert_ids
    return found.raw


def about(answer: ocsp.SingleAnswer, suite: Suite = Suite.P256) -> ocsp.SingleAnswer:
    return replace(answer, cert_id=cert_id(suite))


def single(der: bytes) -> bytes:
    """Return the DER of the first SingleResponse."""
    tbs = library.load_der_ocsp_response(der).tbs_response_bytes
    return pieces(pieces(tbs)[2])[0]


@pytest.mark.parametrize("suite", Suite)
def test_cryptography_reads_a_good_answer_and_its_signature_verifies(suite: Suite) -> None:
    der = answered(suite, [about(GOOD, suite)])
    found = library.load_der_ocsp_response(der)
    assert found.response_status is library.OCSPResponseStatus.SUCCESSFUL
    assert found.certificate_status is library.OCSPCertStatus.GOOD
    assert found.serial_number == contract(suite).x509.serial_number
    assert found.produced_at_utc == NOW
    assert (found.this_update_utc, found.next_update_utc) == (NOW - MINUTE, NOW + DAY)
    assert found.revocation_time_utc is None
    assert found.certificates == [responder(suite).x509]
    assert found.signature_algorithm_oid.dotted_string == suite.signature_oid
    assert list(found.extensions) == []
    key = found.certificates[0].public_key()
    assert verifies(key, found.signature, found.tbs_response_bytes)


@pytest.mark.parametrize("reason", REASON_CODES)
def test_a_revoked_answer_has_its_time_and_its_reason_but_never_unspecified(reason: str) -> None:
    found = library.load_der_ocsp_response(
        answered(Suite.P256, [replace(about(REVOKED), reason=reason)])
    )
    assert found.certificate_status is library.OCSPCertStatus.REVOKED
    assert found.revocation_time_utc == NOW - DAY
    expected = None if reason == "unspecified" else x509.ReasonFlags(reason)
    assert found.revocation_reason is expected


def test_an_answer_without_reason_or_next_update_has_neither() -> None:
    der = answered(Suite.P256, [replace(about(REVOKED), reason=None, next_update=None)])
    found = library.load_der_ocsp_response(der)
    assert found.revocation_reason is None
    assert found.next_update_utc is None


def test_unknown_is_said() -> None:
    found = library.load_der_ocsp_response(answered(Suite.P256, [about(UNKNOWN)]))
    assert found.certificate_status is library.OCSPCertStatus.UNKNOWN


def test_a_serial_never_issued_can_be_called_revoked_with_the_extension_that_says_so() -> None:
    never = ocsp.never_issued(cert_id(Suite.P256), this_update=NOW, next_update=NOW + DAY)
    found = library.load_der_ocsp_response(answered(Suite.P256, [never], extended_revoked=True))
    assert found.revocation_time_utc == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert found.revocation_reason is x509.ReasonFlags.certificate_hold
    (extension,) = found.extensions
    assert extension.oid.dotted_string == "1.3.6.1.5.5.7.48.1.9"
    assert not extension.critical
    assert extension.value.public_bytes() == b"\x05\x00"


@pytest.mark.parametrize("size", [1, 16, 32, 107, 128])
def test_the_nonce_comes_back_octet_for_octet(size: int) -> None:
    asked = encode(0x04, b"\xa5" * size)
    for extended in (False, True):
        der = answered(Suite.P256, [about(GOOD)], nonce=asked, extended_revoked=extended)
        found = library.load_der_ocsp_response(der)
        nonce = found.extensions.get_extension_for_class(x509.OCSPNonce)
        assert nonce.value.nonce == b"\xa5" * size
        assert not nonce.critical
        assert len(found.extensions) == 1 + extended


def test_a_bare_nonce_comes_back_bare() -> None:
    der = answered(Suite.P256, [about(GOOD)], nonce=b"bare octets")
    tbs = library.load_der_ocsp_response(der).tbs_response_bytes
    wanted = sequence(oid("1.3.6.1.5.5.7.48.1.2"), encode(0x04, b"bare octets"))
    assert pieces(tbs)[3] == encode(0xA1, sequence(wanted))


@pytest.mark.parametrize("algorithm", EVERY_HASH, ids=lambda a: str(a.name))
def test_the_answer_repeats_the_cert_id_octet_for_octet(algorithm: hashes.HashAlgorithm) -> None:
    asked = cert_id(Suite.P256, algorithm)
    without_null = encode(
        0x30, b"".join((encode(0x30, pieces(asked)[0][2:-2]), *pieces(asked)[1:]))
    )
    for raw in (asked, without_null):
        der = answered(Suite.P256, [replace(GOOD, cert_id=raw)])
        assert pieces(single(der))[0] == raw
        assert isinstance(library.load_der_ocsp_response(der).hash_algorithm, type(algorithm))


def test_one_signed_answer_speaks_of_several_certificates_in_order() -> None:
    answers = [about(GOOD), about(REVOKED), about(UNKNOWN), about(GOOD)]
    found = library.load_der_ocsp_response(answered(Suite.P256, answers))
    status = [response.certificate_status.name for response in found.responses]
    assert status == ["GOOD", "REVOKED", "UNKNOWN", "GOOD"]


def test_an_answer_as_long_as_a_request_may_demand_is_read() -> None:
    answers = [about(REVOKED)] * ocsp.MAX_REQUESTS
    found = library.load_der_ocsp_response(answered(Suite.P256, answers, nonce=NONCE))
    assert len(list(found.responses)) == ocsp.MAX_REQUESTS


def test_the_archive_cutoff_is_an_extension_of_one_certificate() -> None:
    cutoff = NOW - 400 * DAY
    found = library.load_der_ocsp_response(
        answered(Suite.P256, [replace(about(GOOD), archive_cutoff=cutoff)])
    )
    (extension,) = found.single_extensions
    assert extension.oid.dotted_string == "1.3.6.1.5.5.7.48.1.6"
    assert not extension.critical
    text = cutoff.strftime("%Y%m%d%H%M%SZ").encode()
    assert extension.value.public_bytes() == b"\x18\x0f" + text


def test_the_responder_is_named_by_key_or_by_name() -> None:
    signer = responder(Suite.P256)
    by_key = library.load_der_ocsp_response(answered(Suite.P256, [about(GOOD)]))
    by_name = library.load_der_ocsp_response(answered(Suite.P256, [about(GOOD)], by_name=True))
    digest = hashlib.sha1(public_key_octets(signer.spki), usedforsecurity=False).digest()
    assert (by_key.responder_key_hash, by_key.responder_name) == (digest, None)
    assert (by_name.responder_key_hash, by_name.responder_name) == (None, signer.x509.subject)


def test_an_answer_signed_by_the_ca_itself_carries_no_certificates() -> None:
    ca = authority(Suite.P256)
    tbs = ocsp.response_data(
        responder=ocsp.responder_by_key(build.spki(ca.key.public_key())),
        produced_at=NOW,
        answers=(about(GOOD),),
    )
    der = ocsp.assemble(tbs, ca.suite, sign(ca.key, tbs))
    assert library.load_der_ocsp_response(der).certificates == []


def test_times_are_generalized_in_utc_and_whole_seconds() -> None:
    east = dt.timezone(dt.timedelta(hours=2))
    answer = replace(about(REVOKED), revoked_at=dt.datetime(2026, 1, 1, 1, 2, 3, tzinfo=east))
    assert b"\x18\x0f20251231230203Z" in answered(Suite.P256, [answer])


@pytest.mark.parametrize(
    "time", [NOW.replace(tzinfo=None), NOW.replace(microsecond=1)], ids=["naive", "fraction"]
)
def test_refuses_times_that_an_answer_cannot_carry(time: dt.datetime) -> None:
    for answer in (
        replace(about(GOOD), this_update=time),
        replace(about(GOOD), next_update=time),
        replace(about(REVOKED), revoked_at=time),
        replace(about(GOOD), archive_cutoff=time),
    ):
        with pytest.raises(ValueError, match="a time with"):
            answered(Suite.P256, [answer])


@pytest.mark.parametrize(
    "answer",
    [
        replace(REVOKED, revoked_at=None),
        replace(GOOD, revoked_at=NOW),
        replace(UNKNOWN, reason="superseded"),
    ],
    ids=["revoked when?", "good yet revoked", "unknown for a reason"],
)
def test_refuses_contradictory_answers(answer: ocsp.SingleAnswer) -> None:
    with pytest.raises(ValueError, match="revoked"):
        answered(Suite.P256, [answer])


@pytest.mark.parametrize("reason", ["removeFromCRL", "keycompromise", ""])
def test_refuses_what_is_no_reason(reason: str) -> None:
    with pytest.raises(ValueError, match="no reason"):
        answered(Suite.P256, [replace(REVOKED, reason=reason)])


def test_refuses_an_answer_about_no_certificate() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        answered(Suite.P256, [])


@pytest.mark.parametrize(
    "status", [s for s in ocsp.ResponseStatus if s is not ocsp.ResponseStatus.SUCCESSFUL]
)
def test_an_error_has_a_status_and_no_content(status: ocsp.ResponseStatus) -> None:
    der = ocsp.error_response(status)
    found = library.load_der_ocsp_response(der)
    assert found.response_status.name == status.name
    assert len(der) == 5


def test_refuses_a_successful_error() -> None:
    with pytest.raises(ValueError, match="content"):
        ocsp.error_response(ocsp.ResponseStatus.SUCCESSFUL)


def test_signature_algorithms_are_those_of_certificates() -> None:
    for profile, suite in every_shape():
        tbs, algorithm, _ = pieces(sample_certificate(profile, suite))
        assert algorithm == ALGORITHM[suite]
        assert ALGORITHM[suite] in tbs


TIMES = st.datetimes(
    dt.datetime(1950, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
    dt.datetime(9999, 12, 31),  # noqa: DTZ001
    timezones=st.just(dt.UTC),
).map(lambda t: t.replace(microsecond=0))


@given(
    produced_at=TIMES,
    this_update=TIMES,
    next_update=st.none() | TIMES,
    revoked=st.none() | st.tuples(TIMES, st.none() | st.sampled_from(sorted(REASON_CODES))),
    nonce=st.none() | st.binary(min_size=1, max_size=128),
    extended=st.booleans(),
)
def test_cryptography_reads_back_every_answer(
    *,
    produced_at: dt.datetime,
    this_update: dt.datetime,
    next_update: dt.datetime | None,
    revoked: tuple[dt.datetime, str | None] | None,
    nonce: bytes | None,
    extended: bool,
) -> None:
    answer = replace(about(GOOD), this_update=this_update, next_update=next_update)
    if revoked:
        answer = replace(
            answer,
            status=ocsp.CertStatus.REVOKED,
            revoked_at=revoked[0],
            reason=revoked[1],
        )
    tbs = ocsp.response_data(
        responder=ocsp.responder_by_key(responder(Suite.P256).spki),
        produced_at=produced_at,
        answers=(answer,),
        nonce=None if nonce is None else encode(0x04, nonce),
        extended_revoked=extended,
    )
    found = library.load_der_ocsp_response(ocsp.assemble(tbs, Suite.P256, b"\x30\x00", ()))
    assert found.tbs_response_bytes == tbs
    assert found.produced_at_utc == produced_at
    assert (found.this_update_utc, found.next_update_utc) == (this_update, next_update)
    assert found.revocation_time_utc == (revoked[0] if revoked else None)
    kinds = [type(extension.value) for extension in found.extensions]
    assert kinds == [x509.OCSPNonce] * (nonce is not None) + [x509.UnrecognizedExtension] * extended


SIZES = [1, 60, 100, 119, 127, 128, 200, 247, 255, 256, 65_400, 65_535, 65_536, 70_000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suite", Suite)
def test_lengths_of_every_magnitude_are_minimal(suite: Suite, size: int) -> None:
    tbs, certificate = encode(0x30, bytes(size)), encode(0x30, bytes(size // 2))
    for certificates in ((), (certificate,), (certificate, tbs)):
        der = ocsp.assemble(tbs, suite, b"s" * 100, certificates)
        # pieces() refuses lengths that are not minimal or do not fit
        status, explicit = pieces(der)
        kind, octets = pieces(pieces(explicit)[0])
        (basic,) = pieces(octets)
        parts = pieces(basic)
        assert (status, kind) == (b"\x0a\x01\x00", oid("1.3.6.1.5.5.7.48.1.1"))
        assert parts[:3] == [tbs, ALGORITHM[suite], encode(0x03, b"\x00" + b"s" * 100)]
        assert parts[3:] == (
            [encode(0xA0, encode(0x30, b"".join(certificates)))] * bool(certificates)
        )
