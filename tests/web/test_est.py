"""EST over HTTP: forms of path, bodies and answers in every layout, credentials, refusals."""

from __future__ import annotations

import base64
import gzip
import ipaddress
import json
import warnings
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from pki.demo import FILE_NAME
from pki.enrol import EnrolPolicy
from pki.errors import BadInput
from pki.pkix import pem
from pki.pkix.csr import parse
from pki.services import Services
from tests.web.calling import Caller, csr
from tests.web.conftest import tokens
from web import est, problems
from web.app import create_app

NAME = "DECPAE1"
FORMS = [
    "/.well-known/est/{}",
    "/.well-known/est/cpo/{}",
    "/cpo/.well-known/est/{}",
    "/cpo-flat/.well-known/est/{}",
    "/tenant-cpo/.well-known/est/{}",
    "/.well-known/est/cpo/{}/ISO15118-2",
    "/.well-known/est/cpo/{}/ISO15118-2/secp256r1",
    "/.well-known/cpo/{}",
    "/.well-known/tenant-cpo/{}",
    "/.well-known/cpo/{}/ISO15118-2",
    "/cpo/{}",
    "/tenant-cpo/{}",
    "/cpo/{}/ISO15118-2",
    "/cpo/{}/ISO15118-2/secp256r1",
    "/opnc/v1/pki/est/{}?caDomain=cpo",
    "/opnc/v1/pki/est/{}?caDomain=CPO&iso15118Version=ISO15118-2&xsdMsgDefNamespace=urn:x",
]


def request_der(name: str = NAME, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    return x509.load_pem_x509_csr(csr(name, key).encode()).public_bytes(Encoding.DER)


def wrapped(der: bytes, columns: int = 64, line_end: bytes = b"\n") -> bytes:
    text = base64.b64encode(der)
    return b"".join(text[i : i + columns] + line_end for i in range(0, len(text), columns))


def certificates(answer: TestResponse) -> list[x509.Certificate]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Transfer-Encoding"] == "base64"
    with warnings.catch_warnings():  # it would rather see the SET sorted, and reads it all the same
        warnings.filterwarnings("ignore", message="PKCS#7 certificates could not be parsed as DER")
        return pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.data))


def enrol(
    caller: Caller, body: bytes, path: str = "/cpo/simpleenroll", **more: str
) -> TestResponse:
    headers = {"Content-Type": "application/pkcs10"} | more
    if "Authorization" not in headers:
        headers["Authorization"] = f"Bearer {caller.tokens['cpo']}"
    return caller.call("POST", path, data=body, headers=headers)


def basic(home: Path, label: str, secret: str | None = None) -> str:
    client = json.loads((home / FILE_NAME).read_text("utf-8"))[label]
    text = f"{client['clientId']}:{secret or client['token']}"
    return "Basic " + base64.b64encode(text.encode()).decode()


def count(running: Services) -> int:
    with running.deployment.store.read() as tx:
        return len(tx.certificates.search(limit=1000))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_path_enrols_and_shows_the_authorities(shared: Caller, form: str) -> None:
    (issued,) = certificates(enrol(shared, wrapped(request_der()), form.format("simpleenroll")))
    assert issued.subject.rfc4514_string() == "DC=CPO,C=DE,O=Demo Charging,CN=DECPAE1"
    sub2, sub1, root = certificates(shared.get(form.format("cacerts")))
    issued.verify_directly_issued_by(sub2)
    sub2.verify_directly_issued_by(sub1)
    sub1.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)


def test_a_slash_at_the_end_changes_nothing(shared: Caller) -> None:
    answer = shared.app.test_client().get("/.well-known/est/cpo/cacerts/ISO15118-2/secp256r1/")
    assert len(certificates(answer)) == 3


def test_the_answer_to_an_enrolment_has_the_media_type_that_libest_wants(shared: Caller) -> None:
    answer = enrol(shared, wrapped(request_der()))
    assert answer.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert shared.get("/cpo/cacerts").headers["Content-Type"] == "application/pkcs7-mime"


@pytest.mark.parametrize("label", ["cpo", "cpo-flat"])
def test_the_label_decides_about_line_feeds(shared: Caller, label: str) -> None:
    text = shared.get(f"/{label}/.well-known/est/cacerts").data
    if label == "cpo-flat":
        assert b"\n" not in text
    else:
        assert text.endswith(b"\n")
        assert max(len(line) for line in text.splitlines()) == 64


@pytest.mark.parametrize(
    "body",
    [
        wrapped(request_der()),
        wrapped(request_der(), 76, b"\r\n"),
        base64.b64encode(request_der()),
        request_der(),
        csr(NAME).encode(),
    ],
    ids=["lines", "CR LF", "one line", "DER", "PEM"],
)
def test_a_csr_is_read_in_every_layout(shared: Caller, body: bytes) -> None:
    assert len(certificates(enrol(shared, body))) == 1


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/pkcs10; charset=utf-8"])
def test_the_media_type_of_a_request_does_not_matter(shared: Caller, media_type: str) -> None:
    answer = enrol(shared, wrapped(request_der()), **{"Content-Type": media_type})
    assert len(certificates(answer)) == 1


def test_basic_credentials_enrol(shared: Caller, running: Services) -> None:
    caller = Caller(create_app(running), tokens(running.settings.home))
    good = basic(running.settings.home, "cpo")
    assert enrol(caller, wrapped(request_der()), Authorization=good).status_code == 200
    for bad in (
        basic(running.settings.home, "cpo", "another secret"),
        basic(running.settings.home, "cpo", caller.tokens["emsp"]),
        "Basic !",
        "Basic " + base64.b64encode(b"nobody").decode(),
        "Bearer wrong",
    ):
        answer = enrol(caller, wrapped(request_der()), Authorization=bad)
        assert (answer.status_code, answer.data) == (401, b"")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert shared.post("/cpo/simpleenroll", data=b"x").data == b""


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"", 400, "csr_unreadable"),
        (b"{}", 400, "csr_unreadable"),
        (base64.b64encode(wrapped(request_der())), 400, "csr_unreadable"),
        (wrapped(request_der()[:-1] + b"\0"), 400, "csr_"),
        (wrapped(request_der(key=ec.generate_private_key(ec.SECP224R1()))), 400, "key_not_allowed"),
        (wrapped(request_der(key=ec.generate_private_key(ec.SECP256K1()))), 400, "key_not_allowed"),
        (wrapped(request_der("DEXYZE1")), 403, "party_not_allowed"),
        (wrapped(request_der("no station")), 400, "invalid_"),
        (b"A" * 200_000, 413, "body_too_large"),
    ],
    ids=["empty", "JSON", "twice", "signature", "P-224", "secp256k1", "another's", "name", "long"],
)
def test_a_bad_request_is_told_in_a_line_of_text_and_issues_nothing(
    caller: Caller, running: Services, body: bytes, status: int, word: str
) -> None:
    before = count(running)
    answer = enrol(caller, body)
    assert answer.status_code == status
    assert answer.mimetype == "text/plain"
    assert answer.text.startswith(word)
    assert answer.text.count("\n") == 1
    assert count(running) == before


def test_the_default_key_of_libest_is_refused_by_its_name(shared: Caller) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name.from_rfc4514_string("CN=DECPAE1")
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    answer = enrol(shared, wrapped(built.public_bytes(Encoding.DER)))
    assert (answer.status_code, answer.text[:15]) == (400, "key_not_allowed")


@pytest.mark.parametrize(
    "path",
    [
        "/xyz/cacerts",
        "/xyz/.well-known/est/cacerts",
        "/.well-known/xyz/cacerts",
        "/cpo/cacerts/ISO15118-3",
        "/cpo/cacerts/ISO15118-2/rsa",
        "/opnc/v1/pki/est/cacerts",
    ],
)
def test_an_unknown_label_branch_or_edition_is_not_found(shared: Caller, path: str) -> None:
    assert shared.get(path).status_code == 404


def test_operations_that_we_do_not_have_and_wrong_methods_are_refused(shared: Caller) -> None:
    assert shared.post("/cpo/.well-known/est/serverkeygen", data=b"x").status_code == 404
    assert shared.post("/cpo/.well-known/est/fullcmc", data=b"x").status_code == 404
    assert shared.get("/cpo/simpleenroll").status_code == 405
    assert shared.call("PUT", "/cpo/simpleenroll", data=b"x").status_code == 405


def test_an_edition_in_the_path_and_the_key_must_agree(shared: Caller) -> None:
    answer = enrol(shared, wrapped(request_der()), "/cpo/simpleenroll/ISO15118-20")
    assert (answer.status_code, answer.text[:14]) == (400, "suite_mismatch")


@pytest.mark.parametrize(
    "path",
    [
        "/cpo/{}/ISO15118-20/secp256r1",
        "/.well-known/est/cpo/{}/ISO15118-2/secp521r1",
        "/.well-known/cpo/{}/ISO15118-2/ed448",
        "/cpo-20-ed448/{}/ISO15118-2",
    ],
)
def test_an_edition_and_an_algorithm_that_contradict_each_other_are_refused(
    shared: Caller, path: str
) -> None:
    for operation in ("cacerts", "csrattrs"):
        answer = shared.get(path.format(operation))
        assert (answer.status_code, answer.text[:14]) == (400, "suite_mismatch")
    assert enrol(shared, wrapped(request_der()), path.format("simpleenroll")).status_code == 400


@pytest.mark.parametrize("form", [*FORMS, "/veh/{}/ISO15118-20", "/nobody/{}"])
def test_what_no_route_answers_is_told_in_a_line_of_text_too(shared: Caller, form: str) -> None:
    assert all(problems.EST_PATH.match(form.format(operation)) for operation in est.OPERATIONS)
    wrong = shared.call("DELETE", form.format("cacerts"), role="cpo")
    missing = shared.get(form.format("cacerts").partition("?")[0] + "/a/b/c/d")
    absent = shared.post(form.format("serverkeygen"), role="cpo")  # RFC 7030 4.4, optional
    answers = ((wrong, "method_not_allowed"), (missing, "path_unknown"), (absent, "path_unknown"))
    for answer, code in answers:
        assert answer.mimetype == "text/plain"
        assert answer.text.startswith(f"{code}: ")
        assert answer.text.count("\n") == 1
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/v1/certificates/issued", "/certificates", "/ocpp/cacerts-x"])
def test_the_line_of_text_is_for_est_alone(shared: Caller, path: str) -> None:
    assert shared.get(path).is_json


def test_a_compressed_csr_is_refused_as_such(shared: Caller, running: Services) -> None:
    before = count(running)
    body = gzip.compress(wrapped(request_der()))
    answer = enrol(shared, body, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert "Content-Encoding" in answer.text
    assert count(running) == before


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/cpo/csrattrs", ["06072a8648ce3d0201", "06082a8648ce3d030107", "06082a8648ce3d040302"]),
        ("/cpo-20/.well-known/est/csrattrs", ["06052b81040023", "06082a8648ce3d040304"]),
        ("/cpo/csrattrs/ISO15118-20/ed448", ["06032b6571"]),
    ],
)
def test_csrattrs_names_curve_and_signature(shared: Caller, path: str, names: list[str]) -> None:
    answer = shared.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/csrattrs")
    told = base64.b64decode(answer.data)
    assert all(bytes.fromhex(name) in told for name in names)


def test_what_a_csr_asks_for_besides_is_not_granted(shared: Caller) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=DECPAE1,O=Somebody else"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (issued,) = certificates(enrol(shared, wrapped(greedy.public_bytes(Encoding.DER))))
    constraints = issued.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is False
    assert "Demo Charging" in issued.subject.rfc4514_string()


# --- renewal -------------------------------------------------------------------------------------


def behind_a_proxy(running: Services, **policy: object) -> Caller:
    """Return a caller whose address is that of a proxy, which is believed as `policy` says."""
    network = ipaddress.ip_network(str(policy.get("network", "192.0.2.0/24")))
    believed = EnrolPolicy(
        trusted_header=str(policy["header"]) if policy.get("header") else None,
        trusted_proxies=(network,),
    )
    changed = replace(running, settings=replace(running.settings, enrol=believed))
    return Caller(create_app(changed), tokens(running.settings.home))


def as_rfc_9440(der: bytes) -> str:
    return f":{base64.b64encode(der).decode()}:"


def as_nginx(der: bytes) -> str:
    return quote(pem.encode(der))


@pytest.fixture
def current(caller: Caller) -> bytes:
    """A charger's certificate, as DER."""
    (issued,) = certificates(enrol(caller, wrapped(request_der())))
    return issued.public_bytes(Encoding.DER)


@pytest.mark.parametrize("form", [as_rfc_9440, as_nginx])
def test_a_certificate_is_renewed_with_a_new_key_for_the_same_name(
    running: Services, current: bytes, form: object
) -> None:
    assert callable(form)
    proxied = behind_a_proxy(running, header="Client-Cert")
    headers = {"Client-Cert": form(current), "Content-Type": "application/pkcs10"}
    answer = proxied.call(
        "POST", "/cpo/simplereenroll", data=wrapped(request_der()), headers=headers
    )
    (renewed,) = certificates(answer)
    assert renewed.subject == x509.load_der_x509_certificate(current).subject
    other = proxied.call(
        "POST", "/cpo/simplereenroll", data=wrapped(request_der("DECPAE2")), headers=headers
    )
    assert (other.status_code, other.text[:13]) == (403, "other_subject")
    wrong = proxied.call(
        "POST", "/oem/simplereenroll", data=wrapped(request_der()), headers=headers
    )
    assert (wrong.status_code, wrong.text[:13]) == (403, "other_subject")
    assert "/cpo/simplereenroll" in wrong.text


@pytest.mark.parametrize(
    "policy", [{}, {"header": "Client-Cert", "network": "198.51.100.0/24"}, {"header": "X-Other"}]
)
def test_a_header_that_nobody_trusts_is_as_if_it_were_not_there(
    running: Services, current: bytes, policy: dict[str, str]
) -> None:
    headers = {"Client-Cert": as_rfc_9440(current), "Content-Type": "application/pkcs10"}
    answer = behind_a_proxy(running, **policy).call(
        "POST", "/cpo/simplereenroll", data=wrapped(request_der()), headers=headers
    )
    assert answer.status_code == 403
    assert answer.text.startswith("client_certificate_missing")


def test_a_revoked_or_foreign_certificate_renews_nothing(
    running: Services, caller: Caller, current: bytes
) -> None:
    proxied = behind_a_proxy(running, header="Client-Cert")
    serial = f"{x509.load_der_x509_certificate(current).serial_number:x}"
    caller.post(f"/v1/certificates/{serial}/revoke", {"reason": "superseded"}, role="cpo")
    foreign = next(iter(certificates(proxied.get("/cpo/cacerts")))).public_bytes(Encoding.DER)
    for der, word in ((current, "certificate_revoked"), (foreign, "certificate_not_ours")):
        headers = {"Client-Cert": as_rfc_9440(der), "Content-Type": "application/pkcs10"}
        answer = proxied.call(
            "POST", "/cpo/simplereenroll", data=wrapped(request_der()), headers=headers
        )
        assert (answer.status_code, answer.text.partition(":")[0]) == (403, word)
        assert "simpleenroll" in answer.text


def test_what_a_trusted_proxy_passes_must_be_a_certificate(running: Services) -> None:
    proxied = behind_a_proxy(running, header="Client-Cert")
    for text in ("x", ":!:", "%%%", ":" + "A" * 20_000 + ":"):
        answer = proxied.call(
            "POST", "/cpo/simplereenroll", data=b"x", headers={"Client-Cert": text}
        )
        assert answer.text.startswith("client_certificate_unreadable"), answer.text


def test_a_token_alone_renews_nothing(shared: Caller) -> None:
    answer = enrol(shared, wrapped(request_der()), "/cpo/simplereenroll")
    assert (answer.status_code, answer.text.partition(":")[0]) == (
        403,
        "client_certificate_missing",
    )


# --- any octets ----------------------------------------------------------------------------------


def read(body: bytes) -> bytes | str:
    try:
        return est.csr_of(body)
    except BadInput as error:
        return error.code


@given(st.binary(max_size=400))
def test_any_body_is_octets_or_a_named_error(body: bytes) -> None:
    found = read(body)
    assert isinstance(found, bytes) or found == "csr_unreadable"


@given(st.integers(1, 90), st.sampled_from([b"\n", b"\r\n", b" ", b"\t\n"]))
def test_a_csr_survives_any_layout(columns: int, line_end: bytes) -> None:
    der = request_der()
    assert parse(est.csr_of(wrapped(der, columns, line_end))).common_name == NAME
