"""Certification requests: what is read of them, and everything that is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.errors import BadInput, PkiError, PolicyViolation
from pki.ids import Edition
from pki.pkix import build, csr
from pki.pkix.der import encode
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import PrivateKey, Suite, sign
from tests.pkix.samples import key, pieces, public_key, sequence

CN, O = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741 - as X.500 calls it
EMAID = "DE8AAC1A2B3C4D5"
CONTRACT = find(Kind.CONTRACT, Edition.ISO2)


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])


def request(
    suite: Suite = Suite.P256,
    *,
    subject: x509.Name | None = None,
    extensions: tuple[x509.ExtensionType, ...] = (),
) -> x509.CertificateSigningRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject or name((CN, EMAID)))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key(suite, "holder"), suite.hash)


def der_of(made: x509.CertificateSigningRequest) -> bytes:
    return made.public_bytes(Encoding.DER)


def signed_by(private_key: object, digest: hashes.HashAlgorithm | None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name((CN, EMAID)))
    return der_of(builder.sign(private_key, digest))  # type: ignore[arg-type]


def by_hand(
    *,
    subject: bytes | None = None,
    spki: bytes | None = None,
    version: bytes = b"\x02\x01\x00",
    attributes: bytes = b"\xa0\x00",
) -> bytes:
    """Build a request element by element and sign it with the P-256 key of the holder."""
    holder: PrivateKey = key(Suite.P256, "holder")
    info = sequence(
        version,
        subject or name((CN, EMAID)).public_bytes(),
        spki or build.spki(holder.public_key()),
        attributes,
    )
    signature = encode(0x03, b"\0" + sign(holder, info))
    return sequence(info, bytes.fromhex("300a06082a8648ce3d040302"), signature)


def with_common_name(tag: int, value: bytes) -> bytes:
    attribute = sequence(bytes.fromhex("0603550403"), encode(tag, value))
    return by_hand(subject=sequence(encode(0x31, attribute)))


def code_of(data: bytes) -> str:
    with pytest.raises(PkiError) as error:
        csr.parse(data)
    return error.value.code


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", Suite)
def test_reads_key_and_name_of_every_suite(suite: Suite) -> None:
    parsed = csr.parse(der_of(request(suite)))
    assert parsed.suite is suite
    assert parsed.public_key == public_key(suite, "holder")
    assert parsed.spki == build.spki(public_key(suite, "holder"))
    assert parsed.common_name == EMAID
    assert parsed.ignored == ()


@pytest.mark.parametrize("label", ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])
def test_reads_pem_with_text_around_it(label: str) -> None:
    text = request().public_bytes(Encoding.PEM).decode().replace("CERTIFICATE REQUEST", label)
    assert csr.parse(f"Subject: CN\n{text}\n".encode()) == csr.parse(der_of(request()))


@pytest.mark.parametrize("digest", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_reads_ecdsa_with_every_good_hash(digest: hashes.HashAlgorithm) -> None:
    for suite in (Suite.P256, Suite.P521):
        assert csr.parse(signed_by(key(suite, "holder"), digest)).suite is suite


def test_reads_32_attributes() -> None:
    assert csr.parse(crowded(32)).common_name == EMAID


def test_names_what_it_ignores() -> None:
    subject = name((CN, EMAID), (O, "Evil"), (NameOID.DOMAIN_COMPONENT, "CPO"))
    extensions = (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName("evil.example")]),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"),
    )
    assert csr.parse(der_of(request(subject=subject, extensions=extensions))).ignored == (
        "subject O",
        "subject DC",
        "extension BasicConstraints",
        "extension SubjectAlternativeName",
        "extension 1.3.6.1.4.1.99999.1",
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name((CN, EMAID)))
    for kind, value in (("1.2.840.113549.1.9.7", b"secret"), ("1.3.6.1.4.1.311.13.2.3", b"10.0")):
        builder = builder.add_attribute(x509.ObjectIdentifier(kind), value)
    made = builder.sign(key(Suite.P256, "holder"), hashes.SHA256())
    assert sorted(csr.parse(der_of(made)).ignored) == [
        "attribute 1.3.6.1.4.1.311.13.2.3",
        "attribute challengePassword",
    ]


def test_writes_a_compressed_point_out() -> None:
    holder = public_key(Suite.P256, "holder")
    point = holder.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    spki = sequence(pieces(build.spki(holder))[0], encode(0x03, b"\0" + point))
    assert csr.parse(by_hand(spki=spki)).spki == build.spki(holder)


@pytest.mark.parametrize("tag", [0x0C, 0x13, 0x16])
def test_reads_a_common_name_of_any_string_type(tag: int) -> None:
    assert csr.parse(with_common_name(tag, EMAID.encode())).common_name == EMAID


# --- what is refused -----------------------------------------------------------------------------


def hybrid() -> bytes:
    holder = public_key(Suite.P256, "holder")
    plain = holder.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    point = bytes((6 + plain[-1] % 2,)) + plain[1:]
    return sequence(pieces(build.spki(holder))[0], encode(0x03, b"\0" + point))


def explicit_curve() -> bytes:
    """Return the P-256 key with the parameters of its curve written out (RFC 3279 2.3.5)."""
    prime = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    generator = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    octets = generator.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    field = sequence(bytes.fromhex("06072a8648ce3d0101"), encode(0x02, b"\0" + prime.to_bytes(32)))
    curve = sequence(encode(0x04, (prime - 3).to_bytes(32)), encode(0x04, b.to_bytes(32)))
    parameters = sequence(
        b"\x02\x01\x01",
        field,
        curve,
        encode(0x04, octets),
        encode(0x02, b"\0" + order.to_bytes(32)),
        b"\x02\x01\x01",
    )
    key_bits = pieces(build.spki(public_key(Suite.P256, "holder")))[1]
    return sequence(sequence(bytes.fromhex("06072a8648ce3d0201"), parameters), key_bits)


@dataclass(frozen=True, slots=True)
class Refused:
    name: str
    code: str
    make: Callable[[], bytes]


PEM = request().public_bytes(Encoding.PEM)
DER = der_of(request())
ED448_WITH_NULL = sequence(bytes.fromhex("300706032b65710500"), b"\x03\x3a\0" + bytes(57))
REFUSED = [
    Refused("empty", "csr_unreadable", lambda: b""),
    Refused("text", "csr_unreadable", lambda: b"hello"),
    Refused("one_octet", "csr_unreadable", lambda: b"\x30"),
    Refused("too_large", "csr_too_large", lambda: b"\x30" * (csr.MAX_SIZE + 1)),
    Refused("padded_pem", "csr_too_large", lambda: PEM + b" " * csr.MAX_SIZE),
    Refused("nested_sequences", "csr_unreadable", lambda: b"\x30\x80" * 8000),
    Refused("nested_definite", "csr_unreadable", lambda: nested(3000)),
    Refused("two_blocks", "csr_unreadable", lambda: PEM + PEM),
    Refused("cut_second_block", "csr_unreadable", lambda: PEM + PEM[:60]),
    Refused("no_end", "csr_unreadable", lambda: PEM[:-20]),
    Refused("certificate", "csr_unreadable", lambda: PEM.replace(b" REQUEST", b"")),
    Refused("other_label", "csr_unreadable", lambda: PEM.replace(b"N CE", b"N MY CE")),
    Refused(
        "not_base64",
        "csr_unreadable",
        lambda: PEM.replace(b"MII", b"M*I").replace(b"\nMI", b"\nM*"),
    ),
    Refused("trailing_octet", "csr_unreadable", lambda: DER + b"\0"),
    Refused("truncated", "csr_unreadable", lambda: DER[:-1]),
    Refused("version_2", "csr_unreadable", lambda: by_hand(version=b"\x02\x01\x01")),
    Refused("set_outside", "csr_unreadable", lambda: b"\x31" + DER[1:]),
    Refused("broken_extensions", "csr_unreadable", lambda: by_hand(attributes=broken_extensions())),
    Refused("bit_string_name", "csr_unreadable", lambda: with_common_name(0x03, b"\0abc")),
    Refused("octet_string_name", "csr_unreadable", lambda: with_common_name(0x04, EMAID.encode())),
    Refused("time_for_a_name", "csr_unreadable", lambda: with_common_name(0x17, b"261201000000Z")),
    Refused("odd_bmp_name", "csr_unreadable", lambda: with_common_name(0x1E, b"abc")),
    Refused("invalid_utf8_name", "csr_unreadable", lambda: with_common_name(0x0C, b"\xff\xfe")),
    Refused("33_attributes", "csr_unreadable", lambda: crowded(33)),
    Refused("no_name", "common_name_count", lambda: der_of(request(subject=name((O, "x"))))),
    Refused(
        "two_names",
        "common_name_count",
        lambda: der_of(request(subject=name((CN, EMAID), (CN, EMAID)))),
    ),
    Refused("other_signature", "csr_signature_invalid", lambda: DER[:-1] + bytes((DER[-1] ^ 1,))),
    Refused("other_data", "csr_signature_invalid", lambda: DER.replace(b"DE8AA", b"DE8AB")),
    Refused(
        "rsa",
        "key_not_allowed",
        lambda: signed_by(rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    ),
    Refused(
        "dsa", "key_not_allowed", lambda: signed_by(dsa.generate_private_key(2048), hashes.SHA256())
    ),
    Refused(
        "ed25519",
        "key_not_allowed",
        lambda: signed_by(ed25519.Ed25519PrivateKey.generate(), None),
    ),
    Refused("ed448_with_null", "csr_unreadable", lambda: by_hand(spki=ED448_WITH_NULL)),
    Refused("p224", "key_not_allowed", lambda: on_curve(ec.SECP224R1())),
    Refused("p384", "key_not_allowed", lambda: on_curve(ec.SECP384R1())),
    Refused("secp256k1", "key_not_allowed", lambda: on_curve(ec.SECP256K1())),
    Refused("hybrid_point", "key_not_allowed", lambda: by_hand(spki=hybrid())),
    Refused("explicit_curve", "key_not_allowed", lambda: by_hand(spki=explicit_curve())),
    Refused(
        "unknown_key",
        "key_not_allowed",
        lambda: by_hand(spki=sequence(sequence(b"\x06\x03\x2a\x03\x04"), b"\x03\x02\x00\x01")),
    ),
    Refused(
        "sha3",
        "signature_algorithm_not_allowed",
        lambda: signed_by(key(Suite.P256, "holder"), hashes.SHA3_256()),
    ),
    Refused(
        "sha1",
        "signature_algorithm_not_allowed",
        lambda: sequence(pieces(DER)[0], bytes.fromhex("300906072a8648ce3d0401"), pieces(DER)[2]),
    ),
    Refused(
        "ed448_named_for_an_ec_key",
        "signature_algorithm_not_allowed",
        lambda: sequence(pieces(DER)[0], bytes.fromhex("300506032b6571"), pieces(DER)[2]),
    ),
]


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = encode(0x30, data)
    return data


def broken_extensions() -> bytes:
    """Return an extensionRequest that names one extension twice."""
    extension = sequence(bytes.fromhex("0603551d13"), encode(0x04, b"\x30\x00"))
    values = encode(0x31, sequence(extension, extension))
    return encode(0xA0, sequence(bytes.fromhex("06092a864886f70d01090e"), values))


def crowded(count: int) -> bytes:
    others = [(O, f"o{number}") for number in range(count - 1)]
    return der_of(request(subject=name((CN, EMAID), *others)))


def on_curve(curve: ec.EllipticCurve) -> bytes:
    return signed_by(ec.generate_private_key(curve), hashes.SHA256())


@pytest.mark.parametrize("refused", REFUSED, ids=lambda refused: refused.name)
def test_refuses_with_a_code_of_its_own(refused: Refused) -> None:
    assert code_of(refused.make()) == refused.code


def test_refusals_are_client_errors_of_two_kinds() -> None:
    with pytest.raises(BadInput):
        csr.parse(DER[:-1])
    with pytest.raises(PolicyViolation):
        csr.parse(on_curve(ec.SECP224R1()))


def test_the_holder_of_an_ed448_key_must_sign_too() -> None:
    other = ed448.Ed448PrivateKey.generate()
    info, algorithm, _ = pieces(der_of(request(Suite.ED448)))
    forged = sequence(info, algorithm, encode(0x03, b"\0" + other.sign(info)))
    assert code_of(forged) == "csr_signature_invalid"


# --- common names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "edition", "given", "written"),
    [
        (Kind.CONTRACT, Edition.ISO2, "de-8aa-c1a2b3c4d-5", "DE8AAC1A2B3C4D5"),
        (Kind.CONTRACT, Edition.ISO2, "DE8AAC1A2B3C4D", "DE8AAC1A2B3C4D"),
        (Kind.CONTRACT, Edition.ISO20, "de8aac" + "a" * 30, "DE8AAC" + "A" * 30),
        (Kind.SECC, Edition.ISO2, "de*abc*e45b*78c", "DE*ABC*E45B*78C"),
        (Kind.PE_SECC, Edition.ISO20, "DEABCS1", "DEABCS1"),
        (Kind.OEM, Edition.ISO2, "wp0zzz99zts392124", "WP0ZZZ99ZTS392124"),
        (Kind.VEHICLE, Edition.ISO20, "wp0v0123456789abcde", "WP0V0123456789ABCDE"),
        (Kind.CPS, Edition.ISO2, "Provisioning 1", "Provisioning 1"),
        (Kind.V2G_ROOT, Edition.ISO2, "Demo V2G Root", "Demo V2G Root"),
        (Kind.STATION, Edition.ISO2, "SN-0042.a", "SN-0042.a"),
        (Kind.CSMS, Edition.ISO2, "CSMS.Example.com", "csms.example.com"),
    ],
)
def test_common_name_is_written_in_its_canonical_form(
    kind: Kind, edition: Edition, given: str, written: str
) -> None:
    assert csr.check_common_name(find(kind, edition), given) == written
    assert csr.check_common_name(find(kind, edition), written) == written


@pytest.mark.parametrize(
    ("kind", "edition", "code"),
    [
        (Kind.CONTRACT, Edition.ISO2, "invalid_emaid"),
        (Kind.STATION, Edition.ISO2, "invalid_station_serial"),
        (Kind.CSMS, Edition.ISO2, "invalid_host_name"),
        (Kind.SECC, Edition.ISO2, "invalid_secc_id"),
        (Kind.OEM, Edition.ISO2, "invalid_pcid"),
        (Kind.VEHICLE, Edition.ISO20, "invalid_evcc_id"),
        (Kind.CPS, Edition.ISO2, "invalid_common_name"),
    ],
)
@pytest.mark.parametrize(
    "text", ["", "<b>", "DE8AAC1A2B3C4D5\0", "\uff24\uff258AAC1A2B3C4D5", "x" * 70_000]
)
def test_hostile_common_name_is_refused_with_the_code_of_its_pattern(
    kind: Kind, edition: Edition, code: str, text: str
) -> None:
    with pytest.raises(BadInput) as error:
        csr.check_common_name(find(kind, edition), text)
    assert error.value.code == code


# --- hostile input -------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_every_mutation_of_a_request_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(DER)
    for at, octet in changes:
        mutated[at % len(mutated)] = octet
    try:
        parsed = csr.parse(bytes(mutated))
    except (BadInput, PolicyViolation) as refused:
        assert refused.code  # noqa: PT017 - either outcome is right
    else:
        assert bytes(mutated) == DER or parsed.common_name == EMAID


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda body: b"\x30" + body))
def test_no_random_octets_are_a_request(data: bytes) -> None:
    assert code_of(data) == "csr_unreadable"


SHARED = Path(__file__).parents[3] / "shared" / "vectors"
VECTORS = Path(os.environ.get("PNC_VECTORS", SHARED)) / "malformed"


def vector_cases() -> list[object]:
    manifest = VECTORS / "manifest.json"
    if not manifest.is_file():
        reason = "no shared vectors here; name their folder in PNC_VECTORS"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason), id="absent")]
    cases = json.loads(manifest.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if case["kind"] == "csr"]


@pytest.mark.parametrize("case", vector_cases())
def test_shared_vector_is_judged_as_expected(case: dict[str, str]) -> None:
    data = (VECTORS / case["file"]).read_bytes()
    try:
        parsed = csr.parse(data)
        csr.check_common_name(find(Kind.CONTRACT, parsed.suite.edition), parsed.common_name)
        outcome = "accept"
    except (BadInput, PolicyViolation):
        outcome = "reject"
    if case["expect"] in {"accept", "reject"}:
        assert outcome == case["expect"]
    else:
        assert case["expect"] in {"either", "either-no-ca"}
