"""A partner's platform as a real HTTP server, with the ways in which real ones go wrong."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NOW = "2026-11-24T20:00:00Z"


@dataclass
class Seen:
    """One request that the partner got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class MockPartner:
    """
    What the partner says and does; tests change it at any time.

    Attributes:
        fault: one of FAULTS, or none.
        wrap: puts an answer into a list of one, as one deployed library does.
        held: set to let slow answers go.
    """

    base: str = ""
    version: str = "2.2.1"
    token_a: str = "token-a-of-partner"
    token_c: str = "token-c-of-partner"
    roles: list[dict[str, Any]] = field(default_factory=list)
    endpoints: list[dict[str, str]] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    clients: list[dict[str, Any]] = field(default_factory=list)
    allowed: dict[str, Any] = field(default_factory=lambda: {"allowed": "ALLOWED"})
    page_size: int = 50
    wrong_total: int | None = None
    circle: bool = False
    fault: str = ""
    reject_credentials: bool = False
    no_credentials: bool = False
    wrap: bool = False
    command_result: str = "ACCEPTED"
    seen: list[Seen] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    during_post: Callable[[dict[str, Any]], None] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def role(self, role: str, party: str, name: str = "Partner") -> None:
        """Speak for one more party."""
        details = {"name": name}
        self.roles.append(
            {
                "role": role,
                "country_code": party[:2],
                "party_id": party[2:],
                "business_details": details,
            }
        )

    def endpoint(self, module: str, role: str) -> None:
        """Offer one more module."""
        url = f"{self.base}/{role.lower()}/{module}"
        self.endpoints.append({"identifier": module, "role": role, "url": url})

    def calls(self, method: str, path: str) -> list[Seen]:
        """Return the requests for a path."""
        return [s for s in self.seen if s.method == method and s.path == path]

    def credentials(self, token: str) -> dict[str, Any]:
        """Return the credentials object of this platform."""
        return {"token": token, "url": f"{self.base}/versions", "roles": self.roles, **self.extra}

    # --- answers -------------------------------------------------------------------------------

    def answer(  # noqa: C901, PLR0911 - one case for each thing that it can be asked
        self, seen: Seen
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, data and headers."""
        match seen.method, seen.path.strip("/").split("/"):
            case "GET", ["versions"]:
                found = [{"version": self.version, "url": f"{self.base}/details"}]
                return 200, found, {}
            case "GET", ["details"]:
                own = {
                    "identifier": "credentials",
                    "role": "RECEIVER",
                    "url": f"{self.base}/credentials",
                }
                offered = self.endpoints if self.no_credentials else [own, *self.endpoints]
                return 200, {"version": self.version, "endpoints": offered}, {}
            case "POST" | "PUT", ["credentials"]:
                if self.during_post:
                    self.during_post(seen.body)
                if self.reject_credentials:
                    return 405, None, {}
                return 200, self.credentials(self.token_c), {}
            case "DELETE", ["credentials"]:
                return 200, None, {}
            case "GET", ["sender", "tokens"]:
                return self._page(seen, self.tokens, "tokens")
            case "GET", ["sender", "hubclientinfo"]:
                return self._page(seen, self.clients, "hubclientinfo")
            case "POST", ["sender", "tokens", uid, "authorize"]:
                if self.allowed.get("allowed") == "404":
                    return 404, None, {}
                told = {"token": {"uid": uid}, **self.allowed}
                return 200, [told] if self.wrap else told, {}
            case "POST", ["receiver", "commands", _]:
                return 200, {"result": self.command_result, "timeout": 30}, {}
            case "PUT" | "PATCH" | "POST", _:
                return 200, None, {}
        return 404, None, {}

    def _page(self, seen: Seen, rows: list[Any], module: str) -> tuple[int, Any, dict[str, str]]:
        offset = int(seen.query.get("offset", 0))
        shown = rows[offset : offset + self.page_size]
        total = len(rows) if self.wrong_total is None else self.wrong_total
        headers = {"X-Total-Count": str(total), "X-Limit": str(self.page_size)}
        if self.circle or offset + self.page_size < len(rows):
            following = 0 if self.circle else offset + self.page_size
            place = f"{self.base}/sender/{module}?offset={following}&limit={self.page_size}"
            headers["Link"] = f'<{place}>; rel="next"'
        return 200, shown, headers


FAULTS: dict[str, tuple[int, bytes]] = {
    "slow": (200, b"{}"),
    "garbage": (200, b"<html>it works</html>"),
    "error500": (500, b"{}"),
    "redirect": (302, b""),
    "huge": (200, b'{"status_code": 1000, "data": "' + b"a" * (8 * 1024 * 1024)),
    "no-code": (200, b'{"data": []}'),
    "refuses": (200, b'{"status_code": 3000, "timestamp": "x"}'),
    "deep": (200, b"[" * 100_000),
}
"""What the partner answers instead."""


def token_sent(seen: Seen) -> str:
    """Return the credentials token of a request."""
    return base64.b64decode(seen.headers["authorization"].partition(" ")[2]).decode()


def _handler(partner: MockPartner) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is its
            """Stay quiet."""

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            parts = urlsplit(self.path)
            seen = Seen(
                method=self.command,
                path=parts.path,
                query={k: v[0] for k, v in parse_qs(parts.query).items()},
                headers={k.lower(): v for k, v in self.headers.items()},
                body=json.loads(body) if body else None,
            )
            partner.seen.append(seen)
            if partner.fault:
                self._fail(partner.fault)
                return
            status, data, headers = partner.answer(seen)
            code = {404: 2004, 405: 2000}.get(status, 1000)
            told = {"data": data, "status_code": code, "timestamp": NOW}
            self._send(status, json.dumps(told).encode(), headers)

        def _fail(self, fault: str) -> None:
            if fault == "slow":
                partner.held.wait(30)
            status, body = FAULTS[fault]
            headers = {"Location": f"{partner.base}/versions"} if status == 302 else {}
            self._send(status, body, headers)

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names are its

    return Handler


@contextmanager
def mock_partner() -> Iterator[MockPartner]:
    """Run a partner on a free port of this host."""
    partner = MockPartner()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(partner))
    server.daemon_threads = True
    partner.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield partner
    finally:
        partner.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
