"""Forms that must be refused although the parser below reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.errors import BadInput
from pki.pkix import crl_check
from pki.pkix.certificate import load
from pki.pkix.der import Element, children, element_at, encode
from tests.conformance.makers import ca, crl_der, leaf
from tests.pkix.test_csr import explicit_curve

CA = ca("CA")
LEAF = leaf("Leaf", CA)
BARE = leaf("Bare", CA, key_ids=False)
DER = LEAF.certificate.der
CRL = crl_der(CA)
VERSION = encode(0xA0, b"\x02\x01\x02")
NO_EXTENSIONS = encode(0x30, b"")


def _parts(der: bytes) -> list[bytes]:
    whole = element_at(der, 0, len(der))
    return [_octets(der, part) for part in children(der, whole)]


def _octets(der: bytes, part: Element) -> bytes:
    return der[part.start : part.end]


def _signed(der: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """Change the fields of what was signed; reading asks for no signature."""
    tbs, *rest = _parts(der)
    return encode(0x30, b"".join((encode(0x30, b"".join(change(_parts(tbs)))), *rest)))


def _ending_within_an_octet(der: bytes) -> bytes:
    *rest, signature = _parts(der)
    bits = signature[-70:-1] + b"\x80"
    return encode(0x30, b"".join((*rest, encode(0x03, b"\x01" + bits))))


def _hybrid(fields: list[bytes]) -> list[bytes]:
    """RFC 5480 2.2: any first octet but 02, 03 and 04 MUST be rejected."""
    public = LEAF.key.public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    at = fields[6].index(point)
    first = bytes((6 + point[-1] % 2,))
    return [*fields[:6], fields[6][:at] + first + fields[6][at + 1 :], *fields[7:]]


def _written_out(fields: list[bytes]) -> list[bytes]:
    """RFC 5480 2.1.1: a curve with its parameters MUST NOT be used; they are those of P-256."""
    algorithm, point = _parts(fields[6])
    spki = encode(0x30, _parts(explicit_curve())[0] + point)
    assert algorithm != _parts(spki)[0]
    return [*fields[:6], spki, *fields[7:]]


CERTIFICATES = {
    "extensions without version 3": _signed(DER, lambda fields: fields[1:]),
    "extensions without an element": _signed(
        BARE.certificate.der, lambda fields: [*fields, encode(0xA3, NO_EXTENSIONS)]
    ),
    "the signature is no row of octets": _ending_within_an_octet(DER),
    "the point of its key has the hybrid form": _signed(DER, _hybrid),
    "the curve of its key is not named": _signed(DER, _written_out),
    "not one SEQUENCE": DER + b"\0",
    "not three parts": encode(0x30, b"".join(_parts(DER)[:2])),
}


@pytest.mark.parametrize("why", CERTIFICATES)
def test_a_certificate_is_refused_and_told_why(why: str) -> None:
    with pytest.raises(BadInput, match=f"cannot be read: {why}.") as caught:
        load(CERTIFICATES[why])
    assert caught.value.code == "unreadable"


def test_the_strict_parser_reads_some_of_them() -> None:
    for why in ("extensions without version 3", "the signature is no row of octets"):
        parsed = x509.load_der_x509_certificate(CERTIFICATES[why])
        assert len(parsed.extensions) == 2


def test_a_version_1_certificate_without_extensions_is_read() -> None:
    found = load(_signed(BARE.certificate.der, lambda fields: fields[1:]))
    assert (found.version, found.is_ca) == (1, False)


CRLS = {
    "the signature is no row of octets": _ending_within_an_octet(CRL),
    "extensions without an element": _signed(
        CRL, lambda fields: [*fields[:-1], encode(0xA0, NO_EXTENSIONS)]
    ),
}


@pytest.mark.parametrize("why", CRLS)
def test_a_crl_is_refused_and_told_why(why: str) -> None:
    assert len(x509.load_der_x509_crl(CRLS[why]).extensions) < 2
    with pytest.raises(BadInput, match=f"cannot be read: {why}.") as caught:
        crl_check.read(CRLS[why])
    assert caught.value.code == "crl_unreadable"
