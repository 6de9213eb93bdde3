"""The real server on a home: the command that `pnc serve` runs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import PUBLIC_URL, tokens

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "web/gunicorn.conf.py"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PNC_", "PROMETHEUS_"))}
    return kept | {"PNC_HOME": str(home)} | more


@dataclass(frozen=True)
class Server:
    """A gunicorn and where it writes."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str]:
        sent = {"Authorization": f"Bearer {self.tokens['cpo']}", "Content-Type": "application/json"}
        with closing(self.connection()) as connection:
            connection.request(method, path, body, sent | headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def raw(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send octets as they are on a connection of their own; return what is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sent:
            sent.sendall(request)
            answer = http.client.HTTPResponse(sent)
            answer.begin()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]


@contextmanager
def serving(home: Path, log: Path, *, more: str = "") -> Iterator[Server]:
    """Serve a home; `more` are further settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f'public_url = "{PUBLIC_URL}"\n[serve]\nport = {port}\nworkers = 2\n{more}'
    (home / "pnc.toml").write_text(text, "utf-8")
    with log.open("wb") as stderr:
        process = subprocess.Popen(COMMAND, env=environment(home), stderr=stderr)
    server = Server(port=port, process=process, log=log, tokens=tokens(home))
    try:
        _wait_for(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def _wait_for(server: Server) -> None:
    for _ in range(1200):
        assert server.process.poll() is None, server.log.read_text("utf-8")
        try:
            if server.call("GET", "/healthz/ready")[0] == 200:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the server does not answer")
