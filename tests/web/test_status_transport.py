"""OCSP over HTTP as clients and proxies really send it (cases 1 to 10 of the conformance list)."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.web import asking
from tests.web.authority import Authority, Leaf, working
from tests.web.serving import Server, serving
from web.status import MAX_OCSP_BODY

TYPE = "application/ocsp-response"
Raw = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Live:
    """A gunicorn, and certificates whose requests hold what paths are bad at."""

    server: Server
    leaf: Leaf
    slashes: Leaf
    padded: Leaf
    ending: Leaf

    def get(self, path: str, *, version: str = "1.1", more: str = "Host: x\r\n") -> Raw:
        return self.server.raw(f"GET {path} HTTP/{version}\r\n{more}\r\n".encode())

    def status(self, path: str, **more: str) -> str:
        code, headers, body = self.get(path, **more)
        assert (code, headers["content-type"]) == (200, TYPE)
        return asking.read(body).status


def with_path(authority: Authority, leaf: Leaf, *wanted: str, end: str = "") -> Leaf:
    """Keep a certificate whose request has these texts, and that end, in its base64."""
    while True:
        serial = secrets.randbits(secrets.choice((126, 134, 142)))
        text = asking.in_path(asking.request(asking.cert_id(leaf.issuer, serial)))
        if text.endswith(end) and all(piece in text for piece in wanted):
            return authority.adopt(leaf, serial)


@pytest.fixture(scope="module")
def live(authority_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    directory = tmp_path_factory.mktemp("transport")
    home = Path(shutil.copytree(authority_template, directory / "home"))
    with working(home) as authority:
        leaf = authority.issue()
        slashes = with_path(authority, leaf, "//", "+")
        padded = with_path(authority, leaf, end="=")
        ending = with_path(authority, leaf, end="/")
    with serving(home, directory / "log") as server:
        yield Live(server=server, leaf=leaf, slashes=slashes, padded=padded, ending=ending)


# --- POST ----------------------------------------------------------------------------------------


def test_a_post_is_answered_with_its_type_and_exact_length(live: Live) -> None:
    """Case 1."""
    code, headers, body = live.server.raw(posted(live.leaf.request))
    assert (code, headers["content-type"]) == (200, TYPE)
    assert headers["content-length"] == str(len(body))
    assert asking.read(body).status == "good"


def posted(der: bytes, more: str = f"Content-Type: {asking.TYPE}\r\n") -> bytes:
    head = f"POST /ocsp HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(der)}\r\n\r\n"
    return head.encode() + der


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "ocsp-request"])
def test_a_post_of_another_type_is_refused(common: Authority, media_type: str) -> None:
    """Case 2, pinned: 415."""
    answer = common.post(common.issue().request, media_type)
    assert (answer.status_code, answer.headers["Accept-Post"]) == (415, asking.TYPE)


@pytest.mark.parametrize(
    "media_type", [None, "application/ocsp-request; charset=x", "Application/OCSP-Request"]
)
def test_a_post_of_no_type_or_of_another_spelling_is_answered(
    common: Authority, media_type: str | None
) -> None:
    answer = common.post(common.issue().request, media_type)
    assert asking.read(answer.data).status == "good"


def test_an_empty_post_is_malformed(common: Authority) -> None:
    """Case 3."""
    assert common.ask(b"").status == "malformed_request"


@pytest.mark.parametrize("size", [MAX_OCSP_BODY + 1, 300_000, 3_000_000])
def test_too_long_a_post_is_refused_and_the_connection_survives(live: Live, size: int) -> None:
    """Case 4."""
    with closing(live.server.connection()) as connection:
        for body, code in ((bytes(size), 413), (live.leaf.request, 200)):
            connection.request("POST", "/ocsp", body, {"Content-Type": asking.TYPE})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == code


def test_a_post_of_exactly_the_limit_is_read(common: Authority) -> None:
    assert common.ask(bytes(MAX_OCSP_BODY)).status == "malformed_request"


@pytest.mark.parametrize(("size", "code"), [(0, 200), (MAX_OCSP_BODY + 1, 413)])
def test_a_chunked_post_is_read_and_has_the_same_limit(live: Live, size: int, code: int) -> None:
    """Case 5."""
    der = live.leaf.request + bytes(size)
    pieces = [der[at : at + 40] for at in range(0, min(len(der), 400), 40)] + [der[400:]]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    head = f"POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: {asking.TYPE}\r\n"
    request = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body + b"0\r\n\r\n"
    answered, _, said = live.server.raw(request)
    assert answered == code
    if code == 200:
        assert asking.read(said).status == "good"


# --- GET -----------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    return quote(text, safe="")


def lower(found: re.Match[str]) -> str:
    return found[0].lower()


def merged(text: str) -> str:
    return text.replace("//", "/")


FORMS: dict[str, Callable[[str], str]] = {
    "with slashes and plus signs as they are": lambda text: text,
    "percent-encoded": escaped,
    "percent-encoded in lower case": lambda text: re.sub("%..", lower, escaped(text)),
    "percent-encoded twice": lambda text: escaped(escaped(text)),
    "every octet percent-encoded": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "without padding": lambda text: text.rstrip("="),
    "with a slash behind it": lambda text: text + "/",
    "with two slashes behind it": lambda text: text + "//",
    "with a slash ahead of it": lambda text: "/" + text,
    "with an encoded slash ahead of it": lambda text: "%2F" + text,
    "with three slashes ahead of it": lambda text: "///" + text,
    "in the URL alphabet": lambda text: text.replace("+", "-").replace("/", "_"),
    "with an encoded line feed": lambda text: text[:20] + "%0A" + text[20:],
    "with encoded CR LF at its end": lambda text: text + "%0D%0A",
    "with plus signs turned into blanks": lambda text: text.replace("+", "%20"),
    "with two slashes merged into one": merged,
    "with a query": lambda text: text + "?x=/y",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_get_is_understood(live: Live, form: str) -> None:
    """Case 6."""
    for leaf in (live.leaf, live.slashes, live.padded, live.ending):
        assert live.status(f"/ocsp/{FORMS[form](asking.in_path(leaf.request))}") == "good"


@pytest.mark.parametrize("start", ["//ocsp/", "//ocsp//", "///ocsp/", "/ocsp//"])
def test_a_get_is_understood_with_slashes_doubled_anywhere(live: Live, start: str) -> None:
    for leaf in (live.leaf, live.slashes, live.padded, live.ending):
        text = asking.in_path(leaf.request)
        assert live.status(start + text) == live.status(start + escaped(text)) == "good"


@pytest.mark.parametrize("target", ["/ocsp/", "//ocsp", "/ocsp//", "//ocsp//"])
def test_a_post_is_answered_with_slashes_doubled(live: Live, target: str) -> None:
    request = posted(live.leaf.request).replace(b"POST /ocsp ", f"POST {target} ".encode())
    code, _, body = live.server.raw(request)
    assert (code, asking.read(body).status) == (200, "good")


@pytest.mark.parametrize("path", ["/ocsp", "/ocsp/", "/ocsp//", "/ocsp/%00", "/ocsp/%", "/ocsp/x"])
def test_a_get_of_no_request_is_malformed(live: Live, path: str) -> None:
    """Case 6: the empty path, and paths that hold nothing."""
    assert live.status(path) == "malformed_request"


def test_the_repair_of_merged_slashes_finds_the_certificate_that_exists(
    common: Authority,
) -> None:
    leaf = common.issue()
    for _ in range(20):
        asked = with_path(common, leaf, "//")
        text = merged(asking.in_path(asked.request))
        answer = asking.read(common.fetch(f"/ocsp/{text}").data)
        assert (answer.status, answer.single.cert_id) == ("good", asked.cert_id())


def test_an_unescaped_address_of_the_whole_is_understood(live: Live) -> None:
    """A proxy's request line names scheme and host too (RFC 9112 3.2.2)."""
    path = f"http://x/ocsp/{asking.in_path(live.slashes.request)}"
    assert live.status(path) == "good"


@pytest.mark.parametrize("path", ["//ocsp/MFE", "//", "/ocsp/../v1", "/ocsp/%2e%2e/", "*"])
def test_odd_paths_are_no_fault_of_ours(live: Live, path: str) -> None:
    assert live.get(path)[0] in (200, 400, 404)


def test_a_path_of_eight_kilobytes_is_answered_or_refused(live: Live) -> None:
    """Case 6: what fits a request line of 8,190 octets is read."""
    many = asking.request(*[live.leaf.cert_id()] * 78)
    path = f"/ocsp/{asking.in_path(many)}"
    assert 7_500 < len(path) < 8_100
    code, _, body = live.get(path)
    assert (code, len(asking.read(body).singles)) == (200, 78)
    assert live.get(path + "A" * 1000)[0] in (400, 414)
    assert live.status(f"/ocsp/{asking.in_path(live.leaf.request)}") == "good"


def test_a_get_over_255_octets_works_too(live: Live) -> None:
    """Case 7."""
    der = asking.request(*[live.leaf.cert_id("sha512")] * 2)
    path = f"/ocsp/{asking.in_path(der)}"
    assert len(path) > 255
    code, _, body = live.get(path)
    assert (code, [s.status for s in asking.read(body).singles]) == (200, ["good", "good"])


def test_get_and_post_give_the_same_status(authority: Authority) -> None:
    """Case 8."""
    good, revoked = authority.issue(), authority.issue()
    authority.revoke(revoked)
    unknown = asking.request(asking.cert_id(good.issuer, 0x1234))
    for der, status in ((good.request, "good"), (revoked.request, "revoked"), (unknown, "unknown")):
        posted_ = asking.read(authority.post(der).data)
        got = asking.read(authority.get(der).data)
        assert posted_.status == got.status == status
        assert posted_.single.cert_id == got.single.cert_id


# --- methods and protocols -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_other_methods_are_refused_with_what_is_allowed(common: Authority, method: str) -> None:
    """Case 9."""
    client = common.app.test_client()
    for path in ("/ocsp", "/ocsp/"):
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    answer = client.open("/ocsp/MFE", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_a_post_belongs_to_the_address_itself(common: Authority) -> None:
    answer = common.app.test_client().post("/ocsp/MFE", data=b"", content_type=asking.TYPE)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


def test_a_client_of_http_1_0_needs_no_host(live: Live) -> None:
    """Case 10: what `openssl ocsp` sends."""
    path = f"/ocsp/{asking.in_path(live.leaf.request)}"
    assert live.status(path, version="1.0", more="") == "good"
    body = live.leaf.request
    head = f"POST /ocsp HTTP/1.0\r\nContent-Type: {asking.TYPE}\r\nContent-Length: {len(body)}\r\n"
    code, _, said = live.server.raw(head.encode() + b"\r\n" + body)
    assert (code, asking.read(said).status) == (200, "good")


def test_no_caller_is_asked_who_it_is(common: Authority) -> None:
    answer = common.app.test_client().post(
        "/ocsp",
        data=common.issue().request,
        content_type=asking.TYPE,
        headers={"Authorization": "Bearer nonsense"},
    )
    assert asking.read(answer.data).status == "good"


def test_a_path_cut_short_is_good_for_nothing(common: Authority) -> None:
    """Where a slash could be missing it is a request for a serial that nobody issued."""
    text = asking.in_path(common.issue().request).rstrip("=")
    for cut in range(1, 12):
        answer = asking.read(common.fetch(f"/ocsp/{text[:-cut]}").data)
        assert answer.status in ("malformed_request", "unauthorized", "unknown")
