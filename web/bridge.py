"""
A WSGI app behind an ASGI server: one hop into a thread and back for each request.

The body is read before, so that a slow client holds no thread. Adapters in common use hop for every
piece of body and answer, which was measured to cost twice as much as Flask itself.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, MutableMapping
from types import TracebackType
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication

from werkzeug.wsgi import ClosingIterator

Scope = MutableMapping[str, Any]
Environ = dict[str, Any]
Raised = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None] | None
)
Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, body."""

PEER: Final = "pnc.peer_certificate"
"""Where the state of a connection, and the environ of its requests, hold a client certificate."""


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """
    Return header fields by their names in lower case; a field that came twice is joined by commas.

    Names with an underscore are dropped: WSGI could not tell them from those with a hyphen.
    """
    headers: dict[str, str] = {}
    for octets, value in pairs:
        name, text = octets.decode("latin-1"), value.decode("latin-1")
        if name in headers:
            headers[name] += f",{text}"
        elif "_" not in name:
            headers[name] = text
    return headers


def environ_of(scope: Scope, body: bytes) -> Environ:
    """Return the environ of PEP 3333 for an HTTP scope and its body, which may have been cut."""
    query = scope["query_string"].decode("latin-1")
    raw = scope["raw_path"].decode("latin-1")
    server, port = scope.get("server") or ("localhost", 80)
    client, client_port = scope.get("client") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": f"{raw}?{query}" if query else raw,
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(server),
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": str(client),
        "REMOTE_PORT": str(client_port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,  # the body ends where the stream ends, length or not
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in headers_of(scope["headers"]).items():
        environ[_KEYS.get(name) or f"HTTP_{name.upper().replace('-', '_')}"] = value
    environ[PEER] = scope.get("state", {}).get(PEER)
    return environ


_KEYS = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def run(app: WSGIApplication, environ: Environ) -> Answer:
    """Call a WSGI app and return its whole answer."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _raised: Raised = None, /
    ) -> Callable[[bytes], object]:
        begun.append((status, headers))
        return written.append

    body = app(environ, start_response)
    with_close = ClosingIterator(body, getattr(body, "close", None))
    try:
        written.extend(with_close)
    finally:
        with_close.close()
    status, headers = begun[-1]
    return int(status[:3]), headers, b"".join(written)
