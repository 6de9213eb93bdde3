"""OCSP over HTTP (RFC 6960 appendix A, RFC 5019), CRLs and CA certificates (RFC 5280 4.2)."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from itertools import combinations_with_replacement, islice
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from pki.clock import UTC, Clock
from pki.errors import NotFound
from pki.ids import quote
from pki.model import CrlRecord
from pki.pkix.der import DerError, element_at
from pki.pkix.ocsp import ResponseStatus, error_response
from pki.pkix.ocsp_ask import status_in
from pki.ports import Deployment
from pki.status import Answers, Reply, StatusPolicy, crls
from web.hot import HotRequest, HotResponse

MAX_OCSP_BODY: Final = 64 * 1024
REQUEST_TYPE: Final = "application/ocsp-request"
RESPONSE_TYPE: Final = "application/ocsp-response"
_NO_STORE: Final = {"Content-Type": RESPONSE_TYPE, "Cache-Control": "no-store"}
_TRY_LATER: Final = error_response(ResponseStatus.TRY_LATER)
_ERROR_OCTETS: Final = len(_TRY_LATER)
_SHORT_PATH: Final = 256
_MOST_MERGED: Final = 2
_MOST_SLASHES: Final = 24
_MOST_BEHIND: Final = 2
_MOST_SIGNED: Final = 8
"""Readings of one path that may cost a signature."""
_HIGHEST_SHARD: Final = 32_767  # a small integer in every database
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
        """
        Answer `POST /ocsp` and `GET /ocsp/{base64}`; a slash too many does not matter anywhere,
        since proxies and clients that join addresses double them.
        """
        if request.method == "GET":
            return self._get(request)
        posted = request.raw_path.strip("/") == "ocsp"
        if request.method == "POST" and posted:
            return self._post(request)
        return HotResponse(status=405, headers={"Allow": "GET, POST" if posted else "GET"})

    def ocsp_in_memory(self, request: HotRequest) -> HotResponse | None:
        """Answer as `ocsp` does where that takes no wait and nothing is refused, else None."""
        if request.method == "POST":
            if request.raw_path not in ("/ocsp", "/ocsp/") or not _is_ocsp_request(request):
                return None
            reply = self.answers.in_memory(request.body, self.deployment.clock.now())
            return HotResponse(status=200, headers=_NO_STORE, body=reply.der) if reply else None
        der = self.request_in(request)
        now = self.deployment.clock.now()
        reply = self.answers.in_memory(der, now) if der else None
        return self._got(request, reply, now) if reply else None

    def request_in(self, request: HotRequest) -> bytes:
        """Return the short OCSP request in the path of a GET that is quickly read, else nothing."""
        if request.method != "GET" or not request.raw_path.startswith("/ocsp/"):
            return b""
        encoded = request.raw_path.removeprefix("/ocsp")
        return _short_request_in_path(encoded) if len(encoded) <= _SHORT_PATH else b""

    def _post(self, request: HotRequest) -> HotResponse:
        if not _is_ocsp_request(request):
            return HotResponse(status=415, headers={"Accept-Post": REQUEST_TYPE})
        if len(request.body) > MAX_OCSP_BODY:
            return HotResponse(status=413)
        reply = self.answers.respond(request.body)
        return HotResponse(status=200, headers=_NO_STORE, body=reply.der)

    def _get(self, request: HotRequest) -> HotResponse:
        reply = self._reply_to(request.raw_path.lstrip("/").removeprefix("ocsp"))
        return self._got(request, reply, self.deployment.clock.now())

    def _got(self, request: HotRequest, reply: Reply, now: dt.datetime) -> HotResponse:
        headers = self.headers_of("GET", reply, now)
        held = reply.next_update is not None and _unchanged(request, headers)
        if held and _known_by_date_too(request, reply):
            return HotResponse(status=304, headers=headers)
        return HotResponse(status=200, headers=headers, body=reply.der)

    def headers_of(self, method: str, reply: Reply, now: dt.datetime) -> dict[str, str]:
        """Return the headers of an answer; caches may keep those to a GET that have times."""
        if method == "POST" or reply.next_update is None:
            return _NO_STORE
        return self._caching(reply, now)

    def _reply_to(self, encoded: str) -> Reply:
        """
        Answer what stands in a path, as far as it can be told.

        Where a proxy merged two slashes there are several readings; that of a certificate which we
        issued counts, then any that has an answer.
        """
        text = _base64(encoded)
        plain = next(filter(None, map(_request, _plain(text))), None)
        if plain is not None:
            return self.answers.respond(plain)
        replies = map(self.answers.respond, filter(None, map(_request, _repaired(text))))
        first: Reply | None = None
        for reply in islice(filter(_is_answer, replies), _MOST_SIGNED):
            if reply.this_update is not None or reply.der == _TRY_LATER:
                return reply
            first = first or reply
        return first or self.answers.respond(b"")

    def _caching(self, reply: Reply, now: dt.datetime) -> dict[str, str]:
        """Return the headers of RFC 5019 section 6 for an answer that caches may keep."""
        this_update, next_update = reply.this_update or now, reply.next_update or now
        left = int((next_update - now).total_seconds())
        cache_control, expires = _expiry(now, max(0, min(self.policy.max_age, left)))
        return {
            "Content-Type": RESPONSE_TYPE,
            "Cache-Control": cache_control,
            "Expires": expires,
            "Last-Modified": _http_date(this_update),
            "ETag": _tag(reply.der),
        }

    def crl(self, request: HotRequest, issuer: str, shard: int) -> HotResponse:
        """
        Answer `GET /crl/{issuer}` and `/crl/{issuer}/{shard}`.

        Raises:
            NotFound: `crl_unknown`.
            Unavailable: the store is out of reach.
        """
        if shard > _HIGHEST_SHARD:
            raise NotFound("crl_unknown", f"There is no CRL of {quote(issuer)} here.")
        record = crls.current(self.deployment, issuer, shard)
        headers = _crl_headers(record, self.deployment.clock)
        if _unchanged(request, headers):
            return HotResponse(status=304, headers=headers)
        path = crls.file_of(self.deployment, record, self.directory)
        return HotResponse(status=200, headers=headers, body=path)

    def ca(self, request: HotRequest, issuer: str) -> HotResponse:
        """
        Answer `GET /ca/{issuer}` with a CA's certificate (RFC 5280 4.2.2.1).

        Raises:
            NotFound: `issuer_unknown`.
        """
        with self.deployment.store.read() as tx:
            found = crls.published(tx, issuer)
        if found is None:
            raise NotFound("issuer_unknown", f"There is no issuer {quote(issuer)}.")
        certificate = found.certificate
        headers = {
            "Content-Type": "application/pkix-cert",
            "Cache-Control": f"public, max-age={_CA_MAX_AGE}",
            "ETag": f'"{hashlib.sha256(certificate).hexdigest()}"',
        }
        if _unchanged(request, headers):
            return HotResponse(status=304, headers=headers)
        return HotResponse(status=200, headers=headers, body=certificate)


def _is_ocsp_request(request: HotRequest) -> bool:
    media_type = request.headers.get("content-type", REQUEST_TYPE)
    return media_type.partition(";")[0].strip().lower() == REQUEST_TYPE


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


def _is_answer(reply: Reply) -> bool:
    """Tell errors that a wrong reading gets from what must be passed on."""
    return len(reply.der) > _ERROR_OCTETS or reply.der == _TRY_LATER


def _known_by_date_too(request: HotRequest, reply: Reply) -> bool:
    """
    Tell whether the caller may go by the date.

    A revocation in the second in which the answer before it was signed shares that answer's date,
    so only good answers are told apart by date alone.
    """
    if "if-none-match" in request.headers:
        return True
    known = status_in(reply.der)
    return known is not None and known[0] == "good"


def _time(text: str) -> dt.datetime | None:
    """Read the date of a header; None for anything else."""
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


@lru_cache(maxsize=8192)
def _tag(der: bytes) -> str:
    return f'"{hashlib.sha256(der).hexdigest()}"'


@lru_cache(maxsize=64)
def _expiry(now: dt.datetime, age: int) -> tuple[str, str]:
    """Return Cache-Control and Expires, the same for nearly all answers of one second."""
    expires = _http_date(now + dt.timedelta(seconds=age))
    return f"max-age={age}, public, no-transform, must-revalidate", expires


@lru_cache(maxsize=4096)
def _http_date(when: dt.datetime) -> str:
    return format_datetime(when, usegmt=True)


def _unchanged(request: HotRequest, headers: dict[str, str]) -> bool:
    """Tell whether the caller holds this very answer (RFC 9110 13.1)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        held = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in held or headers["ETag"] in held
    if "if-modified-since" not in request.headers:
        return False
    since = _time(request.headers["if-modified-since"])
    modified = _time(headers.get("Last-Modified", ""))
    return since is not None and modified is not None and modified <= since


def request_in_path(encoded: str) -> bytes:
    """
    Return the DER request in the path of a GET where no slash is missing, else nothing.

    Clients and proxies percent-encode it or not, once or twice, use the URL alphabet, leave out the
    padding, or add a slash. The first reading that is one complete DER element counts.
    """
    return next(filter(None, map(_request, _plain(_base64(encoded)))), b"")


@lru_cache(maxsize=20_000)
def _short_request_in_path(encoded: str) -> bytes:
    """Return `request_in_path` of what the router lets pass; reading costs more than answering."""
    path = unquote(encoded) if "%" in encoded else encoded
    return b"" if "\n" in path else request_in_path(encoded)


def _base64(encoded: str) -> str:
    """Return the text in the usual alphabet; a DER request never begins with a slash."""
    text = encoded
    for _ in range(2):
        text = unquote(text) if "%" in text else text
    text = "".join(text.replace(" ", "+").split()).replace("-", "+").replace("_", "/")
    return text.lstrip("/")


def _plain(text: str) -> Iterator[str]:
    yield text
    for more in range(1, _MOST_BEHIND + 1):
        if text.endswith("/" * more):
            yield text[:-more]


def _repaired(text: str) -> Iterator[str]:
    """Yield what may have stood there before one or two pairs of slashes were merged."""
    slashes = [at for at, character in enumerate(text) if character == "/"][:_MOST_SLASHES]
    for merged in range(1, _MOST_MERGED + 1):
        for places in combinations_with_replacement(slashes, merged):
            repaired = text
            for at in reversed(places):
                repaired = f"{repaired[:at]}/{repaired[at:]}"
            yield repaired


def _request(text: str) -> bytes | None:
    der = _decoded(text)
    return der if der and _is_complete(der) else None


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
