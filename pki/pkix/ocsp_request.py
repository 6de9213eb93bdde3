"""
OCSP requests, read strictly (RFC 6960 4.1, RFC 5019 2.1, RFC 9654).

Our own reader, because cryptography's knows no request for several certificates and no limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from types import MappingProxyType
from typing import Final

from pki.errors import BadInput
from pki.pkix.der import SEQUENCE, DerError, encode
from pki.pkix.status_der import (
    BIT_STRING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    TAGGED,
    extensions,
    filled,
    integer,
    object_identifier,
    opened,
    skipped,
)

MAX_REQUEST_SIZE: Final = 64 * 1024
"""Octets."""
MAX_REQUESTS: Final = 100
"""Certificates that one request may ask for."""
MAX_NONCE: Final = 128
"""Octets; RFC 9654 2.1."""

OID_NONCE: Final = bytes.fromhex("2b0601050507300102")
_NONCE_HEAD: Final = 19
"""Octets of `_nonce_head`."""
_SHORT_NONCE: Final = 110
"""Octets of a value whose extension block still has lengths of one octet."""
_OID_OCTETS: Final = {
    "sha1": "06052b0e03021a",
    "sha256": "0609608648016503040201",
    "sha384": "0609608648016503040202",
    "sha512": "0609608648016503040203",
}
_NULL: Final = "0500"
_HASHES: Final[Mapping[bytes, str]] = MappingProxyType(
    {
        bytes.fromhex(oid + parameters): name
        for name, oid in _OID_OCTETS.items()
        for parameters in (_NULL, "")
    }
)
"""Values of the AlgorithmIdentifier; both forms are in use (RFC 5754 2)."""
_GENERAL_NAME: Final = range(0x80, 0xC0)
"""Context-specific tags; GeneralName is a CHOICE of nothing else."""


class ResponseStatus(IntEnum):
    """OCSPResponseStatus of RFC 6960 4.2.1; 4 is not used."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    SIG_REQUIRED = 5
    UNAUTHORIZED = 6


class OcspError(BadInput):
    """A request that gets an answer without content; `status` is the responseStatus."""

    def __init__(
        self, message: str, status: ResponseStatus = ResponseStatus.MALFORMED_REQUEST
    ) -> None:
        super().__init__("ocsp_request_invalid", message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class CertId:
    """
    The certificate that is asked for (RFC 6960 4.1.1).

    Attributes:
        raw: the CertID as asked; the answer repeats these octets.
        algorithm: `sha1`, `sha256`, `sha384` or `sha512`; None for any other hash.
        name_hash, key_hash: as asked, of whatever length.
        serial: as asked; may be zero, negative or far longer than 20 octets.
    """

    raw: bytes
    algorithm: str | None
    name_hash: bytes
    key_hash: bytes
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspRequest:
    """
    What a client asks: 1 to `MAX_REQUESTS` certificates, the same one perhaps twice.

    Attributes:
        nonce: value of the nonce extension octet for octet, the inner OCTET STRING of RFC 9654
            with its tag and length included; clients of RFC 2560 wrote bare octets.
    """

    cert_ids: tuple[CertId, ...]
    nonce: bytes | None


def parse_request(der: bytes) -> OcspRequest:
    """
    Read a request; its signature and its requestorName are looked at no further than their shape.

    Raises:
        OcspError: `ocsp_request_invalid` with `status` malformedRequest, for everything that is
            not DER, a version other than v1, a wrong number of certificates, a nonce of none or
            more than `MAX_NONCE` octets, an extension twice, an unknown critical extension.
    """
    if len(der) > MAX_REQUEST_SIZE:
        raise OcspError(f"The request has more than {MAX_REQUEST_SIZE} octets.")
    try:
        return _request(der)
    except DerError as error:
        raise OcspError(f"The request cannot be read: {error}.") from error


def _request(der: bytes) -> OcspRequest:
    end = len(der)
    at, tbs_end = opened(der, filled(der, 0, end, SEQUENCE), end, SEQUENCE)
    if tbs_end != end:
        _check_signature(der, tbs_end, end)
    at = _after_version(der, at, tbs_end)
    at = _after_requestor(der, at, tbs_end)
    at, list_end = opened(der, at, tbs_end, SEQUENCE)
    cert_ids = tuple(_cert_ids(der, at, list_end))
    if not cert_ids:
        raise OcspError("The request asks for no certificate.")
    nonce = None if list_end == tbs_end else _nonce(der, list_end, tbs_end)
    return OcspRequest(cert_ids=cert_ids, nonce=nonce)


def _after_version(der: bytes, at: int, limit: int) -> int:
    """Step over the version; v1 may be written out, which is not DER but harmless."""
    if at >= limit or der[at] != TAGGED:
        return at
    body, end = opened(der, at, limit, TAGGED)
    if integer(der, body, end) != (0, end):
        raise OcspError("The version of the request is not v1.")
    return end


def _after_requestor(der: bytes, at: int, limit: int) -> int:
    if at >= limit or der[at] != TAGGED + 1:
        return at
    body, end = opened(der, at, limit, TAGGED + 1)
    if skipped(der, body, end) != end or der[body] not in _GENERAL_NAME:
        raise DerError("requestorName")
    return end


def _check_signature(der: bytes, at: int, limit: int) -> None:
    """Check the outer shape of optionalSignature; nobody's rights depend on it."""
    at = filled(der, filled(der, at, limit, TAGGED), limit, SEQUENCE)
    _, at = opened(der, at, limit, SEQUENCE)
    _, at = opened(der, at, limit, BIT_STRING)
    if at != limit:
        filled(der, filled(der, at, limit, TAGGED), limit, SEQUENCE)


def _cert_ids(der: bytes, at: int, limit: int) -> Iterator[CertId]:
    count = 0
    while at < limit:
        count += 1
        if count > MAX_REQUESTS:
            raise OcspError(f"The request asks for more than {MAX_REQUESTS} certificates.")
        body, end = opened(der, at, limit, SEQUENCE)
        cert_id, at = _cert_id(der, body, end)
        if at != end:
            _refuse_critical(der, at, end)
        yield cert_id
        at = end


def _cert_id(der: bytes, start: int, limit: int) -> tuple[CertId, int]:
    at, end = opened(der, start, limit, SEQUENCE)
    algorithm, algorithm_end = opened(der, at, end, SEQUENCE)
    name, name_end = opened(der, algorithm_end, end, OCTET_STRING)
    key, key_end = opened(der, name_end, end, OCTET_STRING)
    serial, serial_end = integer(der, key_end, end)
    if serial_end != end:
        raise DerError("octets left over")
    cert_id = CertId(
        raw=der[start:end],
        algorithm=_hash_name(der, algorithm, algorithm_end),
        name_hash=der[name:name_end],
        key_hash=der[key:key_end],
        serial=serial,
    )
    return cert_id, end


def _hash_name(der: bytes, at: int, limit: int) -> str | None:
    known = _HASHES.get(der[at:limit])
    if known is None:
        _, parameters = object_identifier(der, at, limit)
        if parameters != limit and skipped(der, parameters, limit) != limit:
            raise DerError("hashAlgorithm")
    return known


def _nonce(der: bytes, at: int, limit: int) -> bytes | None:
    # the one extension that clients send, recognised at once; any other form takes the long way
    value = at + _NONCE_HEAD
    size = limit - value
    if 0 < size <= _SHORT_NONCE and der.startswith(_nonce_head(size), at):
        return _checked_nonce(der[value:limit])
    found = None
    for oid, critical, body, end in extensions(der, at, limit, TAGGED + 2):
        if oid == OID_NONCE:
            found = _checked_nonce(der[body:end])
        elif critical:
            raise OcspError("The request has a critical extension that is not known here.")
    return found


@cache
def _nonce_head(size: int) -> bytes:
    """Return what stands before a value of `size` octets where the nonce is the only extension."""
    octets = encode(OBJECT_IDENTIFIER, OID_NONCE) + bytes((OCTET_STRING, size))
    extension = bytes((SEQUENCE, len(octets) + size)) + octets
    sequence = bytes((SEQUENCE, len(extension) + size)) + extension
    return bytes((TAGGED + 2, len(sequence) + size)) + sequence


def _checked_nonce(value: bytes) -> bytes:
    size = len(value)
    with suppress(DerError):  # bare octets, as RFC 2560 could be read: all of them are the nonce
        size -= filled(value, 0, size, OCTET_STRING)
    if not 1 <= size <= MAX_NONCE:
        raise OcspError(f"A nonce has 1 to {MAX_NONCE} octets.")
    return value


def _refuse_critical(der: bytes, at: int, limit: int) -> None:
    if any(critical for _, critical, _, _ in extensions(der, at, limit, TAGGED)):
        raise OcspError("A single request has a critical extension that is not known here.")
