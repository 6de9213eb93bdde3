"""One line per request, and no secret in any."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pki.clock import FixedClock
from tests.builders import NOW
from tests.web.calling import Caller, csr, token
from web.logs import JsonFormatter


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service logs, as text."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(FixedClock(NOW)))
    logger = logging.getLogger("pnc")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_of_json(caller: Caller, written: io.StringIO) -> None:
    answer = caller.authorize({"idToken": token()}, headers={"X-Request-Id": "car-9"})
    assert answer.status_code == 200
    (line,) = [entry for entry in lines(written) if entry["path"] != "/openapi.json"]
    assert isinstance(line.pop("ms"), float)
    assert isinstance(line.pop("decision"), str)
    assert str(line.pop("client")).startswith("cpo-")
    assert line == {
        "ts": "2026-06-01T12:00:00Z",
        "level": "info",
        "event": "request",
        "requestId": "car-9",
        "method": "POST",
        "path": "/ocpp/2.0.1/Authorize",
        "status": 200,
        "fault": "contract_unknown",
    }


def test_the_path_is_bounded_printable_and_without_its_query(
    shared: Caller, written: io.StringIO
) -> None:
    shared.get('/%0a{"level":"error"}/ü' + "x" * 300 + "?token=secret")
    (line,) = [entry for entry in lines(written) if entry["path"] != "/openapi.json"]
    assert str(line["path"]).startswith('/?{"level":"error"}/?xx')
    assert len(str(line["path"])) == 200
    assert "secret" not in written.getvalue()


def test_no_line_holds_a_token_a_request_or_a_key(
    caller: Caller, written: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    request = csr("DEMOAC00000001")
    secrets = [*caller.tokens.values(), "PRIVATE KEY", *request.splitlines()[1:-1]]
    made = caller.issue(csr=request)
    own = caller.post(
        "/v1/certificates", {"profile": "contract", "emaid": "DEMOAC00000002"}, role="emsp"
    ).json
    assert own is not None
    secrets += own["privateKey"].splitlines()[1:-1]
    caller.get(f"/v1/certificates?commonName={caller.tokens['admin']}", role="admin")
    caller.get(f"/{caller.tokens['oem']}", role="admin")
    caller.post("/v1/certificates", {"profile": "contract", "csr": request[:-40]}, role="emsp")
    caller.post(f"/v1/certificates/{made['serialNumber']}/revoke", {"reason": "x"}, role="emsp")
    output = written.getvalue() + "".join(capfd.readouterr())
    assert len(output.splitlines()) >= 6
    for secret in secrets:
        assert secret not in output


def test_an_exception_that_carries_secrets_is_blotted_out(
    caller: Caller, written: io.StringIO
) -> None:
    def boom() -> str:
        raise RuntimeError(f"Bearer abc {caller.tokens['cpo']}\n{csr('DEMOAC00000001')} the end")

    broken = replace(caller, document={})
    broken.app.add_url_rule("/v1/boom", "boom", boom)
    assert broken.get("/v1/boom").status_code == 500
    (entry,) = [line for line in lines(written) if line["level"] == "error"]
    traceback = str(entry["traceback"])
    assert caller.tokens["cpo"] not in traceback
    assert "CERTIFICATE REQUEST" not in traceback
    assert "RuntimeError: [hidden] [hidden]" in traceback
    assert traceback.endswith("the end")
