"""Whatever is cut of a usual request, the strict reader reads as well and the same."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import PkiError
from pki.pkix import csr, csr_cut
from pki.pkix.der import encode
from pki.pkix.suites import Suite, sign
from tests.pkix.samples import key, pieces, sequence

NAMES = ["DE8AAC1A2B3C4D5", "DE*ABC*E99B*00C", "X", "A" * 64]


def made(suite: Suite, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key(suite, "holder"), suite.hash).public_bytes(Encoding.DER)


def with_tag(tag: int) -> bytes:
    """Return the first of the requests with another kind of string as CN, signed anew."""
    info, algorithm, _ = pieces(made(Suite.P256, NAMES[0]))
    octets = bytearray(info)
    octets[octets.index(bytes.fromhex("0603550403")) + 5] = tag
    signature = sign(key(Suite.P256, "holder"), bytes(octets))
    return sequence(bytes(octets), algorithm, encode(0x03, b"\0" + signature))


USUAL = [
    *(made(suite, name) for suite in Suite for name in NAMES),
    with_tag(0x13),
]


def strictly(der: bytes) -> csr.CertificateRequest | str | None:
    """Return what the strict reader reads, its refusal, or None for what breaks it."""
    try:
        return csr.read_strictly(der)
    except PkiError as error:
        return error.code
    except Exception:  # noqa: BLE001 - as the parsers raise many
        return None


def quickly(der: bytes) -> csr.CertificateRequest | str | None:
    try:
        return csr.parse(der)
    except PkiError as error:
        return None if error.code == "csr_unreadable" else error.code


@pytest.mark.parametrize("der", USUAL)
def test_usual_requests_are_cut_and_read_alike(der: bytes) -> None:
    assert csr_cut.cut(der) is not None
    assert csr.parse(der) == csr.read_strictly(der)


@pytest.mark.parametrize("tag", [0x12, 0x14, 0x16, 0x1E])
def test_other_strings_are_left_to_the_strict_reader(tag: int) -> None:
    der = with_tag(tag)
    assert csr_cut.cut(der) is None
    assert quickly(der) == strictly(der)


@given(st.data())
def test_whatever_octets_differ_both_readers_say_the_same(data: st.DataObject) -> None:
    der = bytearray(data.draw(st.sampled_from(USUAL)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(der) - 1))
        match data.draw(st.sampled_from(("change", "insert", "remove"))):
            case "change":
                der[at] = data.draw(st.integers(0, 255))
            case "insert":
                der.insert(at, data.draw(st.integers(0, 255)))
            case _:
                del der[at]
    octets = bytes(der)
    found = strictly(octets)
    assert quickly(octets) == (None if found == "csr_unreadable" else found)
    cut = csr_cut.cut(octets)
    if cut is not None and isinstance(found, csr.CertificateRequest):
        assert (cut.suite, cut.spki, cut.common_name) == (
            found.suite,
            found.spki,
            found.common_name,
        )


@given(st.data())
def test_a_changed_name_or_key_is_cut_alike_and_its_signature_refused(data: st.DataObject) -> None:
    der = bytearray(data.draw(st.sampled_from(USUAL[:4])))
    at = data.draw(st.integers(20, len(der) - 90))
    der[at] ^= data.draw(st.integers(1, 255))
    octets = bytes(der)
    if csr_cut.cut(octets) is not None:
        assert strictly(octets) in ("csr_signature_invalid", None)
        assert quickly(octets) == strictly(octets)
