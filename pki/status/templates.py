"""
OCSP answers that differ from each other in few octets, written by filling these in.

A template is what `pki.pkix.ocsp` writes for other octets of the same lengths; it is kept for the
answers of one second, which share everything but CertID, nonce and signature.
"""

from __future__ import annotations

import datetime as dt
import secrets
from functools import lru_cache
from typing import Final

from pki.pkix import ocsp
from pki.pkix.ocsp import CertStatus, SingleAnswer
from pki.pkix.suites import Suite

SHORTEST: Final = 16
"""Octets that must be open: fewer might stand in the template by chance."""

_Gaps = tuple[bytes, bytes, bytes]


def good(
    cert_id: bytes, nonce: bytes, *, responder: bytes, now: dt.datetime, next_update: dt.datetime
) -> bytes:
    """Return the ResponseData *good* about one certificate; arguments as `response_data` has."""
    gaps = _good(len(cert_id), len(nonce), responder, now, next_update)
    return b"".join((gaps[0], cert_id, gaps[1], nonce, gaps[2]))


def framed(tbs: bytes, suite: Suite, signature: bytes, certificate: bytes) -> bytes:
    """Return what `ocsp.assemble` does."""
    gaps = _frame(len(tbs), suite, len(signature), certificate)
    return b"".join((gaps[0], tbs, gaps[1], signature, gaps[2]))


@lru_cache(maxsize=64)
def _good(
    cert_id_size: int,
    nonce_size: int,
    responder: bytes,
    now: dt.datetime,
    next_update: dt.datetime,
) -> _Gaps:
    cert_id, nonce = secrets.token_bytes(cert_id_size), secrets.token_bytes(nonce_size)
    answer = SingleAnswer(
        cert_id=cert_id, status=CertStatus.GOOD, this_update=now, next_update=next_update
    )
    written = ocsp.response_data(
        responder=responder, produced_at=now, answers=(answer,), nonce=nonce
    )
    return _gaps(written, cert_id, nonce)


@lru_cache(maxsize=512)
def _frame(tbs_size: int, suite: Suite, signature_size: int, certificate: bytes) -> _Gaps:
    tbs, signature = secrets.token_bytes(tbs_size), secrets.token_bytes(signature_size)
    return _gaps(ocsp.assemble(tbs, suite, signature, (certificate,)), tbs, signature)


def _gaps(written: bytes, one: bytes, other: bytes) -> _Gaps:
    if min(len(one), len(other)) < SHORTEST:
        raise ValueError(f"fewer than {SHORTEST} octets to fill in")
    before, _, rest = written.partition(one)
    between, _, after = rest.partition(other)
    return before, between, after
