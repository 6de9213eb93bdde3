"""Our own bodies are read strictly; what is wrong inside certificates is a verdict."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from tests.web.calling import Caller, code, short
from web.checks import contract_check_from_v1
from web.parsing import Fields

HASHES = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "ab" * 32,
    "issuerKeyHash": "CD" * 32,
    "serialNumber": "1F",
}
DER = base64.b64encode(b"\x30\x03\x02\x01\x01").decode()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "nothing_to_validate"),
        ({"evseId": "DE*CPA*E1"}, "nothing_to_validate"),
        ({"emaid": "DEMOAC00000001", "extra": 1}, "unknown_field"),
        ({"EMAID": "DEMOAC00000001"}, "unknown_field"),
        ({"emaid": 7}, "wrong_type"),
        ({"emaid": None}, "wrong_type"),
        ({"emaid": ["DEMOAC00000001"]}, "wrong_type"),
        ({"emaid": "D" * 256}, "too_long"),
        ({"emaid": "DEMOAC0000\n0001"}, "invalid_characters"),
        ({"emaid": "DEMOAC0000\u00000001"}, "invalid_characters"),
        ({"emaid": "DEMOAC00000001", "edition": "3"}, "invalid_value"),
        ({"emaid": "DEMOAC00000001", "edition": 2.5}, "wrong_type"),
        ({"emaid": "DEMOAC00000001", "edition": True}, "wrong_type"),
        ({"emaid": "DEMOAC00000001", "edition": 3}, "invalid_value"),
        ({"emaid": "DEMOAC00000001", "evseId": "here"}, "invalid_evse_id"),
        ({"emaid": "DEMOAC00000001", "evseId": "DE*CPÄ*E1"}, "invalid_evse_id"),
        ({"certificateChain": 7}, "wrong_type"),
        ({"certificateChain": None}, "wrong_type"),
        ({"certificateChain": {}}, "wrong_type"),
        ({"certificateChain": [DER, 7]}, "wrong_type"),
        ({"certificateHashData": {}}, "wrong_type"),
        ({"certificateHashData": []}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES] * 5}, "invalid_hash_data"),
        ({"certificateHashData": ["x"]}, "wrong_type"),
        ({"certificateHashData": [HASHES | {"x": 1}]}, "unknown_field"),
        ({"certificateHashData": [HASHES | {"serialNumber": 31}]}, "wrong_type"),
        ({"certificateHashData": [HASHES | {"serialNumber": "0"}]}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES | {"serialNumber": "xyz"}]}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES | {"hashAlgorithm": "MD5"}]}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES | {"hashAlgorithm": "SHA384"}]}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES | {"issuerKeyHash": "ab" * 20}]}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES | {"issuerKeyHash": "zz" * 32}]}, "invalid_hash_data"),
        ({"certificateHashData": [HASHES | {"issuerKeyHash": "ü" * 64}]}, "invalid_hash_data"),
        ({"certificateHashData": [{"hashAlgorithm": "SHA256"}]}, "field_missing"),
    ],
    ids=short,
)
def test_a_body_that_breaks_the_interface_is_refused_with_its_code(
    shared: Caller, body: dict[str, Any], name: str
) -> None:
    assert code(shared.post("/v1/contracts/validate", body, role="cpo")) == (400, name)


@pytest.mark.parametrize(
    ("chain", "fault"),
    [
        ("", "unreadable"),
        ("garbage", "unreadable"),
        ("-----BEGIN CERTIFICATE-----", "unreadable"),
        ("-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----", "unreadable"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "unreadable"),
        ("-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----", "unreadable"),
        ("ﬁ\u0000\n\t", "unreadable"),
        ([], "unreadable"),
        ([""], "unreadable"),
        (["%%%"], "unreadable"),
        (["ÄÖ=="], "unreadable"),
        ([DER], "unreadable"),
        ([DER] * 11, "too_many_certificates"),
    ],
    ids=short,
)
def test_garbage_inside_the_chain_is_a_verdict(
    shared: Caller, chain: str | list[str], fault: str
) -> None:
    answer = shared.post("/v1/contracts/validate", {"certificateChain": chain}, role="cpo")
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["fault"], answer.json["accepted"]) == (fault, False)
    assert answer.json["ocpp"] == {
        "idTokenInfo": {"status": "Invalid"},
        "certificateStatus": "CertChainError",
    }
    assert ".." not in answer.json["explanation"]


@pytest.mark.parametrize("form", ["pem", "base64"])
def test_fifty_certificates_are_too_many_and_a_verdict(caller: Caller, form: str) -> None:
    chain = caller.issue()["certificateChain"]
    leaf = x509.load_pem_x509_certificates(chain.encode())[0].public_bytes(Encoding.DER)
    many = chain * 17 if form == "pem" else [base64.b64encode(leaf).decode()] * 50
    answer = caller.post("/v1/contracts/validate", {"certificateChain": many}, role="cpo")
    assert answer.json is not None
    assert (answer.status_code, answer.json["fault"]) == (200, "too_many_certificates")


@pytest.mark.parametrize("emaid", ["DÉMOAC0000001", "\uff24\uff25MOAC00000001", "", "x", "💡" * 60])
def test_a_non_ascii_identifier_names_no_contract(shared: Caller, emaid: str) -> None:
    answer = shared.post("/v1/contracts/validate", {"emaid": emaid}, role="cpo")
    assert answer.json is not None
    assert (answer.status_code, answer.json["fault"]) == (200, "contract_unknown")
    assert answer.json["ocpp"] == {"idTokenInfo": {"status": "Unknown"}}


def test_an_issued_chain_may_come_as_base64_in_the_body(caller: Caller) -> None:
    certificates = x509.load_pem_x509_certificates(caller.issue()["certificateChain"].encode())
    chain = [base64.b64encode(c.public_bytes(Encoding.DER)).decode() for c in certificates]
    answer = caller.post("/v1/contracts/validate", {"certificateChain": chain}, role="cpo")
    assert answer.json is not None
    assert answer.json["accepted"] is True


def test_hash_data_are_read_in_any_case_and_the_responder_is_ignored() -> None:
    check = contract_check_from_v1(
        {"certificateHashData": [HASHES | {"responderURL": "http://192.0.2.1/"}]}
    )
    (item,) = check.hash_data
    assert (item.issuer_name_hash, item.issuer_key_hash) == (b"\xab" * 32, b"\xcd" * 32)
    assert item.serial.value == "1f"


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
NAMES = ("certificateChain", "certificateHashData", "emaid", "evseId", "edition", "x")


@given(st.dictionaries(st.sampled_from(NAMES), values))
def test_any_object_becomes_a_check_or_bad_input(body: dict[str, Any]) -> None:
    try:
        check = contract_check_from_v1(body)
    except BadInput:
        return  # any other exception fails the test
    asked = (check.chain, check.unreadable, check.hash_data or None, check.token)
    assert any(part is not None for part in asked)


@given(st.text(min_size=1))
def test_a_message_never_repeats_an_unknown_name_unescaped(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        Fields.of({name: 1}, ())
    assert caught.value.code == "unknown_field"
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()
