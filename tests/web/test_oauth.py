"""The token endpoint over HTTP: every way in which clients of the field ask."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pki import clients, demo
from pki.services import Services
from tests.web.calling import Caller, code
from tests.web.conftest import ADMIN, PUBLIC_URL

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def credentials(home: Path) -> dict[str, str]:
    client = json.loads((home / demo.FILE_NAME).read_text("utf-8"))["cpo"]
    return {"client_id": client["clientId"], "client_secret": client["token"]}


def error(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json["error"]  # type: ignore[attr-defined]


def use(caller: Caller, token: str, header: str = "Authorization") -> int:
    value = f"Bearer {token}" if header == "Authorization" else token
    return caller.get("/v1/certificates", headers={header: value}).status_code


def test_json_without_audience_as_maeve_asks(caller: Caller, credentials: dict[str, str]) -> None:
    answer = caller.post("/oauth/token", GRANT | credentials)
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 86400)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert use(caller, answer.json["access_token"]) == 200
    assert use(caller, answer.json["access_token"], "X-API-Key") == 200


def test_a_form_with_audience_as_citrineos_asks(
    caller: Caller, credentials: dict[str, str]
) -> None:
    body = urlencode(GRANT | credentials | {"audience": PUBLIC_URL})
    answer = caller.post("/oauth/token", data=body, headers=FORM)
    assert answer.status_code == 200
    assert use(caller, answer.json["access_token"]) == 200  # type: ignore[index]


def test_http_basic_as_libraries_ask(caller: Caller, credentials: dict[str, str]) -> None:
    pair = f"{credentials['client_id']}:{credentials['client_secret']}"
    basic = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    answer = caller.post("/oauth/token", data=urlencode(GRANT), headers=FORM | basic)
    assert answer.status_code == 200
    twice = urlencode(GRANT | credentials)
    answer = caller.post("/oauth/token", data=twice, headers=FORM | basic)
    assert error(answer) == (400, "invalid_request")


def test_our_own_token_still_works_and_works_as_an_api_key_too(
    caller: Caller, credentials: dict[str, str]
) -> None:
    assert use(caller, credentials["client_secret"]) == 200
    assert use(caller, credentials["client_secret"], "X-API-Key") == 200
    assert use(caller, "pnc_none", "X-API-Key") == 401
    assert use(caller, "x" * 5000, "X-API-Key") == 401


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"grant_type": ""}, (400, "invalid_request")),
        ({"grant_type": 7}, (400, "invalid_request")),
        ({"audience": "https://other.example"}, (400, "invalid_target")),
        ({"client_secret": "pnc_no"}, (401, "invalid_client")),
        ({"client_secret": ""}, (401, "invalid_client")),
        ({"client_id": "x" * 2000}, (400, "invalid_request")),
        ({"client_id": "x" * 9000}, (413, "invalid_request")),
        ({"client_id": "\ud800"}, (400, "invalid_request")),
    ],
)
def test_errors_have_the_form_of_oauth(
    caller: Caller,
    credentials: dict[str, str],
    change: dict[str, object],
    expected: tuple[int, str],
) -> None:
    answer = caller.post("/oauth/token", data=json.dumps({**GRANT, **credentials, **change}))
    assert error(answer) == expected
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="pnc"'


def test_a_body_of_another_kind_is_refused_in_the_form_of_oauth(caller: Caller) -> None:
    answer = caller.post("/oauth/token", data="{}", headers={"Content-Type": "text/plain"})
    assert error(answer) == (415, "invalid_request")
    long = urlencode(GRANT | {"client_id": "x" * 9000})
    assert error(caller.post("/oauth/token", data=long, headers=FORM)) == (413, "invalid_request")
    twice = "grant_type=client_credentials&grant_type=client_credentials"
    assert error(caller.post("/oauth/token", data=twice, headers=FORM)) == (400, "invalid_request")
    bad = {"Authorization": "Basic ???"}
    answer = caller.post("/oauth/token", data=urlencode(GRANT), headers=FORM | bad)
    assert error(answer) == (401, "invalid_client")


def test_a_compressed_form_is_refused_as_such(caller: Caller, credentials: dict[str, str]) -> None:
    body = gzip.compress(urlencode(GRANT | credentials).encode())
    answer = caller.post("/oauth/token", data=body, headers=FORM | {"Content-Encoding": "gzip"})
    assert error(answer) == (415, "invalid_request")
    assert answer.headers["Accept-Encoding"] == "identity"


def test_the_keys_are_published(caller: Caller, credentials: dict[str, str]) -> None:
    assert caller.get("/.well-known/jwks.json").json == {"keys": []}
    assert caller.post("/oauth/token", GRANT | credentials).status_code == 200
    (key,) = caller.get("/.well-known/jwks.json").json["keys"]  # type: ignore[index]
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")


def test_a_client_that_was_removed_stops_at_once(
    caller: Caller, running: Services, credentials: dict[str, str]
) -> None:
    token = caller.post("/oauth/token", GRANT | credentials).json["access_token"]  # type: ignore[index]
    assert use(caller, token) == 200
    clients.disable(running.deployment, ADMIN, credentials["client_id"])
    answer = caller.get("/v1/certificates", headers={"X-API-Key": token})
    assert code(answer) == (401, "token_invalid")
