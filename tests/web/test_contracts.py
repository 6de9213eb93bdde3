"""Issue, validate, revoke, validate: over our own API and over OCPP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.calling import Caller, token


def verdict(caller: Caller, body: dict[str, Any], role: str = "cpo") -> dict[str, Any]:
    answer = caller.post("/v1/contracts/validate", body, role=role)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def test_an_issued_contract_is_accepted_and_refused_once_it_is_revoked(caller: Caller) -> None:
    issued = caller.issue()
    chain = {"certificateChain": issued["certificateChain"], "emaid": "DE-MOA-C00000001"}
    good = verdict(caller, chain)
    assert (good["accepted"], good["fault"], good["emsp"]["providerId"]) == (True, None, "DEMOA")
    report = caller.post(
        f"/v1/certificates/{issued['serialNumber']}/revoke",
        {"reason": "keyCompromise"},
        role="emsp",
    )
    assert report.status_code == 200
    bad = verdict(caller, chain)
    assert (bad["accepted"], bad["fault"]) == (False, "revoked")
    assert bad["ocpp"] == {
        "idTokenInfo": {"status": "Invalid"},
        "certificateStatus": "CertificateRevoked",
    }


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_the_same_over_ocpp(caller: Caller, version: str) -> None:
    issued = caller.issue()
    body = {"idToken": token(), "certificate": issued["certificateChain"]}
    good = caller.authorize(body, version=version)
    assert good.json == {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}
    caller.post(
        f"/v1/certificates/{issued['fingerprint']}/revoke", {"reason": "superseded"}, role="emsp"
    )
    bad = caller.authorize(body, version=version)
    assert bad.json == {
        "idTokenInfo": {"status": "Invalid"},
        "certificateStatus": "CertificateRevoked",
    }
