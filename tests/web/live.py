"""The ways to ask one installation; one is our worker's protocol over a real socket."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote_to_bytes

import uvicorn
import uvloop
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from web.asgi import Application
from web.bridge import Scope
from web.worker import Worker

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by their names in lower case, body."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request, its target as it stands in the request line."""

    method: str = "GET"
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def octets(self, *, more: str = "") -> bytes:
        length = (("Content-Length", str(len(self.body))),) if self.body is not None else ()
        fields = (("Host", "localhost"), *self.headers, *length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = f"{self.method} {self.target} HTTP/1.1\r\n{lines}{more}\r\n"
        return head.encode("latin-1") + (self.body or b"")


def by_flask(app: Flask, ask: Ask) -> Answer:
    """Ask as a WSGI server would."""
    path, _, query = ask.target.partition("?")
    builder = EnvironBuilder(method=ask.method, headers=list(ask.headers), data=ask.body)
    environ = builder.get_environ()
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    environ["QUERY_STRING"] = query
    environ["RAW_URI"] = environ["REQUEST_URI"] = ask.target
    environ["wsgi.input_terminated"] = True
    pieces, status, headers = run_wsgi_app(app, environ, buffered=True)
    fields = {name.lower(): value for name, value in headers.items()}
    return int(status[:3]), fields, b"".join(pieces)


async def by_asgi(app: Application, ask: Ask) -> Answer:
    """Ask as an ASGI server would that knows no short cut."""
    path, _, query = ask.target.partition("?")
    length = (("content-length", str(len(ask.body))),) if ask.body is not None else ()
    fields = (("host", "localhost"), *ask.headers, *length)
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": ask.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in fields],
        "client": ("127.0.0.1", 5),
        "server": ("localhost", 80),
    }
    body = io.BytesIO(ask.body or b"")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = body.read(30_000)
        more = body.tell() < len(ask.body or b"")
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m["body"] for m in sent[1:])


# --- over a socket -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Live:
    """A server of one thread of this process."""

    server: uvicorn.Server
    port: int

    def connect(self) -> Talk:
        return Talk(socket.create_connection(("127.0.0.1", self.port), timeout=10))

    def ask(self, ask: Ask) -> Answer:
        return self.send(ask.octets(), ask.method)

    def send(self, octets: bytes, method: str = "GET") -> Answer:
        """Send octets on a connection of their own and read one answer."""
        with self.connect() as connection:
            connection.sendall(octets)
            return connection.answer(method)


class Talk:
    """A connection on which one answer is read after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._socket.close()

    def sendall(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def end(self) -> None:
        """Send no more."""
        self._socket.shutdown(socket.SHUT_WR)

    def read(self, size: int) -> bytes:
        return self._reader.read(size)

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer, and not an octet more."""
        answer = http.client.HTTPResponse(self._socket, method=method)
        answer.fp.close()
        answer.fp = _Unclosed(self._reader)  # type: ignore[assignment]  # what it needs of a file
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()

    def is_closed(self, within: float = 5.0) -> bool:
        """Tell whether the server ends the connection in time, whatever it says before."""
        self._socket.settimeout(within)
        try:
            while self._reader.read1(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True


class _Unclosed:
    """A reader that outlives the answer read from it."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self.read, self.readline, self.readinto = reader.read, reader.readline, reader.readinto
        self.flush = reader.flush

    def close(self) -> None:
        """Stay open."""


@contextmanager
def serving_here(app: Any, **more: Any) -> Iterator[Live]:
    """Serve an ASGI app with our worker's settings."""
    settings = {**Worker.CONFIG_KWARGS, "log_config": None, **more}
    server = uvicorn.Server(uvicorn.Config(app, **settings))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=_run, args=(server, listener))
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield Live(server, port)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))
