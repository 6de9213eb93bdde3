"""OCSP requests are read strictly, completely, and never with another outcome than an OcspError."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as library
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.pkix.der import encode
from pki.pkix.ocsp import (
    MAX_REQUEST_SIZE,
    MAX_REQUESTS,
    CertId,
    OcspError,
    OcspRequest,
    ResponseStatus,
    parse_request,
)
from tests.pkix.samples import extension, oid, pieces, sequence

NONCE = "1.3.6.1.5.5.7.48.1.2"
OTHER = "1.3.6.1.5.5.7.48.1.99"
SHA1 = sequence(oid("1.3.14.3.2.26"), b"\x05\x00")
NAME_HASH, KEY_HASH = b"n" * 20, b"k" * 20
DIRECTORY_NAME = encode(0xA1, encode(0xA4, sequence()))
SIGNATURE = encode(0xA0, sequence(sequence(oid("1.3.101.113")), b"\x03\x02\x00\x01"))
SIGNED_WITH_CERTS = encode(
    0xA0,
    sequence(sequence(oid("1.3.101.113")), b"\x03\x02\x00\x01", encode(0xA0, sequence(sequence()))),
)
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - a CertID's hash protects nothing
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def number(value: bytes) -> bytes:
    return encode(0x02, value)


def cert_id(
    serial: bytes = b"\x07",
    *,
    algorithm: bytes = SHA1,
    name_hash: bytes = NAME_HASH,
    key_hash: bytes = KEY_HASH,
    after: bytes = b"",
) -> bytes:
    octets = (encode(0x04, name_hash), encode(0x04, key_hash))
    return sequence(algorithm, *octets, number(serial), after)


def request(
    *entries: bytes, before: bytes = b"", extensions: bytes = b"", signature: bytes = b""
) -> bytes:
    return sequence(sequence(before, sequence(*entries), extensions), signature)


def asked(*cert_ids: bytes, extensions: bytes = b"", before: bytes = b"") -> bytes:
    return request(*map(sequence, cert_ids), before=before, extensions=extensions)


def block(*extensions: bytes) -> bytes:
    return encode(0xA2, sequence(*extensions))


def nonce(octets: bytes, *, critical: bool = False) -> bytes:
    return extension(NONCE, encode(0x04, octets), critical=critical)


def refused(der: bytes) -> str:
    with pytest.raises(OcspError) as error:
        parse_request(der)
    assert isinstance(error.value, BadInput)
    assert error.value.status is ResponseStatus.MALFORMED_REQUEST
    assert error.value.code == "ocsp_request_invalid"
    return error.value.message


# --- what is read


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("sha1", "1.3.14.3.2.26"),
        ("sha256", "2.16.840.1.101.3.4.2.1"),
        ("sha384", "2.16.840.1.101.3.4.2.2"),
        ("sha512", "2.16.840.1.101.3.4.2.3"),
        (None, "1.2.840.113549.2.5"),
        (None, "2.16.840.1.101.3.4.2.10"),
    ],
)
@pytest.mark.parametrize("parameters", [b"\x05\x00", b""])
def test_reads_the_hash_with_and_without_null_and_keeps_the_octets(
    name: str | None, dotted: str, parameters: bytes
) -> None:
    raw = cert_id(algorithm=sequence(oid(dotted), parameters))
    expected = CertId(raw=raw, algorithm=name, name_hash=NAME_HASH, key_hash=KEY_HASH, serial=7)
    assert parse_request(asked(raw)) == OcspRequest(cert_ids=(expected,), nonce=None)


def test_takes_odd_parameters_of_a_hash_for_another_hash() -> None:
    raw = cert_id(algorithm=sequence(oid("1.3.14.3.2.26"), sequence()))
    assert parse_request(asked(raw)).cert_ids[0].algorithm is None


def test_reads_hashes_of_any_length() -> None:
    (found,) = parse_request(asked(cert_id(name_hash=b"", key_hash=b"k" * 300))).cert_ids
    assert (found.name_hash, found.key_hash) == (b"", b"k" * 300)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\x00\x80", 128),
        (b"\xff", -1),
        (b"\x80", -128),
        (b"\xff\x7f", -129),
        (b"\x7f" + b"\xff" * 4095, (1 << 32767) - 1),
    ],
    ids=["0", "127", "128", "-1", "-128", "-129", "4096 octets"],
)
def test_reads_serials_that_nobody_issues(octets: bytes, value: int) -> None:
    assert parse_request(asked(cert_id(octets))).cert_ids[0].serial == value


def test_reads_several_certificates_in_order_even_the_same_twice() -> None:
    found = parse_request(asked(cert_id(b"\x01"), cert_id(b"\x02"), cert_id(b"\x01")))
    assert [c.serial for c in found.cert_ids] == [1, 2, 1]


def test_reads_as_many_certificates_as_allowed_and_refuses_one_more() -> None:
    assert len(parse_request(asked(*[cert_id()] * MAX_REQUESTS)).cert_ids) == MAX_REQUESTS
    assert str(MAX_REQUESTS) in refused(asked(*[cert_id()] * (MAX_REQUESTS + 1)))


def test_refuses_a_request_that_is_too_long_before_it_reads_it() -> None:
    longest = asked(cert_id(), before=encode(0xA1, encode(0x86, b"x" * (MAX_REQUEST_SIZE - 80))))
    assert len(longest) == MAX_REQUEST_SIZE
    assert parse_request(longest).cert_ids[0].serial == 7
    assert "octets" in refused(longest + b"x")


@pytest.mark.parametrize("signature", [SIGNATURE, SIGNED_WITH_CERTS])
def test_ignores_signature_and_requestor_name(signature: bytes) -> None:
    plain = parse_request(asked(cert_id()))
    assert parse_request(request(sequence(cert_id()), signature=signature)) == plain
    assert parse_request(asked(cert_id(), before=DIRECTORY_NAME)) == plain


def test_accepts_version_1_written_out() -> None:
    written = asked(cert_id(), before=bytes.fromhex("a003020100"))
    assert parse_request(written) == parse_request(asked(cert_id()))


# --- nonce and other extensions


@pytest.mark.parametrize("length", [1, 15, 16, 32, 33, 64, 107, 108, 109, 127, 128])
@pytest.mark.parametrize("critical", [False, True])
def test_takes_nonces_of_1_to_128_octets_with_their_octet_string(
    length: int, *, critical: bool
) -> None:
    found = parse_request(
        asked(cert_id(), extensions=block(nonce(b"x" * length, critical=critical)))
    )
    assert found.nonce == encode(0x04, b"x" * length)


@pytest.mark.parametrize("length", [0, 129, 130, 1000])
def test_refuses_nonces_of_0_and_of_more_than_128_octets(length: int) -> None:
    assert "nonce" in refused(asked(cert_id(), extensions=block(nonce(b"x" * length))))


@pytest.mark.parametrize("octets", [b"x", b"x" * 16, b"\x04\x01", b"\x04\x81\x01x", b"x" * 128])
def test_keeps_a_bare_nonce_octet_for_octet(octets: bytes) -> None:
    found = parse_request(asked(cert_id(), extensions=block(extension(NONCE, octets))))
    assert found.nonce == octets


@pytest.mark.parametrize("octets", [b"", b"x" * 129])
def test_refuses_a_bare_nonce_of_0_and_of_more_than_128_octets(octets: bytes) -> None:
    refused(asked(cert_id(), extensions=block(extension(NONCE, octets))))


def test_reads_the_nonce_among_other_extensions() -> None:
    others = (extension(OTHER, b"\x05\x00"), nonce(b"n" * 16), extension(OTHER + ".1", b""))
    assert (
        parse_request(asked(cert_id(), extensions=block(*others))).nonce == b"\x04\x10" + b"n" * 16
    )


def test_reads_an_extension_whose_criticality_false_is_written_out() -> None:
    odd = sequence(oid(NONCE), b"\x01\x01\x00", encode(0x04, encode(0x04, b"n")))
    assert parse_request(asked(cert_id(), extensions=block(odd))).nonce == b"\x04\x01n"


def test_ignores_an_unknown_extension_of_a_request_and_of_one_certificate() -> None:
    single = encode(0xA0, sequence(extension(OTHER, b"\x05\x00")))
    der = request(sequence(cert_id(), single), extensions=block(extension(OTHER, b"junk")))
    assert parse_request(der) == parse_request(asked(cert_id()))


def test_refuses_an_unknown_critical_extension_of_a_request_and_of_one_certificate() -> None:
    critical = extension(OTHER, b"\x05\x00", critical=True)
    assert "critical" in refused(asked(cert_id(), extensions=block(critical)))
    assert "critical" in refused(request(sequence(cert_id(), encode(0xA0, sequence(critical)))))


# --- what is refused

GOOD = asked(cert_id(), extensions=block(nonce(b"n" * 16)))
PLAIN = asked(cert_id())
LONG = request(sequence(cert_id(b"\x01" * 200)))
TBS = pieces(PLAIN)[0]


def nested(depth: int) -> bytes:
    der = b""
    for _ in range(depth):
        der = encode(0x30, der)
    return der


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "one octet": b"\x30",
    "an empty sequence": b"\x30\x00",
    "a null": b"\x05\x00",
    "trailing octet": PLAIN + b"\x00",
    "trailing copy": PLAIN + PLAIN,
    "another outer tag": b"\x31" + PLAIN[1:],
    "a high tag number": b"\x3f\x30" + PLAIN[1:],
    "indefinite length": b"\x30\x80" + TBS + b"\x00\x00",
    "inner indefinite length": sequence(b"\x30\x80" + TBS[2:] + b"\x00\x00"),
    "non-minimal length": b"\x30\x81" + PLAIN[1:],
    "non-minimal long length": b"\x30\x82\x00" + LONG[2:],
    "length of five octets": b"\x30\x85\x00\x00\x00\x00" + PLAIN[1:],
    "length cut off": b"\x30\x82\x01",
    "10,000 nested sequences": nested(10_000),
    "nested sequences as requestor name": asked(cert_id(), before=encode(0xA1, nested(10_000))),
    "nested sequences as a certificate": request(nested(10_000)),
    "no certificate": request(),
    "an empty request": request(sequence()),
    "version 2": asked(cert_id(), before=bytes.fromhex("a003020101")),
    "version -1": asked(cert_id(), before=bytes.fromhex("a0030201ff")),
    "an empty version": asked(cert_id(), before=bytes.fromhex("a0020200")),
    "a version and more": asked(cert_id(), before=bytes.fromhex("a0060201000201 00")),
    "requestor name without a name": asked(cert_id(), before=b"\xa1\x00"),
    "requestor name of another kind": asked(cert_id(), before=b"\xa1\x02\x05\x00"),
    "requestor name with a high tag": asked(cert_id(), before=b"\xa1\x03\xbf\x20\x00"),
    "requestor name twice": asked(cert_id(), before=DIRECTORY_NAME * 2),
    "signature without content": request(sequence(cert_id()), signature=b"\xa0\x00"),
    "signature with an empty sequence": request(sequence(cert_id()), signature=b"\xa0\x02\x30\x00"),
    "signature twice": request(sequence(cert_id()), signature=SIGNATURE * 2),
    "signature of another tag": request(sequence(cert_id()), signature=b"\xa1" + SIGNATURE[1:]),
    "hash without identifier": asked(cert_id(algorithm=sequence())),
    "hash with an empty identifier": asked(cert_id(algorithm=sequence(b"\x06\x00"))),
    "hash with an open identifier": asked(cert_id(algorithm=sequence(b"\x06\x02\x2a\x86"))),
    "hash with a padded identifier": asked(cert_id(algorithm=sequence(b"\x06\x03\x2a\x80\x01"))),
    "hash with two parameters": asked(
        cert_id(algorithm=sequence(oid("1.3.14.3.2.26"), b"\x05\x00\x05\x00"))
    ),
    "hash that is none": asked(cert_id(algorithm=b"\x05\x00")),
    "empty serial": asked(cert_id(b"")),
    "padded serial": asked(cert_id(b"\x00\x7f")),
    "padded negative serial": asked(cert_id(b"\xff\x80")),
    "more behind the serial": asked(cert_id(after=b"\x05\x00")),
    "more behind the certificate": request(sequence(cert_id(), b"\x05\x00")),
    "empty single extensions": request(sequence(cert_id(), b"\xa0\x00")),
    "single extensions without an element": request(sequence(cert_id(), b"\xa0\x02\x30\x00")),
    "empty extensions": asked(cert_id(), extensions=b"\xa2\x00"),
    "extensions without an element": asked(cert_id(), extensions=block()),
    "extensions and more": asked(cert_id(), extensions=block(nonce(b"n")) + b"\x05\x00"),
    "extensions of another tag": asked(cert_id(), extensions=b"\xa3" + block(nonce(b"n"))[1:]),
    "an extension without a value": asked(cert_id(), extensions=block(sequence(oid(NONCE)))),
    "an extension with two values": asked(
        cert_id(), extensions=block(sequence(oid(NONCE), b"\x04\x01n", b"\x04\x01n"))
    ),
    "a critical that is neither": asked(
        cert_id(), extensions=block(sequence(oid(NONCE), b"\x01\x01\x01", b"\x04\x03\x04\x01n"))
    ),
    "a critical of no octet": asked(
        cert_id(), extensions=block(sequence(oid(NONCE), b"\x01\x00", b"\x04\x03\x04\x01n"))
    ),
    "nonce twice": asked(cert_id(), extensions=block(nonce(b"a" * 16), nonce(b"b" * 16))),
    "another extension twice": asked(cert_id(), extensions=block(*[extension(OTHER, b"")] * 2)),
}


@pytest.mark.parametrize("der", MALFORMED.values(), ids=MALFORMED)
def test_refuses_what_is_malformed(der: bytes) -> None:
    assert refused(der)


@pytest.mark.parametrize("der", [GOOD, PLAIN, LONG], ids=["nonce", "plain", "long"])
def test_refuses_a_request_cut_off_anywhere(der: bytes) -> None:
    for end in range(len(der)):
        refused(der[:end])


def test_refuses_a_length_that_runs_over_its_container() -> None:
    for at in range(1, len(PLAIN)):
        if PLAIN[at - 1] == 0x30:
            refused(PLAIN[:at] + b"\x7f" + PLAIN[at + 1 :])


# --- properties


def outcome(der: bytes) -> OcspRequest | None:
    try:
        return parse_request(der)
    except OcspError:
        return None


@given(st.binary(max_size=300))
def test_any_octets_give_a_request_or_an_ocsp_error(der: bytes) -> None:
    outcome(der)


@given(st.sampled_from([GOOD, PLAIN, LONG]), st.data())
def test_what_is_accepted_of_a_mutated_request_is_what_cryptography_reads(
    der: bytes, data: st.DataObject
) -> None:
    mutated = bytearray(der)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(bytes(mutated))
    if found is None:
        return
    try:
        theirs = library.load_der_ocsp_request(bytes(mutated))
        algorithm = theirs.hash_algorithm.name
    except (ValueError, UnsupportedAlgorithm):
        return  # an unknown hash, a version or a nonce that it reads no further
    (ours,) = found.cert_ids
    assert ours.algorithm in (algorithm, None)
    assert (ours.name_hash, ours.key_hash) == (theirs.issuer_name_hash, theirs.issuer_key_hash)
    assert ours.serial == theirs.serial_number


@given(
    st.sampled_from(sorted(HASHES)),
    st.integers(0, (1 << 160) - 1),
    st.none() | st.binary(min_size=1, max_size=128),
)
def test_reads_every_request_that_cryptography_builds(
    name: str, serial: int, octets: bytes | None
) -> None:
    algorithm = HASHES[name]
    size = algorithm.digest_size
    builder = library.OCSPRequestBuilder().add_certificate_by_hash(
        b"n" * size, b"k" * size, serial, algorithm
    )
    if octets is not None:
        builder = builder.add_extension(x509.OCSPNonce(octets), critical=False)
    der = builder.build().public_bytes(Encoding.DER)
    found = parse_request(der)
    (read,) = found.cert_ids
    assert (read.algorithm, read.serial) == (name, serial)
    assert (read.name_hash, read.key_hash) == (b"n" * size, b"k" * size)
    assert found.nonce == (None if octets is None else encode(0x04, octets))
    assert read.raw in der


@given(st.binary(min_size=1, max_size=128))
def test_the_short_way_to_a_nonce_reads_what_the_long_way_reads(octets: bytes) -> None:
    alone = asked(cert_id(), extensions=block(nonce(octets)))
    among = asked(cert_id(), extensions=block(nonce(octets), extension(OTHER, b"")))
    assert parse_request(alone) == parse_request(among)


# --- hostile vectors


def cases(folder: Path) -> list[tuple[str, str, bytes]]:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))["cases"]
    return [
        (case["id"], case["expect"], (folder / case["file"]).read_bytes())
        for case in manifest
        if case["kind"] == "ocsp-request" and case["encoding"] == "der"
    ]


def test_hostile_vectors_get_the_outcome_that_they_name(vectors: Path) -> None:
    judged = cases(vectors / "malformed")
    wanted: dict[str, Callable[[OcspRequest | None], bool]] = {
        "accept": lambda found: found is not None,
        "reject": lambda found: found is None,
        "either": lambda _: True,
    }
    assert len(judged) > 20
    assert [name for name, expect, der in judged if not wanted[expect](outcome(der))] == []
