"""OCSP as we ask it: a request for one certificate, and the status in an answer (RFC 6960)."""

from __future__ import annotations

import datetime as dt
from typing import Final

from cryptography.x509 import ocsp

from pki.pkix.der import SEQUENCE, encode

_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04
_ALGORITHMS: Final = {
    "sha1": bytes.fromhex("300906052b0e03021a0500"),
    "sha256": bytes.fromhex("300d06096086480165030402010500"),
    "sha384": bytes.fromhex("300d06096086480165030402020500"),
    "sha512": bytes.fromhex("300d06096086480165030402030500"),
}


def request_for(algorithm: str, name_hash: bytes, key_hash: bytes, serial: int) -> bytes:
    """Return a DER OCSPRequest for one certificate, without nonce; `serial` is positive."""
    number = serial.to_bytes(serial.bit_length() // 8 + 1)
    cert_id = encode(
        SEQUENCE,
        _ALGORITHMS[algorithm]
        + encode(_OCTET_STRING, name_hash)
        + encode(_OCTET_STRING, key_hash)
        + encode(_INTEGER, number),
    )
    one = encode(SEQUENCE, cert_id)
    return encode(SEQUENCE, encode(SEQUENCE, encode(SEQUENCE, one)))


def status_in(response: bytes) -> tuple[str, dt.datetime | None] | None:
    """Return status (`good`, `revoked`, `unknown`) and nextUpdate of an answer, or None."""
    answer = ocsp.load_der_ocsp_response(response)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return None
    return answer.certificate_status.name.lower(), answer.next_update_utc
