"""Who may call what."""

from __future__ import annotations

from typing import Any

import pytest

from pki import clients
from pki.services import Services
from tests.web.calling import Caller, code, csr, token
from tests.web.conftest import ADMIN

PUBLIC = {
    "/docs",
    "/.well-known/jwks.json",
    "/oauth/token",
    "/healthz/live",
    "/healthz/ready",
    "/metrics",  # to a peer on the loopback interface
    "/openapi.json",
    "/ca/{issuer}",
    "/crl/{issuer}",
    "/crl/{issuer}/{shard}",
    "/ocsp",
    "/ocsp/{request}",
    "/v1/issuers",
}


METHODS = {"get", "post", "put", "delete"}


def is_open(api: dict[str, Any], operation: dict[str, Any]) -> bool:
    security = operation.get("security", api["security"])
    return not security or {} in security


def test_every_path_but_the_public_ones_asks_for_a_token(shared: Caller) -> None:
    api = shared.api()
    asked, meant, opened = set(), set(), set()
    for path, item in api["paths"].items():
        for method in METHODS & set(item):
            if "EST" in item[method].get("tags", ()):
                continue  # names a CA before anything else; see test_est
            if is_open(api, item[method]):
                opened.add(path)
            else:
                meant.add((method, path))
            answer = shared.call(method.upper(), path.replace("{reference}", "1f"))
            if answer.status_code == 401:
                asked.add((method, path))
                if answer.mimetype == "application/problem+json":  # other forms have no such code
                    assert code(answer) == (401, "token_missing")
                    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="pnc"'
    assert meant - asked == set()
    assert opened <= PUBLIC


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer pnc_not-a-token", "token_invalid"),
        ("Bearer " + "x" * 5000, "token_invalid"),
        ("Bearer pnc_ü", "token_invalid"),
        ("Bearer", "token_missing"),
        ("Bearer  ", "token_missing"),
        ("Basic dXNlcjpwYXNz", "token_missing"),
        ("", "token_missing"),
    ],
)
def test_credentials_that_are_none_are_refused(shared: Caller, header: str, expected: str) -> None:
    answer = shared.get("/v1/certificates", headers={"Authorization": header})
    assert code(answer) == (401, expected)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scheme_is_read_in_any_case(shared: Caller) -> None:
    headers = {"Authorization": f"bEARER {shared.tokens['auditor']}"}
    assert shared.get("/v1/certificates", headers=headers).status_code == 200


def test_a_wrong_token_over_ocpp_is_a_security_error(shared: Caller) -> None:
    answer = shared.post(
        "/ocpp/2.0.1/Authorize", {"idToken": token()}, headers={"Authorization": "Bearer x"}
    )
    assert answer.status_code == 401
    assert answer.json is not None
    assert answer.json["errorCode"] == "SecurityError"
    assert "WWW-Authenticate" in answer.headers


VALIDATE = ("/v1/contracts/validate", {"emaid": "DEMOAC00000009"})
AUTHORIZE = ("/ocpp/2.0.1/Authorize", {"idToken": token("DEMOAC00000009")})
ISSUE = ("/v1/certificates", {"profile": "contract", "csr": "no CSR"})
REVOKE = ("/v1/certificates/1f/revoke", {"reason": "superseded", "dryRun": True})


@pytest.mark.parametrize(
    ("role", "call", "status"),
    [
        ("cpo", VALIDATE, 200),
        ("emsp", VALIDATE, 200),
        ("admin", VALIDATE, 200),
        ("oem", VALIDATE, 403),
        ("cps", VALIDATE, 403),
        ("auditor", VALIDATE, 403),
        ("cpo", AUTHORIZE, 200),
        ("admin", AUTHORIZE, 200),
        ("emsp", AUTHORIZE, 403),
        ("auditor", AUTHORIZE, 403),
        ("emsp", ISSUE, 400),
        ("cpo", ISSUE, 403),
        ("oem", ISSUE, 403),
        ("auditor", ISSUE, 403),
        ("emsp", REVOKE, 404),
        ("auditor", REVOKE, 403),
    ],
)
def test_what_a_role_may_do(
    shared: Caller, role: str, call: tuple[str, dict[str, Any]], status: int
) -> None:
    path, body = call
    answer = shared.post(path, body, role=role)
    assert answer.status_code == status
    if status == 403:
        assert code(answer) == (403, "role_not_allowed")


def test_an_emsp_gets_no_certificate_under_the_id_of_another(shared: Caller) -> None:
    body = {"profile": "contract", "csr": csr("FRMOBC00000001")}
    assert code(shared.post("/v1/certificates", body, role="emsp")) == (403, "party_not_allowed")


def test_an_emsp_neither_sees_nor_revokes_nor_validates_what_is_of_another(caller: Caller) -> None:
    issued = caller.issue()
    path = f"/v1/certificates/{issued['fingerprint']}"
    assert code(caller.get(path, role="emsp2")) == (404, "certificate_unknown")
    page = caller.get("/v1/certificates", role="emsp2")
    assert page.json == {"certificates": [], "next": None}
    revoked = caller.post(f"{path}/revoke", {"reason": "superseded"}, role="emsp2")
    assert code(revoked) == (403, "party_not_allowed")
    asked = caller.post("/v1/contracts/validate", {"emaid": issued["commonName"]}, role="emsp2")
    assert code(asked) == (403, "party_not_allowed")
    assert caller.get(path, role="emsp").json["status"] == "good"  # type: ignore[index]


def test_a_client_that_was_removed_is_refused_at_the_next_request(
    caller: Caller, running: Services
) -> None:
    assert caller.get("/v1/certificates", role="cpo").status_code == 200
    mine = [c for c in clients.registered(running.deployment, ADMIN) if c.role.value == "cpo"]
    clients.disable(running.deployment, ADMIN, mine[0].client_id)
    assert code(caller.get("/v1/certificates", role="cpo")) == (401, "token_invalid")
