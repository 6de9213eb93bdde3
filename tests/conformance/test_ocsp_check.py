"""Foreign OCSP answers beyond the public suite: who may sign, what holds, hostile octets."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import example, given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.pkix.certificate import load
from pki.pkix.der import SEQUENCE, encode
from pki.pkix.ocsp_check import OcspAnswer, OcspStatus, Target, check
from pki.pkix.ocsp_parse import MAX_ANSWER_SIZE, read_answer
from tests.conformance.makers import (
    CLIENT_AUTH,
    DAY,
    YEAR,
    Held,
    answer,
    ca,
    leaf,
    responder,
    usage,
)

CA = ca("CA")
LEAF = leaf("Leaf", CA)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
REVOKED = ocsp.OCSPCertStatus.REVOKED
SECOND = dt.timedelta(seconds=1)

# OCSPResponseBuilder takes the time of the host for producedAt; judge at that time.
MADE_AT = ocsp.load_der_ocsp_response(answer(LEAF, CA, CA)).produced_at_utc
AT = MADE_AT + DAY / 2
SUBJECT = Target(
    serial=Target.of(LEAF.certificate).serial, not_before=AT - YEAR, not_after=AT + YEAR
)


def _answer(*args: Any, subject: Held = LEAF, issuer: Held = CA, **rest: Any) -> bytes:
    times = {"this_update": AT - DAY, "next_update": AT + DAY}
    signer = args[0] if args else CA
    return answer(subject, issuer, signer, **{**times, **rest})


def _check(der: bytes, **rules: Any) -> OcspAnswer:
    return check(der, SUBJECT, CA.certificate, **{"at": AT, **rules})


def _delegate(issuer: Held = CA, **rest: Any) -> Held:
    return responder(issuer, **{"not_before": AT - YEAR, "not_after": AT + YEAR, **rest})


def test_tells_good_with_its_times_and_signer() -> None:
    found = _check(_answer())
    assert found.status is OcspStatus.GOOD
    assert (found.this_update, found.next_update) == (AT - DAY, AT + DAY)
    assert found.produced_at is not None
    assert found.signer == CA.certificate


def test_tells_revoked_with_time_and_reason() -> None:
    reason = x509.ReasonFlags.cessation_of_operation
    found = _check(_answer(status=REVOKED, reason=reason))
    assert found.status is OcspStatus.REVOKED
    assert (found.revoked_at, found.reason) == (AT - DAY, "cessationOfOperation")
    assert _check(_answer(status=REVOKED)).reason is None


def test_an_unknown_of_the_responder_is_told_apart_from_no_answer() -> None:
    said = _check(_answer(status=ocsp.OCSPCertStatus.UNKNOWN))
    assert said.status is OcspStatus.UNKNOWN
    assert said.this_update is not None
    assert _check(b"").this_update is None


@pytest.mark.parametrize("algorithm", [hashes.SHA1, hashes.SHA256, hashes.SHA384, hashes.SHA512])
def test_meets_the_certificate_in_any_hash(algorithm: type[hashes.HashAlgorithm]) -> None:
    assert _check(_answer(algorithm=algorithm())).status is OcspStatus.GOOD


def test_an_unknown_hash_meets_nothing() -> None:
    found = _check(_answer(algorithm=hashes.SHA224()))
    assert found.status is OcspStatus.UNKNOWN
    assert found.detail == "it says nothing about this certificate"


def test_another_serial_or_another_issuer_meets_nothing() -> None:
    other = _check(_answer(subject=leaf("Other", CA)))
    twin = ca("CA")
    wrong = _check(_answer(CA, issuer=twin, subject=leaf("Leaf", twin)))
    assert other.status is wrong.status is OcspStatus.UNKNOWN


@pytest.mark.parametrize("by_key", [False, True])
def test_the_issuer_or_its_delegate_may_answer(by_key: bool) -> None:  # noqa: FBT001 - a table
    delegate = _delegate()
    own = _check(_answer(CA, by_key=by_key))
    delegated = _check(_answer(delegate, certificates=[delegate], by_key=by_key))
    assert own.status is delegated.status is OcspStatus.GOOD
    assert delegated.signer == delegate.certificate


def test_a_delegate_with_an_ed448_key_may_answer() -> None:
    delegate = _delegate(key=ed448.Ed448PrivateKey.generate())
    found = _check(_answer(delegate, certificates=[delegate]))
    assert found.status is OcspStatus.GOOD


def _twin() -> Held:
    return ca("CA")


NOBODY: dict[str, Any] = {
    "without the usage": lambda: _delegate(eku=False),
    "with another usage only": lambda: _delegate(
        eku=False, extra=((x509.ExtendedKeyUsage([x509.ObjectIdentifier(CLIENT_AUTH)]), False),)
    ),
    "with any usage only": lambda: _delegate(
        eku=False, extra=((x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.5.29.37.0")]), False),)
    ),
    "of another issuer": lambda: _delegate(ca("Other")),
    "of a twin of the issuer": lambda: _delegate(_twin()),
    "of a sub-CA of the issuer": lambda: _delegate(ca("Sub", CA)),
    "expired": lambda: _delegate(not_after=AT - SECOND),
    "not yet valid": lambda: _delegate(not_before=AT + SECOND),
    "that may not sign": lambda: _delegate(extra=((usage("key_agreement"), True),)),
    "with an unknown critical extension": lambda: _delegate(extra=((UNKNOWN, True),)),
    "with a weak key": lambda: _delegate(
        key=rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    ),
    "signed with a weak hash": lambda: _delegate(digest=hashes.SHA224()),
}


@pytest.mark.parametrize("who", NOBODY)
def test_nobody_else_may_answer(who: str) -> None:
    delegate = NOBODY[who]()
    found = _check(_answer(delegate, certificates=[delegate]))
    assert found.status is OcspStatus.UNKNOWN
    assert found.this_update is None


def test_an_answer_signed_with_a_weak_hash_is_none() -> None:
    assert _check(_answer(digest=hashes.SHA224())).status is OcspStatus.UNKNOWN


def test_a_delegate_beside_others_is_found_by_the_responder_id() -> None:
    delegate = _delegate()
    der = _answer(delegate, certificates=[leaf("Other", CA), delegate], by_key=True)
    assert _check(der).signer == delegate.certificate


def test_a_delegate_that_is_not_sent_cannot_be_believed() -> None:
    assert _check(_answer(_delegate())).status is OcspStatus.UNKNOWN


def test_a_delegate_that_did_not_sign_is_not_the_signer() -> None:
    delegate = _delegate()
    der = _answer(delegate, certificates=[delegate])
    signature = read_answer(der).signature.signature
    forged = der.replace(signature, signature[:-1] + bytes((signature[-1] ^ 1,)))
    assert _check(forged).detail == "its signature is not good"


def test_a_certificate_that_cannot_be_read_beside_the_signers_is_no_reason_to_refuse() -> None:
    delegate, noise = _delegate(), leaf("Noise", CA).certificate.der
    der = _answer(delegate, certificates=[Held(certificate=load(noise), key=CA.key), delegate])
    p256 = bytes.fromhex("06082a8648ce3d030107")
    garbled = der.replace(noise, noise.replace(p256, p256[:-1] + b"\x7f"))
    assert garbled != der
    assert _check(garbled).status is OcspStatus.GOOD


TIMES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("at its very end", {"next_update": AT}, {}, True),
    ("over", {"next_update": AT - SECOND}, {}, False),
    ("to come", {"this_update": AT + SECOND}, {}, False),
    ("to come within the skew", {"this_update": AT + SECOND}, {"skew": DAY}, True),
    ("as old as allowed", {}, {"max_age": DAY}, True),
    ("older than allowed", {}, {"max_age": DAY - SECOND}, False),
    ("without an end", {"next_update": None}, {}, False),
    ("without an end, but young", {"next_update": None}, {"max_age": DAY}, True),
]


@pytest.mark.parametrize(("what", "times", "rules", "good"), TIMES, ids=[row[0] for row in TIMES])
def test_times_are_exact(
    what: str,
    times: dict[str, Any],
    rules: dict[str, Any],
    good: bool,  # noqa: FBT001 - a table
) -> None:
    found = _check(_answer(**times), **rules)
    assert (found.status is OcspStatus.GOOD) is good, what


def test_an_answer_from_before_or_after_the_certificate_is_none() -> None:
    early = Target(serial=SUBJECT.serial, not_before=AT + DAY, not_after=AT + YEAR)
    late = Target(serial=SUBJECT.serial, not_before=AT - YEAR, not_after=AT - DAY)
    for target in (early, late):
        found = check(_answer(), target, CA.certificate, at=AT)
        assert found.status is OcspStatus.UNKNOWN


def test_an_answer_that_is_produced_later_than_now_is_none() -> None:
    assert _check(_answer(), at=MADE_AT - DAY / 4).status is OcspStatus.UNKNOWN


def test_a_nonce_must_be_repeated_where_one_was_sent() -> None:
    der = _answer(extra=((x509.OCSPNonce(b"0123456789abcdef"), False),))
    assert _check(der, nonce=b"0123456789abcdef").status is OcspStatus.GOOD
    assert _check(der, nonce=b"another nonce...").status is OcspStatus.UNKNOWN
    assert _check(_answer(), nonce=b"0123456789abcdef").status is OcspStatus.UNKNOWN
    assert _check(der).status is OcspStatus.GOOD


def test_an_unknown_critical_extension_spoils_the_answer() -> None:
    assert _check(_answer(extra=((UNKNOWN, True),))).status is OcspStatus.UNKNOWN
    assert _check(_answer(extra=((UNKNOWN, False),))).status is OcspStatus.GOOD


@pytest.mark.parametrize("status", list(ocsp.OCSPResponseStatus)[1:])
def test_an_error_of_the_responder_is_no_answer(status: ocsp.OCSPResponseStatus) -> None:
    der = ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    assert _check(der).detail.startswith("The responder answered")
    with pytest.raises(BadInput) as caught:
        read_answer(der)
    assert caught.value.code == "ocsp_error"


def test_reads_no_more_than_its_limit() -> None:
    assert "octets, more than" in _check(bytes(MAX_ANSWER_SIZE + 1)).detail


def test_a_serial_is_compared_as_it_stands() -> None:
    tall = leaf("Tall", CA, serial=0x80)
    assert Target.of(tall.certificate).serial == b"\x00\x80"
    assert Target.read(tall.certificate.der).serial == b"\x00\x80"
    assert Target.of(tall.certificate) == Target.read(tall.certificate.der)


def test_a_target_that_is_no_certificate_is_refused() -> None:
    with pytest.raises(BadInput):
        Target.read(b"0\x00")


GOOD = _answer(extra=((x509.OCSPNonce(b"0123456789abcdef"), False),))


OID = bytes.fromhex("06032a0304")
TIME = encode(0x18, b"20260601120000Z")


def _crafted(
    *,
    version: bytes = b"",
    kind: bytes = bytes.fromhex("06092b0601050507300101"),
    status: bytes = b"\x80\x00",
    extensions: bytes = b"",
    bits: bytes = b"\x00",
    tail: bytes = b"",
    result: bytes = b"\x00",
) -> bytes:
    """Write an answer that nobody signed, with one part to choose."""
    algorithm = encode(SEQUENCE, OID)
    cert_id = encode(SEQUENCE, algorithm + b"\x04\x00\x04\x00\x02\x01\x01")
    single = encode(SEQUENCE, cert_id + status + TIME)
    responder_id = encode(0xA2, encode(0x04, bytes(20)))
    listed = encode(0xA1, encode(SEQUENCE, extensions)) if extensions else b""
    tbs = encode(SEQUENCE, version + responder_id + TIME + encode(SEQUENCE, single) + listed)
    basic = encode(SEQUENCE, tbs + algorithm + encode(0x03, bits) + tail)
    body = encode(0xA0, encode(SEQUENCE, kind + encode(0x04, basic)))
    return encode(SEQUENCE, encode(0x0A, result) + body)


def _extension(critical: bytes = b"") -> bytes:
    return encode(SEQUENCE, OID + critical + b"\x04\x00")


MALFORMED: dict[str, dict[str, bytes]] = {
    "version 2": {"version": encode(0xA0, b"\x02\x01\x01")},
    "another kind of answer": {"kind": OID},
    "a NULL with content": {"status": b"\x82\x01\x00"},
    "a status of no kind": {"status": b"\x83\x00"},
    "an extension twice": {"extensions": _extension() + _extension()},
    "a BOOLEAN that is neither": {"extensions": _extension(b"\x01\x01\x01")},
    "an identifier that breaks off": {"kind": b"\x06\x02\x2a\x83"},
    "an empty identifier": {"kind": b"\x06\x00"},
    "a signature that ends within an octet": {"bits": b"\x01\x00"},
    "something behind the signature": {"tail": b"\x05\x00"},
    "no status": {"result": b""},
    "a reason of two octets": {
        "status": encode(0xA1, TIME + encode(0xA0, encode(0x0A, b"\x00\x01")))
    },
    "a time that is none": {"status": encode(0xA1, encode(0x18, b"20261301120000Z"))},
    "a time with fractions": {"status": encode(0xA1, encode(0x18, b"20260601120000.5Z"))},
}


def test_the_crafted_answer_is_readable_but_for_its_defect() -> None:
    unknown_reason = encode(0xA1, TIME + encode(0xA0, encode(0x0A, b"\x07")))
    crafted = read_answer(_crafted(status=unknown_reason, extensions=_extension(b"\x01\x01\xff")))
    assert crafted.critical == {"1.2.3.4"}
    assert crafted.singles[0].reason == "reason 7"
    assert crafted.signature.algorithm == "1.2.3.4"


@pytest.mark.parametrize("defect", MALFORMED)
def test_malformed_answers_are_unreadable(defect: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_answer(_crafted(**MALFORMED[defect]))
    assert caught.value.code == "ocsp_unreadable"


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_octet_is_believed(place: int, change: int) -> None:
    data = bytearray(GOOD)
    data[place] ^= change
    found = _check(bytes(data))
    assert found.status is OcspStatus.UNKNOWN
    assert found.detail.isprintable()


@given(st.binary(max_size=300))
@example(GOOD[:-1])
@example(GOOD + b"\x00")
@example(b"0\x80" + GOOD[2:])
def test_any_octets_are_an_answer_with_a_reason(data: bytes) -> None:
    found = _check(data)
    assert found.status is OcspStatus.UNKNOWN
    assert found.detail
