"""OCSP requests with a nonce, read once: those about one certificate differ in its octets only."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from pki.pkix.ocsp import CertId, OcspRequest

_KEPT: Final = 50_000
_LONGEST: Final = 256
_SIZES: Final = (32, 16)
"""Octets of the nonces that clients send (RFC 9654; OpenSSL)."""
_OCTET_STRING: Final = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a request says up to its nonce; `head` are the tag and length inside the extension."""

    cert_id: CertId
    head: bytes


class Openings:
    """
    The beginnings of requests that were read before; safe to share between threads.

    Requests that agree in all octets but the last n, where those are the inside of the nonce, are
    read alike: what follows a length is not looked at.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[bytes, Opening] = {}

    def find(self, request: bytes) -> tuple[CertId, bytes] | None:
        """Return what reading the request would: its one CertID and its nonce; None if unknown."""
        for size in _SIZES:
            opening = self._kept.get(request[:-size])
            if opening is not None:
                return opening.cert_id, opening.head + request[-size:]
        return None

    def keep(self, request: bytes, parsed: OcspRequest) -> None:
        """Remember how a request begins, if it is about one certificate and ends with its nonce."""
        nonce = parsed.nonce
        if nonce is None or len(parsed.cert_ids) != 1 or len(request) > _LONGEST:
            return
        for size in _SIZES:
            head = bytes((_OCTET_STRING, size))
            if nonce[:-size] == head and request.endswith(nonce):
                with self._lock:
                    while len(self._kept) >= _KEPT:
                        del self._kept[next(iter(self._kept))]
                    cert_id = parsed.cert_ids[0]
                    shared = replace(
                        cert_id,
                        name_hash=_same(cert_id.name_hash),
                        key_hash=_same(cert_id.key_hash),
                    )
                    self._kept[request[:-size]] = Opening(cert_id=shared, head=_same(head))


@lru_cache(maxsize=256)
def _same(octets: bytes) -> bytes:
    """Return one object for equal octets: all requests about a CA hold the same hashes."""
    return octets
