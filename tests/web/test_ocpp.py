"""The Authorize request of OCPP 2.0.1 and 2.1: schema first, then the verdict."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.services import Services
from tests.web.calling import Caller, code, ocpp_code, short, token

HASHES = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "ab" * 32,
    "issuerKeyHash": "cd" * 32,
    "serialNumber": "1f",
    "responderURL": "http://192.0.2.1/",
}
REFUSED_CHAIN = {
    "idTokenInfo": {"status": "Invalid"},
    "certificateStatus": "CertChainError",
}


@pytest.mark.parametrize(
    ("body", "pointer", "keyword"),
    [
        ({}, "", "required"),
        ({"idToken": "DEMOAC00000001"}, "/idToken", "type"),
        ({"idToken": {"idToken": "DEMOAC00000001"}}, "/idToken", "required"),
        ({"idToken": token() | {"x": 1}}, "/idToken", "additionalProperties"),
        ({"idToken": token(), "x": 1}, "", "additionalProperties"),
        ({"idToken": token("x" * 256)}, "/idToken/idToken", "maxLength"),
        ({"idToken": token(), "certificate": 7}, "/certificate", "type"),
        ({"idToken": token(), "certificate": None}, "/certificate", "type"),
        ({"idToken": token(), "certificate": "x" * 10_001}, "/certificate", "maxLength"),
        (
            {"idToken": token(), "iso15118CertificateHashData": []},
            "/iso15118CertificateHashData",
            "minItems",
        ),
        (
            {"idToken": token(), "iso15118CertificateHashData": [HASHES] * 5},
            "/iso15118CertificateHashData",
            "maxItems",
        ),
        (
            {
                "idToken": token(),
                "iso15118CertificateHashData": [HASHES | {"hashAlgorithm": "MD5"}],
            },
            "/iso15118CertificateHashData/0/hashAlgorithm",
            "enum",
        ),
    ],
    ids=short,
)
@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_the_official_schema_is_judged_first(
    shared: Caller, body: dict[str, Any], pointer: str, keyword: str, version: str
) -> None:
    # a wrong header would be refused too, but the schema comes before it
    headers = {"X-Station-Id": "x" * 100}
    answer = shared.authorize(body, version=version, headers=headers)
    assert ocpp_code(answer) == (400, "PropertyConstraintViolation")
    assert answer.json is not None
    details = answer.json["errorDetails"]
    assert (details["code"], details["pointer"], details["keyword"]) == (
        "schema_violation",
        pointer,
        keyword,
    )
    assert "xxxx" not in answer.text


def test_the_versions_have_their_own_limits(shared: Caller) -> None:
    body = {"idToken": token(), "certificate": "x" * 6000}
    assert shared.authorize(body, version="2.0.1").status_code == 400
    assert shared.authorize(body, version="2.1").json == REFUSED_CHAIN


def test_custom_data_of_any_content_are_allowed(shared: Caller) -> None:
    body = {"idToken": token(), "customData": {"vendorId": "x", "more": [{"a": None}]}}
    assert shared.authorize(body).status_code == 200


def test_a_message_of_the_schema_does_not_end_in_a_deep_repr(shared: Caller) -> None:
    nested: list[Any] = []
    for _ in range(25):
        nested = [nested]
    assert code(shared.authorize({"idToken": nested})) == (400, "schema_violation")


@pytest.mark.parametrize(
    "certificate",
    ["", "garbage", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"],
)
def test_garbage_in_certificate_is_a_verdict(shared: Caller, certificate: str) -> None:
    answer = shared.authorize({"idToken": token(), "certificate": certificate})
    assert (answer.status_code, answer.json) == (200, REFUSED_CHAIN)


def test_eleven_certificates_that_fit_the_schema_are_a_verdict(shared: Caller) -> None:
    block = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    answer = shared.authorize({"idToken": token(), "certificate": block * 11})
    assert (answer.status_code, answer.json) == (200, REFUSED_CHAIN)


@pytest.mark.parametrize(
    "hashes",
    [
        HASHES,
        HASHES | {"issuerNameHash": "xyz"},
        HASHES | {"issuerKeyHash": ""},
        HASHES | {"issuerKeyHash": "ab"},
        HASHES | {"serialNumber": "no hex"},
        HASHES | {"serialNumber": ""},
        HASHES | {"hashAlgorithm": "SHA512"},
    ],
    ids=short,
)
def test_hash_data_that_name_nothing_known_are_a_verdict(
    shared: Caller, hashes: dict[str, str]
) -> None:
    answer = shared.authorize({"idToken": token(), "iso15118CertificateHashData": [hashes]})
    assert (answer.status_code, answer.json) == (200, REFUSED_CHAIN)


def hash_data(running: Services, serial: str) -> dict[str, str]:
    """Return what a station computes for a certificate of the issuer mo2-2."""
    with running.deployment.store.read() as tx:
        issuer = tx.issuers.active("mo2-2")
    assert issuer is not None
    name, key = issuer_hashes(load(issuer.certificate), "sha256")
    return HASHES | {
        "issuerNameHash": name.hex().upper(),
        "issuerKeyHash": key.hex(),
        "serialNumber": serial.upper(),
    }


def test_hash_data_of_a_contract_of_ours_are_accepted(caller: Caller, running: Services) -> None:
    issued = caller.issue()
    body = {
        "idToken": token(),
        "iso15118CertificateHashData": [hash_data(running, issued["serialNumber"])],
    }
    accepted = {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}
    assert caller.authorize(body).json == accepted
    chain_decides = body | {"certificate": "garbage"}
    assert caller.authorize(chain_decides).json == REFUSED_CHAIN
    bad_hashes = [HASHES | {"serialNumber": "no hex"}]
    chain_good = {
        "idToken": token(),
        "certificate": issued["certificateChain"],
        "iso15118CertificateHashData": bad_hashes,
    }
    assert caller.authorize(chain_good).json == accepted


def test_a_plain_token_has_no_certificate_status(caller: Caller) -> None:
    caller.issue()
    assert caller.authorize({"idToken": token()}).json == {"idTokenInfo": {"status": "Accepted"}}
    unknown = caller.authorize({"idToken": token("DEMOAC00000002")})
    assert unknown.json == {"idTokenInfo": {"status": "Unknown"}}


@pytest.mark.parametrize("presented", ["", "ÄÖÜ", "\u0000", "x" * 36, "DE*MOA*C0000"])
def test_an_odd_token_is_unknown_and_no_error(shared: Caller, presented: str) -> None:
    answer = shared.authorize({"idToken": token(presented)})
    assert (answer.status_code, answer.json) == (200, {"idTokenInfo": {"status": "Unknown"}})


def test_only_an_emaid_token_names_a_contract(caller: Caller) -> None:
    caller.issue()
    rfid = {"idToken": "DEMOAC00000001", "type": "ISO14443"}
    assert caller.authorize({"idToken": rfid}).json == {"idTokenInfo": {"status": "Unknown"}}


@pytest.mark.parametrize("name", ["X-Station-Id", "X-Evse-Id"])
@pytest.mark.parametrize("value", ["", "x" * 65, "Säule 1", "a\tb"])
def test_a_header_that_is_no_identifier_is_refused(shared: Caller, name: str, value: str) -> None:
    answer = shared.authorize({"idToken": token()}, headers={name: value})
    assert ocpp_code(answer) == (400, "PropertyConstraintViolation")
    assert code(answer) == (400, "invalid_header")


def test_where_the_car_stands_is_kept_in_the_receipt(
    caller: Caller, running: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="pnc"):
        caller.authorize(
            {"idToken": token()},
            headers={"X-Station-Id": "CS 0815", "X-Evse-Id": "DE*CPA*E1"},
        )
    fields: Any = next(r for r in caplog.records if r.name == "pnc.requests").__dict__["fields"]
    with running.deployment.store.read() as tx:
        record = tx.decisions.get(fields["decision"])
    assert record is not None
    assert '"evseId":"DE*CPA*E1"' in record.record
    assert '"stationId":"CS 0815"' in record.record
