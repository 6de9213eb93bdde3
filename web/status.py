"""OCSP over HTTP (RFC 6960 appendix A, RFC 5019), CRLs and CA certificates (RFC 5280 4.2)."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import format_datetime
from itertools import combinations
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from pki import lookup
from pki.clock import Clock
from pki.errors import NotFound
from pki.ids import quote
from pki.model import CrlRecord
from pki.pkix.der import DerError, element_at
from pki.ports import Deployment
from pki.status import Answers, Reply, StatusPolicy, crls
from web.hot import HotRequest, HotResponse

MAX_OCSP_BODY: Final = 64 * 1024
REQUEST_TYPE: Final = "application/ocsp-request"
RESPONSE_TYPE: Final = "application/ocsp-response"
_NO_STORE: Final = {"Content-Type": RESPONSE_TYPE, "Cache-Control": "no-store"}
_MOST_MERGED: Final = 2
_MOST_SLASHES: Final = 24
_CA_MAX_AGE: Final = 3600
_CRL_MAX_AGE: Final = 300


@dataclass(frozen=True, slots=True)
class StatusPages:
    """The handlers, over one installation; they need no caller to be known."""

    deployment: Deployment
    answers: Answers
    policy: StatusPolicy
    directory: Path

    def ocsp(self, request: HotRequest) -> HotResponse:
        """Answer `POST /ocsp` and `GET /ocsp/{base64}`."""
        if request.method == "POST":
            return self._post(request)
        if request.method == "GET":
            return self._get(request)
        return HotResponse(status=405, headers={"Allow": "GET, POST"})

    def _post(self, request: HotRequest) -> HotResponse:
        media_type = request.headers.get("content-type", REQUEST_TYPE).split(";")[0].strip()
        if media_type.lower() != REQUEST_TYPE:
            return HotResponse(status=415, headers={"Accept-Post": REQUEST_TYPE})
        if len(request.body) > MAX_OCSP_BODY:
            return HotResponse(status=413)
        reply = self.answers.respond(request.body)
        return HotResponse(status=200, headers=_NO_STORE, body=reply.der)

    def _get(self, request: HotRequest) -> HotResponse:
        encoded = request.raw_path.removeprefix("/ocsp").removeprefix("/")
        reply = self.answers.respond(request_in_path(encoded))
        if reply.this_update is None or reply.next_update is None:
            return HotResponse(status=200, headers=_NO_STORE, body=reply.der)
        headers = self._caching(reply, self.deployment.clock.now())
        if _unchanged(request, headers):
            return HotResponse(status=304, headers=headers)
        return HotResponse(status=200, headers=headers, body=reply.der)

    def _caching(self, reply: Reply, now: dt.datetime) -> dict[str, str]:
        """Return the headers of RFC 5019 section 6 for an answer that caches may keep."""
        this_update, next_update = reply.this_update or now, reply.next_update or now
        left = int((next_update - now).total_seconds())
        age = max(0, min(self.policy.max_age, left))
        return {
            "Content-Type": RESPONSE_TYPE,
            "Cache-Control": f"max-age={age}, public, no-transform, must-revalidate",
            "Expires": _http_date(now + dt.timedelta(seconds=age)),
            "Last-Modified": _http_date(this_update),
            "ETag": f'"{hashlib.sha256(reply.der).hexdigest()}"',
        }

    def crl(self, request: HotRequest, issuer: str, shard: int) -> HotResponse:
        """
        Answer `GET /crl/{issuer}` and `/crl/{issuer}/{shard}`.

        Raises:
            NotFound: `crl_unknown`.
            Unavailable: the store is out of reach.
        """
        record = crls.current(self.deployment, issuer, shard)
        headers = _crl_headers(record, self.deployment.clock)
        if _unchanged(request, headers):
            return HotResponse(status=304, headers=headers)
        path = crls.file_of(self.deployment, record, self.directory)
        return HotResponse(status=200, headers=headers, body=path)

    def ca(self, request: HotRequest, issuer: str) -> HotResponse:
        """
        Answer `GET /ca/{issuer}` with the newest generation's certificate (RFC 5280 4.2.2.1).

        Raises:
            NotFound: `issuer_unknown`.
        """
        named = [i for i in lookup.issuers(self.deployment) if i.name == issuer and i.certificate]
        if not named:
            raise NotFound("issuer_unknown", f"There is no issuer {quote(issuer)}.")
        certificate = max(named, key=lambda found: found.generation).certificate
        headers = {
            "Content-Type": "application/pkix-cert",
            "Cache-Control": f"public, max-age={_CA_MAX_AGE}",
            "ETag": f'"{hashlib.sha256(certificate).hexdigest()}"',
        }
        if _unchanged(request, headers):
            return HotResponse(status=304, headers=headers)
        return HotResponse(status=200, headers=headers, body=certificate)


def _crl_headers(record: CrlRecord, clock: Clock) -> dict[str, str]:
    left = int((record.next_update - clock.now()).total_seconds())
    age = max(0, min(_CRL_MAX_AGE, left))
    return {
        "Content-Type": "application/pkix-crl",
        "Cache-Control": f"public, max-age={age}",
        "Expires": _http_date(clock.now() + dt.timedelta(seconds=age)),
        "Last-Modified": _http_date(record.this_update),
        "ETag": f'"{record.sha256.hex()}"',
    }


def _http_date(when: dt.datetime) -> str:
    return format_datetime(when, usegmt=True)


def _unchanged(request: HotRequest, headers: dict[str, str]) -> bool:
    """Tell whether the caller holds this very answer (RFC 9110 13.1)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        held = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in held or headers["ETag"] in held
    return headers.get("Last-Modified") == request.headers.get("if-modified-since", "")


def request_in_path(encoded: str) -> bytes:
    """
    Return the DER request in the path of a GET, as far as it can be told; never raises.

    Clients and proxies percent-encode it or not, once or twice, use the URL alphabet, leave out the
    padding, add a slash, or merge two slashes into one. The first reading that is one complete
    DER element counts.
    """
    text = encoded
    for _ in range(2):
        text = unquote(text) if "%" in text else text
    text = "".join(text.replace(" ", "+").split()).replace("-", "+").replace("_", "/")
    for candidate in _spellings(text):
        der = _decoded(candidate)
        if der is not None and _is_complete(der):
            return der
    return b""


def _spellings(text: str) -> Iterator[str]:
    yield text
    yield text.rstrip("/")
    slashes = [at for at, character in enumerate(text) if character == "/"][:_MOST_SLASHES]
    for merged in range(1, _MOST_MERGED + 1):
        for places in combinations(slashes, merged):
            repaired = text
            for at in reversed(places):
                repaired = f"{repaired[:at]}/{repaired[at:]}"
            yield repaired


def _decoded(text: str) -> bytes | None:
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_complete(der: bytes) -> bool:
    try:
        return element_at(der, 0, len(der)).end == len(der)
    except DerError:
        return False
