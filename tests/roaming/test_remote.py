"""What a CSMS sees of remote starts over HTTP, and the command line of partners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pki import clients, contracts
from pki.cli import main
from pki.model import Role
from pki.services import Services
from tests.homes import ADMIN
from tests.roaming.conftest import CPO, EMSP, Ours, ocpi_code, registered
from tests.roaming.mock_partner import MockPartner
from tests.roaming.samples import SESSION, TOKEN
from tests.roaming.test_tokens import agree
from tests.web.calling import Caller, code
from web.app import create_app


@pytest.fixture
def csms(services: Services) -> Caller:
    _, token = clients.add(services.deployment, ADMIN, Role.CPO, (CPO,))
    _, other = clients.add(services.deployment, ADMIN, Role.EMSP, (EMSP,))
    return Caller(create_app(services), {"cpo": token, "emsp": other})


def test_a_csms_fetches_a_remote_start_and_says_what_the_station_did(
    ours: Ours, partner: MockPartner, csms: Caller
) -> None:
    theirs = registered(ours, partner)
    body = {
        "response_url": f"{partner.base}/r/1",
        "token": TOKEN | {"country_code": "NL", "party_id": "EMX"},
        "location_id": "L1",
    }
    sent = theirs.call("POST", "/ocpi/2.2.1/cpo/commands/START_SESSION", body)
    assert ocpi_code(sent) == (200, 1000)
    [waiting] = (csms.get("/v1/commands", role="cpo").json or {})["commands"]
    assert (waiting["command"], waiting["request"]) == ("START_SESSION", body)
    path = f"/v1/commands/{waiting['commandId']}/result"
    assert code(csms.post(path, {"result": "SURE"}, role="cpo")) == (400, "invalid_value")
    assert code(csms.post(path, {}, role="cpo")) == (400, "field_missing")
    assert csms.post(path, {"result": "ACCEPTED"}, role="cpo").status_code == 200
    assert partner.calls("POST", "/r/1")[0].body == {"result": "ACCEPTED"}
    assert code(csms.post(path, {"result": "FAILED"}, role="cpo")) == (404, "command_unknown")
    page = csms.get("/v1/commands?limit=1", role="cpo").json
    assert page == {"commands": [], "next": None}


def test_commands_are_for_cpos_alone(csms: Caller) -> None:
    assert code(csms.get("/v1/commands")) == (401, "token_missing")
    assert code(csms.get("/v1/commands", role="emsp")) == (403, "role_not_allowed")
    assert code(csms.get("/v1/commands?x=1", role="cpo")) == (400, "unknown_parameter")
    answer = csms.post("/v1/commands/x/result", {"result": "ACCEPTED"}, role="emsp")
    assert code(answer) == (403, "role_not_allowed")


def test_an_emsp_starts_a_session_at_a_partner_and_hears_what_the_station_did(
    ours: Ours, partner: MockPartner, csms: Caller
) -> None:
    partner.endpoint("commands", "RECEIVER")
    theirs = registered(ours, partner)
    contracts.add(ours.services.deployment, ADMIN, "DEMOAC12345678")
    order = {"command": "START_SESSION", "cpo": "NL*CPX", "locationId": "L1", "evseUid": "E1"}
    assert code(csms.post("/v1/commands", order, role="emsp")) == (400, "field_missing")
    order["uid"] = "DE-MOA-C12345678-X"
    assert code(csms.post("/v1/commands", order, role="emsp")) == (422, "command_refused")
    assert partner.calls("POST", "/receiver/commands/START_SESSION") == []
    agree(ours.services, "NLCPX", "DEMOA")
    partner.command_result = "REJECTED"
    assert code(csms.post("/v1/commands", order, role="emsp")) == (503, "command_rejected")
    partner.command_result = "ACCEPTED"
    sent = csms.post("/v1/commands", order, role="emsp")
    assert sent.status_code == 202
    command_id = (sent.json or {})["commandId"]
    got = partner.calls("POST", "/receiver/commands/START_SESSION")[-1]
    assert (got.body["token"]["uid"], got.body["evse_uid"]) == ("DEMOAC12345678", "E1")
    assert got.headers["ocpi-to-party-id"] == "CPX"
    reference = got.body["authorization_reference"]
    session = SESSION | {"cdr_token": got.body["token"], "authorization_reference": reference}
    answer = theirs.call("PUT", "/ocpi/2.2.1/emsp/sessions/NL/CPX/S-1", session)
    assert ocpi_code(answer) == (200, 1000), answer.text
    with ours.services.deployment.store.read() as tx:
        assert [s.external_id for s in tx.sessions.by_reference(reference)] == ["S-1"]
    path = got.body["response_url"].removeprefix(ours.services.settings.public_url)
    assert path.endswith(command_id)
    wrong = path.replace("START", "STOP")
    assert ocpi_code(theirs.call("POST", wrong, {"result": "ACCEPTED"})) == (404, 2000)
    assert ocpi_code(theirs.call("POST", path, {"result": "EVSE_OCCUPIED"})) == (200, 1000)
    assert ocpi_code(theirs.call("POST", path, {"result": "ACCEPTED"})) == (404, 2000)
    found = csms.get(f"/v1/commands/{command_id}", role="emsp").json or {}
    assert (found["state"], found["result"]) == ("answered", "EVSE_OCCUPIED")


def test_only_what_the_callers_emsp_owns_is_started_and_stopped(
    ours: Ours, partner: MockPartner, csms: Caller
) -> None:
    stop = {"command": "STOP_SESSION", "cpo": "NLCPX", "sessionId": "S-1"}
    assert code(csms.post("/v1/commands", stop, role="emsp")) == (404, "party_unreachable")
    partner.endpoint("commands", "RECEIVER")
    registered(ours, partner)
    assert csms.post("/v1/commands", stop, role="emsp").status_code == 202
    start = {"command": "START_SESSION", "cpo": "NLCPX", "locationId": "L1", "uid": "DEXYZC1234567"}
    assert code(csms.post("/v1/commands", start, role="emsp")) == (404, "credential_unknown")
    assert code(csms.post("/v1/commands", stop, role="cpo")) == (403, "role_not_allowed")
    assert code(csms.get("/v1/commands/nothing", role="emsp")) == (404, "command_unknown")
    odd = stop | {"command": "EXPLODE"}
    assert code(csms.post("/v1/commands", odd, role="emsp")) == (400, "invalid_value")


# --- the command line ----------------------------------------------------------------------------


def run(home: Path, *words: str, given: str = "", status: int = 0) -> Any:
    """Run `pnc partner …` and return its JSON, or its error."""
    done = CliRunner().invoke(main, ["--home", str(home), "partner", *words, "--json"], given)
    assert done.exit_code == status, done.output
    return json.loads(done.stdout if status == 0 else done.stderr.splitlines()[-1])


def test_the_life_of_a_partner_on_the_command_line(
    services: Services, partner: MockPartner
) -> None:
    home = services.settings.home
    found = run(home, "add", "acme", "--emsp", "DE-NON", "--cpo", "DE*ABC", status=1)
    assert found["code"] == "party_unknown"
    found = run(home, "add", "acme", "--emsp", EMSP, "--cpo", "DE*ABC", "--emaid-type", "RFID")
    assert found["versionsUrl"].endswith("/ocpi/versions")
    assert found["token"].startswith("pnc_")
    assert run(home, "list")[0]["state"] == "invited"
    assert found["token"] not in json.dumps(run(home, "show", "acme"))
    url = f"{partner.base}/versions"
    done = run(home, "register", "acme", "--url", url, "--token-file", "-", given="token-a\n")
    assert (done["state"], done["emaidType"]) == ("registered", "RFID")
    shown = run(home, "show", "acme")
    assert {p["party"] for p in shown["parties"]} == {"NLCPX", "NLEMX"}
    assert run(home, "rotate", "acme")["state"] == "registered"
    assert run(home, "suspend", "acme")["state"] == "suspended"
    assert run(home, "suspend", "acme", "--lift")["state"] == "registered"
    assert run(home, "remove", "acme")["dryRun"] is True
    assert run(home, "show", "acme")["state"] == "registered"
    gone = run(home, "remove", "acme", "--yes")
    assert gone["partnerTookNote"] is True
    assert run(home, "show", "acme")["state"] == "removed"
    assert run(home, "rotate", "acme", "--invite")["token"] != found["token"]


def test_a_token_that_was_handed_over_is_not_empty(services: Services) -> None:
    home = services.settings.home
    run(home, "add", "acme", "--emsp", EMSP)
    words = ("register", "acme", "--url", "https://a.example", "--token-file", "-")
    assert run(home, *words, given=" \n", status=1)["code"] == "token_missing"


def test_tables_tell_that_a_token_is_shown_once(services: Services) -> None:
    home = str(services.settings.home)
    added = CliRunner().invoke(main, ["--home", home, "partner", "add", "acme", "--emsp", EMSP])
    assert "cannot be shown again" in added.stdout
    for words in (["list"], ["show", "acme"], ["remove", "acme"]):
        done = CliRunner().invoke(main, ["--home", home, "partner", *words])
        assert done.exit_code == 0
        assert "acme" in done.stdout
