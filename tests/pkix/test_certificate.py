"""Reading presented certificates: tolerant of one deviation, refusing what is broken."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.pkix import pem
from pki.pkix.certificate import CA_FALSE_WRITTEN_OUT, MAX_CERTIFICATE_SIZE, Certificate, load
from pki.pkix.der import (
    DerError,
    children,
    element_at,
    encode,
    slice_certificate,
    without_explicit_ca_false,
)
from tests.builders import CONTRACT_USAGE, Spec, chain, make

GOOD = make(Spec(common_name="DEMOAC12345678", ca=False, key_usage=CONTRACT_USAGE)).der
EMPTY = bytes.fromhex("0603551d130101ff04023000")
WRITTEN_OUT = bytes.fromhex("0603551d130101ff040530030101" + "00")


def _written_out(der: bytes) -> bytes:
    """Turn `BasicConstraints {}` into `{ cA FALSE }` and mend every length around it."""
    outer = element_at(der, 0, len(der))
    tbs, *rest = children(der, outer)
    fields = list(children(der, tbs))
    block = element_at(der, fields[-1].body, fields[-1].end)
    extensions = b"".join(
        encode(0x30, WRITTEN_OUT) if der[e.body : e.end] == EMPTY else der[e.start : e.end]
        for e in children(der, block)
    )
    body = der[tbs.body : fields[-1].start] + encode(0xA3, encode(0x30, extensions))
    return encode(0x30, encode(0x30, body) + der[rest[0].start : outer.end])


def test_reads_ca_false_that_is_written_out_and_says_so() -> None:
    odd = _written_out(GOOD)
    assert odd != GOOD
    with pytest.raises(ValueError, match="EncodedDefault"):
        _strict_extensions(odd)
    found = load(odd)
    assert found.deviations == (CA_FALSE_WRITTEN_OUT,)
    assert not found.is_ca
    assert found.key_usage == frozenset(CONTRACT_USAGE)
    assert found.der == odd


def _strict_extensions(der: bytes) -> object:
    from cryptography import x509  # noqa: PLC0415

    return x509.load_der_x509_certificate(der).extensions


def test_repairing_gives_back_the_canonical_octets() -> None:
    assert without_explicit_ca_false(_written_out(GOOD)) == GOOD
    assert without_explicit_ca_false(GOOD) is None


def test_the_second_reading_still_refuses_duplicates() -> None:
    odd = _written_out(GOOD)
    outer = element_at(odd, 0, len(odd))
    tbs, *rest = children(odd, outer)
    fields = list(children(odd, tbs))
    block = element_at(odd, fields[-1].body, fields[-1].end)
    inner = odd[block.body : block.end]
    twice = inner + encode(0x30, WRITTEN_OUT)
    body = odd[tbs.body : fields[-1].start] + encode(0xA3, encode(0x30, twice))
    broken = encode(0x30, encode(0x30, body) + odd[rest[0].start : outer.end])
    with pytest.raises(BadInput) as caught:
        load(broken)
    assert caught.value.code == "unreadable"


def test_the_slices_are_the_octets_that_stand_there() -> None:
    certificate = load(GOOD).x509
    slices = slice_certificate(GOOD)
    assert slices.tbs == certificate.tbs_certificate_bytes
    assert slices.subject == certificate.subject.public_bytes()
    assert slices.issuer == certificate.issuer.public_bytes()


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        GOOD[:-1],
        GOOD + b"\x00",
        b"\x31" + GOOD[1:],
        b"\x30\x82\x40\x01" + bytes(0x4001),
        bytes(MAX_CERTIFICATE_SIZE + 1),
        b"\x30" * 5000,
    ],
)
def test_refuses_what_is_broken(broken: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        load(broken)
    assert caught.value.code == "unreadable"
    assert caught.value.message.isprintable()


@given(st.data())
def test_any_mutation_is_read_or_refused(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        match data.draw(st.sampled_from(("set", "insert", "delete"))):
            case "set":
                octets[at] = data.draw(st.integers(0, 255))
            case "insert":
                octets.insert(at, data.draw(st.integers(0, 255)))
            case _:
                del octets[at]
    found: Certificate | None = None
    codes = []
    try:
        found = load(bytes(octets))
    except BadInput as error:
        codes.append(error.code)
    assert codes in ([], ["unreadable"])
    if found is not None:
        assert found.subject_text.isprintable()


SEEDS = [GOOD, _written_out(GOOD), chain(sub_cas=1).sub_cas[0].der]


@given(st.binary(max_size=200))
def test_any_octets_are_der_or_not(octets: bytes) -> None:
    try:
        element = element_at(octets, 0, len(octets))
    except DerError:
        return
    assert encode(element.tag, octets[element.body : element.end]) == octets[: element.end]


# --- PEM ---------------------------------------------------------------------------------------


def test_pem_round_trip() -> None:
    assert pem.certificates(pem.encode(GOOD) * 2, limit=2) == (GOOD, GOOD)
    assert pem.encode(GOOD) == load(GOOD).x509.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    "text",
    [
        "subject=/CN=x\n" + pem.encode(GOOD),
        pem.encode(GOOD).replace("\n", "\r\n"),
        pem.encode(GOOD).replace("\n", ""),
        "-----BEGIN CERTIFICATE-----\n"
        + "\n".join(base64.b64encode(GOOD).decode())
        + "\n-----END CERTIFICATE-----",
    ],
)
def test_pem_is_read_in_every_layout(text: str) -> None:
    assert pem.certificates(text, limit=1) == (GOOD,)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "unreadable"),
        ("   \n" * 5000, "unreadable"),
        (pem.encode(GOOD, "CERTIFICATE REQUEST"), "unreadable"),
        (pem.encode(GOOD) + pem.encode(b"key", "PRIVATE" + " KEY"), "unreadable"),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "unreadable"),
        ("-----BEGIN CERTIFICATE-----\nAAA*\n-----END CERTIFICATE-----", "unreadable"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END OTHER-----", "unreadable"),
        (pem.encode(GOOD) + "-----BEGIN CERTIFICATE-----", "unreadable"),
        (pem.encode(GOOD) * 11, "too_many_certificates"),
        ("-----BEGIN " * 100_000, "too_many_certificates"),
    ],
    ids=range(10),
)
def test_pem_refuses(text: str, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        pem.certificates(text, limit=10)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        pem.encode(GOOD).encode() * 2,
        pem.encode(GOOD, "CERTIFICATE REQUEST").encode(),
        pem.encode(GOOD).encode() + b"-----BEGIN CERTIFICATE-----",
    ],
)
def test_one_block_is_one_block_of_that_label(data: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        pem.one(data, "CERTIFICATE")
    assert caught.value.code == "unreadable"


@given(st.text(max_size=400))
def test_any_text_is_pem_or_refused(text: str) -> None:
    codes = []
    try:
        pem.certificates(text, limit=10)
    except BadInput as error:
        codes.append(error.code)
    assert codes in ([], ["unreadable"], ["too_many_certificates"])
