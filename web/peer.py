"""The client certificate of a request: from TLS itself, or from a proxy that is trusted."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Final
from urllib.parse import unquote

from flask import request

from pki.enrol import EnrolPolicy
from pki.errors import BadInput, NotAllowed
from pki.pkix import pem
from web.bridge import PEER

MAX_HEADER: Final = 16 * 1024
_RFC_9440: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):")


def certificate(policy: EnrolPolicy) -> bytes | None:
    """
    Return the DER of the certificate whose key the peer of the current request holds, or None.

    Raises:
        NotAllowed: `client_certificate_unreadable` (the trusted proxy passed something else).
    """
    return _of_connection() or _of_header(policy)


def _of_connection() -> bytes | None:
    """Return what TLS was given, at the listener that asks for it (`web.worker_tls`)."""
    given: bytes | None = request.environ.get(PEER)
    return given


def _of_header(policy: EnrolPolicy) -> bytes | None:
    """Return what a trusted proxy says; from anybody else the header is as if it were not there."""
    if policy.trusted_header is None or not _is_trusted(policy):
        return None
    text = request.headers.get(policy.trusted_header, "")
    if not text:
        return None
    try:
        return _decoded(text)
    except (BadInput, binascii.Error) as error:
        raise NotAllowed(
            "client_certificate_unreadable",
            f"The header {policy.trusted_header} holds no certificate.",
            hint="Pass it as RFC 9440 has it, or as URL-encoded PEM.",
        ) from error


def _decoded(text: str) -> bytes:
    if len(text) > MAX_HEADER:
        raise BadInput("unreadable", "The header is too long.")
    coded = _RFC_9440.fullmatch(text)
    if coded:
        return base64.b64decode(coded[1], validate=True)
    return pem.one(unquote(text).encode(), "CERTIFICATE")


def _is_trusted(policy: EnrolPolicy) -> bool:
    try:
        peer = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return False
    return any(peer in network for network in policy.trusted_proxies)
