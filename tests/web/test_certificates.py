"""Certificates over HTTP: issue, find, search, revoke."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from pki import settings
from pki.clock import FixedClock
from pki.ids import SerialNumber
from pki.pkix import pem
from pki.services import Services, build
from tests.builders import NOW
from tests.web.calling import Caller, code, csr, short
from tests.web.conftest import tokens
from web.app import create_app

PATH = "/v1/certificates"


def broken_csr() -> str:
    """Return a CSR whose last octet, part of its signature, was changed."""
    request = x509.load_pem_x509_csr(csr("DEMOAC00000001").encode())
    der = bytearray(request.public_bytes(Encoding.DER))
    der[-1] ^= 1
    return pem.encode(bytes(der), "CERTIFICATE REQUEST")


def test_a_certificate_is_issued_from_a_csr(caller: Caller) -> None:
    answer = caller.post(PATH, {"profile": "contract", "csr": csr("DE-MOA-C00000001")}, role="emsp")
    assert answer.status_code == 201
    body = answer.json
    assert body is not None
    assert answer.headers["Location"] == f"{PATH}/{body['fingerprint']}"
    assert body["commonName"] == "DEMOAC00000001"
    assert (body["kind"], body["edition"], body["suite"]) == ("contract", "2", "p256")
    assert "privateKey" not in body
    chain = x509.load_pem_x509_certificates(body["certificateChain"].encode())
    assert len(chain) == 3
    assert chain[0].serial_number == SerialNumber.parse(body["serialNumber"]).as_int
    found = caller.get(answer.headers["Location"], role="emsp").json
    assert found is not None
    assert found["certificateChain"] == body["certificateChain"]
    assert (found["status"], found["revocation"]) == ("good", None)


@pytest.mark.parametrize("name", ["emaid", "commonName"])
def test_a_demo_makes_the_key_and_tells_it_once(caller: Caller, name: str) -> None:
    answer = caller.post(PATH, {"profile": "contract", name: "DEMOAC00000001"}, role="emsp")
    assert answer.status_code == 201
    assert answer.json is not None
    key = load_pem_private_key(answer.json["privateKey"].encode(), None)
    leaf = x509.load_pem_x509_certificate(answer.json["certificateChain"].encode())
    assert key.public_key() == leaf.public_key()
    again = caller.get(answer.headers["Location"], role="emsp")
    assert "PRIVATE" not in again.text


@pytest.mark.parametrize(
    ("role", "profile", "common_name"),
    [
        ("cpo", "secc", "DE*CPA*E1"),
        ("oem", "oem", "WPN12345678901234"),
        ("cps", "cps", "Demo CPS"),
        ("admin", "contract", "DEMOAC00000001"),
    ],
)
def test_every_role_gets_its_kind(
    caller: Caller, role: str, profile: str, common_name: str
) -> None:
    body = {"profile": profile, "csr": csr(common_name)}
    assert caller.post(PATH, body, role=role).status_code == 201


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"profile": "v2g_root"}, (400, "invalid_value")),
        ({"profile": "pe_secc"}, (400, "invalid_value")),
        ({"profile": None}, (400, "wrong_type")),
        ({"csr": None}, (400, "wrong_type")),
        ({"csr": 7}, (400, "wrong_type")),
        ({"csr": "garbage"}, (400, "csr_unreadable")),
        ({"csr": ""}, (400, "csr_unreadable")),
        ({"csr": "ä" * 100}, (400, "csr_unreadable")),
        ({"csr": "x" * 20_000}, (400, "csr_too_large")),
        ({"csr": broken_csr()}, (400, "csr_signature_invalid")),
        ({"csr": csr("nobody")}, (400, "invalid_emaid")),
        ({"csr": csr("DEMOAC0000000Ü")}, (400, "invalid_emaid")),
        ({"emaid": "DEMOAC00000002"}, (400, "common_name_mismatch")),
        ({"party": "DE8EM"}, (400, "party_mismatch")),
        ({"party": "nonsense"}, (400, "invalid_provider_id")),
        ({"emaid": "DEMOAC00000001", "commonName": "DEMOAC00000001"}, (400, "invalid_value")),
        ({"edition": "20"}, (422, "suite_mismatch")),
        ({"edition": "1"}, (400, "invalid_value")),
        ({"suite": "rsa"}, (400, "invalid_value")),
        ({"suite": "ed448"}, (422, "suite_mismatch")),
        ({"issuer": "nobody"}, (404, "issuer_unknown")),
        ({"issuer": "\u0000"}, (400, "invalid_characters")),
        ({"issuer": "cpo2-2"}, (422, "issuer_not_fitting")),
        ({"notAfter": "2026-02-30T00:00:00Z"}, (400, "invalid_time")),
        ({"notAfter": "tomorrow"}, (400, "invalid_time")),
        ({"notAfter": "2020-01-01T00:00:00Z"}, (400, "not_after_past")),
        ({"notAfter": "2199-01-01T00:00:00Z"}, (422, "outlives_issuer")),
        ({"serial": "1"}, (400, "unknown_field")),
    ],
    ids=short,
)
def test_what_is_wrong_with_a_request_is_told_and_nothing_is_kept(
    caller: Caller, running: Services, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    body = {"profile": "contract", "csr": csr("DEMOAC00000001")} | change
    assert code(caller.post(PATH, body, role="emsp")) == expected
    page = caller.get(f"{PATH}?kind=contract", role="admin").json
    assert page == {"certificates": [], "next": None}
    with running.deployment.store.read() as tx:
        assert tx.intents.unfinished() == []


def test_the_profile_must_be_named(shared: Caller) -> None:
    assert code(shared.post(PATH, {"csr": "x"}, role="emsp")) == (400, "field_missing")
    answer = shared.post(PATH, {"profile": "secc", "emaid": "DEMOAC00000001"}, role="cpo")
    assert code(answer) == (400, "invalid_value")
    assert code(shared.post(PATH, {"profile": "contract"}, role="emsp")) == (400, "csr_missing")


def test_a_key_that_was_compromised_is_never_certified_again(caller: Caller) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = caller.issue(csr=csr("DEMOAC00000001", key))
    path = f"{PATH}/{issued['fingerprint']}/revoke"
    report = caller.post(path, {"reason": "KEYCOMPROMISE"}, role="emsp")
    assert report.json is not None
    assert (report.json["keyBlocked"], report.json["reason"]) == (True, "keyCompromise")
    body = {"profile": "contract", "csr": csr("DEMOAC00000002", key)}
    assert code(caller.post(PATH, body, role="emsp")) == (422, "key_blocked")


def test_production_hands_out_no_key_and_names_the_ways(template: Path, tmp_path: Path) -> None:
    environment = {
        "PNC_MODE": "production",
        "PNC_SIGNER_SOCKET": str(tmp_path / "signer"),
        "PNC_DATABASE_URL": f"sqlite:///{template / 'pnc.db'}",
        "PNC_KEY_PASSPHRASE_FILE": str(template / "keys" / "passphrase"),
    }
    running = build(settings.load(environment, tmp_path), clock=FixedClock(NOW))
    caller = Caller(create_app(running), tokens(template))
    answer = caller.post(PATH, {"profile": "contract", "emaid": "DEMOAC00000001"}, role="emsp")
    running.close()
    assert code(answer) == (422, "csr_missing")
    assert answer.json is not None
    assert "csr" in answer.json["hint"]
    assert "--out" in answer.json["hint"]


def test_a_search_goes_page_by_page(caller: Caller) -> None:
    issued = {caller.issue(f"DEMOAC0000000{n}")["fingerprint"] for n in range(5)}
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        query = f"?kind=contract&limit=2&after={after}" if after else "?kind=contract&limit=2"
        page = caller.get(f"{PATH}{query}", role="emsp").json
        assert page is not None
        seen += [c["fingerprint"] for c in page["certificates"]]
        after = page["next"]
    assert seen == sorted(issued)


def test_a_search_filters(caller: Caller) -> None:
    issued = caller.issue("DEMOAC00000003")
    for query in ("commonName=DEMOAC00000003", "owner=DEMOA", "owner=DEMOA&kind=contract"):
        page = caller.get(f"{PATH}?{query}", role="emsp").json
        assert page is not None
        (found,) = page["certificates"]
        assert found["certificateChain"] == issued["certificateChain"]
    for query in ("commonName=other", "owner=FRMOB", "kind=secc"):
        page = caller.get(f"{PATH}?{query}", role="emsp").json
        assert page == {"certificates": [], "next": None}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "invalid_limit"),
        ("limit=501", "invalid_limit"),
        ("limit=-1", "invalid_limit"),
        ("limit=9999999999", "invalid_limit"),
        ("limit=٣", "invalid_limit"),
        ("limit=", "invalid_limit"),
        ("after=x", "invalid_fingerprint"),
        ("kind=root", "invalid_value"),
        ("owner=%00", "invalid_characters"),
        ("owner=" + "x" * 300, "too_long"),
        ("sort=serial", "unknown_parameter"),
        ("kind=secc&kind=contract", "parameter_repeated"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(shared: Caller, query: str, name: str) -> None:
    assert code(shared.get(f"{PATH}?{query}", role="admin")) == (400, name)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("1f", (404, "certificate_unknown")),
        ("ab" * 32, (404, "certificate_unknown")),
        (":".join(["ab"] * 32), (404, "certificate_unknown")),
        ("0", (400, "invalid_reference")),
        ("xyz", (400, "invalid_reference")),
        ("%00", (400, "invalid_reference")),
        ("ü", (400, "invalid_reference")),
        ("a" * 2000, (400, "invalid_reference")),
        ("z" * 64, (400, "invalid_fingerprint")),
    ],
)
def test_a_reference_to_nothing_is_told(
    shared: Caller, reference: str, expected: tuple[int, str]
) -> None:
    assert code(shared.get(f"{PATH}/{reference}", role="admin")) == expected
    body = {"reason": "superseded"}
    assert code(shared.post(f"{PATH}/{reference}/revoke", body, role="admin")) == expected


def test_a_dry_run_revokes_nothing_and_a_second_revocation_is_a_conflict(caller: Caller) -> None:
    issued = caller.issue()
    path = f"{PATH}/{issued['serialNumber'].upper()}"
    preview = caller.post(f"{path}/revoke", {"reason": "superseded", "dryRun": True}, role="emsp")
    assert preview.json is not None
    assert preview.json["dryRun"] is True
    assert caller.get(path, role="emsp").json["status"] == "good"  # type: ignore[index]
    real = caller.post(f"{path}/revoke", {"reason": "superseded"}, role="emsp")
    assert real.json == preview.json | {"dryRun": False}
    found = caller.get(path, role="emsp").json
    assert found is not None
    assert (found["status"], found["revocation"]["reason"]) == ("revoked", "superseded")
    again = caller.post(f"{path}/revoke", {"reason": "keyCompromise"}, role="emsp")
    assert code(again) == (409, "already_revoked")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "field_missing"),
        ({"reason": "because"}, "invalid_reason"),
        ({"reason": "superseded", "dryRun": "no"}, "wrong_type"),
        ({"reason": "superseded", "yes": True}, "unknown_field"),
    ],
)
def test_a_revocation_that_is_not_understood_revokes_nothing(
    shared: Caller, body: dict[str, Any], name: str
) -> None:
    assert code(shared.post(f"{PATH}/1f/revoke", body, role="admin")) == (400, name)
