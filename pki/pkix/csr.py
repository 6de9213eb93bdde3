"""
Certification requests (PKCS #10, RFC 2986): a public key, proof that its owner asks, and a CN.

Nothing else of a CSR is ever copied; what it asked for besides is named in `ignored`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from pki.errors import BadInput, PkiError, PolicyViolation
from pki.ids import CpsName, Emaid, EvccId, HostName, Pcid, SeccId, StationSerial
from pki.pkix import alternate, build, pem
from pki.pkix.csr_cut import cut
from pki.pkix.der import SEQUENCE, DerError, Element, children, element_at, encode, oid_text
from pki.pkix.profiles import Profile
from pki.pkix.suites import PublicKey, Suite, key_of, suite_of, verifies

MAX_SIZE: Final = 16 * 1024
"""Octets, armour included; real requests have some 300."""

MAX_ATTRIBUTES: Final = 32
"""Attributes of the subject; real requests have up to seven."""

_ECDSA: Final = frozenset(
    (
        "1.2.840.10045.4.3.2",  # with SHA-256
        "1.2.840.10045.4.3.3",  # with SHA-384
        "1.2.840.10045.4.3.4",  # with SHA-512
    )
)
_SIGNATURES: Final = {
    Suite.P256: _ECDSA,
    Suite.P521: _ECDSA,
    Suite.ED448: frozenset((Suite.ED448.signature_oid,)),
}
_Attribute = x509.NameAttribute[str | bytes]
_MARKERS: Final = (
    b"-----BEGIN CERTIFICATE REQUEST-----",
    b"-----BEGIN NEW CERTIFICATE REQUEST-----",
)
_EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"
_ATTRIBUTE_NAMES: Final = {  # RFC 2985 5.4
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.7": "challengePassword",
}
_BIT_STRING: Final = 0x03
_VERSION_1: Final = bytes.fromhex("020100")
_COMMON_NAME: Final = bytes.fromhex("0603550403")
_STRING_TAGS: Final = frozenset((0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E))
"""UTF8, Numeric, Printable, Teletex, IA5, Visible, Universal and BMPString."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """
    What we take from a CSR whose signature verified.

    Attributes:
        spki: DER SubjectPublicKeyInfo, re-encoded with named curve and uncompressed point.
        common_name: as it stands; `check_common_name` judges it.
        alternate_key: X448 key of an extension request for one; nothing proves that its owner asks.
        ignored: what it asked for and does not get, such as `subject O`, `extension KeyUsage`,
            `attribute challengePassword`.
    """

    public_key: PublicKey = field(compare=False)
    suite: Suite
    spki: bytes
    common_name: str
    ignored: tuple[str, ...]
    alternate_key: x448.X448PublicKey | None = field(compare=False, default=None)


def parse(data: bytes) -> CertificateRequest:
    """
    Read a CSR, DER or one PEM block, and prove that the owner of its key signed it.

    The same octets are read once: who asks for consent, or queues an answer, reads them twice.

    Raises:
        BadInput: `csr_too_large`, `csr_unreadable`, `csr_signature_invalid`, `common_name_count`.
        PolicyViolation: `key_not_allowed`, `signature_algorithm_not_allowed`.
    """
    if len(data) > MAX_SIZE:
        raise BadInput(
            "csr_too_large", f"The request has {len(data)} octets, more than {MAX_SIZE}."
        )
    return _parsed(data)


@lru_cache(maxsize=64)
def _parsed(data: bytes) -> CertificateRequest:
    try:
        der = _der(data)
        usual = _usual(der)
        if usual is not None:
            return usual
        return read_strictly(der)
    except PkiError:
        raise
    except Exception as error:  # the parsers raise at least six unrelated types on hostile input
        raise _unreadable(f"it is broken ({type(error).__name__})") from error


def check_common_name(profile: Profile, text: str) -> str:
    """
    Return the CN as it will be written under the profile.

    Raises:
        BadInput: `invalid_emaid`, `invalid_secc_id`, `invalid_pcid`, `invalid_evcc_id`,
            `invalid_station_serial`, `invalid_host_name`, `invalid_common_name`, whichever the
            profile's pattern is.
    """
    match profile.common_name:
        case "emaid":
            return Emaid.parse(text, profile.edition).normalised
        case "pcid":
            return Pcid.parse(text, profile.edition).value
        case other:
            return _PATTERNS[other].parse(text).value


class _Named(Protocol):
    @property
    def value(self) -> str: ...


class _Pattern(Protocol):
    def parse(self, text: str, /) -> _Named: ...


_PATTERNS: Final[Mapping[str, _Pattern]] = {
    "secc_id": SeccId,
    "evcc_id": EvccId,
    "station": StationSerial,
    "host": HostName,
    "name": CpsName,  # no pattern is fixed
}


def _der(data: bytes) -> bytes:
    if data[:1] == b"\x30":
        return data
    if data.count(b"-----BEGIN ") != 1 or not any(marker in data for marker in _MARKERS):
        raise _unreadable("it is neither DER nor one PEM block CERTIFICATE REQUEST")
    try:
        return pem.one(data, "CERTIFICATE REQUEST")
    except BadInput as error:
        raise _unreadable("its PEM armour is broken") from error


def _usual(der: bytes) -> CertificateRequest | None:
    """Return what `read_strictly` would of a request of the usual form, for less, or None."""
    found = cut(der)
    public_key = key_of(found.suite, found.point) if found is not None else None
    if found is None or public_key is None:
        return None
    if not verifies(public_key, found.signature, found.signed):
        raise _not_signed()
    return CertificateRequest(
        public_key=public_key,
        suite=found.suite,
        spki=found.spki,
        common_name=found.common_name,
        ignored=(),
    )


def _not_signed() -> BadInput:
    return BadInput(
        "csr_signature_invalid",
        "The signature of the request does not verify under its own key.",
        hint="Make the request anew with the key that the certificate is for.",
    )


def read_strictly(der: bytes) -> CertificateRequest:
    """Read any DER request as `parse` does; other exceptions than PkiError: it is broken."""
    with warnings.catch_warnings():
        # what cryptography merely warns of is judged here
        warnings.simplefilter("ignore")
        return _read(der)


def _read(der: bytes) -> CertificateRequest:
    subject, key, asked = _slice(der)
    request = x509.load_der_x509_csr(der)
    suite, public_key, spki = _key(request, key)
    if request.signature_algorithm_oid.dotted_string not in _SIGNATURES[suite]:
        raise PolicyViolation(
            "signature_algorithm_not_allowed",
            "The request is signed with an algorithm that does not belong to its key.",
            hint="Sign with ECDSA and SHA-256, SHA-384 or SHA-512, or with Ed448.",
        )
    if not _is_signed(request, public_key):
        raise _not_signed()
    attributes = list(request.subject)
    extensions = request.extensions
    return CertificateRequest(
        public_key=public_key,
        suite=suite,
        spki=spki,
        common_name=_common_name(attributes, der, subject),
        ignored=(*_ignored(attributes, extensions), *asked),
        alternate_key=alternate.find(extensions),
    )


def _is_signed(request: x509.CertificateSigningRequest, public_key: PublicKey) -> bool:
    """Tell whether the owner of the key signed the request; the algorithm was judged before."""
    signed, octets = request.signature, request.tbs_certrequest_bytes
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            digest = request.signature_hash_algorithm
            if digest is None:
                return False
            public_key.verify(signed, octets, ec.ECDSA(digest))
        else:
            public_key.verify(signed, octets)
    except InvalidSignature:
        return False
    return True


def _slice(der: bytes) -> tuple[Element, bytes, tuple[str, ...]]:
    """Return subject and key as they stand, and name attributes; refuse octets behind it all."""
    outer = element_at(der, 0, len(der))
    if outer.tag != SEQUENCE or outer.end != len(der):
        raise DerError("not one SEQUENCE")
    info = element_at(der, outer.body, outer.end)
    version, subject, key, *rest = children(der, info)
    if der[version.start : version.end] != _VERSION_1:
        raise _unreadable("its version is not 1")
    asked = (next(children(der, each), None) for part in rest for each in children(der, part))
    named = dict.fromkeys(oid_text(der[kind.body : kind.end]) for kind in asked if kind)
    others = (kind for kind in named if kind != _EXTENSION_REQUEST)
    return (
        subject,
        der[key.start : key.end],
        tuple(f"attribute {_ATTRIBUTE_NAMES.get(kind, kind)}" for kind in others),
    )


def _key(request: x509.CertificateSigningRequest, spki: bytes) -> tuple[Suite, PublicKey, bytes]:
    """Return the key and its one canonical encoding."""
    try:
        public_key = request.public_key()
    except UnsupportedAlgorithm as error:
        raise _key_not_allowed("is of an unknown kind") from error
    suite = suite_of(public_key)
    if suite is None or not isinstance(public_key, PublicKey):
        raise _key_not_allowed("is none of P-256, P-521 and Ed448")
    canonical = build.spki(public_key)
    if spki != canonical and spki != _compressed(public_key, canonical):
        raise _key_not_allowed("is not encoded as a named curve with a plain point")
    return suite, public_key, canonical


def _compressed(public_key: PublicKey, canonical: bytes) -> bytes | None:
    """Return the other encoding of a key that we read: with a compressed point."""
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        return None
    outer = element_at(canonical, 0, len(canonical))
    algorithm = element_at(canonical, outer.body, outer.end)
    point = public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    body = canonical[algorithm.start : algorithm.end] + encode(_BIT_STRING, b"\0" + point)
    return encode(SEQUENCE, body)


def _common_name(attributes: Sequence[_Attribute], der: bytes, subject: Element) -> str:
    if len(attributes) > MAX_ATTRIBUTES:
        raise _unreadable(f"its subject has more than {MAX_ATTRIBUTES} attributes")
    found = [attribute for attribute in attributes if attribute.oid == NameOID.COMMON_NAME]
    if len(found) != 1:
        raise BadInput(
            "common_name_count",
            f"The subject has {len(found)} common names, not one.",
            hint="Name the certificate in exactly one CN.",
        )
    value = found[0].value
    # cryptography decodes values that are no strings (octets, times) as if they were
    if isinstance(value, bytes) or _common_name_tag(der, subject) not in _STRING_TAGS:
        raise _unreadable("its common name is not a string")
    return value


def _common_name_tag(der: bytes, subject: Element) -> int:
    """Return the tag of the CN, of which there is one."""
    attributes = (
        tuple(children(der, attribute))
        for rdn in children(der, subject)
        for attribute in children(der, rdn)
    )
    return next(v.tag for oid, v in attributes if der[oid.start : oid.end] == _COMMON_NAME)


def _ignored(attributes: Sequence[_Attribute], extensions: x509.Extensions) -> tuple[str, ...]:
    named = [
        f"subject {attribute.rfc4514_attribute_name}"
        for attribute in attributes
        if attribute.oid != NameOID.COMMON_NAME
    ]
    wanted = [f"extension {_extension_name(e)}" for e in extensions]
    return tuple(dict.fromkeys(named + wanted))


def _extension_name(extension: x509.Extension[x509.ExtensionType]) -> str:
    if isinstance(extension.value, x509.UnrecognizedExtension):
        return extension.oid.dotted_string
    return type(extension.value).__name__


def _unreadable(why: str) -> BadInput:
    return BadInput(
        "csr_unreadable",
        f"The request cannot be read: {why}.",
        hint="Send a PKCS #10 request as PEM or DER.",
    )


def _key_not_allowed(why: str) -> PolicyViolation:
    return PolicyViolation(
        "key_not_allowed",
        f"The key of the request {why}.",
        hint="Use P-256 for ISO 15118-2, P-521 or Ed448 for ISO 15118-20.",
    )
