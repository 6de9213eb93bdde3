"""
The full lint: pkilint, in process, with waivers from `certs/waivers.toml`.

It costs milliseconds a certificate and is for twins and tests; `pki.pkix.lint` judges every one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from cryptography import x509

from pki.errors import BadInput
from pki.pkix.profiles import Kind, Profile
from pki.pkix.suites import Suite, suite_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A finding that ISO 15118 wants, on every certificate of these kinds with such a key."""

    code: str
    kinds: frozenset[Kind]
    suites: frozenset[Suite]
    clause: str
    why: str

    def covers(self, profile: Profile, suite: Suite | None) -> bool:
        """Tell whether the finding is expected of a certificate with a key of that suite."""
        return profile.kind in self.kinds and suite in self.suites


class WaiverError(ValueError):
    """The waiver file is wrong; says where."""


def full_lint(der: bytes) -> tuple[str, ...]:
    """
    Return the codes of pkilint's findings of severity WARNING and above, sorted, each once.

    Raises:
        BadInput: `unreadable`, for what pkilint cannot decode.
    """
    try:
        return _linter()(der)
    except ValueError as error:
        raise BadInput("unreadable", "The certificate cannot be read by pkilint.") from error


def unwaived(der: bytes, profile: Profile) -> tuple[str, ...]:
    """Return the findings that no waiver covers; empty means that the certificate may be issued."""
    suite = suite_of(x509.load_der_x509_certificate(der).public_key())
    allowed = {waiver.code for waiver in waivers().values() if waiver.covers(profile, suite)}
    return tuple(code for code in full_lint(der) if code not in allowed)


def crl_findings(der: bytes) -> tuple[str, ...]:
    """
    Return the codes of pkilint's findings on a CRL, of every severity; empty is as it should be.

    Only for CRLs of few entries: pkilint reads each into many objects.

    Raises:
        BadInput: `unreadable`.
    """
    try:
        return _crl_linter()(der)
    except ValueError as error:
        raise BadInput("unreadable", "The CRL cannot be read by pkilint.") from error


@cache
def _crl_linter() -> Callable[[bytes], tuple[str, ...]]:
    from pkilint import loader, pkix  # noqa: PLC0415 - it takes 0.2 s
    from pkilint.pkix import crl, extension, name  # noqa: PLC0415

    validators = crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    documents = loader.RFC5280CertificateListDocumentLoader()

    def lint(der: bytes) -> tuple[str, ...]:
        results = validators.validate(documents.load_der_document(der).root)
        codes = {str(d.finding.code) for r in results for d in r.finding_descriptions}
        return tuple(sorted(codes))

    return lint


@cache
def waivers() -> Mapping[str, Waiver]:
    """Return the waivers by code."""
    text = resources.files("certs").joinpath("waivers.toml").read_text(encoding="utf-8")
    return read_waivers(text)


def read_waivers(text: str) -> Mapping[str, Waiver]:
    """
    Read waivers from TOML in the form that `waivers.toml` explains in its head.

    Raises:
        WaiverError: unknown keys or values, a missing reason, a code named twice.
    """
    try:
        document = tomllib.loads(text)
        if set(document) != {"waiver"}:
            raise WaiverError("only [[waiver]] tables are allowed")
        found = [_waiver(entry) for entry in document["waiver"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WaiverError(f"{type(error).__name__}: {error}") from error
    by_code = {waiver.code: waiver for waiver in found}
    if len(by_code) != len(found):
        raise WaiverError("a code is waived twice")
    return MappingProxyType(by_code)


def _waiver(entry: dict[str, object]) -> Waiver:
    unknown = set(entry) - {"code", "kinds", "suites", "clause", "why"}
    if unknown:
        raise WaiverError(f"unknown: {', '.join(sorted(unknown))}")
    return Waiver(
        code=_text(entry, "code"),
        kinds=frozenset(map(Kind, _list(entry["kinds"]))),
        suites=frozenset(map(Suite, _list(entry.get("suites", list(Suite))))),
        clause=_text(entry, "clause"),
        why=_text(entry, "why"),
    )


def _text(entry: dict[str, object], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str) or not value.strip():
        raise WaiverError(f"{name} must be a text")
    return value


def _list(value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        raise WaiverError("kinds and suites must be lists")
    return value


@cache
def _linter() -> Callable[[bytes], tuple[str, ...]]:
    """Build pkilint's validators once, as its RFC 5280 linter does."""
    # imported here: it takes 0.2 s, which only those pay who lint
    from pkilint import loader, validation  # noqa: PLC0415
    from pkilint.pkix import certificate, extension, name  # noqa: PLC0415

    validators = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    documents = loader.RFC5280CertificateDocumentLoader()
    worst = validation.ValidationFindingSeverity.WARNING

    def lint(der: bytes) -> tuple[str, ...]:
        results = validators.validate(documents.load_der_document(der).root)
        codes = {
            description.finding.code
            for result in results
            for description in result.finding_descriptions
            if description.finding.severity <= worst
        }
        return tuple(sorted(codes))

    return lint
