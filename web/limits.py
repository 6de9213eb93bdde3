"""
How often one client may enrol, ask for tokens or have certificates issued.

A bucket for each client, in the memory of each worker process: so many requests at once, and so
many a minute. The clients that asked last are remembered, the others begun anew.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from typing import Final

from flask import Flask, request

from pki.enrol.policy import EnrolPolicy
from pki.errors import RateLimited
from pki.model import Principal

MOST_CLIENTS: Final = 10_000
TOKEN: Final = "/oauth/token"  # noqa: S105 - a path
_SIGN: Final = "SignCertificate"


class Buckets:
    """So many requests a minute for each key, and as many at once; 0: nobody is refused."""

    def __init__(self, per_minute: int, most: int = MOST_CLIENTS) -> None:
        self._capacity = float(per_minute)
        self._rate = per_minute / 60
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: str, now: float) -> float:
        """Take one request; return 0, or the seconds after which there is one again."""
        if not self._rate:
            return 0.0
        with self._lock:
            left, at = self._held.pop(key, (self._capacity, now))
            left = min(self._capacity, left + (now - at) * self._rate)
            wait = 0.0 if left >= 1 else (1 - left) / self._rate
            self._held[key] = (left if wait else left - 1, now)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return wait


class Limits:
    """
    Refuses who asks too often.

    X-Forwarded-For is believed from the trusted proxies of the policy, and from loopback addresses.
    """

    def __init__(self, policy: EnrolPolicy) -> None:
        self._requests = Buckets(policy.requests_per_minute)
        self._certificates = Buckets(policy.certificates_per_minute)
        self._proxies = policy.trusted_proxies

    def check(self) -> None:
        """Return if the caller of the current request may go on. Raises RateLimited."""
        _take(self._requests, self._key(), "enrol.requests_per_minute")

    def check_certificate(self, principal: Principal) -> None:
        """Return if one more certificate may be asked for over REST. Raises RateLimited."""
        _take(self._certificates, principal.name, "enrol.certificates_per_minute")

    def _key(self) -> str:
        """Return what tells clients apart: credentials, or else, and for tokens, the address."""
        credentials = request.headers.get("Authorization") or request.headers.get("X-API-Key")
        if credentials and request.path != TOKEN:
            return hashlib.sha256(credentials.encode("utf-8", "replace")).hexdigest()
        return self._address()

    def _address(self) -> str:
        """Return the peer, or whom a proxy that is believed names last."""
        peer = request.remote_addr or ""
        named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return named[:64] if named and self._believed(peer) else peer

    def _believed(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return address.is_loopback or any(address in network for network in self._proxies)


def _take(buckets: Buckets, key: str, setting: str) -> None:
    wait = buckets.take(key, time.monotonic())
    if wait:
        raise RateLimited(
            "rate_limited",
            "This client asks too often.",
            hint=f"Wait as long as Retry-After says; {setting} is the limit.",
            data={"retryAfter": math.ceil(wait)},
        )


def register(app: Flask, limits: Limits) -> None:
    """Check every request to EST, SignCertificate and the token endpoint before it is read."""

    @app.before_request
    def check() -> None:
        rule = request.url_rule
        if request.method != "POST" or rule is None:
            return
        if request.blueprint == "est" or rule.rule == TOKEN or rule.rule.endswith(_SIGN):
            limits.check()
