"""
Paths that OpenSSL cannot be asked about, verified link by link.

OpenSSL follows names by itself. Where two certificates of a path bear one name (a CA whose key was
rolled over, a self-issued leaf), it may take another way than the path's; where a name is written
differently in a certificate and in what it issued, it may find none, since it folds the case of
ASCII letters only (RFC 5280 7.1). What it asks besides signatures, `structure` has asked before.
"""

from __future__ import annotations

from itertools import pairwise

from pki.pkix.certificate import Certificate
from pki.pkix.path.openssl import key_ids_differ
from pki.pkix.path.signatures import certifies
from pki.pkix.path.values import NoPath, PathFault


def are_needed(path: tuple[Certificate, ...]) -> bool:
    """Tell whether OpenSSL could leave this very path."""
    if len({certificate.normal_subject for certificate in path}) < len(path):
        return True
    return any(child.issuer != issuer.subject for child, issuer in pairwise(path))


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
