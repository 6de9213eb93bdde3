"""What expires, over HTTP: the caller's own, page by page, and counted in the metrics."""

from __future__ import annotations

import datetime as dt

from pki.clock import format_time
from tests.builders import NOW
from tests.web.calling import Caller, code, csr


def _issue(caller: Caller, number: int, days: int) -> None:
    name = f"DEMOAC{number:08d}"
    end = format_time(NOW + dt.timedelta(days=days))
    body = {"profile": "contract", "csr": csr(name), "notAfter": end}
    assert caller.post("/v1/certificates", body=body, role="emsp").status_code == 201


def test_what_ends_soon_is_told_to_whose_it_is(caller: Caller) -> None:
    for number, days in ((1, 20), (2, 5), (3, 60)):
        _issue(caller, number, days)
    path, seen = "/v1/certificates/expiring?days=30&kind=contract&limit=1", []
    after = ""
    while True:
        told = caller.get(path + after, role="emsp").get_json()
        seen += [each["commonName"] for each in told["certificates"]]
        if told["next"] is None:
            break
        after = f"&after={told['next']}"
    assert seen == ["DEMOAC00000002", "DEMOAC00000001"]
    assert caller.get("/v1/certificates/expiring", role="cpo").get_json()["certificates"] == []
    assert code(caller.get("/v1/certificates/expiring")) == (401, "token_missing")
    for bad, why in (
        ("days=x", "invalid_days"),
        ("days=9999", "invalid_days"),
        ("after=x", "invalid_place"),
        ("week=1", "unknown_parameter"),
    ):
        answer = caller.get(f"/v1/certificates/expiring?{bad}", role="emsp")
        assert code(answer) == (400, why)


def test_the_metrics_count_what_ends_soon_by_kind(caller: Caller) -> None:
    _issue(caller, 1, 5)
    text = caller.get("/metrics", role="auditor").get_data(as_text=True)
    assert 'pnc_certificates_expiring{kind="contract",days="7"} 1\n' in text
