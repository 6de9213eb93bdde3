"""
Paths that OpenSSL cannot be asked about, verified link by link.

OpenSSL follows names by itself. Where two certificates of a path bear one name (a CA whose key was
rolled over, a self-issued leaf), it may take another way than the path's; where a name is written
differently in a certificate and in what it issued, it may find none, since it folds the case of
ASCII letters only (RFC 5280 7.1); and it holds a CA that was renewed with its key for another one
where its serial number was written down (4.2.1.1), of which 6.1 asks nothing. What it asks besides
signatures, `structure` has asked before.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from cryptography import x509

from pki.pkix.certificate import Certificate
from pki.pkix.path.openssl import key_ids_differ
from pki.pkix.path.signatures import certifies
from pki.pkix.path.values import NoPath, PathFault

_AUTHORITY_KEY_ID: Final = "2.5.29.35"


def are_needed(path: tuple[Certificate, ...]) -> bool:
    """Tell whether OpenSSL could leave this very path."""
    if len({certificate.normal_subject for certificate in path}) < len(path):
        return True
    return any(
        child.issuer != issuer.subject or _tells_serial(child) for child, issuer in pairwise(path)
    )


def _tells_serial(child: Certificate) -> bool:
    """Tell whether the authorityKeyIdentifier names one certificate of the issuer's key."""
    if _AUTHORITY_KEY_ID not in child.extension_oids:
        return False
    found = child.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return found.authority_cert_serial_number is not None


def verify(path: tuple[Certificate, ...]) -> NoPath | None:
    """Verify every signature of a path whose names meet, and the anchor's over itself."""
    anchor = path[-1]
    links = [*pairwise(path)]
    if anchor.self_issued and not key_ids_differ(anchor, anchor):
        links.append((anchor, anchor))
    for child, issuer in links:
        if key_ids_differ(child, issuer) or not certifies(issuer.public_key, child.x509):
            detail = f"{child.subject_text} is not signed by what is named {issuer.subject_text}"
            return NoPath(fault=PathFault.SIGNATURE_INVALID, detail=detail, certificate=child)
    return None
