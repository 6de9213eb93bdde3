"""curl asks by GET and POST, as a shell script would."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from pki.pkix.suites import Suite
from tests.interop.field import Field, run
from tests.web import asking


def test_curl_posts_a_request(field: Field, tmp_path: Path) -> None:
    (tmp_path / "request.der").write_bytes(field.leaves[Suite.P256, "good"].request)
    said = run(
        "curl",
        *("-fsS", "-H", f"Content-Type: {asking.TYPE}", "-o", tmp_path / "answer.der"),
        *("--data-binary", f"@{tmp_path / 'request.der'}", "-w", "%{content_type} %{http_code}"),
        field.url,
    )
    assert said == "application/ocsp-response 200"
    assert asking.read((tmp_path / "answer.der").read_bytes()).status == "good"


def test_curl_gets_an_answer_whichever_way_the_path_is_written(
    field: Field, tmp_path: Path
) -> None:
    for state, status in (("good", "good"), ("revoked", "revoked"), ("held", "revoked")):
        text = asking.in_path(field.leaves[Suite.P256, state].request)
        for written in (text, quote(text, safe="")):
            out = tmp_path / "answer.der"
            run("curl", "-fsS", "--path-as-is", "-o", out, f"{field.url}/{written}")
            assert asking.read(out.read_bytes()).status == status


def test_curl_holds_an_answer_and_is_told_so(field: Field, tmp_path: Path) -> None:
    address = f"{field.url}/{asking.in_path(field.leaves[Suite.P256, 'good'].request)}"
    tag, out = tmp_path / "tag", tmp_path / "answer.der"
    run("curl", "-fsS", "--etag-save", tag, "-o", out, address)
    again = ("-s", "-o", "/dev/null", "-w", "%{http_code}")
    assert run("curl", *again, "--etag-compare", tag, address) == "304"
    assert run("curl", *again, "-z", out, address) == "304"


def test_curl_fetches_crls_and_ca_certificates(field: Field, tmp_path: Path) -> None:
    for path, kind in (("crl/mo2-2", "crl"), ("crl/oem2-2/1", "crl"), ("ca/mo2-2", "x509")):
        out = tmp_path / "file.der"
        address = f"{field.server.url}/{path}"
        said = run("curl", "-fsS", "-o", out, "-w", "%{content_type}", address)
        assert said == {"crl": "application/pkix-crl", "x509": "application/pkix-cert"}[kind]
        assert "Issuer" in run("openssl", kind, "-inform", "DER", "-in", out, "-noout", "-text")
    problem = run("curl", "-s", "-w", " %{http_code}", f"{field.server.url}/crl/nobody")
    assert "crl_unknown" in problem
    assert problem.endswith("404")


def test_curl_is_told_what_a_path_allows(field: Field) -> None:
    for method in ("-I", "-XPUT"):
        said = run("curl", "-s", "-i", method, field.url)
        assert "405" in said.splitlines()[0]
        assert "allow: get, post" in said.lower()
