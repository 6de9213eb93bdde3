"""
The only HTTP client: for addresses that an administrator configured, never for one that a
certificate, hash data or a message names.

A name is resolved once and the connection goes to that very address, so that nobody can change it
between check and use. Internal addresses are refused unless a setting lists their network.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pki.errors import BadInput, Unavailable
from pki.ids import quote

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HOLDING_IPV4: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96")  # RFC 4291 2.5.5, RFC 6052 2.1
)
_PORTS: Final = {"http": 80, "https": 443}
_CHUNK: Final = 64 * 1024
_NONE: Final[Mapping[str, str]] = {}
_OK: Final = 200
_MAX_URL: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundPolicy:
    """
    Limits of every call.

    Attributes:
        allowed: networks that may be called although they are not public.
        seconds: for the whole call, from the name to the last octet.
        octets: of the answer's body, at most.
    """

    allowed: tuple[Network, ...] = ()
    seconds: float = 20.0
    octets: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer with status 200."""

    body: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer with any status; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def check_address(url: str) -> SplitResult:
    """
    Return the parts of an address that may be configured.

    Raises:
        BadInput: `invalid_address`.
    """
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= _MAX_URL
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or not plain or port == -1:
        raise BadInput("invalid_address", f"{quote(url)} is no http or https address.")
    if parts.username or parts.password or parts.fragment:
        raise BadInput("invalid_address", "An address holds neither credentials nor a fragment.")
    return parts


def call(
    policy: OutboundPolicy,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] = _NONE,
) -> Answer:
    """
    GET an address, or POST `body` to it; redirects are not followed.

    Raises:
        BadInput: `invalid_address`.
        Unavailable: `address_refused`, `outbound_failed`, `answer_too_large`, `outbound_timeout`.
    """
    method = "GET" if body is None else "POST"
    with _exchange(policy, method, url, body, headers) as (response, read):
        if response.status != _OK:
            host = urlsplit(url).hostname
            raise Unavailable("outbound_failed", f"{host} answered with status {response.status}.")
        return Answer(body=read(), content_type=response.headers.get_content_type())


def request(
    policy: OutboundPolicy,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] = _NONE,
) -> Reply:
    """
    Send any request and return the answer, whatever its status; redirects are not followed.

    Raises:
        BadInput: `invalid_address`.
        Unavailable: `address_refused`, `outbound_failed`, `answer_too_large`, `outbound_timeout`.
    """
    with _exchange(policy, method, url, body, headers) as (response, read):
        return Reply(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=read(),
        )


@contextmanager
def _exchange(
    policy: OutboundPolicy,
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> Iterator[tuple[http.client.HTTPResponse, Callable[[], bytes]]]:
    """Send a request; yield the answer's head and what reads its body. Errors as `request`."""
    parts = check_address(url)
    deadline = time.monotonic() + policy.seconds
    address = _resolve(policy, parts)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connect(parts, address, deadline)
    try:
        connection.request(
            method,
            path,
            body,
            {"Host": parts.netloc, "Connection": "close", "User-Agent": "pnc-pki", **headers},
        )
        with connection.getresponse() as response:
            yield response, lambda: _read(policy, connection, response, deadline)
    except TimeoutError as error:
        raise _timeout(parts) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            "outbound_failed", f"{parts.hostname} cannot be asked: {type(error).__name__}."
        ) from error
    finally:
        connection.close()


def check_target(policy: OutboundPolicy, url: str) -> SplitResult:
    """
    Return the parts of an address that somebody else than an administrator names.

    A name is looked up at each call, as it may change; an address that is written out is judged at
    once.

    Raises:
        BadInput: `invalid_address`, `address_refused`.
    """
    parts = check_address(url)
    try:
        ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return parts
    if not _may_be_called(policy, parts.hostname or ""):
        raise BadInput("address_refused", f"{quote(url)} is an internal address.")
    return parts


def _timeout(parts: SplitResult) -> Unavailable:
    return Unavailable("outbound_timeout", f"{parts.hostname} did not answer in time.")


def _resolve(policy: OutboundPolicy, parts: SplitResult) -> tuple[str, int]:
    """Return the first address of the host that may be called, and the port."""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable("outbound_failed", f"{parts.hostname} has no address.") from error
    for *_, place in found:
        if _may_be_called(policy, str(place[0])):
            return str(place[0]), port
    raise Unavailable(
        "address_refused",
        f"{parts.hostname} is an internal address.",
        hint="List its network in outbound.allowed_networks if it is meant.",
    )


def _may_be_called(policy: OutboundPolicy, text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    meant = _meant(address)
    listed = any(
        a.version == n.version and a in n for a in (address, meant) for n in policy.allowed
    )
    return listed or (meant.is_global and not meant.is_multicast)


def _meant(address: Address) -> Address:
    """Return the IPv4 address in an IPv6 one, where a gateway may lead, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in network for network in _HOLDING_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name that was configured."""

    def __init__(self, parts: SplitResult, address: tuple[str, int], timeout: float) -> None:
        super().__init__(parts.hostname or "", address[1], timeout=timeout)
        self._address = address
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def connect(self) -> None:
        """Open the connection, with TLS for the configured name where that is asked for."""
        self.sock = socket.create_connection(self._address, self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _connect(parts: SplitResult, address: tuple[str, int], deadline: float) -> _Pinned:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _timeout(parts)
    return _Pinned(parts, address, left)


def _read(
    policy: OutboundPolicy,
    connection: _Pinned,
    response: http.client.HTTPResponse,
    deadline: float,
) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left)
        piece = response.read1(_CHUNK)
        if not piece:
            return b"".join(pieces)
        size += len(piece)
        if size > policy.octets:
            raise Unavailable(
                "answer_too_large", f"The answer has more than {policy.octets} octets."
            )
        pieces.append(piece)
