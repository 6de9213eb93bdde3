"""
OCSP answers, written as DER directly (RFC 6960 4.2, RFC 5019 2.2).

cryptography's builder writes one certificate an answer, no archive cutoff, and takes five
signatures' time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from pki.clock import UTC
from pki.pkix.der import SEQUENCE, encode
from pki.pkix.hashes import public_key_octets
from pki.pkix.ocsp_request import ResponseStatus
from pki.pkix.status_der import (
    ALGORITHM,
    BIT_STRING,
    ENUMERATED,
    OCTET_STRING,
    REASON_CODES,
    TAGGED,
    generalized_time,
    head,
)
from pki.pkix.suites import Suite

NEVER_ISSUED_AT: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)
"""revocationTime of a serial that was never issued (RFC 6960 2.2)."""

_NONCE: Final = bytes.fromhex("06092b0601050507300102")
_ARCHIVE_CUTOFF: Final = bytes.fromhex("06092b0601050507300106")
_EXTENDED_REVOKE: Final = bytes.fromhex("300f06092b060105050730010904020500")
_ONLY_EXTENDED: Final = encode(TAGGED + 1, encode(SEQUENCE, _EXTENDED_REVOKE))
_BASIC: Final = bytes.fromhex("06092b0601050507300101")
_SUCCESSFUL: Final = bytes.fromhex("0a0100")
_GOOD: Final = bytes.fromhex("8000")
_UNKNOWN: Final = bytes.fromhex("8200")
_EXPLICIT_TIME: Final = bytes.fromhex("a011")
_REASONS: Final[dict[str | None, bytes]] = {
    None: b"",
    **{
        name: bytes((TAGGED, 3, ENUMERATED, 1, code)) if code else b""
        for name, code in REASON_CODES.items()
    },
}
"""revocationReason by name, absent for `unspecified`."""


class CertStatus(StrEnum):
    """CertStatus of RFC 6960 4.2.1."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleAnswer:
    """
    What is said of one certificate; times are aware and in whole seconds.

    Attributes:
        cert_id: DER of the CertID as asked.
        next_update: RFC 5019 2.2.4 wants it always.
        revoked_at: exactly where the status is revoked.
        reason: RFC 5280 name; `unspecified` is left out of the answer.
        archive_cutoff: since when the status of expired certificates is kept (RFC 6960 4.4.4).
    """

    cert_id: bytes
    status: CertStatus
    this_update: dt.datetime
    next_update: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    reason: str | None = None
    archive_cutoff: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseData:
    """What an answer says, before it is signed; the fields are the arguments of `response_data`."""

    responder: bytes
    produced_at: dt.datetime
    answers: tuple[SingleAnswer, ...]
    nonce: bytes | None = None
    extended_revoked: bool = False

    def der(self) -> bytes:
        """Return the octets to be signed. Raises ValueError as `response_data`."""
        return response_data(
            responder=self.responder,
            produced_at=self.produced_at,
            answers=self.answers,
            nonce=self.nonce,
            extended_revoked=self.extended_revoked,
        )


def never_issued(
    cert_id: bytes, *, this_update: dt.datetime, next_update: dt.datetime | None
) -> SingleAnswer:
    """
    Return *revoked* for a serial that was never issued (RFC 6960 2.2).

    The answer that holds it must be written with `extended_revoked`.
    """
    return SingleAnswer(
        cert_id=cert_id,
        status=CertStatus.REVOKED,
        this_update=this_update,
        next_update=next_update,
        revoked_at=NEVER_ISSUED_AT,
        reason="certificateHold",
    )


def responder_by_key(spki: bytes) -> bytes:
    """Return the ResponderID with the SHA-1 of the key bits, whatever hash the CertIDs have."""
    digest = hashlib.sha1(public_key_octets(spki), usedforsecurity=False).digest()
    return encode(TAGGED + 2, encode(OCTET_STRING, digest))


def responder_by_name(subject: bytes) -> bytes:
    """Return the ResponderID with the DER Name of the signer's subject."""
    return encode(TAGGED + 1, subject)


def response_data(
    *,
    responder: bytes,
    produced_at: dt.datetime,
    answers: Sequence[SingleAnswer],
    nonce: bytes | None = None,
    extended_revoked: bool = False,
) -> bytes:
    """
    Return the DER ResponseData to be signed.

    Args:
        responder: DER ResponderID, as `responder_by_key` and `responder_by_name` return it.
        nonce: value of the nonce extension as `OcspRequest.nonce` has it.
        extended_revoked: say that *revoked* also stands for serials never issued.

    Raises:
        ValueError: no answer, times that are naive or not in whole seconds, a revocation time
            where the status has none or the other way round, an unknown reason.
    """
    if not answers:
        raise ValueError("an OCSP answer about no certificate")
    singles = b"".join([_single(answer) for answer in answers])
    body = b"".join(
        (
            responder,
            generalized_time(produced_at),
            head(SEQUENCE, len(singles)),
            singles,
            _response_extensions(nonce, extended_revoked=extended_revoked),
        )
    )
    return head(SEQUENCE, len(body)) + body


def assemble(
    tbs: bytes, suite: Suite, signature: bytes, certificates: tuple[bytes, ...] = ()
) -> bytes:
    """
    Return the DER OCSPResponse around signed bytes; nothing is verified.

    `certificates` holds the delegated signer's; it is empty where the issuer itself signs.
    """
    basic = b"".join(
        (
            tbs,
            ALGORITHM[suite],
            head(BIT_STRING, len(signature) + 1),
            b"\0",
            signature,
            _certificates(certificates),
        )
    )
    size = len(basic)
    sequence = head(SEQUENCE, size)
    size += len(sequence)
    octets = head(OCTET_STRING, size)
    size += len(octets) + len(_BASIC)
    response_bytes = head(SEQUENCE, size)
    size += len(response_bytes)
    explicit = head(TAGGED, size)
    size += len(explicit) + len(_SUCCESSFUL)
    return b"".join(
        (
            head(SEQUENCE, size),
            _SUCCESSFUL,
            explicit,
            response_bytes,
            _BASIC,
            octets,
            sequence,
            basic,
        )
    )


def error_response(status: ResponseStatus) -> bytes:
    """Return the DER OCSPResponse that says why there is no answer (RFC 6960 4.2.1)."""
    if status == ResponseStatus.SUCCESSFUL:
        raise ValueError("a successful answer has content")
    return bytes((SEQUENCE, 3, ENUMERATED, 1, ResponseStatus(status)))


def _single(answer: SingleAnswer) -> bytes:
    parts = [answer.cert_id, _status(answer), generalized_time(answer.this_update)]
    if answer.next_update is not None:
        parts += (_EXPLICIT_TIME, generalized_time(answer.next_update))
    if answer.archive_cutoff is not None:
        value = encode(OCTET_STRING, generalized_time(answer.archive_cutoff))
        extension = encode(SEQUENCE, _ARCHIVE_CUTOFF + value)
        parts.append(encode(TAGGED + 1, encode(SEQUENCE, extension)))
    body = b"".join(parts)
    return head(SEQUENCE, len(body)) + body


def _status(answer: SingleAnswer) -> bytes:
    if answer.status != CertStatus.REVOKED:
        if answer.revoked_at is not None or answer.reason is not None:
            raise ValueError(f"{answer.status} and yet revoked")
        return _GOOD if answer.status == CertStatus.GOOD else _UNKNOWN
    if answer.revoked_at is None:
        raise ValueError("revoked without a time")
    reason = _REASONS.get(answer.reason)
    if reason is None:
        raise ValueError(f"{answer.reason!r} is no reason to revoke")
    return encode(TAGGED + 1, generalized_time(answer.revoked_at) + reason)


def _response_extensions(nonce: bytes | None, *, extended_revoked: bool) -> bytes:
    if nonce is None:
        return _ONLY_EXTENDED if extended_revoked else b""
    octets = _NONCE + head(OCTET_STRING, len(nonce)) + nonce
    found = head(SEQUENCE, len(octets)) + octets + (_EXTENDED_REVOKE if extended_revoked else b"")
    block = head(SEQUENCE, len(found)) + found
    return head(TAGGED + 1, len(block)) + block


@lru_cache(maxsize=256)
def _certificates(certificates: tuple[bytes, ...]) -> bytes:
    """Return the certs field; the same few signers stand in every answer."""
    if not certificates:
        return b""
    return encode(TAGGED, encode(SEQUENCE, b"".join(certificates)))
