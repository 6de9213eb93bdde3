"""Hold, release and what a revocation takes with it, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pki.pkix.suites import Suite
from tests.web.authority import Authority
from tests.web.calling import Caller, code, csr
from tests.web.conftest import tokens

PATH = "/v1/certificates"


def held(caller: Caller, emaid: str = "DEMOAC00000001") -> str:
    """Issue a certificate and put it on hold; return its path."""
    path = f"{PATH}/{caller.issue(emaid)['fingerprint']}"
    answer = caller.post(f"{path}/revoke", {"reason": "certificateHold"}, role="emsp")
    assert answer.status_code == 200
    return path


def status(caller: Caller, path: str) -> str:
    return str((caller.get(path, role="emsp").json or {})["status"])


def test_a_hold_is_released_by_its_owner(caller: Caller) -> None:
    path = held(caller)
    preview = caller.post(f"{path}/release", {"dryRun": True}, role="emsp").json
    assert (preview or {})["dryRun"] is True
    assert status(caller, path) == "revoked"
    report = caller.post(f"{path}/release", {}, role="emsp")
    assert report.json == (preview or {}) | {"dryRun": False}
    assert report.json["heldSince"] == "2026-06-01T12:00:00Z"
    assert status(caller, path) == "good"
    assert code(caller.post(f"{path}/release", {}, role="emsp")) == (409, "not_on_hold")


def test_a_hold_becomes_final_and_is_never_released(caller: Caller) -> None:
    path = held(caller)
    final = caller.post(f"{path}/revoke", {"reason": "superseded"}, role="emsp")
    assert (final.status_code, (final.json or {})["reason"]) == (200, "superseded")
    assert code(caller.post(f"{path}/release", {}, role="emsp")) == (409, "not_on_hold")
    again = caller.post(f"{path}/revoke", {"reason": "certificateHold"}, role="emsp")
    assert code(again) == (409, "already_revoked")
    assert status(caller, path) == "revoked"


@pytest.mark.parametrize("action", ["release", "revoke"])
def test_a_subscriber_has_power_over_its_own_only(caller: Caller, action: str) -> None:
    path = held(caller)
    body = {"reason": "superseded"} if action == "revoke" else {}
    for role, name in (("emsp2", "party_not_allowed"), ("auditor", "role_not_allowed")):
        for dry_run in (True, False):
            refused = caller.post(f"{path}/{action}", body | {"dryRun": dry_run}, role=role)
            assert code(refused) == (403, name)
    assert status(caller, path) == "revoked"
    assert caller.post(f"{path}/{action}", body, role="admin").status_code == 200


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"dryRun": "no"}, (400, "wrong_type")),
        ({"reason": "superseded"}, (400, "unknown_field")),
        ({}, (404, "certificate_unknown")),
    ],
)
def test_a_release_that_is_not_understood_releases_nothing(
    shared: Caller, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert code(shared.post(f"{PATH}/1f/release", body, role="admin")) == expected


def test_a_lost_key_revokes_every_certificate_of_it(caller: Caller) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    first, second = (
        caller.issue(emaid, csr=csr(emaid, key)) for emaid in ("DEMOAC00000001", "DEMOAC00000002")
    )
    other = caller.issue("DEMOAC00000003")
    path = f"{PATH}/{first['fingerprint']}/revoke"
    preview = caller.post(path, {"reason": "keyCompromise", "dryRun": True}, role="emsp").json or {}
    assert (preview["siblings"], preview["keyBlocked"]) == ([second["fingerprint"]], True)
    assert status(caller, f"{PATH}/{second['fingerprint']}") == "good"
    report = caller.post(path, {"reason": "keyCompromise"}, role="emsp").json
    assert report == preview | {"dryRun": False}
    states = [status(caller, f"{PATH}/{c['fingerprint']}") for c in (first, second, other)]
    assert states == ["revoked", "revoked", "good"]


@pytest.mark.parametrize("action", ["release", "revoke"])
def test_a_serial_of_two_issuers_is_ambiguous(authority: Authority, action: str) -> None:
    caller = Caller(authority.app, tokens(authority.services.settings.home))
    one, other = authority.issue(), authority.issue(Suite.P521)
    twin = authority.adopt(other, one.serial)
    body = {"reason": "superseded"} if action == "revoke" else {}
    answer = caller.post(f"{PATH}/{one.record.serial}/{action}", body, role="admin")
    assert code(answer) == (409, "serial_ambiguous")
    assert set((answer.json or {})["fingerprints"]) == {one.reference, twin.reference}
    assert (authority.status(one), authority.status(twin)) == ("good", "good")
