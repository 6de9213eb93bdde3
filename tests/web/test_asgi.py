"""Flask, the ASGI app and our worker's short cut give the same answer to the same question."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import pytest
from asn1crypto import ocsp
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.services import Services
from tests.web import asking
from tests.web.authority import Authority, Leaf, opened
from tests.web.live import Answer, Ask, Live, by_asgi, by_flask, serving_here
from web.app import create_app
from web.asgi import Application
from web.hot import HotRequest
from web.parsing import MAX_BODY
from web.status import MAX_OCSP_BODY

PASSING = ("date", "x-request-id", "connection")
NONCE = asking.nonce(b"0123456789abcdef")


@dataclass(frozen=True)
class Ways:
    """One installation behind each adapter, and certificates of it."""

    services: Services
    flask: Flask
    app: Application
    live: Live
    good: Leaf
    fresh: Leaf
    revoked: Leaf

    def agreed(self, ask: Ask) -> Answer:
        """Return the answer on which all agree, whatever they remember of it by then."""
        by_wsgi = comparable(by_flask(self.flask, ask))
        for _ in range(4):
            assert comparable(asyncio.run(by_asgi(self.app, ask))) == by_wsgi
            assert comparable(self.live.ask(ask)) == by_wsgi
        assert comparable(by_flask(self.flask, ask)) == by_wsgi
        return by_wsgi


def comparable(answer: Answer) -> Answer:
    """Leave out what is different every time: the moment, the request's id, a fresh signature."""
    status, headers, body = answer
    kept = {name: value for name, value in headers.items() if name not in PASSING}
    if body and headers.get("content-type") == "application/problem+json":
        problem = json.loads(body)
        del problem["requestId"]
        body = json.dumps(problem).encode()
    elif headers.get("cache-control") == "no-store" and len(body) > 5 and body[:1] == b"\x30":
        response = ocsp.OCSPResponse.load(body)["response_bytes"]["response"].parsed
        body = response["tbs_response_data"].dump()
        kept["content-length"] = ""  # so long as its signature happens to be
    return status, kept, body


@pytest.fixture(scope="module")
def ways(authority_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    home = Path(shutil.copytree(authority_template, tmp_path_factory.mktemp("asgi") / "home"))
    running = opened(home)
    flask = create_app(running)
    authority = Authority(running, flask)
    good, fresh, revoked = (authority.issue() for _ in range(3))
    authority.revoke(revoked)
    authority.publish_crls()
    app = Application(running)
    with serving_here(app) as live:
        yield Ways(running, flask, app, live, good, fresh, revoked)


def post(body: bytes, content_type: str | None = asking.TYPE, target: str = "/ocsp") -> Ask:
    headers = (("Content-Type", content_type),) if content_type else ()
    return Ask(method="POST", target=target, headers=headers, body=body)


def got(der: bytes, *headers: tuple[str, str]) -> Ask:
    return Ask(target=f"/ocsp/{asking.in_path(der)}", headers=headers)


def good(ways: Ways) -> bytes:
    return ways.good.request


def nonced(ways: Ways) -> bytes:
    return asking.request(ways.good.cert_id(), more=(NONCE,))


def strange(ways: Ways) -> bytes:
    return asking.request(asking.cert_id(ways.good.issuer, 77))


def both(ways: Ways) -> bytes:
    return asking.request(ways.good.cert_id(), ways.revoked.cert_id("sha256"))


ASKED = {"good": good, "nonce": nonced, "never issued": strange, "two": both}


# --- OCSP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ASKED)
def test_a_status_is_the_same_by_post_and_get(ways: Ways, name: str) -> None:
    der = ASKED[name](ways)
    posted, asked = ways.agreed(post(der)), ways.agreed(got(der))
    assert (posted[0], asked[0]) == (200, 200)
    assert len(posted[2]) > 100


def test_whoever_answers_first_all_answer_alike(ways: Ways) -> None:
    first = comparable(ways.live.ask(post(ways.fresh.request)))
    assert asking.read(ways.live.ask(post(ways.fresh.request))[2]).status == "good"
    assert ways.agreed(post(ways.fresh.request)) == first


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_a_revoked_certificate_is_revoked_everywhere(ways: Ways, algorithm: str) -> None:
    der = asking.request(ways.revoked.cert_id(algorithm))
    ways.agreed(got(der))
    assert asking.read(ways.live.ask(post(der))[2]).status == "revoked"


@pytest.mark.parametrize(
    "body", [b"", b"\x30", b"\x30\x03\x0a\x01\x00", b"x" * 600, bytes(MAX_OCSP_BODY)]
)
def test_what_is_no_request_is_malformed(ways: Ways, body: bytes) -> None:
    assert ways.agreed(post(body))[2] == b"\x30\x03\x0a\x01\x01"


@pytest.mark.parametrize("media_type", [None, "Application/OCSP-Request; x=y", "", "text/plain"])
@pytest.mark.parametrize("target", ["/ocsp", "/ocsp/", "/ocsp/x", "/ocsp?x=/y", "/ocsp/?x"])
def test_a_post_of_any_type_to_any_address(ways: Ways, media_type: str | None, target: str) -> None:
    ways.agreed(post(ways.good.request, media_type, target))


@pytest.mark.parametrize("size", [MAX_OCSP_BODY + 1, MAX_BODY + 1, 2_000_000])
def test_too_long_a_body_is_refused(ways: Ways, size: int) -> None:
    assert ways.agreed(post(bytes(size)))[0] == 413


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@pytest.mark.parametrize("target", ["/ocsp", "/ocsp/MA==", "/crl/mo2-2", "/ca/mo2-2", "/nothing"])
def test_other_methods(ways: Ways, method: str, target: str) -> None:
    status, headers, _ = ways.agreed(Ask(method=method, target=target))
    assert status in (200, 404, 405)
    assert ("allow" in headers) == (status == 405)


def test_an_answer_that_the_caller_has_is_not_sent_again(ways: Ways) -> None:
    headers = ways.agreed(got(ways.good.request))[1]
    tag, modified = headers["etag"], headers["last-modified"]
    for field, status in (
        (("If-None-Match", tag), 304),
        (("If-None-Match", f'"x", W/{tag}'), 304),
        (("If-None-Match", "*"), 304),
        (("If-None-Match", '"x"'), 200),
        (("If-Modified-Since", modified), 304),
        (("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"), 200),
        (("If-Modified-Since", "yesterday"), 200),
    ):
        assert ways.agreed(got(ways.good.request, field))[0] == status


def targets(ways: Ways) -> list[str]:
    text = asking.in_path(ways.good.request)
    return [
        f"/ocsp/{quote(text, safe='')}",
        f"/ocsp/{quote(quote(text, safe=''), safe='')}",
        f"/ocsp/{text.rstrip('=')}",
        f"/ocsp/{text}/",
        f"/ocsp/{text}?a=b/c",
        f"/ocsp/{text.replace('+', '-').replace('/', '_')}",
        f"/ocsp//{text}",
        f"/ocsp/%2F{text}",
        f"/ocsp/{text[:9]}%0A{text[9:]}",
        f"/ocsp/{text}%0a",
        f"/ocsp%2F{quote(text, safe='')}",
        f"/%6fcsp/{text}",
        f"//ocsp/{text}",
        f"//ocsp///{text}//",
        "//ocsp",
        f"/OCSP/{text}",
        f"/ocspx/{text}",
        f"/ocsp/{text * 4}",
        "/ocsp",
        "/ocsp/",
        "/ocsp/%",
        "/ocsp/%ff%fe",
        "/ocsp/.",
        "/ocsp/../ca/mo2-2",
    ]


@pytest.mark.parametrize("number", range(24))
def test_odd_paths(ways: Ways, number: int) -> None:
    ways.agreed(Ask(target=targets(ways)[number]))


# --- CRLs, CA certificates and the rest ----------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/crl/mo2-2", 200),
        ("/crl/mo2%2D2", 200),
        ("/crl/mo2-2?x", 200),
        ("/crl/oem2-2/1", 200),
        ("/crl/oem2-2/%31", 200),
        ("/crl/oem2-2/99", 404),
        ("/crl/oem2-2/99999999999999999999", 404),
        ("/crl/oem2-2/-1", 404),
        ("/crl/oem2-2/1/", 404),
        ("/crl/nobody", 404),
        ("/crl/", 404),
        ("/crl/a%2Fb", 404),
        ("/crl/%00", 404),
        ("/ca/mo2-2", 200),
        ("/ca/nobody", 404),
        ("/ca/mo2-2/", 404),
        ("/healthz/live", 200),
        ("/healthz/ready", 200),
        ("/v1/issuers", 200),
        ("/v1/issuers?a=b", 200),
        ("/v1/certificates", 401),
        ("/", 404),
    ],
)
def test_files_and_everything_else(ways: Ways, target: str, status: int) -> None:
    assert ways.agreed(Ask(target=target))[0] == status


def test_a_file_that_the_caller_has_is_not_sent_again(ways: Ways) -> None:
    for target in ("/crl/mo2-2", "/ca/mo2-2"):
        tag = ways.agreed(Ask(target=target))[1]["etag"]
        held = Ask(target=target, headers=(("If-None-Match", tag),))
        assert ways.agreed(held)[0] == 304


def test_a_json_body_arrives_whole_or_is_refused(ways: Ways) -> None:
    json_type = (("Content-Type", "application/json"),)
    for size, status in ((100, 401), (MAX_BODY + 1, 401)):
        asked = Ask(
            method="POST", target="/v1/contracts/validate", headers=json_type, body=b" " * size
        )
        assert ways.agreed(asked)[0] == status


@pytest.mark.parametrize("given", ["car-9", "a" * 64, "a" * 65, "", "ü", "a b"])
def test_a_fit_request_id_comes_back_and_no_other(ways: Ways, given: str) -> None:
    for der in (ways.good.request, nonced(ways), b"x"):
        asked = replaced(post(der), ("X-Request-Id", given))
        answers = [by_flask(ways.flask, asked), ways.live.ask(asked)]
        fit = given in ("car-9", "a" * 64)
        for _, headers, _ in answers:
            assert (headers["x-request-id"] == given) == fit
            assert len(headers["x-request-id"]) in (16, 32, 5, 64)


def replaced(ask: Ask, *more: tuple[str, str]) -> Ask:
    return Ask(method=ask.method, target=ask.target, headers=(*ask.headers, *more), body=ask.body)


# --- anything ------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "/",
        "//",
        "ocsp",
        "crl",
        "ca",
        "mo2-2",
        "oem2-2",
        "1",
        "%2F",
        "%0a",
        "%",
        "=",
        "+",
        "-",
        "MFE",
    ]
)
LEGAL = st.text("abcXYZ019-._~!$&'()*+,;=:@/%?", max_size=20)
TARGETS = st.builds(
    lambda first, pieces: f"/{first}{''.join(pieces)}",
    st.sampled_from(["ocsp", "ocsp/", "crl/", "ca/", ""]),
    st.lists(PIECES | LEGAL, max_size=6),
)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["Content-Type", "If-None-Match", "If-Modified-Since", "Accept"]),
        st.text('abc/*"-,;= 019WGMT', max_size=20).map(str.strip),
    ),
    max_size=3,
    unique_by=lambda field: field[0],
)


@settings(max_examples=150)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    target=TARGETS,
    fields=FIELDS,
    body=st.none() | st.binary(max_size=60),
)
def test_any_request_is_answered_alike(
    ways: Ways, method: str, target: str, fields: list[tuple[str, str]], body: bytes | None
) -> None:
    ways.agreed(Ask(method=method, target=target, headers=tuple(fields), body=body))


@settings(max_examples=100)
@given(data=st.data())
def test_any_damage_to_a_request_is_answered_alike(ways: Ways, data: st.DataObject) -> None:
    der = bytearray(ASKED[data.draw(st.sampled_from(sorted(ASKED)))](ways))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    ways.agreed(post(bytes(der)))
    ways.agreed(got(bytes(der)))


# --- what is quick, and what is counted ----------------------------------------------------------


def quick(app: Application, der: bytes) -> bool:
    return app.quick(HotRequest(method="POST", raw_path="/ocsp", body=der)) is not None


def test_the_first_question_waits_and_the_next_one_does_not(
    ways: Ways, authority_home: Path
) -> None:
    running = opened(authority_home)
    app = Application(running)
    leaf = Authority(running, ways.flask).issue()
    with_nonce = asking.request(leaf.cert_id(), more=(NONCE,))
    with serving_here(app) as live:
        for der in (leaf.request, with_nonce):
            assert not quick(app, der)
            assert live.ask(post(der))[0] == HTTPStatus.OK
            assert quick(app, der)
        unknown = asking.request(asking.cert_id(leaf.issuer, 78))
        assert live.ask(post(unknown))[0] == HTTPStatus.OK
        assert not quick(app, unknown)


def test_i4_a_revocation_is_in_the_next_answer(ways: Ways, authority_home: Path) -> None:
    running = opened(authority_home)
    authority = Authority(running, ways.flask)
    leaf = authority.issue()
    asked = [post(leaf.request), got(leaf.request)]
    asked += [post(asking.request(leaf.cert_id(), more=(NONCE,)))]
    with serving_here(Application(running)) as live:
        for _ in range(3):
            assert {asking.read(live.ask(ask)[2]).status for ask in asked} == {"good"}
        authority.revoke(leaf)
        for _ in range(3):
            assert {asking.read(live.ask(ask)[2]).status for ask in asked} == {"revoked"}


def test_hot_answers_are_counted_within_a_second(ways: Ways, authority_home: Path) -> None:
    running = opened(authority_home)
    leaf = Authority(running, ways.flask).issue()
    with serving_here(Application(running)) as live:
        for _ in range(5):
            live.ask(post(leaf.request))
        live.ask(Ask(target="/ca/mo2-2"))
        time.sleep(1.2)
        text = live.ask(Ask(target="/metrics"))[2].decode()
    assert 'pnc_http_requests_total{method="POST",route="/ocsp",status="200"} 5.0' in text
    assert 'pnc_http_requests_total{method="GET",route="/ca",status="200"} 1.0' in text
    assert 'pnc_http_request_seconds_count{route="/ca"} 1.0' in text
