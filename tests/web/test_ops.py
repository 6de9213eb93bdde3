"""Health, metrics, and what happens when the database goes away."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from pki.services import Services
from tests.web.calling import Caller, code, ocpp_code, token


def test_live_and_ready_answer_without_a_token(shared: Caller) -> None:
    assert shared.get("/healthz/live").json == {"status": "live"}
    assert shared.get("/healthz/ready").json == {"status": "ready"}


def test_without_its_database_nothing_is_decided_and_all_is_well_once_it_is_back(
    caller: Caller, running: Services
) -> None:
    issued = caller.issue()
    body = {"idToken": token(), "certificate": issued["certificateChain"]}
    database = running.settings.home / "pnc.db"
    away = database.rename(database.with_suffix(".away"))

    assert caller.get("/healthz/live").status_code == 200
    ready = caller.get("/healthz/ready")
    assert code(ready) == (503, "store_unavailable")
    assert ready.headers["Retry-After"].isdigit()
    for answer in (
        caller.post("/v1/contracts/validate", {"emaid": "DEMOAC00000001"}, role="cpo"),
        caller.post("/v1/certificates", {"profile": "contract"}, role="emsp"),
        caller.get(f"/v1/certificates/{issued['fingerprint']}", role="emsp"),
        caller.get("/v1/issuers"),
        caller.get("/ca/mo2-2"),
    ):
        assert code(answer) == (503, "store_unavailable")
        assert answer.mimetype == "application/problem+json"
    refused = caller.authorize(body)
    assert ocpp_code(refused) == (503, "InternalError")
    assert "Retry-After" in refused.headers

    away.rename(database)
    assert caller.get("/healthz/ready").status_code == 200
    accepted = caller.authorize(body).json
    assert accepted == {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}


def test_a_lost_database_never_comes_back_empty(caller: Caller, running: Services) -> None:
    for path in running.settings.home.glob("pnc.db*"):
        path.unlink()
    assert code(caller.get("/healthz/ready")) == (503, "store_unavailable")
    assert not (running.settings.home / "pnc.db").exists()


# --- metrics --------------------------------------------------------------------------------------


def exposition(caller: Caller) -> str:
    answer = replace(caller, peer="127.0.0.1").get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    return answer.text


def test_metrics_count_requests_decisions_and_certificates(caller: Caller) -> None:
    issued = caller.issue()
    path = f"/v1/certificates/{issued['fingerprint']}/revoke"
    caller.authorize({"idToken": token(), "certificate": issued["certificateChain"]})
    caller.post(path, {"reason": "superseded", "dryRun": True}, role="emsp")
    caller.post(path, {"reason": "superseded"}, role="emsp")
    caller.post("/v1/contracts/validate", {"emaid": "DEMOAC00000009"}, role="cpo")
    caller.get("/ca/../../etc/passwd")
    caller.call("BREW", "/v1/certificates")
    text = exposition(caller)
    for line in (
        'pnc_certificates_issued_total{kind="contract"} 1.0',
        'pnc_certificates_revoked_total{reason="superseded"} 1.0',
        'pnc_decisions_total{fault="",outcome="accepted",protocol="ocpp"} 1.0',
        'pnc_decisions_total{fault="contract_unknown",outcome="rejected",protocol="v1"} 1.0',
        'pnc_http_requests_total{method="POST",route="/v1/certificates",status="201"} 1.0',
        'pnc_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'pnc_http_requests_total{method="other",route="unmatched",status="405"} 1.0',
        'pnc_http_request_seconds_count{route="/v1/contracts/validate"} 1.0',
    ):
        assert line in text
    assert "passwd" not in text
    assert issued["fingerprint"] not in text


def test_a_revocation_that_cannot_be_announced_is_done_and_counted(
    caller: Caller, running: Services
) -> None:
    issued = caller.issue()
    running.run_directory.rename(running.settings.home / "elsewhere")
    running.run_directory.touch()
    path = f"/v1/certificates/{issued['fingerprint']}/revoke"
    assert caller.post(path, {"reason": "superseded"}, role="emsp").status_code == 200
    assert "pnc_changes_unannounced_total 1.0" in exposition(caller)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "127.8.8.8"])
def test_metrics_are_open_to_a_process_on_this_host(shared: Caller, peer: str) -> None:
    assert replace(shared, peer=peer).get("/metrics").status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_metrics_are_closed_to_what_a_proxy_passes_on(shared: Caller, header: str) -> None:
    answer = replace(shared, peer="127.0.0.1").get("/metrics", headers={header: "127.0.0.1"})
    assert code(answer) == (401, "token_missing")


@pytest.mark.parametrize("peer", ["192.0.2.7", "", "unix:", "2001:db8::1"])
def test_metrics_ask_others_for_a_token_of_auditor_or_admin(shared: Caller, peer: str) -> None:
    remote = replace(shared, peer=peer)
    assert code(remote.get("/metrics")) == (401, "token_missing")
    assert code(remote.get("/metrics", role="cpo")) == (403, "role_not_allowed")
    for role in ("auditor", "admin"):
        assert remote.get("/metrics", role=role).status_code == 200


# --- CA certificates ------------------------------------------------------------------------------


def test_a_ca_certificate_is_public(shared: Caller) -> None:
    answer = shared.get("/ca/mo2-2")
    assert answer.status_code == 200
    assert answer.mimetype == "application/pkix-cert"
    issuers = {i["name"]: i for i in (shared.get("/v1/issuers").json or {})["issuers"]}
    pem = "".join(issuers["mo2-2"]["certificate"].splitlines()[1:-1])
    assert base64.b64decode(pem) == answer.data


def test_the_list_of_issuers_holds_no_keys(shared: Caller) -> None:
    answer = shared.get("/v1/issuers")
    assert answer.json is not None
    assert len(answer.json["issuers"]) == 14
    assert "PRIVATE" not in answer.text
    assert not any("key" in name.lower() for issuer in answer.json["issuers"] for name in issuer)


def test_the_certificate_of_a_revoked_ca_is_still_there_for_those_who_check(
    caller: Caller,
) -> None:
    issuers = {i["name"]: i for i in (caller.get("/v1/issuers").json or {})["issuers"]}
    before = caller.get("/ca/mo2-2")
    path = f"/v1/certificates/{issuers['mo2-2']['fingerprint']}/revoke"
    report = caller.post(path, {"reason": "cACompromise"}, role="admin")
    assert report.status_code == 200
    assert caller.get("/ca/mo2-2").data == before.data
    tag = {"If-None-Match": before.headers["ETag"]}
    assert caller.get("/ca/mo2-2", headers=tag).status_code == 304
    assert "max-age" in before.headers["Cache-Control"]
