"""What every candidate is asked before any signature is verified."""

from __future__ import annotations

from typing import Final

from cryptography import x509

from pki.clock import format_time
from pki.pkix.certificate import Certificate
from pki.pkix.path import policies
from pki.pkix.path.signatures import of_certificate, weak_key, weak_signature
from pki.pkix.path.values import NoPath, PathFault, Rules

_ANY_EKU: Final = "2.5.29.37.0"
_PROCESSED: Final = frozenset(
    x509.ObjectIdentifier(f"2.5.29.{arc}")
    for arc in (
        15,  # keyUsage
        17,  # subjectAltName: against name constraints
        19,  # basicConstraints
        30,  # nameConstraints
        31,  # cRLDistributionPoints: which CRL speaks for the certificate
        32,  # certificatePolicies
        33,  # policyMappings
        36,  # policyConstraints
        37,  # extendedKeyUsage
        54,  # inhibitAnyPolicy
    )
)


def fault(path: tuple[Certificate, ...], rules: Rules) -> NoPath | None:
    """Ask what RFC 5280 6.1 asks of a path apart from signatures and names, and what rules add."""
    return (
        _issuers(path)
        or _critical(path)
        or _anchor(path[-1], rules)
        or _strength(path, rules)
        or _dates(path, rules)
        or _usage(path, rules)
        or _depth(path, rules)
        or _policy(path, rules)
    )


def _issuers(path: tuple[Certificate, ...]) -> NoPath | None:
    """Ask of every issuer whether it may issue, and how long a path it allows."""
    below = 0
    for issuer in path[1:]:
        fault = _issuer_fault(issuer)
        if fault is not None:
            return fault
        constraints = issuer.basic_constraints
        limit = None if constraints is None else constraints.path_length
        if limit is not None and below > limit:
            detail = f"{issuer.subject_text} allows {limit} CAs below it, the path has {below}"
            return NoPath(fault=PathFault.PATH_LENGTH, detail=detail, certificate=issuer)
        below += not issuer.self_issued
    return None


def _issuer_fault(issuer: Certificate) -> NoPath | None:
    may_sign = issuer.key_usage is None or "key_cert_sign" in issuer.key_usage
    if issuer.is_ca and may_sign:
        return None
    if not issuer.is_ca and not (issuer.key_usage and "key_cert_sign" in issuer.key_usage):
        detail = f"{issuer.subject_text} is an end-entity certificate and cannot issue"
        return NoPath(fault=PathFault.ISSUER_IS_LEAF, detail=detail, certificate=issuer)
    lacks = "keyCertSign" if issuer.is_ca else "cA TRUE"
    detail = f"{issuer.subject_text} lacks {lacks} and cannot issue"
    return NoPath(fault=PathFault.ISSUER_NOT_CA, detail=detail, certificate=issuer)


def _critical(path: tuple[Certificate, ...]) -> NoPath | None:
    """RFC 5280 4.2: OpenSSL lets some critical extensions pass that nothing here looks at."""
    for certificate in path:
        for extension in certificate.extensions:
            if extension.critical and extension.oid not in _PROCESSED:
                what = extension.oid.dotted_string
                return _profile(certificate, f"nobody knows its critical extension {what}")
    return None


def _anchor(anchor: Certificate, rules: Rules) -> NoPath | None:
    constraints = anchor.basic_constraints
    if rules.exact_anchor and constraints is not None and not constraints.critical:
        return _profile(anchor, "its basicConstraints are not critical")
    return None


def _strength(path: tuple[Certificate, ...], rules: Rules) -> NoPath | None:
    if rules.strength is None:
        return None
    for certificate in path:
        found = weak_key(certificate.public_key, rules.strength)
        if found is None and certificate is not path[-1]:
            found = weak_signature(of_certificate(certificate.x509), rules.strength)
        if found is not None:
            return _profile(certificate, found)
    return None


def _dates(path: tuple[Certificate, ...], rules: Rules) -> NoPath | None:
    """RFC 5280 6.1.3 (a)(2), asked of the anchor as well."""
    at = rules.at
    if at is None:
        return None
    for certificate in path:
        name = certificate.subject_text
        if at < certificate.not_before:
            detail = f"{name} begins at {format_time(certificate.not_before)}"
            return NoPath(fault=PathFault.NOT_YET_VALID, detail=detail, certificate=certificate)
        if at > certificate.not_after:
            detail = f"{name} ended at {format_time(certificate.not_after)}"
            return NoPath(fault=PathFault.EXPIRED, detail=detail, certificate=certificate)
    return None


def _usage(path: tuple[Certificate, ...], rules: Rules) -> NoPath | None:
    """Where a certificate limits its usages, the demanded one must be among them (4.2.1.12)."""
    if rules.eku is None:
        return None
    for certificate in path:
        allowed = certificate.extended_key_usage
        if allowed is not None and not {rules.eku, _ANY_EKU} & set(allowed):
            return _profile(certificate, f"its extendedKeyUsage does not include {rules.eku}")
    return None


def _depth(path: tuple[Certificate, ...], rules: Rules) -> NoPath | None:
    count = sum(not certificate.self_issued for certificate in path[1:-1])
    if rules.max_intermediates is None or count <= rules.max_intermediates:
        return None
    detail = f"{count} CAs below the anchor, at most {rules.max_intermediates} are wanted"
    return NoPath(fault=PathFault.PATH_LENGTH, detail=detail, certificate=path[0])


def _policy(path: tuple[Certificate, ...], rules: Rules) -> NoPath | None:
    detail = policies.fault(path, rules.policies)
    if detail is None:
        return None
    return NoPath(fault=PathFault.PROFILE, detail=detail, certificate=path[0])


def _profile(certificate: Certificate, why: str) -> NoPath:
    detail = f"{certificate.subject_text}: {why}"
    return NoPath(fault=PathFault.PROFILE, detail=detail, certificate=certificate)
