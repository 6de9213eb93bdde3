"""Registration A → B → C, rotation and the end, as receiver and as sender."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pki import audit
from pki.errors import BadInput, Conflict, NotAllowed, NotFound, PkiError, PolicyViolation
from pki.model import PartnerState, Principal, Role
from pki.partners import handshake, registry
from pki.partners.registry import NewPartner
from pki.services import Services
from tests.homes import ADMIN
from tests.roaming.conftest import CPO, EMSP, Ours, invited, ocpi_code, registered
from tests.roaming.mock_partner import MockPartner, mock_partner, token_sent

FUNCTIONAL = "/ocpi/2.2.1/emsp/sessions/NL/CPX/S-1"


def actions(services: Services) -> list[str]:
    with services.deployment.store.read() as tx:
        return [e.action for e in tx.audit.entries(audit.ADMIN) if "partner" in e.action]


# --- the door ------------------------------------------------------------------------------------


def test_the_door_needs_a_token_and_says_so_in_an_envelope(ours: Ours) -> None:
    for header in ("", "Bearer x", "Token", "Token unknown"):
        answer = ours.app.test_client().get("/ocpi/versions", headers={"Authorization": header})
        assert ocpi_code(answer) == (401, 2000)
        assert answer.headers["WWW-Authenticate"].startswith("Token")


def test_token_a_opens_versions_and_credentials_and_nothing_else(ours: Ours) -> None:
    versions = ours.call("GET", "/ocpi/versions")
    assert ocpi_code(versions) == (200, 1000)
    listed = {row["version"]: row["url"] for row in (versions.json or {})["data"]}
    assert set(listed) == {"2.2.1", "2.3.0"}
    assert listed["2.2.1"] == f"{ours.network.base_url}/2.2.1"
    details = (ours.call("GET", "/ocpi/2.3.0").json or {})["data"]
    found = {(e["identifier"], e["role"]) for e in details["endpoints"]}
    assert {("tokens", "SENDER"), ("tokens", "RECEIVER"), ("cdrs", "RECEIVER")} <= found
    assert ocpi_code(ours.call("GET", FUNCTIONAL)) == (401, 2000)


def test_the_raw_token_of_old_peers_is_taken(ours: Ours) -> None:
    for form in (f"Token {ours.token}", f"token  {ours.token}"):
        headers = {"Authorization": form}
        assert ocpi_code(ours.call("GET", "/ocpi/versions", headers=headers)) == (200, 1000)


def test_an_answer_carries_the_ids_of_its_request(ours: Ours) -> None:
    sent = {"X-Request-ID": "a1b2-c3", "X-Correlation-ID": "corr 7"}
    answer = ours.call("GET", "/ocpi/versions", headers=sent)
    assert answer.headers["X-Request-ID"] == "a1b2-c3"
    assert answer.headers["X-Correlation-ID"] == "corr 7"
    odd = ours.call("GET", "/ocpi/nothing", headers={"X-Correlation-ID": "x" * 65})
    assert ocpi_code(odd) == (404, 2000)
    assert odd.headers["X-Correlation-ID"] == odd.headers["X-Request-ID"]


# --- as receiver ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.2.1", "2.3.0"])
def test_a_partner_registers_with_a_and_b_and_holds_c(
    ours: Ours, partner: MockPartner, version: str
) -> None:
    partner.endpoint("tokens", "RECEIVER")
    theirs = registered(ours, partner, version)
    assert [token_sent(s) for s in partner.seen] == ["token-b", "token-b"]
    assert ocpi_code(ours.call("GET", "/ocpi/versions")) == (401, 2000)
    assert ocpi_code(theirs.call("GET", FUNCTIONAL.replace("2.2.1", version)))[0] == 404
    held, reached = registry.show(ours.network, ADMIN, "acme")
    assert (held.state, held.version) == (PartnerState.REGISTERED, version)
    assert {p.party for p in reached} == {"NLCPX", "NLEMX"}
    assert actions(ours.services) == ["partner.add", "partner.register"]
    own = (theirs.call("GET", f"/ocpi/{version}/credentials").json or {})["data"]
    assert own["token"] == theirs.token
    assert {(r["role"], r["party_id"]) for r in own["roles"]} == {("EMSP", "MOA"), ("CPO", "ABC")}


def test_neither_token_lies_in_the_database(ours: Ours, partner: MockPartner) -> None:
    theirs = registered(ours, partner)
    data = theirs.services.settings.home.joinpath("pnc.db").read_bytes()
    wal = theirs.services.settings.home.joinpath("pnc.db-wal")
    data += wal.read_bytes() if wal.exists() else b""
    assert b"acme" in data
    for secret in (ours.token, theirs.token, "token-b"):
        assert secret.encode() not in data


def test_registering_twice_renewing_first_and_leaving_twice_are_405(
    ours: Ours, partner: MockPartner
) -> None:
    path = "/ocpi/2.2.1/credentials"
    body = partner.credentials("token-b")
    assert ocpi_code(ours.call("PUT", path, body)) == (405, 2000)
    assert ocpi_code(ours.call("DELETE", path)) == (405, 2000)
    theirs = registered(ours, partner)
    assert ocpi_code(theirs.call("POST", path, body)) == (405, 2000)
    assert ocpi_code(theirs.call("DELETE", path)) == (200, 1000)
    assert ocpi_code(theirs.call("DELETE", path)) == (401, 2000)
    assert theirs.partner().state is PartnerState.REMOVED
    assert actions(ours.services)[-1] == "partner.unregister"


def test_a_rotation_by_the_partner_voids_the_token_before(acme: Ours, partner: MockPartner) -> None:
    partner.roles.pop()
    body = partner.credentials("token-b-2")
    answer = acme.call("PUT", "/ocpi/2.2.1/credentials", body)
    assert ocpi_code(answer) == (200, 1000)
    renewed = (answer.json or {})["data"]["token"]
    assert renewed != acme.token
    assert ocpi_code(acme.call("GET", "/ocpi/versions")) == (401, 2000)
    assert ocpi_code(acme.call("GET", "/ocpi/versions", token=renewed)) == (200, 1000)
    _, reached = registry.show(acme.network, ADMIN, "acme")
    assert {p.party for p in reached} == {"NLCPX"}
    assert acme.network.link(acme.partner()).token == "token-b-2"


@pytest.mark.parametrize(
    "fault", ["garbage", "error500", "redirect", "huge", "no-code", "refuses", "deep"]
)
def test_a_client_whose_versions_cannot_be_read_is_told_3001(
    ours: Ours, partner: MockPartner, fault: str
) -> None:
    partner.fault = fault
    answer = ours.call("POST", "/ocpi/2.2.1/credentials", partner.credentials("token-b"))
    assert ocpi_code(answer) == (200, 3001)
    assert ours.partner().state is PartnerState.INVITED
    partner.fault = ""
    registered(ours, partner)


def test_a_client_of_another_version_is_told_3002(ours: Ours, partner: MockPartner) -> None:
    partner.version = "2.1.1"
    answer = ours.call("POST", "/ocpi/2.2.1/credentials", partner.credentials("token-b"))
    assert ocpi_code(answer) == (200, 3002)


def test_broken_credentials_are_told_2001_with_the_field(ours: Ours, partner: MockPartner) -> None:
    body = partner.credentials("token-b") | {"url": "nowhere"}
    answer = ours.call("POST", "/ocpi/2.2.1/credentials", body)
    assert ocpi_code(answer) == (200, 2001)
    assert "url" in (answer.json or {})["status_message"]
    unreadable = ours.call("POST", "/ocpi/2.2.1/credentials", data=b"{")
    assert ocpi_code(unreadable) == (400, 2001)


def test_nobody_claims_a_party_of_somebody_else_or_of_ours(acme: Ours) -> None:
    with mock_partner() as thief:
        for role, party in (("CPO", "NLCPX"), ("CPO", CPO), ("EMSP", EMSP)):
            other = invited(acme.services, f"thief-{role}-{party}".lower())
            thief.roles.clear()
            thief.role(role, party)
            answer = other.call("POST", "/ocpi/2.2.1/credentials", thief.credentials("b"))
            assert ocpi_code(answer) == (200, 2000)
            assert "ocpi_party_taken" in answer.text


def test_a_functional_call_by_another_version_is_refused(acme: Ours) -> None:
    assert ocpi_code(acme.call("GET", FUNCTIONAL.replace("2.2.1", "2.3.0"))) == (200, 3002)


def test_a_suspended_partner_is_refused_until_it_is_taken_up_again(acme: Ours) -> None:
    registry.suspend(acme.network, ADMIN, "acme")
    assert ocpi_code(acme.call("GET", "/ocpi/versions")) == (401, 2000)
    with pytest.raises(PolicyViolation) as caught:
        acme.network.link(acme.partner())
    assert caught.value.code == "partner_not_registered"
    with pytest.raises(PolicyViolation):
        registry.suspend(acme.network, ADMIN, "acme")
    registry.suspend(acme.network, ADMIN, "acme", lift=True)
    assert ocpi_code(acme.call("GET", "/ocpi/versions")) == (200, 1000)


# --- as sender -----------------------------------------------------------------------------------


def test_we_register_with_a_partner_and_are_called_back_with_b(
    ours: Ours, partner: MockPartner
) -> None:
    called: list[Any] = []

    def look(body: dict[str, Any]) -> None:
        called.append(ours.call("GET", "/ocpi/versions", token=body["token"]).status_code)
        called.append(ours.call("GET", FUNCTIONAL, token=body["token"]).status_code)

    partner.during_post = look
    url = f"{partner.base}/versions"
    done = handshake.register(ours.network, ADMIN, "acme", url, partner.token_a)
    assert called == [200, 401]
    assert done.state is PartnerState.REGISTERED
    assert [token_sent(s) for s in partner.seen] == [partner.token_a] * 3
    posted = partner.calls("POST", "/credentials")[0].body
    assert {r["party_id"] for r in posted["roles"]} == {"MOA", "ABC"}
    assert ours.network.link(ours.partner()).token == partner.token_c
    assert ocpi_code(ours.call("GET", FUNCTIONAL, token=posted["token"]))[0] == 404
    assert ocpi_code(ours.call("GET", "/ocpi/versions")) == (401, 2000)


def test_a_partner_that_refuses_leaves_the_invitation_in_force(
    ours: Ours, partner: MockPartner
) -> None:
    partner.reject_credentials = True
    before = ours.partner()
    with pytest.raises(PkiError) as caught:
        handshake.register(ours.network, ADMIN, "acme", f"{partner.base}/versions", "a")
    assert caught.value.code == "partner_refused"
    assert ours.partner() == before
    posted = partner.calls("POST", "/credentials")[0].body
    assert ocpi_code(ours.call("GET", "/ocpi/versions", token=posted["token"])) == (401, 2000)


def test_we_rotate_and_say_goodbye(ours: Ours, partner: MockPartner) -> None:
    handshake.register(ours.network, ADMIN, "acme", f"{partner.base}/versions", "a")
    first = ours.partner()
    partner.token_c = "token-c-2"
    handshake.rotate(ours.network, ADMIN, "acme")
    assert ours.partner().token_hash != first.token_hash
    assert ours.network.link(ours.partner()).token == "token-c-2"
    put = partner.calls("PUT", "/credentials")[0]
    assert token_sent(put) == "token-c-of-partner"
    assert handshake.remove(ours.network, ADMIN, "acme")
    assert token_sent(partner.calls("DELETE", "/credentials")[0]) == "token-c-2"
    assert ours.partner().state is PartnerState.REMOVED
    assert actions(ours.services) == [
        "partner.add",
        "partner.register",
        "partner.rotate",
        "partner.remove",
    ]


def test_a_failed_rotation_leaves_both_tokens_in_force(ours: Ours, partner: MockPartner) -> None:
    theirs = registered(ours, partner)
    partner.reject_credentials = True
    with pytest.raises(PkiError):
        handshake.rotate(ours.network, ADMIN, "acme")
    assert ocpi_code(theirs.call("GET", "/ocpi/versions")) == (200, 1000)
    assert ours.network.link(ours.partner()).token == "token-b"


def test_an_internal_address_is_called_only_where_a_setting_lists_it(
    ours: Ours, partner: MockPartner
) -> None:
    network = dataclasses.replace(
        ours.network, outbound=dataclasses.replace(ours.network.outbound, allowed=())
    )
    with pytest.raises(PkiError) as caught:
        handshake.register(network, ADMIN, "acme", f"{partner.base}/versions", "a")
    assert caught.value.code == "address_refused"
    assert partner.seen == []


def test_a_new_invitation_takes_up_a_partner_that_lost_its_tokens(
    acme: Ours, partner: MockPartner
) -> None:
    again = registry.invite(acme.network, ADMIN, "acme")
    assert ocpi_code(acme.call("GET", "/ocpi/versions")) == (401, 2000)
    body = partner.credentials("token-b-3")
    answer = acme.call("POST", "/ocpi/2.2.1/credentials", body, token=again.token)
    assert ocpi_code(answer) == (200, 1000)


# --- who may, and what is refused ----------------------------------------------------------------


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_only_an_administrator_keeps_partners(ours: Ours, role: Role) -> None:
    caller = Principal(name="x", role=role, parties=(EMSP,))
    for act in (
        lambda: registry.add(ours.network, caller, "other", NewPartner(name="O", emsps=(EMSP,))),
        lambda: registry.partners(ours.network, caller),
        lambda: registry.show(ours.network, caller, "acme"),
        lambda: registry.invite(ours.network, caller, "acme"),
        lambda: registry.suspend(ours.network, caller, "acme"),
        lambda: handshake.register(ours.network, caller, "acme", "https://a.example", "a"),
        lambda: handshake.rotate(ours.network, caller, "acme"),
        lambda: handshake.remove(ours.network, caller, "acme"),
    ):
        with pytest.raises(NotAllowed):
            act()


@pytest.mark.parametrize(
    ("partner_id", "wanted", "error"),
    [
        ("Acme", NewPartner(name="A", emsps=(EMSP,)), (BadInput, "invalid_partner_id")),
        ("a" * 41, NewPartner(name="A", emsps=(EMSP,)), (BadInput, "invalid_partner_id")),
        ("b", NewPartner(name="A"), (BadInput, "party_missing")),
        ("b", NewPartner(name="A", emsps=("DE-NON",)), (NotFound, "party_unknown")),
        ("b", NewPartner(name="A", cpos=(EMSP,)), (NotFound, "party_unknown")),
        ("b", NewPartner(name="A", cpos=("x",)), (BadInput, "invalid_ocpi_party")),
        ("b", NewPartner(name="A", cpos=(CPO,), emaid_type="EMAID"), (BadInput, "invalid_value")),
        ("acme", NewPartner(name="A", cpos=(CPO,)), (Conflict, "partner_exists")),
    ],
)
def test_a_partner_that_cannot_be_is_told_why(
    ours: Ours, partner_id: str, wanted: NewPartner, error: tuple[type[PkiError], str]
) -> None:
    with pytest.raises(error[0]) as caught:
        registry.add(ours.network, ADMIN, partner_id, wanted)
    assert caught.value.code == error[1]
