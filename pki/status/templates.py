"""
OCSP answers that differ from each other in few octets, written by filling these in.

A template is what `pki.pkix.ocsp` writes for other octets of the same lengths; the answers of one
second share everything but CertID, nonce and signature.
"""

from __future__ import annotations

import datetime as dt
import secrets
from functools import lru_cache
from typing import Final

from pki.pkix import ocsp
from pki.pkix.ocsp import CertStatus, SingleAnswer
from pki.pkix.suites import Suite
from pki.ports import Signer

SHORTEST: Final = 16
"""Octets that must be open: fewer might stand in the template by chance."""

_Gaps = tuple[bytes, bytes, bytes]


class Sheet:
    """
    Answers *good* about single certificates, in the name of one signer and at one time.

    Args:
        responder: DER ResponderID.
        certificate: DER; stands in every answer.
    """

    __slots__ = ("_certificate", "_frames", "_gaps", "_moment", "_signer")

    def __init__(
        self,
        signer: Signer,
        *,
        responder: bytes,
        certificate: bytes,
        now: dt.datetime,
        next_update: dt.datetime,
    ) -> None:
        self._signer = signer
        self._certificate = certificate
        self._moment = responder, now, next_update
        self._gaps: dict[tuple[int, int], _Gaps] = {}
        self._frames: dict[tuple[int, int], _Gaps] = {}

    def signed(self, cert_id: bytes, nonce: bytes) -> bytes:
        """
        Return the OCSPResponse that `ocsp.response_data` and `ocsp.assemble` would make.

        Both arguments have at least `SHORTEST` octets; else ValueError.
        """
        sizes = len(cert_id), len(nonce)
        gaps = self._gaps.get(sizes)
        if gaps is None:
            gaps = self._gaps[sizes] = _good(sizes, *self._moment)
        tbs = b"".join((gaps[0], cert_id, gaps[1], nonce, gaps[2]))
        signature = self._signer.sign(tbs)
        sizes = len(tbs), len(signature)
        frame = self._frames.get(sizes)
        if frame is None:
            frame = _frame(sizes, self._signer.suite, self._certificate)
            self._frames[sizes] = frame
        return b"".join((frame[0], tbs, frame[1], signature, frame[2]))


def _good(
    sizes: tuple[int, int],
    responder: bytes,
    now: dt.datetime,
    next_update: dt.datetime,
) -> _Gaps:
    cert_id, nonce = map(secrets.token_bytes, sizes)
    answer = SingleAnswer(
        cert_id=cert_id, status=CertStatus.GOOD, this_update=now, next_update=next_update
    )
    written = ocsp.response_data(
        responder=responder, produced_at=now, answers=(answer,), nonce=nonce
    )
    return _gaps(written, cert_id, nonce)


@lru_cache(maxsize=512)
def _frame(sizes: tuple[int, int], suite: Suite, certificate: bytes) -> _Gaps:
    tbs, signature = map(secrets.token_bytes, sizes)
    return _gaps(ocsp.assemble(tbs, suite, signature, (certificate,)), tbs, signature)


def _gaps(written: bytes, one: bytes, other: bytes) -> _Gaps:
    if min(len(one), len(other)) < SHORTEST:
        raise ValueError(f"fewer than {SHORTEST} octets to fill in")
    before, _, rest = written.partition(one)
    between, _, after = rest.partition(other)
    return before, between, after
