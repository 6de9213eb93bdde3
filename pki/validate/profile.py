"""
The contract certificate profile as asked of presented chains: tolerant where real issuers differ.

What merely deviates is a note; a fault is what would let another kind of certificate, a weak key or
a forged identity pass (spec sections 1.2 to 1.6).
"""

from __future__ import annotations

from typing import Final

from pki.errors import BadInput
from pki.ids import Edition, Emaid
from pki.pkix.certificate import Certificate
from pki.pkix.leaves import Alike
from pki.pkix.path import Path
from pki.pkix.profiles import Kind

MAX_SUB_CAS: Final = 2
"""[V2G2-009], [V2G20-1005]; in -20 a cross certificate may come on top."""
MAX_SIZE: Final = {Edition.ISO2: 800, Edition.ISO20: 1600}
"""Octets, [V2G2-010], [V2G20-1234]: reported, not refused."""

_OTHER_ROLES: Final = {"CPO": "a charger", "CPS": "a provisioning service", "OEM": "a vehicle"}
_OCSP_SIGNING: Final = "1.3.6.1.5.5.7.3.9"
_FORBIDDEN_LEAF_USES: Final = frozenset(
    ("key_cert_sign", "crl_sign", "data_encipherment", "encipher_only", "decipher_only")
)
_SIGNATURES: Final = frozenset(
    (
        "1.2.840.10045.4.3.2",  # ecdsa-with-SHA256
        "1.2.840.10045.4.3.3",  # ecdsa-with-SHA384
        "1.2.840.10045.4.3.4",  # ecdsa-with-SHA512
        "1.3.101.113",  # Ed448
    )
)
_MAX_SERIAL_BITS: Final = 160
_CONTRACT_ISSUERS: Final = frozenset((Kind.MO_ROOT, Kind.MO_SUB_CA1, Kind.MO_SUB_CA2))


def emaid_of(leaf: Certificate) -> Emaid | None:
    """Return the EMAID in the leaf's only CN; its key's suite decides the edition ([V2G2-108])."""
    if type(leaf) is Alike:
        return leaf.emaid
    held = leaf.later
    if held.emaid is None and leaf.suite is not None and len(leaf.common_names) == 1:
        try:
            held.emaid = Emaid.parse(leaf.common_names[0], leaf.suite.edition)
        except BadInput:
            return None
    return held.emaid


def wrong_role(path: Path, issuer_kind: Kind | None) -> str | None:
    """
    Say why the leaf is another kind of certificate, or None.

    Args:
        path: the verified path.
        issuer_kind: kind of the leaf's issuer where it is one of our own CAs.
    """
    leaf = path.leaf
    for component in leaf.domain_components:
        name = component.strip().upper()
        if name in _OTHER_ROLES:
            return f"its DC={name} says {_OTHER_ROLES[name]}"
    if leaf.extended_key_usage and _OCSP_SIGNING in leaf.extended_key_usage:
        return "it is for signing OCSP answers"
    if issuer_kind is not None and issuer_kind not in _CONTRACT_ISSUERS:
        return f"its issuer is a {issuer_kind.value}, which issues no contracts"
    return None


def leaf_fault(leaf: Certificate) -> str | None:
    """Say what breaks the profile in the leaf itself, or None."""
    found = _key_fault(leaf) or _leaf_fault(leaf)
    if found is not None:
        return found
    found = _signature_fault(leaf) or _extension_fault(leaf)
    return f"{leaf.subject_text}: {found}" if found is not None else None


def leaf_notes(leaf: Certificate) -> tuple[str, ...]:
    """Say what deviates in the size of the leaf without being refused."""
    size = _size_note(leaf)
    return (size,) if size else ()


def usage_notes(leaf: Certificate) -> tuple[str, ...]:
    """Say what deviates in the usage of the leaf without being refused."""
    if leaf.key_usage is None:
        return ("the leaf has no keyUsage",)
    return () if leaf.key_usage_critical else ("keyUsage of the leaf is not critical",)


def upper_notes(issuers: tuple[Certificate, ...]) -> tuple[str, ...]:
    """Say what deviates in the CAs of a path without being refused."""
    return tuple(note for note in map(_size_note, issuers) if note)


def _size_note(certificate: Certificate) -> str | None:
    most = MAX_SIZE[certificate.suite.edition if certificate.suite else Edition.ISO20]
    if len(certificate.der) <= most:
        return None
    return f"{certificate.subject_text} has {len(certificate.der)} octets, more than {most}"


def _leaf_fault(leaf: Certificate) -> str | None:
    if leaf.version != 3:  # noqa: PLR2004 - X.509 v3
        return f"the leaf is version {leaf.version}, not 3"
    if len(leaf.common_names) != 1:
        return f"the leaf has {len(leaf.common_names)} common names, not one"
    if emaid_of(leaf) is None:
        return "the common name of the leaf is no EMAID"
    return _leaf_usage_fault(leaf)


def _leaf_usage_fault(leaf: Certificate) -> str | None:
    if leaf.extended_key_usage is not None:
        return "the leaf has an extendedKeyUsage"
    if leaf.key_usage is None:
        needed = leaf.suite is not None and leaf.suite.edition is Edition.ISO20
        return "the leaf has no keyUsage" if needed else None
    if "digital_signature" not in leaf.key_usage:
        return "keyUsage of the leaf lacks digitalSignature"
    forbidden = sorted(leaf.key_usage & _FORBIDDEN_LEAF_USES)
    return f"keyUsage of the leaf allows {', '.join(forbidden)}" if forbidden else None


def upper_fault(issuers: tuple[Certificate, ...], *, is_iso20: bool) -> str | None:
    """Say what breaks the profile above the leaf, or None."""
    anchor = issuers[-1]
    for certificate in issuers:
        found = _key_fault(certificate)
        if found is None and certificate != anchor:
            found = _signature_fault(certificate) or _extension_fault(certificate)
        if found is not None:
            return f"{certificate.subject_text}: {found}"
    return _count_fault(issuers[:-1], anchor, is_iso20=is_iso20)


def _key_fault(certificate: Certificate) -> str | None:
    if certificate.suite is None:
        return "its key is none of P-256, P-521, Ed448"
    return None if certificate.named_curve else "its key is not encoded as a named curve"


_LISTED: Final = frozenset(
    (
        "2.5.29.35",  # authorityKeyIdentifier
        "2.5.29.14",  # subjectKeyIdentifier
        "2.5.29.15",  # keyUsage
        "2.5.29.19",  # basicConstraints
        "2.5.29.32",  # certificatePolicies
        "2.5.29.31",  # cRLDistributionPoints
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
        "1.3.6.1.5.5.7.1.11",  # subjectInfoAccess
    )
)
"""Extensions of a -20 contract chain; relying parties refuse others ([V2G20-2323])."""


def _extension_fault(certificate: Certificate) -> str | None:
    if certificate.suite is None or certificate.suite.edition is not Edition.ISO20:
        return None
    for oid in certificate.extension_oids:
        if oid not in _LISTED:
            return f"the extension {oid} is not in the profile"
    return None


def _signature_fault(certificate: Certificate) -> str | None:
    if certificate.signature_oid not in _SIGNATURES:
        return f"it is signed with {certificate.signature_oid}"
    if certificate.serial <= 0 or certificate.serial.bit_length() > _MAX_SERIAL_BITS:
        return "its serial number is not a positive number of at most 20 octets"
    return None


def _count_fault(
    intermediates: tuple[Certificate, ...], anchor: Certificate, *, is_iso20: bool
) -> str | None:
    """Ask the number of sub-CAs, which only a root above them makes known ([V2G2-867])."""
    if not _is_root(anchor):
        return None
    count = len(intermediates)
    if count == 0:
        return "a root issued the leaf directly"
    crossed = is_iso20 and _limits_nothing(intermediates[-1])
    if count - crossed > MAX_SUB_CAS:
        return f"{count} sub-CAs, at most {MAX_SUB_CAS} are allowed"
    return None


def _is_root(anchor: Certificate) -> bool:
    """Tell a root, which limits no path (spec 1.2), from a sub-CA that was made an anchor."""
    return anchor.self_issued and _limits_nothing(anchor)


def _limits_nothing(certificate: Certificate) -> bool:
    """Tell whether a CA sets no path length, as roots and their cross certificates do."""
    constraints = certificate.basic_constraints
    return constraints is None or constraints.path_length is None
