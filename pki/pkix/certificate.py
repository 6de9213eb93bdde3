"""
Certificates as presented: read tolerantly where real ones deviate, refused where they are broken.

One deviation is read all the same: BasicConstraints with cA FALSE written out, which is not DER
but stands in the contract leaves of the largest ecosystem. It is named in `deviations`.
"""

from __future__ import annotations

import datetime as dt
import warnings
from dataclasses import dataclass, field
from typing import Final, TypeVar
from unicodedata import category, normalize

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from pki.errors import BadInput
from pki.ids import Emaid, Fingerprint, SerialNumber
from pki.pkix.der import (
    DerError,
    element_at,
    slice_certificate,
    why,
    without_explicit_ca_false,
)
from pki.pkix.suites import Suite, suite_of

MAX_CERTIFICATE_SIZE: Final = 16 * 1024
"""Octets; ten times what ISO 15118-20 allows, room for foreign anchors."""

CA_FALSE_WRITTEN_OUT: Final = "basicConstraints writes cA FALSE explicitly (not DER)"

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

NormalName = tuple[frozenset[tuple[str, str]], ...]

Extensions = x509.Extensions
"""Inside `Certificate`, `x509` is one of its fields."""

_KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicConstraints:
    """RFC 5280 4.2.1.9."""

    ca: bool
    path_length: int | None
    critical: bool


@dataclass(slots=True)
class Later:
    """Parts of a certificate that cost more than the rest and are not always asked for."""

    public_key: object = None
    extensions: x509.Extensions | None = None
    emaid: Emaid | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Certificate:
    """
    A parsed certificate; two are equal if their octets are.

    Attributes:
        suite: None where the key is none that ISO 15118 knows.
        named_curve: the key is encoded in its one canonical form (named curve, uncompressed point).
        key_usage: names as in `cryptography`; None where the extension is absent.
        key_id, authority_key_id: octets as they stand, never recomputed (issuers choose their own).
        not_before: the year 0 is read as the first moment of the year 1.
        deviations: what was read although the encoding is wrong.
        extension_oids: in their order.
        tbs, signature: what was signed, and the signature's octets.
        shape: what leaves that look alike share (`pki.pkix.leaves`), or None.
    """

    der: bytes
    fingerprint: Fingerprint = field(compare=False)
    version: int = field(compare=False)
    serial: int = field(compare=False)
    subject: bytes = field(compare=False)
    issuer: bytes = field(compare=False)
    normal_subject: NormalName = field(compare=False)
    normal_issuer: NormalName = field(compare=False)
    subject_text: str = field(compare=False)
    common_names: tuple[str, ...] = field(compare=False)
    domain_components: tuple[str, ...] = field(compare=False)
    not_before: dt.datetime = field(compare=False)
    not_after: dt.datetime = field(compare=False)
    spki: bytes = field(compare=False)
    suite: Suite | None = field(compare=False)
    named_curve: bool = field(compare=False)
    signature_oid: str = field(compare=False)
    basic_constraints: BasicConstraints | None = field(compare=False)
    key_usage: frozenset[str] | None = field(compare=False)
    key_usage_critical: bool = field(compare=False)
    extended_key_usage: tuple[str, ...] | None = field(compare=False)
    key_id: bytes | None = field(compare=False)
    authority_key_id: bytes | None = field(compare=False)
    extension_oids: tuple[str, ...] = field(compare=False)
    deviations: tuple[str, ...] = field(compare=False)
    tbs: bytes = field(compare=False, repr=False)
    signature: bytes = field(compare=False, repr=False)
    x509: x509.Certificate = field(compare=False, repr=False)
    later: Later = field(compare=False, repr=False)
    shape: object = field(default=None, compare=False, repr=False)

    def __eq__(self, other: object) -> bool:
        """Compare the octets."""
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        """Hash the octets, whose hash Python keeps."""
        return hash(self.der)

    @property
    def public_key(self) -> object:
        """The key, read once."""
        held = self.later
        if held.public_key is None:
            held.public_key = self.x509.public_key()
        return held.public_key

    @property
    def extensions(self) -> Extensions:
        """All of them, also where `x509.extensions` cannot read the deviation."""
        held = self.later
        if held.extensions is None:
            held.extensions = self.x509.extensions
        return held.extensions

    @property
    def is_ca(self) -> bool:
        """Tell whether BasicConstraints says cA TRUE."""
        return self.basic_constraints is not None and self.basic_constraints.ca

    @property
    def self_issued(self) -> bool:
        """Tell whether subject and issuer are the same name (RFC 5280 6.1)."""
        return self.normal_subject == self.normal_issuer

    @property
    def serial_number(self) -> SerialNumber:
        """The serial; raises BadInput for one that RFC 5280 4.1.2.2 forbids."""
        return SerialNumber.from_int(self.serial)


def load(der: bytes) -> Certificate:
    """
    Parse one DER certificate completely, extensions included.

    Raises:
        BadInput: `unreadable`, with the parser's reason in a safe form.
    """
    if len(der) > MAX_CERTIFICATE_SIZE:
        raise _unreadable(f"it has {len(der)} octets, more than {MAX_CERTIFICATE_SIZE}")
    try:
        with warnings.catch_warnings():
            # cryptography warns of odd serials and naive forms; the questions after this judge them
            warnings.simplefilter("ignore")
            return _load(der)
    except BadInput:
        raise
    except Exception as error:  # the parsers raise at least six unrelated types on hostile input
        raise _unreadable(why(error)) from error


def _unreadable(reason: str) -> BadInput:
    return BadInput("unreadable", f"The certificate cannot be read: {reason}.")


def _load(der: bytes) -> Certificate:
    slices = slice_certificate(der)
    certificate = x509.load_der_x509_certificate(der)
    extensions, deviations = _extensions(certificate, der)
    public_key = certificate.public_key()
    named_spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    _require_named_curve(public_key, slices.spki, named_spki)
    key_usage = _value(extensions, x509.KeyUsage)
    eku = _value(extensions, x509.ExtendedKeyUsage)
    ski = _value(extensions, x509.SubjectKeyIdentifier)
    aki = _value(extensions, x509.AuthorityKeyIdentifier)
    return Certificate(
        der=der,
        fingerprint=Fingerprint.of(der),
        version=certificate.version.value + 1,
        serial=certificate.serial_number,
        subject=slices.subject,
        issuer=slices.issuer,
        normal_subject=normal_name(certificate.subject),
        normal_issuer=normal_name(certificate.issuer),
        subject_text=_printable(certificate.subject.rfc4514_string()),
        common_names=_attributes(certificate.subject, NameOID.COMMON_NAME),
        domain_components=_attributes(certificate.subject, NameOID.DOMAIN_COMPONENT),
        not_before=_begin(certificate),
        not_after=certificate.not_valid_after_utc,
        spki=slices.spki,
        suite=suite_of(public_key),
        named_curve=slices.spki == named_spki,
        signature_oid=certificate.signature_algorithm_oid.dotted_string,
        basic_constraints=_basic_constraints(extensions),
        key_usage=_key_usage(key_usage),
        key_usage_critical=_critical(extensions, x509.KeyUsage),
        extended_key_usage=None if eku is None else tuple(oid.dotted_string for oid in eku),
        key_id=None if ski is None else ski.digest,
        authority_key_id=None if aki is None else aki.key_identifier,
        extension_oids=tuple(extension.oid.dotted_string for extension in extensions),
        deviations=deviations,
        tbs=slices.tbs,
        signature=certificate.signature,
        x509=certificate,
        later=Later(public_key, extensions),
    )


def _require_named_curve(key: object, spki: bytes, named_spki: bytes) -> None:
    """
    Insist on a curve by its name, and on a point that is compressed or not (RFC 5480 2.1.1, 2.2).

    The strict parser also reads curves that are written out, and hybrid points.
    """
    if spki == named_spki or not isinstance(key, ec.EllipticCurvePublicKey):
        return
    if _algorithm(spki) != _algorithm(named_spki):
        raise DerError("the curve of its key is not named")
    if not spki.endswith(key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)):
        raise DerError("the point of its key has the hybrid form")


def _algorithm(spki: bytes) -> bytes:
    whole = element_at(spki, 0, len(spki))
    first = element_at(spki, whole.body, whole.end)
    return spki[first.start : first.end]


def _begin(certificate: x509.Certificate) -> dt.datetime:
    """Return notBefore; Python knows no year 0, which certificates valid since ever carry."""
    try:
        return certificate.not_valid_before_utc
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def _extensions(
    certificate: x509.Certificate, der: bytes
) -> tuple[x509.Extensions, tuple[str, ...]]:
    try:
        return certificate.extensions, ()
    except ValueError:
        repaired = without_explicit_ca_false(der)
        if repaired is None:
            raise
    return x509.load_der_x509_certificate(repaired).extensions, (CA_FALSE_WRITTEN_OUT,)


def _value(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _critical(extensions: x509.Extensions, kind: type[x509.ExtensionType]) -> bool:
    try:
        return extensions.get_extension_for_class(kind).critical
    except x509.ExtensionNotFound:
        return False


def _basic_constraints(extensions: x509.Extensions) -> BasicConstraints | None:
    value = _value(extensions, x509.BasicConstraints)
    if value is None:
        return None
    return BasicConstraints(
        ca=value.ca,
        path_length=value.path_length,
        critical=_critical(extensions, x509.BasicConstraints),
    )


def _key_usage(value: x509.KeyUsage | None) -> frozenset[str] | None:
    if value is None:
        return None
    names = {name for name in _KEY_USAGES if getattr(value, name)}
    if value.key_agreement:
        names |= {name for name in ("encipher_only", "decipher_only") if getattr(value, name)}
    return frozenset(names)


def _attributes(name: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(_text(attribute.value) for attribute in name.get_attributes_for_oid(oid))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


def _printable(text: str) -> str:
    """Escape what could break a log line or a page."""
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)


def normal_name(name: x509.Name) -> NormalName:
    """Return a name in the form that RFC 5280 7.1 compares: prepared as RFC 4518 has it."""
    return tuple(
        frozenset(
            (attribute.oid.dotted_string, _prepared(_text(attribute.value))) for attribute in rdn
        )
        for rdn in name.rdns
    )


def _prepared(text: str) -> str:
    """Fold case, compose, drop what is not seen and collapse white space (RFC 4518 2.2 to 2.6)."""
    if not (text.isascii() and text.isprintable()):
        text = normalize("NFKC", "".join(map(_mapped, text)).casefold())
    return " ".join(text.casefold().split())


def _mapped(character: str) -> str:
    """RFC 4518 2.2: separators and line breaks are spaces, other controls are nothing."""
    if character in _BREAKS or category(character) in ("Zs", "Zl", "Zp"):
        return " "
    return "" if character in _UNSEEN or category(character) in ("Cc", "Cf") else character


_BREAKS: Final = frozenset("\t\n\v\f\r\x85")
_UNSEEN: Final = frozenset((*map(chr, range(0xFE00, 0xFE10)), *"\u034f\u180b\u180c\u180d\ufffc"))
