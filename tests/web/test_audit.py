"""The record over HTTP."""

from __future__ import annotations

from tests.web.calling import Caller, code


def test_an_auditor_searches_and_pages(shared: Caller) -> None:
    found = shared.get("/v1/audit?action=client.add&limit=2", role="auditor").json or {}
    assert [entry["action"] for entry in found["entries"]] == ["client.add"] * 2
    path = f"/v1/audit?action=client.add&limit=2&after={found['next']}"
    again = shared.get(path, role="auditor").json or {}
    assert {e["sequence"] for e in again["entries"]} & {
        e["sequence"] for e in found["entries"]
    } == set()
    one = found["entries"][0]
    path = f"/v1/audit?chain=admin&subject={one['subject']}&actor={one['actor']}"
    assert (shared.get(path, role="admin").json or {})["entries"] == [one]
    path = "/v1/audit?since=2999-01-01&until=2999-01-02T00:00:00Z"
    assert shared.get(path, role="auditor").json == {"entries": [], "next": None}


def test_refuses_others_and_what_cannot_be_read(shared: Caller) -> None:
    assert code(shared.get("/v1/audit", role="cpo")) == (403, "role_not_allowed")
    assert code(shared.get("/v1/audit")) == (401, "token_missing")
    assert code(shared.get("/v1/audit?after=x", role="auditor")) == (400, "invalid_mark")
    assert code(shared.get("/v1/audit?since=x", role="auditor")) == (400, "invalid_time")
