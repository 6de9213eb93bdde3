"""
Certification paths: a bounded builder of our own in front of one OpenSSL verification per
candidate.

OpenSSL does not branch while it builds a path, so the builder hands it one complete candidate at a
time. Dates are a question of the caller: OpenSSL runs without its own time check. The only module
that imports pyOpenSSL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from OpenSSL import crypto

from pki.pkix.certificate import Certificate

MAX_CERTIFICATES: Final = 10
"""Below the anchor; a V2G path has at most four."""
MAX_CANDIDATES: Final = 64
MAX_STEPS: Final = 500

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, not named by pyOpenSSL
_FLAGS: Final = (
    crypto.X509StoreFlags.CHECK_SS_SIGNATURE | crypto.X509StoreFlags.PARTIAL_CHAIN | _NO_CHECK_TIME
)


class PathFault(StrEnum):
    """Why no path could be accepted."""

    NO_PATH = "no_path"
    SIGNATURE_INVALID = "signature_invalid"
    ISSUER_IS_LEAF = "issuer_is_leaf"
    ISSUER_NOT_CA = "issuer_not_ca"
    PATH_LENGTH = "path_length"
    PROFILE = "profile"


_OPENSSL_FAULTS: Final = {
    2: PathFault.NO_PATH,  # unable to get issuer certificate
    7: PathFault.SIGNATURE_INVALID,
    18: PathFault.NO_PATH,  # self-signed leaf
    19: PathFault.NO_PATH,  # self-signed certificate in chain
    20: PathFault.NO_PATH,  # unable to get local issuer certificate
    21: PathFault.SIGNATURE_INVALID,  # unable to verify leaf signature
    24: PathFault.ISSUER_NOT_CA,
    25: PathFault.PATH_LENGTH,
    32: PathFault.ISSUER_NOT_CA,  # keyCertSign missing
    79: PathFault.ISSUER_NOT_CA,  # invalid CA certificate
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A verified path, leaf first, anchor last."""

    certificates: tuple[Certificate, ...]

    @property
    def leaf(self) -> Certificate:
        """The certificate that was asked about."""
        return self.certificates[0]

    @property
    def anchor(self) -> Certificate:
        """The trust anchor."""
        return self.certificates[-1]

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """What lies between leaf and anchor."""
        return self.certificates[1:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPath:
    """The fault of the most promising candidate, with the certificate that it concerns."""

    fault: PathFault
    detail: str
    certificate: Certificate


def find(
    leaf: Certificate, others: tuple[Certificate, ...], anchors: tuple[Certificate, ...]
) -> Path | NoPath:
    """
    Find a path from `leaf` through `others`, in any order, to one of `anchors` (RFC 5280 6.1).

    Work is bounded by MAX_CANDIDATES and MAX_STEPS whatever the input.
    """
    worst: NoPath | None = None
    for count, candidate in enumerate(_candidates(leaf, others, anchors)):
        if count == MAX_CANDIDATES:
            break
        fault = _judge(candidate)
        if fault is None:
            return Path(certificates=candidate)
        worst = worst or fault
    return worst or _without_candidate(leaf, others, anchors)


def _candidates(
    leaf: Certificate, others: tuple[Certificate, ...], anchors: tuple[Certificate, ...]
) -> Iterator[tuple[Certificate, ...]]:
    """Yield complete paths by name, those first whose key identifiers agree."""
    if leaf in anchors:
        return
    steps = 0
    stack: list[tuple[Certificate, ...]] = [(leaf,)]
    while stack and steps < MAX_STEPS:
        steps += 1
        path = stack.pop()
        for anchor in _issuers_of(path[-1], anchors):
            yield (*path, anchor)
        if len(path) <= MAX_CERTIFICATES:
            fresh = (c for c in _issuers_of(path[-1], others) if c not in path and c not in anchors)
            stack.extend(reversed([(*path, issuer) for issuer in fresh]))


def _issuers_of(child: Certificate, pool: tuple[Certificate, ...]) -> list[Certificate]:
    named = [c for c in pool if c.normal_subject == child.normal_issuer]
    return sorted(named, key=lambda issuer: _key_ids_differ(child, issuer))


def _key_ids_differ(child: Certificate, issuer: Certificate) -> bool:
    wanted, held = child.authority_key_id, issuer.key_id
    return wanted is not None and held is not None and wanted != held


def _without_candidate(
    leaf: Certificate, others: tuple[Certificate, ...], anchors: tuple[Certificate, ...]
) -> NoPath:
    """Explain where the chain breaks off."""
    top = leaf
    for _ in range(MAX_CERTIFICATES):
        issuers = [c for c in _issuers_of(top, others) if c != top and not c.self_issued]
        if not issuers or issuers[0] in anchors:
            break
        top = issuers[0]
    return NoPath(
        fault=PathFault.NO_PATH,
        detail=f"no certificate and no trust anchor is named as the issuer of {top.subject_text}",
        certificate=top,
    )


def _judge(path: tuple[Certificate, ...]) -> NoPath | None:
    return _structure(path) or _openssl(path)


def _structure(path: tuple[Certificate, ...]) -> NoPath | None:
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


def _openssl(path: tuple[Certificate, ...]) -> NoPath | None:
    """Let OpenSSL verify signatures, names, extensions and constraints of exactly this path."""
    leaf, *middle, anchor = path
    store = crypto.X509Store()
    store.set_flags(_FLAGS)
    try:
        store.add_cert(crypto.X509.from_cryptography(anchor.x509))
        context = crypto.X509StoreContext(
            store,
            crypto.X509.from_cryptography(leaf.x509),
            [crypto.X509.from_cryptography(certificate.x509) for certificate in middle],
        )
        context.verify_certificate()
    except crypto.X509StoreContextError as error:
        return _translated(error, path)
    except crypto.Error:
        detail = "OpenSSL cannot read a certificate of the path"
        return NoPath(fault=PathFault.PROFILE, detail=detail, certificate=leaf)
    return None


def _translated(error: crypto.X509StoreContextError, path: tuple[Certificate, ...]) -> NoPath:
    number, depth, text = error.errors
    culprit = path[min(depth, len(path) - 1)]
    fault = _OPENSSL_FAULTS.get(number, PathFault.PROFILE)
    if fault is PathFault.NO_PATH and _names_meet(path):
        fault = PathFault.SIGNATURE_INVALID  # the key identifiers disagree: a twin of the issuer
    return NoPath(fault=fault, detail=f"{culprit.subject_text}: {text}", certificate=culprit)


def _names_meet(path: tuple[Certificate, ...]) -> bool:
    return any(_key_ids_differ(child, issuer) for child, issuer in pairwise(path))
