"""The real server: `gunicorn -c web/gunicorn.conf.py` on a home."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.web.calling import short
from tests.web.serving import COMMAND, Server, environment, serving

V1 = "/v1/contracts/validate"


@pytest.fixture(scope="module")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("gunicorn")
    home = Path(shutil.copytree(template, directory / "home"))
    left_over = home / "run" / "metrics" / "counter_1.db"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"of the last run")
    with serving(home, directory / "log") as running:
        yield running
    assert not left_over.exists()


def test_ten_megabytes_are_refused_at_once_and_the_service_goes_on(server: Server) -> None:
    begun = time.perf_counter()
    for path in (V1, "/ocpp/2.0.1/Authorize"):
        status, text = server.call("POST", path, b" " * 10_000_000)
        assert (status, "body_too_large" in text) == (413, True)
        # nor does a caller without a token see a broken connection
        status, text = server.call("POST", path, b" " * 10_000_000, Authorization="")
        assert (status, "token_missing" in text) == (401, True)
    assert time.perf_counter() - begun < 5
    assert server.call("GET", "/healthz/ready")[0] == 200


def test_a_connection_is_kept_over_an_error(server: Server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.connect()
        kept = connection.sock
        for path, status in (("/nothing", 404), ("/ocsp/%zz", 200), ("/healthz/live", 200)):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, connection.sock) == (status, kept)


def test_metrics_add_up_over_the_workers(server: Server) -> None:
    def count() -> float:
        text = server.call("GET", "/metrics")[1]
        found = re.search(r'pnc_http_requests_total{.*route="/healthz/live".*} (\S+)', text)
        return float(found[1]) if found else 0.0

    before = count()
    for _ in range(30):
        server.call("GET", "/healthz/live")
    assert count() == before + 30


def test_every_line_of_the_log_is_json_and_a_request_has_one(server: Server) -> None:
    server.call("POST", V1, b'{"emaid": "DEMOAC00000009"}', **{"X-Request-Id": "the-only-one"})
    lines = [line for line in server.lines() if line.get("requestId") == "the-only-one"]
    assert [line["status"] for line in lines] == [200]
    assert not any(token in server.log.read_text("utf-8") for token in server.tokens.values())


# --- what must not start -------------------------------------------------------------------------


def refused(command: list[str], home: Path, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        command, env=environment(home, **more), capture_output=True, timeout=30, check=False
    )
    return done.returncode, done.stderr.decode()


_OPENED = {"PNC_KEY_PASSPHRASE_FILE": "{}/keys/passphrase", "PNC_SIGNER_SOCKET": "{}/signer"}


@pytest.mark.parametrize("command", [COMMAND, [sys.executable, "-c", "import web.wsgi"]])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"PNC_DATABASE_URL": "mysql://x"}, "invalid_settings"),
        ({"PNC_DATABASE_URL": "sqlite:////nowhere/pnc.db"}, "store_unavailable"),
        ({"PNC_MODE": "production"}, "PNC_KEY_PASSPHRASE_FILE"),
        ({"PNC_MODE": "production", **_OPENED}, "demo_key"),
    ],
    ids=short,
)
def test_what_must_not_run_does_not_start_and_says_why(
    template: Path, command: list[str], more: dict[str, str], message: str
) -> None:
    set_to = {name: value.format(template) for name, value in more.items()}
    status, said = refused(command, template, **set_to)
    assert status in (1, 3)
    assert "The service does not start" in said
    assert message in said
    assert "Traceback" not in said
