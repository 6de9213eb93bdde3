"""
Two engines beside ours, asked the same questions in their own words.

`cryptography` builds paths and verifies them without revocation, policies or Ed448;
`pyhanko-certvalidator` does all of it. Each raises errors of its own for a refusal; anything else
that escapes is told by its type, since it is no verdict.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import (
    InvalidCertificateError,
    PathBuildingError,
    ValidationError,
)
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    PKIXValidationParams,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)

from pki.pkix.path import ANY_POLICY, PolicyInputs

_ANY_USAGE = "2.5.29.37.0"
WEAK = frozenset(("md2", "md5", "sha1", "sha224"))
_RULES = {True: RevocationCheckingRule.CRL_REQUIRED, False: RevocationCheckingRule.NO_CHECK}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A chain as DER, and what is asked of it."""

    leaf: bytes
    intermediates: Sequence[bytes]
    anchors: Sequence[bytes]
    at: dt.datetime
    policies: PolicyInputs = field(default_factory=PolicyInputs)
    crls: Sequence[bytes] = ()
    revocation: bool = False
    eku: str | None = None
    max_intermediates: int | None = None


def cryptography_accepts(question: Question) -> bool:
    """Ask for a path with all that the engine asks of CAs, and of the leaf the usage alone."""

    def usage(_: object, __: object, allowed: x509.ExtendedKeyUsage | None) -> None:
        oids = {oid.dotted_string for oid in allowed or ()}
        if allowed is not None and question.eku and not oids & {question.eku, _ANY_USAGE}:
            raise ValueError("another usage")

    ca, end = ExtensionPolicy.webpki_defaults_ca(), ExtensionPolicy.permit_all()
    builder = PolicyBuilder().time(question.at)
    if question.max_intermediates is not None:
        builder = builder.max_chain_depth(question.max_intermediates)
    try:
        anchors, pool, (leaf,) = map(
            _read, (question.anchors, question.intermediates, (question.leaf,))
        )
        builder = builder.store(Store(anchors)).extension_policies(
            ca_policy=ca.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, usage),
            ee_policy=end.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, usage),
        )
        builder.build_client_verifier().verify(leaf, pool)
    except (VerificationError, ValueError, x509.InvalidVersion, x509.DuplicateExtension):
        return False
    return True


def _read(ders: Sequence[bytes]) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd serial numbers
        return [x509.load_der_x509_certificate(der) for der in ders]


def pyhanko_accepts(question: Question) -> bool:
    """Ask for a path whose every certificate is covered by a CRL, where that is demanded."""
    rule = _RULES[question.revocation]
    policy = RevocationCheckingPolicy(rule, rule)
    inputs = question.policies
    wanted = {"any_policy" if oid == ANY_POLICY else oid for oid in inputs.acceptable}
    try:
        validator = CertificateValidator(
            asn1_x509.Certificate.load(question.leaf, strict=True),
            intermediate_certs=[asn1_x509.Certificate.load(der) for der in question.intermediates],
            validation_context=ValidationContext(
                trust_roots=[asn1_x509.Certificate.load(der) for der in question.anchors],
                moment=question.at,
                crls=[asn1_crl.CertificateList.load(der) for der in question.crls],
                revinfo_policy=CertRevTrustPolicy(policy),
                weak_hash_algos=WEAK,
                time_tolerance=dt.timedelta(0),
            ),
            pkix_params=PKIXValidationParams(
                user_initial_policy_set=frozenset(wanted),
                initial_policy_mapping_inhibit=inputs.inhibit_mapping,
                initial_explicit_policy=inputs.require_explicit,
                initial_any_policy_inhibit=inputs.inhibit_any,
            ),
        )
        asyncio.run(validator.async_validate_path())
    except (ValidationError, PathBuildingError, InvalidCertificateError, ValueError):
        return False
    return True


ENGINES = {"cryptography": cryptography_accepts, "pyhanko": pyhanko_accepts}
