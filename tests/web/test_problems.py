"""Every form of error, on our own endpoints and under `/ocpp/`."""

from __future__ import annotations

import io
import json
import logging

import pytest

from pki import errors
from pki.services import Services
from tests.web.calling import Caller, code, ocpp_code, short
from tests.web.conftest import tokens
from web.app import create_app
from web.parsing import MAX_BODY, MAX_OCPP_BODY
from web.problems import STATUS

V1 = "/v1/contracts/validate"
OCPP = "/ocpp/2.0.1/Authorize"


def test_a_problem_says_everything_that_rfc_9457_and_we_promise(shared: Caller) -> None:
    answer = shared.post(V1, {"emaid": 7}, role="cpo", headers={"X-Request-Id": "car-7"})
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.json == {
        "type": "urn:pnc:problem:wrong_type",
        "title": "Bad Request",
        "status": 400,
        "detail": "emaid is not a string.",
        "code": "wrong_type",
        "field": "emaid",
        "requestId": "car-7",
    }


def test_the_ocpp_form_has_the_three_members_of_a_callerror(shared: Caller) -> None:
    answer = shared.post(OCPP, {}, role="cpo", headers={"X-Request-Id": "car-8"})
    assert answer.status_code == 400
    assert answer.mimetype == "application/json"
    assert answer.json == {
        "errorCode": "PropertyConstraintViolation",
        "errorDescription": "The request lacks idToken.",
        "errorDetails": {
            "code": "schema_violation",
            "pointer": "",
            "keyword": "required",
            "requestId": "car-8",
        },
    }


def test_every_error_class_has_its_status() -> None:
    assert set(errors.PkiError.__subclasses__()) == set(STATUS)
    assert len(set(STATUS.values())) == len(STATUS) - 1  # 202: of acts and of certificates


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/", 404, "path_unknown"),
        ("/v1", 404, "path_unknown"),
        ("/ca/nobody", 404, "issuer_unknown"),
        ("/healthz/live/", 404, "path_unknown"),
        ("//healthz/live", 404, "path_unknown"),
        ("/healthz//live", 404, "path_unknown"),
        ("/static/app.py", 404, "path_unknown"),
        (f"/{'ü' * 3000}", 404, "path_unknown"),
    ],
)
def test_what_is_not_there_is_not_found_and_never_redirected(
    shared: Caller, path: str, status: int, name: str
) -> None:
    assert code(shared.get(path)) == (status, name)


def test_an_unknown_action_of_ocpp_is_told_in_its_form(shared: Caller) -> None:
    assert ocpp_code(shared.post("/ocpp/2.0.1/Reset", {})) == (404, "NotImplemented")
    assert ocpp_code(shared.post("/ocpp/1.6/Authorize", {})) == (404, "NotImplemented")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_a_method_that_a_path_does_not_know_is_refused_with_allow(
    shared: Caller, method: str
) -> None:
    answer = shared.call(method, "/v1/certificates")
    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    over_ocpp = shared.call(method, OCPP)
    assert ocpp_code(over_ocpp) == (405, "NotSupported")
    assert over_ocpp.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=short,
)
def test_only_plain_json_is_taken(shared: Caller, headers: dict[str, str]) -> None:
    for path in (V1, OCPP):
        answer = shared.post(path, data=b"{}", role="cpo", headers=headers)
        assert code(answer) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    "declared",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=x"],
)
def test_a_charset_is_tolerated(shared: Caller, declared: str) -> None:
    data = b'{"emaid": "DEMOAC00000009"}'
    answer = shared.post(V1, data=data, role="cpo", headers={"Content-Type": declared})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "json_invalid"),
        (b"{", "json_invalid"),
        (b"\xff\xfe{}", "json_invalid"),
        (b'{"emaid": NaN}', "json_invalid"),
        (b'{"emaid": 1e999}', "json_invalid"),
        (b'{"emaid": "\\ud800"}', "json_invalid"),
        (b'{"emaid": "a\x00"}', "json_invalid"),
        (b"[" * 2000 + b"]" * 2000, "json_invalid"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "json_too_deep"),
        (b'{"emaid": "DEMOAC00000001", "emaid": "DEMOAC00000002"}', "json_name_repeated"),
        (b'{"a": [{"b": 1, "c": {}, "b": 1}]}', "json_name_repeated"),
        (b'{"a": "::", "b\\u003a": 1, "b:": ":"}', "json_name_repeated"),
        (b'{"a": 1, "a": 2, "c": "\\u003a"}', "json_name_repeated"),
        (b'{"a": 1' + 300 * b"9" + b', "\\u0061": 2}', "json_name_repeated"),
        (b"[]", "body_not_object"),
        (b'"DEMOAC00000009"', "body_not_object"),
        (b"null", "body_not_object"),
    ],
)
def test_a_body_that_is_no_json_object_breaks_the_formation(
    shared: Caller, data: bytes, name: str
) -> None:
    assert code(shared.post(V1, data=data, role="cpo")) == (400, name)
    over_ocpp = shared.post(OCPP, data=data, role="cpo")
    assert (code(over_ocpp)[1], ocpp_code(over_ocpp)) == (name, (400, "FormationViolation"))


@pytest.mark.parametrize(("path", "limit"), [(V1, MAX_BODY), (OCPP, MAX_OCPP_BODY)])
def test_a_body_over_the_limit_is_refused_and_the_service_goes_on(
    shared: Caller, path: str, limit: int
) -> None:
    exact = json.dumps({"x": "a"}).encode().ljust(limit)
    assert shared.post(path, data=exact, role="cpo").status_code == 400
    for size in (limit + 1, 10_000_000):
        answer = shared.post(path, data=b" " * size, role="cpo")
        assert code(answer) == (413, "body_too_large")
    assert ocpp_code(shared.post(OCPP, data=b" " * 70_000, role="cpo"))[1] == "FormationViolation"
    assert shared.get("/healthz/ready").status_code == 200


@pytest.mark.parametrize(
    ("size", "expected"),
    [(MAX_BODY, (400, "unknown_field")), (MAX_BODY + 1, (413, "body_too_large"))],
)
def test_a_body_in_chunks_has_the_same_limit(
    shared: Caller, size: int, expected: tuple[int, str]
) -> None:
    # a body that is cut at the limit would be good JSON again
    body = b'{"x": 1}'.ljust(size)
    headers = {
        "Authorization": f"Bearer {shared.tokens['cpo']}",
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
    }
    answer = shared.app.test_client().post(
        V1,
        input_stream=io.BytesIO(body),
        headers=headers,
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert code(answer) == expected


@pytest.mark.parametrize("path", ["/v1/boom", "/ocpp/boom"])
def test_an_unexpected_error_is_logged_with_its_traceback_and_tells_nothing(
    running: Services, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    app = create_app(running)

    def boom() -> str:
        raise RuntimeError("password=hunter2")

    app.add_url_rule(path, "boom", boom)
    caller = Caller(app, tokens(running.settings.home))
    with caplog.at_level(logging.ERROR, logger="pnc"):
        answer = caller.get(path, headers={"X-Request-Id": "lost"})
    assert code(answer) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    record = next(r for r in caplog.records if r.name == "pnc.errors")
    assert record.exc_info is not None
    assert record.fields["requestId"] == "lost"  # type: ignore[attr-defined]
    assert caller.get("/healthz/ready").status_code == 200


def test_answers_carry_the_headers_of_an_api(shared: Caller) -> None:
    for path in ("/healthz/live", "/nothing", "/openapi.json", "/v1/issuers"):
        headers = shared.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "Server" not in headers


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "f" * 64])
def test_a_request_id_that_is_fit_for_logs_comes_back(shared: Caller, given: str) -> None:
    answer = shared.get("/healthz/live", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "f" * 65, "a b", 'a"b', "ü", "a/b"])
def test_any_other_request_id_is_replaced(shared: Caller, given: str) -> None:
    answer = shared.get("/nothing", headers={"X-Request-Id": given})
    made = answer.headers["X-Request-Id"]
    assert made != given
    assert len(made) == 32
    assert answer.json is not None
    assert answer.json["requestId"] == made
