"""Contracts, credentials, agreements and sessions over HTTP; every answer as documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.calling import Caller, code, token

EMAID = "DEMOAC00000007"


def added(caller: Caller, **more: Any) -> dict[str, Any]:
    answer = caller.post("/v1/contracts", {"emaid": EMAID} | more, role="emsp")
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def patch(caller: Caller, path: str, body: Any, *, role: str = "emsp") -> Any:
    return caller.call("PATCH", path, body=body, role=role)


def authorised(caller: Caller, id_token: dict[str, str] | None = None) -> str:
    answer = caller.authorize({"idToken": id_token or token(EMAID)})
    assert answer.status_code == 200, answer.text
    return str((answer.json or {})["idTokenInfo"]["status"])


def test_an_emsp_keeps_its_contracts(caller: Caller) -> None:
    made = added(caller, validUntil="2099-01-01T00:00:00Z", whitelist="ALLOWED_OFFLINE")
    assert (made["state"], made["whitelist"]) == ("active", "ALLOWED_OFFLINE")
    assert caller.get("/v1/contracts/de-moa-c00000007", role="emsp").json == made
    listed = caller.get("/v1/contracts?limit=1", role="emsp").json or {}
    assert listed["contracts"] == [made]
    assert listed["next"] == made["contractId"]
    ended = patch(caller, f"/v1/contracts/{EMAID}", {"validUntil": "2020-01-01T00:00:00Z"})
    assert ended.json["validUntil"] == "2020-01-01T00:00:00Z"
    assert authorised(caller) == "Expired"
    again = patch(caller, f"/v1/contracts/{EMAID}", {"validUntil": None, "state": "blocked"})
    assert (again.json["validUntil"], again.json["state"]) == (None, "blocked")
    assert authorised(caller) == "Blocked"


def test_another_emsp_sees_and_changes_nothing(caller: Caller) -> None:
    added(caller)
    path = f"/v1/contracts/{EMAID}"
    assert code(caller.get(path, role="emsp2")) == (403, "party_not_allowed")
    assert code(patch(caller, path, {"state": "ended"}, role="emsp2")) == (403, "party_not_allowed")
    assert caller.get("/v1/contracts", role="emsp2").json == {"contracts": [], "next": None}
    emsps = caller.get("/v1/emsps", role="emsp2").json or {}
    assert [emsp["providerId"] for emsp in emsps["emsps"]] == ["FRMOB"]


@pytest.mark.parametrize("emaid", ["DEMOA", "DE-MOA-C0000000é", "DEMOAC000000071234567", "%00"])
def test_a_broken_identifier_is_named_as_such(shared: Caller, emaid: str) -> None:
    assert code(shared.get(f"/v1/contracts/{emaid}", role="emsp")) == (400, "invalid_emaid")
    answer = shared.post("/v1/contracts", {"emaid": emaid}, role="emsp")
    assert code(answer) == (400, "invalid_emaid")


def test_an_unknown_contract_and_a_reversed_validity_are_refused(caller: Caller) -> None:
    assert code(caller.get(f"/v1/contracts/{EMAID}", role="emsp")) == (404, "contract_unknown")
    body = {"emaid": EMAID, "validFrom": "2030-01-01", "validUntil": "2029-01-01"}
    assert code(caller.post("/v1/contracts", body, role="emsp")) == (400, "invalid_validity")


def test_a_card_charges_until_it_is_blocked(caller: Caller) -> None:
    added(caller)
    path = f"/v1/contracts/{EMAID}/credentials"
    body = {"kind": "rfid", "uid": "04:A2:3B:C1", "groupId": "fleet"}
    made = caller.post(path, body, role="emsp")
    assert made.status_code == 201
    card = {"idToken": "04a23bc1", "type": "ISO14443"}
    assert authorised(caller, card) == "Accepted"
    assert code(caller.post(path, body, role="emsp")) == (409, "credential_exists")
    blocked = patch(caller, f"{path}/rfid/04A23BC1", {"state": "blocked"})
    assert blocked.json["state"] == "blocked"
    assert authorised(caller, card) == "Blocked"
    assert authorised(caller) == "Accepted"
    patch(caller, f"{path}/emaid/DE-MOA-C00000007", {"state": "blocked"})
    assert authorised(caller) == "Blocked"
    patch(caller, f"{path}/emaid/{EMAID}", {"state": "active"})
    assert authorised(caller) == "Accepted"
    listed = caller.get(path, role="emsp").json or {}
    assert [each["kind"] for each in listed["credentials"]] == ["emaid", "rfid"]


def test_a_credential_needs_a_uid_a_contract_and_a_kind_of_its_own(caller: Caller) -> None:
    added(caller)
    path = f"/v1/contracts/{EMAID}/credentials"
    for body, expected in (
        ({"kind": "rfid", "uid": "x" * 37}, "invalid_uid"),
        ({"kind": "rfid", "uid": "ü"}, "invalid_uid"),
        ({"kind": "emaid", "uid": EMAID}, "invalid_credential"),
        ({"kind": "card", "uid": "04"}, "invalid_value"),
    ):
        assert code(caller.post(path, body, role="emsp")) == (400, expected)
    unknown = patch(caller, f"{path}/rfid/04", {"state": "blocked"})
    assert code(unknown) == (404, "credential_unknown")


def test_credentials_of_a_contract_come_page_by_page(caller: Caller) -> None:
    added(caller)
    path = f"/v1/contracts/{EMAID}/credentials"
    for uid in ("04:A1", "04:A2", "04:A3"):
        caller.post(path, {"kind": "rfid", "uid": uid}, role="emsp")
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        query = f"?limit=2&edition=2&after={after}" if after else "?limit=2"
        page = caller.get(path + query, role="emsp").json or {}
        seen += [credential["uid"] for credential in page["credentials"]]
        after = page["next"]
    assert seen == [EMAID, "04:A1", "04:A2", "04:A3"]


def test_a_company_is_shown_no_company_that_is_none_of_its_business(caller: Caller) -> None:
    def shown(role: str) -> set[str]:
        page = caller.get("/v1/parties", role=role).json or {}
        return {party["role"] for party in page["parties"]}

    assert shown("cpo") == {"cpo", "emsp"}  # by the demo agreement of all with all
    assert shown("auditor") >= {"cpo", "emsp", "oem", "cps"}
    caller.post("/v1/agreements/demo/withdraw", {}, role="admin")
    assert (shown("cpo"), shown("emsp")) == ({"cpo"}, {"emsp"})


def test_agreements_are_written_from_a_file(caller: Caller) -> None:
    path = "/v1/agreements/import"
    file = "id,cpo,emsp,kinds\nx1,DE*CPA,DE-MOA,emaid;rfid\nx2,*,FR-MOB,\n"
    headers = {"Content-Type": "text/csv; charset=utf-8", "Idempotency-Key": "file-1"}

    def sent(query: str = "", text: str | bytes = file, role: str = "admin") -> Any:
        return caller.call("POST", path + query, data=text, headers=dict(headers), role=role)

    assert sent("?dryRun=true").json == {"dryRun": True, "agreements": []}
    headers["Idempotency-Key"] = "file-2"
    written = sent().json
    assert [a["agreementId"] for a in written["agreements"]] == ["x1", "x2"]
    assert sent().json == written  # once, however often it is sent
    assert code(sent(text=file + "x3,,,")) == (422, "idempotency_key_reused")
    del headers["Idempotency-Key"]
    assert code(sent()) == (400, "invalid_csv")  # the ids are taken
    assert code(sent(text=b"\xff")) == (400, "invalid_csv")
    assert code(sent("?dryRun=1")) == (400, "invalid_value")
    assert code(sent(role="emsp")) == (403, "role_not_allowed")
    assert code(caller.post(path, {}, role="admin"))[0] == 415
    assert code(sent(text="x" * (2 * 1024 * 1024 + 1)))[0] == 413


def test_a_repeated_request_gets_the_same_answer_and_another_one_none(caller: Caller) -> None:
    headers = {"Idempotency-Key": "key-1"}
    body = {"emaid": EMAID}
    first = caller.post("/v1/contracts", body, role="emsp", headers=headers)
    again = caller.post("/v1/contracts", body, role="emsp", headers=headers)
    assert (first.status_code, again.status_code, again.json) == (201, 201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = caller.post("/v1/contracts", {"emaid": "DEMOAC9"}, role="emsp", headers=headers)
    assert code(other) == (422, "idempotency_key_reused")
    path = f"/v1/contracts/{EMAID}"
    key = {"Idempotency-Key": "key-2"}
    for query, expected in (("?edition=2", 200), ("?edition=20", 422), ("?edition=2", 200)):
        change = {"state": "blocked"}
        answer = caller.call("PATCH", path + query, body=change, role="emsp", headers=dict(key))
        assert answer.status_code == expected
    bad = caller.post("/v1/contracts", body, role="emsp", headers={"Idempotency-Key": "a b"})
    assert code(bad) == (400, "invalid_idempotency_key")
    foreign = caller.post("/v1/contracts", body, role="emsp2", headers=headers)
    assert code(foreign) == (403, "party_not_allowed")


def test_the_demo_agreement_is_seen_and_withdrawn(caller: Caller) -> None:
    added(caller)
    listed = caller.get("/v1/agreements", role="cpo").json or {}
    assert [(a["agreementId"], a["cpo"], a["emsp"]) for a in listed["agreements"]] == [
        ("demo", "*", "*")
    ]
    path = "/v1/agreements/demo/withdraw"
    assert code(caller.post(path, {}, role="cpo")) == (403, "role_not_allowed")
    assert (caller.post(path, {}, role="admin").json or {})["state"] == "withdrawn"
    assert authorised(caller) == "NotAtThisLocation"
    verdict = caller.post("/v1/contracts/validate", {"emaid": EMAID}, role="cpo").json or {}
    assert verdict["accepted"]
    assert verdict["authorisation"]["fault"] == "no_agreement"
    versions = caller.get("/v1/agreements/demo", role="auditor").json or {}
    assert [v["version"] for v in versions["versions"]] == [1, 2]


def test_an_agreement_is_written_and_replaced_by_versions(caller: Caller) -> None:
    body = {
        "cpo": "DE*CPA",
        "emsp": "DE-MOA",
        "countries": ["de"],
        "kinds": ["emaid"],
        "sessions": 3,
        "agreementId": "a1",
    }
    made = caller.post("/v1/agreements", body, role="admin").json or {}
    assert (made["cpo"], made["emsp"], made["countries"]) == ("DECPA", "DEMOA", ["DE"])
    change = {"cpo": "DECPA", "emsp": "DEMOA", "version": 1}
    changed = patch(caller, "/v1/agreements/a1", change, role="admin")
    assert (changed.json["version"], changed.json["sessions"]) == (2, None)
    assert code(patch(caller, "/v1/agreements/a1", change, role="admin")) == (
        409,
        "agreement_changed",
    )
    for bad in ({"countries": ["DEU"]}, {"sessions": 0}, {"kinds": "emaid"}, {"cpo": "x"}):
        assert caller.post("/v1/agreements", body | bad, role="admin").status_code == 400
    assert caller.get("/v1/agreements/none", role="cpo").status_code == 404


def test_parties_hubs_emsps_and_ranges(caller: Caller) -> None:
    hub = {"partyId": "NLHUB", "role": "hub", "name": "Hub"}
    assert caller.post("/v1/parties", hub, role="admin").status_code == 201
    reached = patch(caller, "/v1/parties/emsp/FRMOB", {"hub": "NLHUB"}, role="admin")
    assert reached.json["hub"] == "NLHUB"
    assert code(patch(caller, "/v1/parties/emsp/FRXXX", {}, role="admin"))[0] == 404
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        query = f"?limit=2&after={after}" if after else "?limit=2"
        page = caller.get(f"/v1/parties{query}", role="auditor").json or {}
        seen += [party["partyId"] for party in page["parties"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) >= 5
    asked = {"realtimeUrl": "https://emsp.example/ask", "whitelist": "NEVER"}
    assert patch(caller, "/v1/emsps/DEMOA", asked).json["whitelist"] == "NEVER"
    with_token = patch(caller, "/v1/emsps/DEMOA", asked | {"realtimeToken": "s3cret"})
    assert with_token.json["realtimeToken"] is True
    assert "s3cret" not in with_token.text
    assert patch(caller, "/v1/emsps/DEMOA", asked).json["realtimeToken"] is False
    for broken in ({"realtimeToken": "x"}, asked | {"realtimeToken": "a b"}):
        assert code(patch(caller, "/v1/emsps/DEMOA", broken)) == (400, "invalid_token")
    assert code(patch(caller, "/v1/emsps/FRMOB", asked)) == (403, "party_not_allowed")
    assert code(patch(caller, "/v1/emsps/DEMOA", {"realtimeUrl": "file:///x"})) == (
        400,
        "invalid_address",
    )
    moved = {"kind": "emaid", "prefix": "DE-MOA-C1", "party": "FRMOB"}
    made = caller.post("/v1/ranges", moved, role="admin")
    assert (made.json or {})["portedFrom"] == "DEMOA"
    moved["prefix"] = "DE-MOA-C2"
    caller.post("/v1/ranges", moved, role="admin")
    page = caller.get("/v1/ranges?limit=1", role="emsp").json or {}
    assert [r["prefix"] for r in page["ranges"]] == ["DEMOAC1"]
    page = caller.get(f"/v1/ranges?limit=1&after={page['next']}", role="emsp").json or {}
    assert [r["prefix"] for r in page["ranges"]] == ["DEMOAC2"]
    assert code(caller.get("/v1/ranges?after=emaid:DE", role="emsp")) == (400, "invalid_time")
    assert code(caller.get("/v1/ranges?after=car:DE:1", role="emsp")) == (400, "invalid_value")
    new = caller.post("/v1/emsps", {"providerId": "NL-XYZ"}, role="admin")
    assert (new.json or {})["partyId"] == "NLXYZ"


def event(kind: str, *, token_: dict[str, str] | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "eventType": kind,
        "timestamp": "2026-12-01T10:00:00Z",
        "triggerReason": "Authorized",
        "seqNo": 1,
        "transactionInfo": {"transactionId": "tx-1"},
    }
    return body | ({"idToken": token_} if token_ else {})


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_session_is_tied_to_its_authorisation(caller: Caller, version: str) -> None:
    added(caller)
    reference = caller.authorize({"idToken": token(EMAID)}).headers["X-Authorization-Reference"]
    path = f"/ocpp/{version}/TransactionEvent"
    headers = {"X-Station-Id": "cs-1", "X-Authorization-Reference": reference}
    for kind in ("Started", "Updated", "Started", "Ended", "Ended"):
        answer = caller.post(path, event(kind), role="cpo", headers=headers)
        assert (answer.status_code, answer.json) == (200, {})
    (session,) = (caller.get("/v1/sessions", role="cpo").json or {})["sessions"]
    assert (session["reference"], session["contract"]) == (reference, EMAID)
    assert session["stoppedAt"] is not None
    assert (caller.get("/v1/sessions", role="emsp").json or {})["sessions"] == [session]
    assert (caller.get("/v1/sessions", role="emsp2").json or {})["sessions"] == []


def test_a_token_of_an_event_is_authorised_and_concurrent_use_is_seen(caller: Caller) -> None:
    added(caller)
    path = "/ocpp/2.0.1/TransactionEvent"
    for station in ("cs-1", "cs-2"):
        body = event("Started", token_=token(EMAID))
        answer = caller.post(path, body, role="cpo", headers={"X-Station-Id": station})
        assert answer.json == {"idTokenInfo": {"status": "Accepted"}}
    found = (caller.get("/v1/sessions", role="cpo").json or {})["sessions"]
    assert sorted(session["others"] for session in found) == [0, 1]


def test_a_card_that_comes_later_ties_a_session_that_began_without(caller: Caller) -> None:
    added(caller)
    path = "/ocpp/2.0.1/TransactionEvent"
    headers = {"X-Station-Id": "cs-1"}
    caller.post(path, event("Started"), role="cpo", headers=headers)
    caller.post(path, event("Updated", token_=token(EMAID)), role="cpo", headers=headers)
    (session,) = (caller.get("/v1/sessions", role="cpo").json or {})["sessions"]
    assert session["contract"] == EMAID


def test_a_reference_of_nobody_is_refused(caller: Caller) -> None:
    headers = {"X-Station-Id": "cs-1", "X-Authorization-Reference": "nobody"}
    answer = caller.post(
        "/ocpp/2.0.1/TransactionEvent", event("Started"), role="cpo", headers=headers
    )
    assert code(answer) == (400, "authorisation_unknown")


def test_the_hook_answers_as_citrineos_asks(caller: Caller) -> None:
    added(caller)
    body = {
        "tenantPartnerId": 1,
        "idToken": EMAID,
        "idTokenType": "eMAID",
        "locationId": "7",
        "stationId": "cs-1",
        "evseId": 1,
        "connectorId": 1,
    }
    answer = caller.post("/citrineos/realtime", body, role="cpo").json or {}
    assert answer["data"]["allowed"] == "ALLOWED"
    unknown = caller.post("/citrineos/realtime", body | {"idToken": "DEMOAC99999999"}, role="cpo")
    assert (unknown.json or {})["data"]["allowed"] == "NOT_ALLOWED"
