"""Certificates, CRLs and OCSP answers for tests, good by default, with anything put in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from pki.pkix.certificate import Certificate, load
from pki.pkix.crl_check import Crl, read

NOW = dt.datetime(2026, 6, 1, 12, 0, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
YEAR = 365 * DAY
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"

Key = (
    ec.EllipticCurvePrivateKey
    | ed448.Ed448PrivateKey
    | ed25519.Ed25519PrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
)
Extensions = Sequence[tuple[x509.ExtensionType, bool]]
NUMBER_1: Extensions = ((x509.CRLNumber(1), False),)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A certificate with its key."""

    certificate: Certificate
    key: Key = field(repr=False)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{one: one in names for one in _USES})


def ca(
    subject: str,
    issuer: Held | None = None,
    *,
    extra: Extensions = (),
    path_length: int | None = None,
    uses: tuple[str, ...] | None = ("key_cert_sign", "crl_sign"),
    critical: bool = True,
    **rest: Any,
) -> Held:
    """Make a CA; without an issuer it is a root."""
    basic: Extensions = ((x509.BasicConstraints(ca=True, path_length=path_length), critical),)
    limits: Extensions = () if uses is None else ((usage(*uses), True),)
    return certificate(subject, issuer, extra=(*basic, *limits, *extra), **rest)


def leaf(subject: str, issuer: Held, *, extra: Extensions = (), **rest: Any) -> Held:
    """Make an end-entity certificate."""
    return certificate(subject, issuer, extra=extra, **rest)


def certificate(
    subject: str | x509.Name,
    issuer: Held | None,
    *,
    extra: Extensions = (),
    key: Key | None = None,
    not_before: dt.datetime = NOW - YEAR,
    not_after: dt.datetime = NOW + YEAR,
    serial: int | None = None,
    key_ids: bool = True,
    digest: hashes.HashAlgorithm | None = None,
    pss: padding.PSS | None = None,
) -> Held:
    """Sign a certificate with exactly these extensions and, by default, key identifiers."""
    key = key or new_key()
    signer = issuer.key if issuer else key
    subject_name = name(subject) if isinstance(subject, str) else subject
    public: Any = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(issuer.certificate.x509.subject if issuer else subject_name)
        .public_key(public)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    if key_ids:
        ski = x509.SubjectKeyIdentifier.from_public_key(public)
        builder = builder.add_extension(ski, critical=False)
        if issuer is not None and issuer.certificate.key_id is not None:
            aki = x509.AuthorityKeyIdentifier(issuer.certificate.key_id, None, None)
            builder = builder.add_extension(aki, critical=False)
    made = builder.sign(signer, _digest(signer, digest), rsa_padding=pss)
    return Held(certificate=load(made.public_bytes(Encoding.DER)), key=key)


def _digest(key: Key, wanted: hashes.HashAlgorithm | None) -> Any:
    edwards = isinstance(key, ed448.Ed448PrivateKey | ed25519.Ed25519PrivateKey)
    return None if edwards else wanted or hashes.SHA256()


def crl(
    issuer: Held,
    *revoked: Certificate,
    this_update: dt.datetime = NOW - DAY,
    next_update: dt.datetime = NOW + DAY,
    extra: Extensions = NUMBER_1,
    reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
    signer: Held | None = None,
) -> Crl:
    """Sign a complete CRL."""
    return read(crl_der(issuer, *revoked, this_update=this_update, next_update=next_update,
                        extra=extra, reason=reason, signer=signer))  # fmt: skip


def crl_der(
    issuer: Held,
    *revoked: Certificate,
    this_update: dt.datetime = NOW - DAY,
    next_update: dt.datetime = NOW + DAY,
    extra: Extensions = NUMBER_1,
    reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
    signer: Held | None = None,
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.x509.subject)
        .last_update(this_update)
        .next_update(next_update)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial)
        entry = entry.revocation_date(this_update)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    key: Any = (signer or issuer).key
    return builder.sign(key, _digest(key, None)).public_bytes(Encoding.DER)


def answer(
    subject: Held,
    issuer: Held,
    signer: Held,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    this_update: dt.datetime = NOW - DAY,
    next_update: dt.datetime | None = NOW + DAY,
    reason: x509.ReasonFlags | None = None,
    by_key: bool = False,
    algorithm: hashes.HashAlgorithm | None = None,
    certificates: Sequence[Held] = (),
    extra: Extensions = (),
    digest: hashes.HashAlgorithm | None = None,
) -> bytes:
    """Sign an OCSP answer; `certificates` come with it."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    encoding = ocsp.OCSPResponderEncoding.HASH if by_key else ocsp.OCSPResponderEncoding.NAME
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=subject.certificate.x509,
            issuer=issuer.certificate.x509,
            algorithm=algorithm or hashes.SHA256(),
            cert_status=status,
            this_update=this_update,
            next_update=next_update,
            revocation_time=this_update if revoked else None,
            revocation_reason=reason,
        )
        .responder_id(encoding, signer.certificate.x509)
    )
    if certificates:
        builder = builder.certificates([held.certificate.x509 for held in certificates])
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    key: Any = signer.key
    return builder.sign(key, _digest(key, digest)).public_bytes(Encoding.DER)


def responder(issuer: Held, *, extra: Extensions = (), eku: bool = True, **rest: Any) -> Held:
    """Make a certificate that may answer for its issuer."""
    signing = x509.ExtendedKeyUsage([x509.ObjectIdentifier(OCSP_SIGNING)])
    uses: Extensions = ((signing, False),) if eku else ()
    return leaf("Responder", issuer, extra=(*uses, *extra), **rest)


__all__ = ["CLIENT_AUTH", "DAY", "NOW", "SERVER_AUTH", "YEAR", "Held"]
