"""Chains for tests, good by default, with one override per defect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.x509.oid import NameOID

from pki.pkix.certificate import Certificate, load
from pki.pkix.suites import Suite, generate

NOW = dt.datetime(2026, 6, 1, 12, 0, 0, tzinfo=dt.UTC)
YEAR = dt.timedelta(days=365)
EMAID = "DEMOAC12345678"

CA_USAGE = ("key_cert_sign", "crl_sign")
CONTRACT_USAGE = ("digital_signature", "content_commitment", "key_encipherment", "key_agreement")
_USAGES = (
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

Key = ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What one certificate says; the defaults are those of a good sub-CA."""

    common_name: str = "CA"
    common_names: tuple[str, ...] | None = None
    domain_component: str | None = None
    ca: bool | None = True
    path_length: int | None = None
    key_usage: tuple[str, ...] | None = CA_USAGE
    extended_key_usage: tuple[str, ...] = ()
    not_before: dt.datetime = NOW - YEAR
    not_after: dt.datetime = NOW + YEAR
    suite: Suite = Suite.P256
    key: Key | None = None
    authority_key_id: bytes | None = None
    digest: hashes.HashAlgorithm | None = None
    critical_unknown: bool = False
    serial: int | None = None


@dataclass(frozen=True, kw_only=True)
class Made:
    certificate: Certificate
    key: Key = field(repr=False)

    @property
    def der(self) -> bytes:
        return self.certificate.der


@dataclass(frozen=True, kw_only=True)
class Chain:
    leaf: Made
    sub_cas: tuple[Made, ...]
    root: Made

    @property
    def presented(self) -> tuple[bytes, ...]:
        return (self.leaf.der, *(made.der for made in self.sub_cas))


def make(spec: Spec, issuer: Made | None = None) -> Made:
    """Sign a certificate; without an issuer it signs itself."""
    key = spec.key or generate(spec.suite)
    name = _name(spec)
    signer = issuer.key if issuer else key
    issuer_name = issuer.certificate.x509.subject if issuer else name
    public: Any = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(public)
        .serial_number(spec.serial or x509.random_serial_number())
        .not_valid_before(spec.not_before)
        .not_valid_after(spec.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    if spec.ca is not None:
        length = spec.path_length if spec.ca else None
        builder = builder.add_extension(x509.BasicConstraints(spec.ca, length), critical=True)
    if spec.key_usage is not None:
        usage = x509.KeyUsage(**{name: name in spec.key_usage for name in _USAGES})
        builder = builder.add_extension(usage, critical=True)
    if spec.extended_key_usage:
        oids = [x509.ObjectIdentifier(oid) for oid in spec.extended_key_usage]
        builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=False)
    if spec.critical_unknown:
        odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
        builder = builder.add_extension(odd, critical=True)
    key_id = spec.authority_key_id or (issuer.certificate.key_id if issuer else None)
    if key_id is not None:
        aki = x509.AuthorityKeyIdentifier(key_id, None, None)
        builder = builder.add_extension(aki, critical=False)
    digest: Any = spec.digest or _digest(signer)
    return Made(certificate=load(_der(builder.sign(signer, digest))), key=key)


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return certificate.public_bytes(Encoding.DER)


def _name(spec: Spec) -> x509.Name:
    names = spec.common_names if spec.common_names is not None else (spec.common_name,)
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
    attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"))
    if spec.domain_component:
        attributes.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, spec.domain_component))
    return x509.Name(attributes)


def _digest(key: Key) -> hashes.HashAlgorithm | None:
    if isinstance(key, ed448.Ed448PrivateKey):
        return None
    wide = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp521r1"
    return hashes.SHA512() if wide else hashes.SHA256()


def chain(
    *,
    suite: Suite = Suite.P256,
    sub_cas: int = 2,
    leaf: Mapping[str, Any] | None = None,
    lowest: Mapping[str, Any] | None = None,
    highest: Mapping[str, Any] | None = None,
    root: Mapping[str, Any] | None = None,
) -> Chain:
    """
    Make a contract chain: root, `sub_cas` sub-CAs, contract leaf.

    `leaf`, `lowest` (the leaf's issuer), `highest` (below the root) and `root` override fields of
    their `Spec`; each test states its one defect there.
    """
    top = make(replace(Spec(common_name="MO Root", suite=suite), **dict(root or {})))
    made: list[Made] = []
    for depth in range(sub_cas):
        spec = Spec(
            common_name=f"MO Sub-CA {depth + 1}", suite=suite, path_length=sub_cas - 1 - depth
        )
        if depth == 0:
            spec = replace(spec, **dict(highest or {}))
        if depth == sub_cas - 1:
            spec = replace(spec, **dict(lowest or {}))
        made.append(make(spec, made[-1] if made else top))
    bottom = Spec(common_name=EMAID, suite=suite, ca=False, key_usage=CONTRACT_USAGE)
    end = make(replace(bottom, **dict(leaf or {})), made[-1] if made else top)
    return Chain(leaf=end, sub_cas=tuple(reversed(made)), root=top)
