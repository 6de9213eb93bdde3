"""SignCertificate and what waits for stations, as a CSMS sees it."""

from __future__ import annotations

import base64
import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.test import TestResponse

from pki import stations
from pki.model import MessageState
from pki.pkix import pem
from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.pkix.profiles import Kind
from pki.services import Services
from tests.web.calling import Caller, csr
from tests.web.conftest import ADMIN
from web.ocpp import VERSIONS, schema

STATION = {"X-Station-Id": "cs-1"}
USES = {"ChargingStationCertificate": "SN-1", "V2GCertificate": "DECPAE1"}


def sign(
    caller: Caller,
    request: str,
    use: str | None = None,
    version: str = "2.0.1",
    *,
    role: str = "cpo",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> TestResponse:
    body = {"csr": request} | ({"certificateType": use} if use else {}) | more
    path = f"/ocpp/{version}/SignCertificate"
    return caller.post(path, body, role=role, headers=STATION if headers is None else headers)


def waiting(caller: Caller, query: str = "", role: str = "cpo") -> list[dict[str, Any]]:
    answer = caller.get(f"/ocpp/pending{query}", role=role)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = (answer.json or {})["messages"]
    return found


def result(caller: Caller, message: dict[str, Any], body: Any, role: str = "cpo") -> TestResponse:
    return caller.post(f"/ocpp/pending/{message['id']}/result", body, role=role)


def later(running: Services, seconds: float) -> None:
    """Let time go on."""
    clock = running.deployment.clock
    object.__setattr__(clock, "at", clock.now() + dt.timedelta(seconds=seconds))


def count(running: Services) -> int:
    with running.deployment.store.read() as tx:
        return len(tx.certificates.search(limit=1000)) + len(tx.intents.unfinished())


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize("use", USES)
def test_a_station_is_answered_at_once_and_its_chain_waits(
    caller: Caller, version: str, use: str
) -> None:
    answer = sign(caller, csr(USES[use]), use, version)
    assert (answer.status_code, answer.json) == (200, {"status": "Accepted"})
    (message,) = waiting(caller, "?station=cs-1")
    assert (message["action"], message["call"]) == ("CertificateSigned", "CertificateSigned")
    assert (message["state"], message["operator"], message["version"]) == (
        "pending",
        "DECPA",
        version,
    )
    payload = message["payload"]
    assert set(payload) == {"certificateChain", "certificateType"}
    assert payload["certificateType"] == use
    chain = x509.load_pem_x509_certificates(payload["certificateChain"].encode())
    for leaf, issuer in pairwise(chain):
        leaf.verify_directly_issued_by(issuer)
    assert USES[use] in chain[0].subject.rfc4514_string()
    assert len(chain) == (2 if use == "ChargingStationCertificate" else 3)
    assert waiting(caller, "?station=cs-2") == []


def test_of_ocpp_21_the_request_id_comes_back(caller: Caller) -> None:
    sign(caller, csr("DECPAE1"), "V2GCertificate", "2.1", requestId=7)
    assert waiting(caller)[0]["payload"]["requestId"] == 7


def test_without_a_type_the_name_tells_and_the_answer_names_none(
    caller: Caller, running: Services
) -> None:
    sign(caller, csr("SN-1"))
    sign(caller, csr("DECPAE1"), headers={"X-Station-Id": "cs-2"})
    assert all("certificateType" not in message["payload"] for message in waiting(caller))
    with running.deployment.store.read() as tx:
        kinds = {r.kind: r.common_name for r in tx.certificates.search(owners=("DECPA",))}
    assert kinds == {Kind.STATION: "SN-1", Kind.SECC: "DECPAE1"}


def test_the_edition_of_a_type_must_fit_the_key(caller: Caller) -> None:
    answer = sign(caller, csr("DECPAE1"), "V2G20Certificate", "2.1")
    assert answer.json is not None
    assert answer.json["statusInfo"]["additionalInfo"].startswith("suite_mismatch: ")


def test_hash_data_choose_the_root(caller: Caller, running: Services) -> None:
    with running.deployment.store.read() as tx:
        roots = {i.name: load(i.certificate) for i in tx.issuers.all() if i.parent_id is None}
    for name, status in (("v2g-2", "Accepted"), ("mo-2", "Rejected")):
        root = roots[name]
        name_hash, key_hash = issuer_hashes(root, "sha256")
        named = {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": name_hash.hex(),
            "issuerKeyHash": key_hash.hex(),
            "serialNumber": f"{root.serial:x}",
        }
        answer = sign(caller, csr("DECPAE1"), "V2GCertificate", "2.1", hashRootCertificate=named)
        assert answer.json is not None
        assert answer.json["status"] == status, name
    answer = sign(
        caller,
        csr("DECPAE1"),
        "V2GCertificate",
        "2.1",
        hashRootCertificate=named | {"issuerKeyHash": "x"},
    )
    assert answer.json is not None
    assert answer.json["statusInfo"]["reasonCode"] == "InvalidValue"


@pytest.mark.parametrize(
    ("request_text", "use", "reason", "code"),
    [
        ("x", "V2GCertificate", "InvalidCSR", "csr_unreadable"),
        ("", "V2GCertificate", "InvalidCSR", "csr_unreadable"),
        (csr("no station"), "V2GCertificate", "InvalidCSR", "invalid_secc_id"),
        (csr("192.0.2.1"), "ChargingStationCertificate", "InvalidCSR", "invalid_station_serial"),
        (csr("DEXYZE1"), "V2GCertificate", "NotEnabled", "party_not_allowed"),
        (csr("DEXYZE1"), None, "NotEnabled", "party_not_allowed"),
        (
            csr("DECPAE1", ec.generate_private_key(ec.SECP224R1())),
            "V2GCertificate",
            "InvalidCSR",
            "key_not_allowed",
        ),
    ],
)
def test_what_a_station_must_mend_is_told_to_it_and_issues_nothing(
    caller: Caller, running: Services, request_text: str, use: str | None, reason: str, code: str
) -> None:
    before = count(running)
    answer = sign(caller, request_text, use)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["status"] == "Rejected"
    assert answer.json["statusInfo"]["reasonCode"] == reason
    assert answer.json["statusInfo"]["additionalInfo"].startswith(f"{code}: ")
    assert waiting(caller, "?state=all") == []
    assert count(running) == before


def test_what_the_csms_must_mend_is_told_to_the_csms(caller: Caller) -> None:
    assert sign(caller, csr("DECPAE1"), role="emsp").status_code == 403
    answer = sign(caller, csr("DECPAE1"), headers={})
    assert answer.status_code == 400
    assert (answer.json or {})["errorDetails"]["code"] == "station_missing"
    assert sign(caller, csr("DECPAE1"), headers={"X-Station-Id": "x" * 65}).status_code == 400
    assert sign(caller, csr("SN-1"), role="admin").status_code == 400  # whose station is it?
    assert sign(caller, "x" * 5501).status_code == 400
    assert sign(caller, "x" * 70_000).status_code == 413
    text = caller.post(
        "/ocpp/2.0.1/SignCertificate",
        data="csr",
        role="cpo",
        headers=STATION | {"Content-Type": "text/plain"},
    )
    assert text.status_code == 415


def test_the_station_may_stand_in_the_query(caller: Caller) -> None:
    answer = caller.post(
        "/ocpp/2.0.1/SignCertificate?station=cs-9", {"csr": csr("SN-9")}, role="cpo"
    )
    assert answer.json == {"status": "Accepted"}
    assert waiting(caller)[0]["station"] == "cs-9"


def test_the_same_request_again_issues_once(caller: Caller, running: Services) -> None:
    request = csr("DECPAE1")
    before = count(running)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sign(caller, request, "V2GCertificate"), range(4)))
    assert [answer.json for answer in answers] == [{"status": "Accepted"}] * 4
    assert len(waiting(caller)) == 1
    assert count(running) == before + 1


def test_a_newer_certificate_takes_the_place_of_one_that_still_waits(caller: Caller) -> None:
    for _ in range(2):
        sign(caller, csr("DECPAE1"), "V2GCertificate")
    sign(caller, csr("SN-1"), "ChargingStationCertificate")
    assert len(waiting(caller)) == 2
    assert [m["state"] for m in waiting(caller, "?state=all")] == [
        "superseded",
        "pending",
        "pending",
    ]


def test_what_a_crash_left_reserved_is_taken_up_later(caller: Caller, running: Services) -> None:
    request = csr("DECPAE1")
    sign(caller, request, "V2GCertificate")
    (message,) = waiting(caller)
    with running.deployment.store.write() as tx:
        found = tx.stations.get(message["id"])
        assert found is not None
        tx.stations.move(replace(found, state=MessageState.ACCEPTED), MessageState.PENDING)
        left = replace(found, message_id="0000000000-left", state=MessageState.MAKING)
        tx.stations.add(left)
    assert sign(caller, request, "V2GCertificate").json == {"status": "Accepted"}
    assert waiting(caller) == []  # as long as somebody may be at work
    later(running, 120)
    sign(caller, request, "V2GCertificate")
    (made,) = waiting(caller)
    assert made["id"] > message["id"]


@pytest.mark.parametrize("status", ["Accepted", "Rejected"])
def test_the_answer_of_a_station_is_kept_once_and_audited(
    caller: Caller, running: Services, status: str
) -> None:
    sign(caller, csr("DECPAE1"), "V2GCertificate")
    (message,) = waiting(caller)
    told = {"status": status, "statusInfo": {"reasonCode": "InvalidCertificate"}}
    for _ in range(2):
        answer = result(caller, message, told)
        assert answer.status_code == 200
        assert (answer.json or {})["state"] == status.lower()
    assert waiting(caller) == []
    (kept,) = waiting(caller, f"?state={status.lower()}")
    assert kept["answer"] == told
    assert result(caller, message, {"status": status}).status_code == 409
    with running.deployment.store.read() as tx:
        actions = [e.action for e in tx.audit.entries("admin") if e.subject == message["id"]]
    assert actions == ["station.sign", "station.answer"]


def test_an_answer_is_judged_by_the_schema_of_its_message(caller: Caller) -> None:
    sign(caller, csr("DECPAE1"), "V2GCertificate")
    (message,) = waiting(caller)
    for bad in (
        {},
        {"status": "Perhaps"},
        {"status": "Accepted", "more": 1},
        {"errorCode": 5, "x": 1},
    ):
        assert result(caller, message, bad).status_code == 400
    error = {"errorCode": "NotSupported", "errorDescription": "no"}
    assert (result(caller, message, error).json or {})["state"] == "failed"


def test_nobody_sees_or_answers_for_a_station_of_another(caller: Caller, running: Services) -> None:
    sign(caller, csr("DECPAE1"), "V2GCertificate")
    (message,) = waiting(caller)
    assert waiting(caller, role="admin") == waiting(caller, role="auditor") == [message]
    assert result(caller, message, {"status": "Accepted"}, "auditor").status_code == 403
    for role in ("emsp", "oem", "cps"):
        assert caller.get("/ocpp/pending", role=role).status_code == 403
        assert result(caller, message, {"status": "Accepted"}, role).status_code == 403
    from pki import clients  # noqa: PLC0415
    from pki.model import Role  # noqa: PLC0415

    _, token = clients.add(running.deployment, ADMIN, Role.CPO, ("DEXYZ",))
    other = replace(caller, tokens={"cpo": token})
    assert waiting(other, "?state=all") == []
    assert other.get(f"/ocpp/pending/{message['id']}", role="cpo").status_code == 404
    assert result(other, message, {"status": "Accepted"}).status_code == 404
    assert caller.get("/ocpp/pending").status_code == 401


# --- what an operator asks for --------------------------------------------------------------------


def asked(action: str = "GetInstalledCertificateIds", payload: Any = None, **more: Any) -> Any:
    return {"station": "cs-1", "action": action, "payload": payload or {}} | more


def test_an_operator_installs_lists_and_deletes(caller: Caller, running: Services) -> None:
    with running.deployment.store.read() as tx:
        root = next(i.certificate for i in tx.issuers.all() if i.name == "v2g-2")
    wanted = {"certificateType": "V2GRootCertificate", "certificate": pem.encode(root)}
    answer = caller.post("/ocpp/pending", asked("InstallCertificate", wanted), role="cpo")
    assert answer.status_code == 201
    listed = caller.post("/ocpp/pending", asked(), role="cpo")
    named = {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "ab" * 32,
        "issuerKeyHash": "cd" * 32,
        "serialNumber": "1",
    }
    gone = asked("DeleteCertificate", {"certificateHashData": named}, version="2.1")
    assert caller.post("/ocpp/pending", gone, role="cpo").status_code == 201
    assert [m["action"] for m in waiting(caller)] == [
        "InstallCertificate",
        "GetInstalledCertificateIds",
        "DeleteCertificate",
    ]
    chains = [{"certificateType": "V2GRootCertificate", "certificateHashData": named}]
    ids = {"status": "Accepted", "certificateHashDataChain": chains}
    assert result(caller, listed.json or {}, ids).status_code == 200
    (kept,) = waiting(caller, "?station=cs-1&state=accepted&action=GetInstalledCertificateIds")
    assert kept["answer"]["certificateHashDataChain"] == chains


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"action": "CertificateSigned"}, "invalid_action"),
        ({"action": "Reset"}, "invalid_action"),
        ({"version": "1.5"}, "invalid_action"),
        ({"station": "ü"}, "invalid_header"),
        ({"payload": 5}, "wrong_type"),
        ({"payload": {"x": 1}}, "schema_violation"),
        ({"lifeSeconds": 0}, "invalid_life"),
        ({"lifeSeconds": True}, "invalid_life"),
        ({"lifeSeconds": 10**9}, "invalid_life"),
        ({"operator": "x"}, "invalid_operator_id"),
        ({"colour": "red"}, "unknown_field"),
    ],
)
def test_what_cannot_be_asked_is_named(shared: Caller, change: dict[str, Any], code: str) -> None:
    answer = shared.post("/ocpp/pending", asked() | change, role="cpo")
    assert answer.status_code == 400
    assert (answer.json or {})["errorDetails"]["code"] == code


def test_an_operator_asks_its_own_stations_only(caller: Caller) -> None:
    assert caller.post("/ocpp/pending", asked(operator="DEXYZ"), role="cpo").status_code == 403
    assert caller.post("/ocpp/pending", asked(), role="emsp").status_code == 403
    assert caller.post("/ocpp/pending", asked(), role="auditor").status_code == 400
    assert caller.post("/ocpp/pending", asked(operator="DE*CPA"), role="auditor").status_code == 403
    assert caller.post("/ocpp/pending", asked(operator="DE*CPA"), role="admin").status_code == 201


def test_asking_the_same_twice_waits_once_and_a_queue_is_bounded(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = caller.post("/ocpp/pending", asked(), role="cpo").json
    assert caller.post("/ocpp/pending", asked(), role="cpo").json == first
    monkeypatch.setattr(stations, "MOST_OPEN", 2)
    trigger = {"requestedMessage": "SignV2GCertificate"}
    assert (
        caller.post("/ocpp/pending", asked("TriggerMessage", trigger), role="cpo").status_code
        == 201
    )
    full = caller.post("/ocpp/pending", asked(version="2.1"), role="cpo")
    assert full.status_code == 422
    assert sign(caller, csr("DECPAE1")).json is not None
    assert (sign(caller, csr("DECPAE1")).json or {})["statusInfo"]["additionalInfo"].startswith(
        "queue_full"
    )


def test_a_page_goes_on_behind_the_last(caller: Caller) -> None:
    for number in range(5):
        sign(caller, csr(f"SN-{number}"), headers={"X-Station-Id": f"cs-{number}"})
    seen, after = [], ""
    while True:
        page = caller.get(f"/ocpp/pending?limit=2{after}", role="cpo").json or {}
        seen += [m["station"] for m in page["messages"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == [f"cs-{number}" for number in range(5)]


def test_messages_expire_and_are_forgotten_at_last(caller: Caller, running: Services) -> None:
    message = caller.post("/ocpp/pending", asked(lifeSeconds=60), role="cpo").json or {}
    later(running, 61)
    assert stations.prune(running.deployment) == 1
    assert waiting(caller) == []
    (expired,) = waiting(caller, "?state=expired")
    assert expired["id"] == message["id"]
    assert result(caller, message, {"status": "NotFound"}).status_code == 200  # late, but true
    later(running, stations.RETENTION.total_seconds())
    assert stations.prune(running.deployment) == 1
    assert waiting(caller, "?state=all") == []


# --- OCPP 1.6 -------------------------------------------------------------------------------------


def transfer(caller: Caller, action: str | None, data: Any, vendor: str = stations.VENDOR) -> Any:
    body = {"vendorId": vendor} | ({"messageId": action} if action else {})
    body["data"] = data if isinstance(data, str) else json.dumps(data)
    answer = caller.post("/ocpp/1.6/DataTransfer", body, role="cpo", headers=STATION)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_station_of_16_gets_its_certificate_inside_of_data_transfers(caller: Caller) -> None:
    asked_for = {"csr": csr("DECPAE1"), "certificateType": "V2GCertificate"}
    answer = transfer(caller, "SignCertificate", asked_for)
    assert answer["status"] == "Accepted"
    assert json.loads(answer["data"]) == {"status": "Accepted"}
    (message,) = waiting(caller)
    assert (message["call"], message["action"]) == ("DataTransfer", "CertificateSigned")
    assert message["payload"]["vendorId"] == stations.VENDOR
    assert message["payload"]["messageId"] == "CertificateSigned"
    carried = json.loads(message["payload"]["data"])
    assert carried["certificateChain"].startswith("-----BEGIN CERTIFICATE-----")
    assert result(caller, message, {"status": "Accepted"}).status_code == 400
    told = {"status": "Accepted", "data": json.dumps({"status": "Rejected"})}
    assert (result(caller, message, told).json or {})["state"] == "rejected"


def test_of_16_an_unknown_message_of_a_station_has_failed(caller: Caller) -> None:
    message = caller.post("/ocpp/pending", asked(version="1.6"), role="cpo").json or {}
    assert message["payload"]["messageId"] == "GetInstalledCertificateIds"
    assert (result(caller, message, {"status": "UnknownMessageId"}).json or {})["state"] == "failed"


def test_16_authorises_by_an_emaid_in_plain_text(caller: Caller) -> None:
    caller.issue("DEMOAC00000001")
    answer = transfer(caller, "Authorize", {"idToken": "DEMOAC00000001"})
    assert answer["status"] == "Accepted"
    assert json.loads(answer["data"])["idTokenInfo"]["status"] == "Accepted"


def test_16_asks_for_status_and_contracts(caller: Caller) -> None:
    named = {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": "ab" * 32,
        "issuerKeyHash": "cd" * 32,
        "serialNumber": "1",
        "responderURL": "http://pki.example",
    }
    answer = transfer(caller, "GetCertificateStatus", {"ocspRequestData": named})
    assert json.loads(answer["data"])["status"] == "Failed"
    wanted = {
        "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
        "action": "Install",
        "exiRequest": "gA==",
    }
    answer = transfer(caller, "Get15118EVCertificate", wanted)
    assert json.loads(answer["data"])["status"] == "Failed"


@pytest.mark.parametrize(
    ("vendor", "action", "status"),
    [
        ("com.example", "Authorize", "UnknownVendorId"),
        ("", "", "UnknownVendorId"),
        (stations.VENDOR, "Reset", "UnknownMessageId"),
        (stations.VENDOR, None, "UnknownMessageId"),
        (stations.VENDOR, "CertificateSigned", "UnknownMessageId"),
    ],
)
def test_what_16_does_not_know_is_answered_as_16_says(
    shared: Caller, vendor: str, action: str | None, status: str
) -> None:
    assert transfer(shared, action, {}, vendor) == {"status": status}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"csr": 5}',
        "[" * 10_000,
        '{"csr": "", "csr": ""}',
        '{"csr":' * 40 + "1" + "}" * 40,
    ],
)
def test_data_that_cannot_be_read_is_rejected_with_its_reason(
    caller: Caller, running: Services, data: str
) -> None:
    before = count(running)
    answer = transfer(caller, "SignCertificate", data)
    assert answer["status"] == "Rejected"
    assert json.loads(answer["data"])["code"] in {
        "json_invalid",
        "body_not_object",
        "json_name_repeated",
        "json_too_deep",
        "schema_violation",
    }
    assert count(running) == before


def test_every_malformed_request_of_the_vectors_is_refused_and_issues_nothing(
    caller: Caller, running: Services, vectors: Path
) -> None:
    folder = vectors / "malformed"
    before = count(running)
    cases = json.loads((folder / "manifest.json").read_text("utf-8"))["cases"]
    bad = [case for case in cases if case["kind"] == "csr" and case["expect"] == "reject"]
    assert len(bad) > 20
    for case in bad:
        octets = (folder / case["file"]).read_bytes()
        text = octets.decode("latin-1")
        if not text.startswith("-----BEGIN"):
            text = pem.encode(octets, "CERTIFICATE REQUEST")
        answer = sign(caller, text, "ChargingStationCertificate")
        told = (answer.json or {}).get("status", answer.status_code)
        assert told == (400 if len(text) > 5500 else "Rejected"), case["file"]
        carried = transfer(caller, "SignCertificate", {"csr": text})
        assert "Rejected" in (carried["status"], json.loads(carried["data"]).get("status"))
    assert count(running) == before
    assert waiting(caller, "?state=all") == []


def test_the_actions_of_the_operator_have_official_schemas() -> None:
    for version in VERSIONS:
        for action in stations.ACTIONS:
            assert schema(version, f"{action}Response")["type"] == "object"


def test_the_root_of_stations_comes_over_est_as_well(caller: Caller) -> None:
    answer = caller.get("/station/cacerts")
    assert answer.status_code == 200
    octets = base64.b64decode(answer.data)
    assert octets.count(b"Station TLS Root") == 3  # issuer twice, subject once
