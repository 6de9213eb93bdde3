"""One OpenSSL verification of exactly one candidate. The only module that imports pyOpenSSL."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Final

from OpenSSL import crypto

from pki.pkix.certificate import Certificate
from pki.pkix.path.values import NoPath, PathFault

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, not named by pyOpenSSL
_FLAGS: Final = crypto.X509StoreFlags.CHECK_SS_SIGNATURE | crypto.X509StoreFlags.PARTIAL_CHAIN

_FAULTS: Final = {
    2: PathFault.NO_PATH,  # unable to get issuer certificate
    7: PathFault.SIGNATURE_INVALID,
    9: PathFault.NOT_YET_VALID,
    10: PathFault.EXPIRED,
    18: PathFault.NO_PATH,  # self-signed leaf
    19: PathFault.NO_PATH,  # self-signed certificate in chain
    20: PathFault.NO_PATH,  # unable to get local issuer certificate
    21: PathFault.SIGNATURE_INVALID,  # unable to verify leaf signature
    24: PathFault.ISSUER_NOT_CA,
    25: PathFault.PATH_LENGTH,
    32: PathFault.ISSUER_NOT_CA,  # keyCertSign missing
    79: PathFault.ISSUER_NOT_CA,  # invalid CA certificate
}


_OF_NAMES: Final = frozenset((47, 48))  # not within a permitted subtree, within an excluded one


def verify(path: tuple[Certificate, ...], at: dt.datetime | None = None) -> NoPath | None:
    """
    Let OpenSSL verify signatures, names and extensions of exactly this path.

    What it says of name constraints, which it asks last, is left to `pki.pkix.path.names`.

    Args:
        path: leaf first, the one trusted certificate last.
        at: the time to verify at; None leaves dates out.
    """
    leaf, *middle, anchor = path
    store = crypto.X509Store()
    if at is None:
        store.set_flags(_FLAGS | _NO_CHECK_TIME)
    else:
        store.set_flags(_FLAGS)
        store.set_time(at)
    try:
        store.add_cert(crypto.X509.from_cryptography(anchor.x509))
        context = crypto.X509StoreContext(
            store,
            crypto.X509.from_cryptography(leaf.x509),
            [crypto.X509.from_cryptography(certificate.x509) for certificate in middle],
        )
        context.verify_certificate()
    except crypto.X509StoreContextError as error:
        return None if error.errors[0] in _OF_NAMES else _translated(error, path)
    except crypto.Error:
        detail = "OpenSSL cannot read a certificate of the path"
        return NoPath(fault=PathFault.PROFILE, detail=detail, certificate=leaf)
    return None


def key_ids_differ(child: Certificate, issuer: Certificate) -> bool:
    """Tell whether both key identifiers are there and contradict each other."""
    wanted, held = child.authority_key_id, issuer.key_id
    return wanted is not None and held is not None and wanted != held


def _translated(error: crypto.X509StoreContextError, path: tuple[Certificate, ...]) -> NoPath:
    number, depth, text = error.errors
    culprit = path[min(depth, len(path) - 1)]
    fault = _FAULTS.get(number, PathFault.PROFILE)
    if fault is PathFault.NO_PATH and _names_meet(path):
        fault = PathFault.SIGNATURE_INVALID  # a twin of the issuer
        text = "its authorityKeyIdentifier is not that of the issuer's key"
    return NoPath(fault=fault, detail=f"{culprit.subject_text}: {text}", certificate=culprit)


def _names_meet(path: tuple[Certificate, ...]) -> bool:
    return any(key_ids_differ(child, issuer) for child, issuer in pairwise(path))
