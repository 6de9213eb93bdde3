"""GetCertificateStatus of OCPP 2.0.1 and 2.1, GetCertificateChainStatus of 2.1."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pki.clock import format_time
from pki.model import Reason
from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.pkix.suites import Suite
from pki.status.ask import Told
from tests.web import asking
from tests.web.authority import AT, DAY, Authority, Leaf, working
from tests.web.calling import Caller, code, ocpp_code
from tests.web.conftest import tokens
from web.ocpp_status import longest_result, single_answer

SINGLE = "/ocpp/{}/GetCertificateStatus"
CHAIN = "/ocpp/2.1/GetCertificateChainStatus"
VERSIONS = ("2.0.1", "2.1")
SIZES = {"SHA256": 32, "SHA384": 48, "SHA512": 64}


@pytest.fixture(scope="module")
def csms(common: Authority) -> Caller:
    return Caller(common.app, tokens(common.services.settings.home))


def hash_data(leaf: Leaf, algorithm: str = "SHA256", **other: str) -> dict[str, str]:
    name, key = issuer_hashes(load_issuer(leaf), algorithm.lower())
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": name.hex(),
        "issuerKeyHash": key.hex(),
        "serialNumber": leaf.record.serial.value,
    } | other


def load_issuer(leaf: Leaf) -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return load(leaf.issuer.public_bytes(Encoding.DER))


def single(data: dict[str, str], url: str = "http://192.0.2.1/ocsp") -> dict[str, Any]:
    return {"ocspRequestData": {"responderURL": url} | data}


def chain(*each: dict[str, str], source: str = "OCSP") -> dict[str, Any]:
    listed = [
        {"certificateHashData": data, "source": source, "urls": ["http://192.0.2.1/"]}
        for data in each
    ]
    return {"certificateStatusRequests": listed}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("algorithm", SIZES)
def test_our_own_certificate_gets_our_signed_answer(
    csms: Caller, common: Authority, version: str, algorithm: str
) -> None:
    leaf = common.issue()
    answer = csms.post(SINGLE.format(version), single(hash_data(leaf, algorithm)), role="cpo").json
    assert answer is not None
    assert set(answer) == {"status", "ocspResult"}
    assert answer["status"] == "Accepted"
    read = asking.read(base64.b64decode(answer["ocspResult"], validate=True))
    assert (read.status, read.single.cert_id) == ("good", leaf.cert_id(algorithm.lower()))


@pytest.mark.parametrize("suite", Suite)
def test_an_answer_of_every_suite_fits_the_older_message(
    csms: Caller, common: Authority, suite: Suite
) -> None:
    leaf = common.issue(suite)
    answer = csms.post(SINGLE.format("2.0.1"), single(hash_data(leaf)), role="cpo").json or {}
    assert 1000 < len(answer["ocspResult"]) <= 5500


def test_a_revoked_and_an_unissued_certificate_are_told(csms: Caller, common: Authority) -> None:
    leaf = common.issue()
    common.revoke(leaf, Reason.KEY_COMPROMISE)
    for data, status in (
        (hash_data(leaf), "revoked"),
        (hash_data(leaf, serialNumber="1234"), "unknown"),
    ):
        answer = csms.post(SINGLE.format("2.1"), single(data), role="admin").json or {}
        assert answer["status"] == "Accepted"
        assert asking.read(base64.b64decode(answer["ocspResult"])).status == status


def test_i4_never_good_after_a_revocation_over_ocpp_either(authority_home: Path) -> None:
    with working(authority_home) as one, working(authority_home) as two:
        leaf = one.issue()
        callers = [Caller(w.app, tokens(authority_home)) for w in (one, two)]
        for status, listed in (("good", "Good"), ("revoked", "Revoked")):
            for asked in callers:
                body = asked.post(SINGLE.format("2.1"), single(hash_data(leaf)), role="cpo").json
                result = base64.b64decode((body or {})["ocspResult"])
                assert asking.read(result).status == status
                told = asked.post(CHAIN, chain(hash_data(leaf)), role="cpo").json or {}
                assert told["certificateStatus"][0]["status"] == listed
            if status == "good":
                two.revoke(leaf)


UNREADABLE = [
    {"issuerNameHash": "xy" * 32},
    {"issuerNameHash": "ab" * 31},
    {"issuerKeyHash": ""},
    {"issuerKeyHash": "ab" * 33},
    {"serialNumber": ""},
    {"serialNumber": "0"},
    {"serialNumber": "-1"},
    {"serialNumber": "no hex"},
    {"hashAlgorithm": "SHA512"},
]


@pytest.mark.parametrize("change", UNREADABLE, ids=str)
@pytest.mark.parametrize("version", VERSIONS)
def test_hash_data_that_name_nothing_are_failed(
    csms: Caller, common: Authority, version: str, change: dict[str, str]
) -> None:
    data = hash_data(common.issue()) | change
    answer = csms.post(SINGLE.format(version), single(data), role="cpo")
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["status"], answer.json["statusInfo"]["reasonCode"]) == (
        "Failed",
        "InvalidValue",
    )
    assert "ocspResult" not in answer.json
    listed = csms.post(CHAIN, chain(data), role="cpo").json or {}
    assert [one["status"] for one in listed["certificateStatus"]] == ["Failed"]


@contextmanager
def listening() -> Iterator[tuple[str, list[object]]]:
    """Yield an address and who connected to it."""
    connected: list[object] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connected.append(server.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/ocsp", connected
        stop.set()
        thread.join()


def test_a_foreign_issuer_is_failed_and_its_address_is_never_fetched(
    csms: Caller, common: Authority
) -> None:
    foreign = hash_data(common.issue(), issuerKeyHash="cd" * 32)
    with listening() as (url, connected):
        for version in VERSIONS:
            answer = csms.post(SINGLE.format(version), single(foreign, url), role="cpo").json or {}
            assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Failed", "NotFound")
        body = chain(foreign)
        body["certificateStatusRequests"][0]["urls"] = [url]
        listed = csms.post(CHAIN, body, role="cpo").json or {}
        assert listed["certificateStatus"][0]["status"] == "Failed"
    assert connected == []


def test_while_no_answer_can_be_given_it_is_failed(authority_home: Path) -> None:
    with working(authority_home) as now:
        leaf = now.issue()
    with working(authority_home, at=AT + 400 * DAY) as later:
        asked = Caller(later.app, tokens(authority_home))
        answer = asked.post(SINGLE.format("2.1"), single(hash_data(leaf)), role="cpo").json or {}
        assert answer["status"] == "Failed"
        listed = asked.post(CHAIN, chain(hash_data(leaf)), role="cpo").json or {}
        (one,) = listed["certificateStatus"]
        assert (one["status"], one["nextUpdate"]) == ("Failed", format_time(AT + 400 * DAY))


def test_the_limits_are_those_of_the_schemas() -> None:
    assert {version: longest_result(version) for version in VERSIONS} == {
        "2.0.1": 5500,
        "2.1": 18000,
    }


@pytest.mark.parametrize(("octets", "status"), [(4125, "Accepted"), (4126, "Failed")])
def test_an_answer_that_does_not_fit_is_failed(octets: int, status: str) -> None:
    told = Told(response=bytes(octets), status="good", next_update=None)
    answer = single_answer(told, longest_result("2.0.1"))
    assert (answer["status"], "ocspResult" in answer) == (status, status == "Accepted")
    if status == "Failed":
        assert answer["statusInfo"]["reasonCode"] == "TooLargeElement"
        assert len(answer["statusInfo"]["additionalInfo"]) <= 512


@pytest.mark.parametrize("source", ["OCSP", "CRL"])
def test_a_chain_is_told_certificate_by_certificate(
    csms: Caller, common: Authority, source: str
) -> None:
    good, revoked = common.issue(), common.issue(Suite.ED448)
    common.revoke(revoked)
    asked = [
        hash_data(good),
        hash_data(revoked, "SHA512"),
        hash_data(good, serialNumber="ABCDEF"),
        hash_data(good, issuerNameHash="00" * 32),
    ]
    answer = csms.post(CHAIN, chain(*asked, source=source), role="cpo").json or {}
    listed = answer["certificateStatus"]
    assert [one["status"] for one in listed] == ["Good", "Revoked", "Unknown", "Failed"]
    assert [one["certificateHashData"] for one in listed] == asked
    assert {one["source"] for one in listed} == {source}
    ends = [one["nextUpdate"] for one in listed]
    assert ends[0] == format_time(AT + common.services.settings.status.validity)
    assert ends[3] == format_time(AT)


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (SINGLE.format("2.0.1"), {}, ""),
        (SINGLE.format("2.1"), {"ocspRequestData": {}}, "/ocspRequestData"),
        (SINGLE.format("2.0.1"), {"ocspRequestData": 7}, "/ocspRequestData"),
        (CHAIN, {}, ""),
        (CHAIN, {"certificateStatusRequests": []}, "/certificateStatusRequests"),
        (CHAIN, {"certificateStatusRequests": [{}] * 5}, "/certificateStatusRequests"),
        (CHAIN, {"certificateStatusRequests": [{}]}, "/certificateStatusRequests/0"),
    ],
    ids=str,
)
def test_the_official_schema_is_judged_first(
    csms: Caller, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = csms.post(path, body, role="cpo")
    assert ocpp_code(answer) == (400, "PropertyConstraintViolation")
    details = (answer.json or {})["errorDetails"]
    assert (details["code"], details["pointer"]) == ("schema_violation", pointer)


def test_the_versions_have_their_own_limits(csms: Caller, common: Authority) -> None:
    body = single(hash_data(common.issue()), "http://x/" + "x" * 600)
    assert csms.post(SINGLE.format("2.0.1"), body, role="cpo").status_code == 400
    assert csms.post(SINGLE.format("2.1"), body, role="cpo").status_code == 200
    assert ocpp_code(csms.post(CHAIN.replace("2.1", "2.0.1"), {}, role="cpo"))[0] == 404


@pytest.mark.parametrize("readable", [True, False])
def test_only_a_cpo_or_an_administrator_may_ask(
    csms: Caller, common: Authority, *, readable: bool
) -> None:
    data = hash_data(common.issue()) | ({} if readable else {"serialNumber": "no hex"})
    for path, body in ((SINGLE.format("2.1"), single(data)), (CHAIN, chain(data))):
        for role in ("emsp", "oem", "cps", "auditor"):
            refused = csms.post(path, body, role=role)
            assert (code(refused), ocpp_code(refused)[1]) == (
                (403, "role_not_allowed"),
                "SecurityError",
            )
        assert ocpp_code(csms.post(path, body)) == (401, "SecurityError")
        for role in ("cpo", "admin"):
            assert csms.post(path, body, role=role).status_code == 200
