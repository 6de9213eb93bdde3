"""Sessions, CDRs, tariffs, commands and hub directories that partners send: the field as it is."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from pki import contracts
from pki.clock import SystemClock
from pki.errors import BadInput, NotAllowed, NotFound, Unavailable
from pki.model import Principal, Role, Session, SessionProtocol
from pki.partners import commands, hub
from pki.partners.network import needed
from pki.roaming.ocpi.text import format_time
from pki.services import Services
from tests.homes import ADMIN
from tests.roaming.conftest import CPO, Ours, invited, ocpi_code, registered
from tests.roaming.mock_partner import MockPartner, mock_partner
from tests.roaming.samples import CDR, SESSION, TARIFF, TOKEN
from tests.roaming.test_tokens import card

BASE = "/ocpi/2.2.1/emsp"
SESSIONS = f"{BASE}/sessions/NL/CPX/S-1"
TARIFFS = f"{BASE}/tariffs/NL/CPX/T-25"
COMMANDS = "/ocpi/2.2.1/cpo/commands"


def put(ours: Ours, path: str, body: dict[str, Any]) -> tuple[int, int]:
    return ocpi_code(ours.call("PUT", path, body))


def data(ours: Ours, path: str) -> Any:
    answer = ours.call("GET", path)
    assert ocpi_code(answer) == (200, 1000)
    return (answer.json or {})["data"]


def demoa(body: dict[str, Any]) -> dict[str, Any]:
    """Return an object whose driver is a customer of the eMSP DEMOA."""
    driver = body["cdr_token"] | {"country_code": "DE", "party_id": "MOA"}
    return body | {"cdr_token": driver}


# --- sessions ------------------------------------------------------------------------------------


def test_a_session_comes_back_as_it_was_unknown_fields_included(acme: Ours) -> None:
    body = demoa(SESSION) | {"novel": {"x": [1]}}
    assert put(acme, SESSIONS, body) == (200, 1000)
    assert data(acme, SESSIONS) == body
    assert data(acme, f"{BASE}/sessions/nl/cpx/s-1") == body


def test_a_patch_appends_periods_and_a_replay_appends_nothing(acme: Ours) -> None:
    put(acme, SESSIONS, demoa(SESSION))
    period = {
        "start_date_time": "2026-11-20T10:15:00Z",
        "dimensions": [{"type": "ENERGY", "volume": 3}],
    }
    change = {
        "kwh": 15.5,
        "charging_periods": [period],
        "last_updated": "2026-11-20T10:45:00Z",
    }
    for _ in range(2):
        assert ocpi_code(acme.call("PATCH", SESSIONS, change)) == (200, 1000)
    found = data(acme, SESSIONS)
    assert found["kwh"] == 15.5
    assert found["charging_periods"] == [*SESSION["charging_periods"], period]


def test_a_patch_before_the_put_is_told_so_that_its_sender_puts(acme: Ours) -> None:
    change = {"kwh": 1, "last_updated": "2026-11-20T10:45:00Z"}
    assert ocpi_code(acme.call("PATCH", SESSIONS, change)) == (404, 2000)
    assert ocpi_code(acme.call("GET", SESSIONS)) == (404, 2000)


def test_what_is_older_than_what_is_held_changes_nothing(acme: Ours) -> None:
    newer = demoa(SESSION) | {"kwh": 20, "last_updated": "2026-11-20T11:00:00.500Z"}
    put(acme, SESSIONS, newer)
    late = demoa(SESSION) | {"last_updated": "2026-11-20T11:00:00.499Z"}
    assert put(acme, SESSIONS, late) == (200, 1000)
    change = {"kwh": 1, "last_updated": "2026-11-20T10:00:00Z"}
    assert ocpi_code(acme.call("PATCH", SESSIONS, change)) == (200, 1000)
    assert data(acme, SESSIONS) == newer


def test_a_patch_without_last_updated_is_incomplete(acme: Ours) -> None:
    put(acme, SESSIONS, demoa(SESSION))
    answer = acme.call("PATCH", SESSIONS, {"kwh": 1})
    assert ocpi_code(answer) == (200, 2001)
    assert "last_updated" in answer.text


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        (SESSIONS, {"id": "S-2"}, (200, 2001)),
        (SESSIONS, {"party_id": "CPY"}, (200, 2001)),
        (SESSIONS.replace("CPX", "CPY"), {"party_id": "CPY"}, (404, 2000)),
        (SESSIONS.replace("CPX", "EMX"), {"party_id": "EMX"}, (404, 2000)),
        (SESSIONS.replace("CPX", "TOOLONG"), {}, (200, 2001)),
        (SESSIONS, {"cdr_token": SESSION["cdr_token"]}, (200, 2001)),
        (SESSIONS, {"last_updated": "2100-01-01T00:00:00Z"}, (200, 2001)),
        (SESSIONS, {"kwh": "12"}, (200, 2001)),
    ],
)
def test_foreign_and_broken_objects_are_refused(
    acme: Ours, path: str, change: dict[str, Any], status: tuple[int, int]
) -> None:
    assert put(acme, path, demoa(SESSION) | change) == status
    assert ocpi_code(acme.call("GET", SESSIONS)) == (404, 2000)


def test_a_partner_sees_no_object_of_another(acme: Ours) -> None:
    put(acme, SESSIONS, demoa(SESSION))
    with mock_partner() as other:
        other.role("CPO", "NLCPY")
        theirs = registered(invited(acme.services, "other"), other)
    assert ocpi_code(theirs.call("GET", SESSIONS)) == (404, 2000)
    assert put(theirs, SESSIONS, demoa(SESSION)) == (404, 2000)


def _reference(acme: Ours, uid: str = "04AA", cpo: str = "CPX") -> str:
    """Have a CPO ask for an authorisation of a card."""
    path = f"{BASE}/tokens/{uid}/authorize"
    who = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": cpo}
    answer = acme.call("POST", path, headers=who)
    assert ocpi_code(answer) == (200, 1000)
    return str((answer.json or {})["data"]["authorization_reference"])


def _of(uid: str, reference: str | None, **more: Any) -> dict[str, Any]:
    """Return a session, or with more a CDR, of a card of DEMOA under a reference."""
    body = demoa(dict(more.pop("body", SESSION))) | {"authorization_reference": reference} | more
    body["cdr_token"] |= {"uid": uid}
    return {name: value for name, value in body.items() if value is not None}


def _session(acme: Ours, number: str = "S-1") -> Session:
    with acme.services.deployment.store.read() as tx:
        found = tx.sessions.find(SessionProtocol.OCPI, "NLCPX", "", number)
    assert found is not None
    return found


def test_a_session_and_its_cdr_are_tied_to_their_authorisation(acme: Ours) -> None:
    card(acme.services, "04AA")
    reference = _reference(acme)
    assert put(acme, SESSIONS, _of("04AA", reference.upper())) == (200, 1000)
    assert (_session(acme).reference, _session(acme).unconfirmed) == (reference, None)
    cdr = _of("04AA", reference, body=CDR)
    assert ocpi_code(acme.call("POST", f"{BASE}/cdrs", cdr)) == (201, 1000)
    with acme.services.deployment.store.read() as tx:
        assert [f.key for f in tx.partner_objects.of_reference("session", reference)] == ["S-1"]
        assert [f.key for f in tx.partner_objects.of_reference("cdr", reference)] == ["CDR-1"]
        assert [f.external_id for f in tx.sessions.by_reference(reference)] == ["S-1"]


def test_a_reference_that_was_not_given_to_this_cpo_for_this_driver_is_not_believed(
    acme: Ours,
) -> None:
    for n, emaid in enumerate(("DEMOAC00000001", "DEMOAC00000002")):
        made = contracts.add(acme.services.deployment, ADMIN, emaid)
        card(acme.services, f"04A{n}", n, contract_id=made.contract_id)
    with mock_partner() as elsewhere:
        elsewhere.role("CPO", "NLCPY")
        other = registered(invited(acme.services, "other"), elsewhere)
        foreign = _reference(other, "04A0", "CPY")
    for number, reference in enumerate(("AUTH-1", foreign, _reference(acme, "04A1")), start=1):
        body = _of("04A0", reference, id=f"S-{number}")
        assert put(acme, SESSIONS.replace("S-1", f"S-{number}"), body) == (200, 1000)
        found = _session(acme, f"S-{number}")
        assert (found.reference, found.unconfirmed) == (None, reference)
        assert found.contract == SESSION["cdr_token"]["contract_id"]  # it is counted all the same
        cdr = _of("04A0", reference, id=f"CDR-{number}", body=CDR)
        assert ocpi_code(acme.call("POST", f"{BASE}/cdrs", cdr)) == (201, 1000)
        with acme.services.deployment.store.read() as tx:
            assert tx.partner_objects.of_reference("session", reference) == []
            assert tx.partner_objects.of_reference("cdr", reference) == []


def test_a_reference_that_comes_later_ties_the_session(acme: Ours) -> None:
    card(acme.services, "04AA")
    reference = _reference(acme)
    put(acme, SESSIONS, _of("04AA", None))
    assert (_session(acme).reference, _session(acme).unconfirmed) == (None, None)
    change = {"authorization_reference": "AUTH-1", "last_updated": "2026-11-20T10:45:00Z"}
    acme.call("PATCH", SESSIONS, change)
    assert (_session(acme).reference, _session(acme).unconfirmed) == (None, "AUTH-1")
    change = {"authorization_reference": reference, "last_updated": "2026-11-20T10:46:00Z"}
    acme.call("PATCH", SESSIONS, change)
    assert (_session(acme).reference, _session(acme).unconfirmed) == (reference, None)


def test_bodies_that_are_no_json_objects_are_refused(acme: Ours) -> None:
    assert ocpi_code(acme.call("PUT", SESSIONS, data=b"{")) == (400, 2001)
    assert ocpi_code(acme.call("PUT", SESSIONS, data=b"[]")) == (200, 2001)
    assert ocpi_code(acme.call("PUT", SESSIONS, data=b"[" * 1000)) == (400, 2001)
    too_long = json.dumps({"a": "x" * (300 * 1024)}).encode()
    assert ocpi_code(acme.call("PUT", SESSIONS, data=too_long)) == (413, 2001)
    answer = acme.app.test_client().put(
        SESSIONS, data="x", headers={"Authorization": f"Token {acme.token}"}
    )
    assert ocpi_code(answer) == (415, 2001)


# --- CDRs ----------------------------------------------------------------------------------------


def test_a_cdr_is_found_where_its_answer_says_and_never_changes(acme: Ours) -> None:
    body = demoa(CDR)
    first = acme.call("POST", f"{BASE}/cdrs", body)
    assert ocpi_code(first) == (201, 1000)
    place = first.headers["Location"].removeprefix(acme.services.settings.public_url)
    assert data(acme, place) == body
    again = acme.call("POST", f"{BASE}/cdrs", body)
    assert (ocpi_code(again), again.headers["Location"]) == ((201, 1000), first.headers["Location"])
    other = acme.call("POST", f"{BASE}/cdrs", body | {"total_energy": 99})
    assert ocpi_code(other) == (200, 2001)
    assert data(acme, place) == body


def test_a_credit_names_the_cdr_that_it_takes_back(acme: Ours) -> None:
    credit = demoa(CDR) | {"id": "C" * 39, "credit": True}
    assert ocpi_code(acme.call("POST", f"{BASE}/cdrs", credit)) == (201, 1000)
    nameless = {k: v for k, v in credit.items() if k != "credit_reference_id"} | {"id": "C-2"}
    answer = acme.call("POST", f"{BASE}/cdrs", nameless)
    assert ocpi_code(answer) == (200, 2001)
    assert "credit_reference_id" in answer.text


# --- tariffs -------------------------------------------------------------------------------------


def _versions(ours: Ours) -> list[tuple[str, bool]]:
    with ours.services.deployment.store.read() as tx:
        held = tx.partner_objects.versions("NLCPX", "T-25")
    return [(json.loads(v.document)["currency"], v.deleted) for v in held]


def test_every_version_of_a_tariff_is_kept_and_the_newest_counts(acme: Ours) -> None:
    second = TARIFF | {"currency": "DKK", "last_updated": "2026-03-01T00:00:00Z"}
    late = TARIFF | {"currency": "SEK", "last_updated": "2026-02-01T00:00:00Z"}
    for body in (TARIFF, second, late, second, TARIFF):
        assert put(acme, TARIFFS, body) == (200, 1000)
    assert data(acme, TARIFFS) == second
    assert _versions(acme) == [("EUR", False), ("DKK", False), ("SEK", False)]


def test_a_withdrawn_tariff_is_gone_and_its_versions_stay(acme: Ours) -> None:
    assert ocpi_code(acme.call("DELETE", TARIFFS)) == (404, 2000)
    put(acme, TARIFFS, TARIFF)
    assert ocpi_code(acme.call("DELETE", TARIFFS)) == (200, 1000)
    assert ocpi_code(acme.call("GET", TARIFFS)) == (404, 2000)
    assert ocpi_code(acme.call("DELETE", TARIFFS)) == (404, 2000)
    assert _versions(acme) == [("EUR", False), ("EUR", True)]
    soon = format_time(SystemClock().now() + dt.timedelta(seconds=5))
    put(acme, TARIFFS, TARIFF | {"last_updated": soon})
    assert data(acme, TARIFFS)["last_updated"] == soon


# --- commands ------------------------------------------------------------------------------------


def start(partner: MockPartner, **more: Any) -> dict[str, Any]:
    token = TOKEN | {"country_code": "NL", "party_id": "EMX"}
    url = f"{partner.base}/results/1"
    return {"response_url": url, "token": token, "location_id": "L1", **more}


def _csms() -> Principal:
    return Principal(name="csms", role=Role.CPO, parties=(CPO,))


@pytest.fixture
def starting(ours: Ours, partner: MockPartner) -> Ours:
    partner.endpoint("tokens", "SENDER")
    return registered(ours, partner)


def test_a_remote_start_waits_for_the_csms_and_is_answered_once(
    starting: Ours, partner: MockPartner
) -> None:
    answer = starting.call("POST", f"{COMMANDS}/START_SESSION", start(partner))
    assert ocpi_code(answer) == (200, 1000)
    assert (answer.json or {})["data"] == {"result": "ACCEPTED", "timeout": 60}
    csms = _csms()
    [waiting] = commands.pending(starting.network, csms)
    assert json.loads(waiting.document)["location_id"] == "L1"
    commands.answer(starting.network, csms, waiting.command_id, "EVSE_OCCUPIED")
    [told] = partner.calls("POST", "/results/1")
    assert told.body == {"result": "EVSE_OCCUPIED"}
    assert told.headers["ocpi-from-party-id"] == "ABC"
    assert commands.pending(starting.network, csms) == []
    with pytest.raises(NotFound):
        commands.answer(starting.network, csms, waiting.command_id, "ACCEPTED")
    assert len(partner.calls("POST", "/results/1")) == 1


def test_a_command_whose_time_is_over_is_answered_with_timeout(
    starting: Ours, partner: MockPartner
) -> None:
    starting.call("POST", f"{COMMANDS}/START_SESSION", start(partner))
    assert commands.expire(starting.network) == 0
    [waiting] = commands.pending(starting.network, ADMIN)
    with starting.services.deployment.store.write() as tx:
        tx.partner_objects.finish_command(waiting.command_id, "x")
    assert commands.expire(starting.network) == 0
    commands.tell(starting.network, waiting, "TIMEOUT")
    assert partner.calls("POST", "/results/1")[0].body == {"result": "TIMEOUT"}


def test_the_answer_of_a_command_goes_to_the_partners_own_host_only(
    starting: Ours, partner: MockPartner
) -> None:
    for url in ("http://192.0.2.9/x", "https://127.0.0.1/x", "http://127.0.0.1.evil.example/"):
        body = start(partner, response_url=url)
        answer = starting.call("POST", f"{COMMANDS}/START_SESSION", body)
        assert ocpi_code(answer) == (200, 2001)
        assert "response_url" in answer.text
    assert commands.pending(starting.network, ADMIN) == []


def test_a_partner_starts_sessions_for_its_own_drivers_at_our_cpos_only(
    starting: Ours, partner: MockPartner
) -> None:
    foreign = start(partner) | {"token": TOKEN | {"party_id": "MOA"}}
    assert ocpi_code(starting.call("POST", f"{COMMANDS}/START_SESSION", foreign)) == (404, 2000)
    elsewhere = {"OCPI-to-country-code": "DE", "OCPI-to-party-id": "XYZ"}
    answer = starting.call("POST", f"{COMMANDS}/START_SESSION", start(partner), headers=elsewhere)
    assert ocpi_code(answer) == (404, 2000)
    assert answer.headers["OCPI-from-party-id"] == "XYZ"


def test_commands_that_we_do_not_take_are_told_so(starting: Ours, partner: MockPartner) -> None:
    answer = starting.call("POST", f"{COMMANDS}/UNLOCK_CONNECTOR", {})
    assert (answer.json or {})["data"]["result"] == "NOT_SUPPORTED"
    assert ocpi_code(starting.call("POST", f"{COMMANDS}/EXPLODE", {})) == (404, 2000)
    stop = {"response_url": f"{partner.base}/results/2", "session_id": "S-1"}
    answer = starting.call("POST", f"{COMMANDS}/STOP_SESSION", stop)
    assert (answer.json or {})["data"]["result"] == "ACCEPTED"


def test_a_csms_sees_and_answers_its_own_commands_only(
    starting: Ours, partner: MockPartner
) -> None:
    starting.call("POST", f"{COMMANDS}/START_SESSION", start(partner))
    [waiting] = commands.pending(starting.network, ADMIN)
    other = Principal(name="x", role=Role.CPO, parties=("DEXYZ",))
    assert commands.pending(starting.network, other) == []
    with pytest.raises(NotFound):
        commands.answer(starting.network, other, waiting.command_id, "ACCEPTED")
    with pytest.raises(BadInput):
        commands.answer(starting.network, _csms(), waiting.command_id, "PERHAPS")
    emsp = Principal(name="x", role=Role.EMSP, parties=("DEMOA",))
    with pytest.raises(NotAllowed):
        commands.pending(starting.network, emsp)


def test_an_answer_that_cannot_be_sent_is_dropped(starting: Ours, partner: MockPartner) -> None:
    starting.call("POST", f"{COMMANDS}/START_SESSION", start(partner))
    [waiting] = commands.pending(starting.network, ADMIN)
    partner.fault = "error500"
    done = commands.answer(starting.network, ADMIN, waiting.command_id, "ACCEPTED")
    assert done.command_id == waiting.command_id
    assert commands.pending(starting.network, ADMIN) == []


# --- hubs ----------------------------------------------------------------------------------------


def client(party: str, status: str = "CONNECTED", role: str = "CPO", at: int = 0) -> dict[str, Any]:
    return {
        "country_code": party[:2],
        "party_id": party[2:],
        "role": role,
        "status": status,
        "last_updated": f"2026-11-20T10:00:{at:02d}Z",
    }


@pytest.fixture
def hubbed(ours: Ours, partner: MockPartner) -> Ours:
    partner.roles.clear()
    partner.role("HUB", "NLHUB")
    partner.endpoint("hubclientinfo", "SENDER")
    return registered(ours, partner)


def _reached(ours: Ours) -> dict[str, str]:
    with ours.services.deployment.store.read() as tx:
        return {p.party: p.status for p in tx.partners.parties("acme") if p.behind_hub}


def test_the_directory_of_a_hub_is_read_page_by_page(hubbed: Ours, partner: MockPartner) -> None:
    partner.clients = [client(f"NLC{n:02d}") for n in range(7)]
    partner.clients += [{"odd": 1}, client("DEABC"), client("FRABC", "OFFLINE")]
    partner.page_size, partner.wrong_total = 1, 3
    assert hub.pull(hubbed.network, hubbed.partner()) == 8
    found = _reached(hubbed)
    assert len(found) == 8
    assert (found["FRABC"], found["NLC00"]) == ("OFFLINE", "CONNECTED")
    assert len(partner.calls("GET", "/sender/hubclientinfo")) == 10


def test_a_hub_says_who_comes_and_goes(hubbed: Ours) -> None:
    path = "/ocpi/2.2.1/hub/hubclientinfo/NL/CPZ"
    assert ocpi_code(hubbed.call("GET", path)) == (404, 2000)
    change = {"status": "OFFLINE", "last_updated": "2026-11-20T10:00:09Z"}
    assert ocpi_code(hubbed.call("PATCH", path, change)) == (404, 2000)
    assert put(hubbed, path, client("NLCPZ", at=5)) == (200, 1000)
    assert ocpi_code(hubbed.call("PATCH", path, change)) == (200, 1000)
    assert put(hubbed, path, client("NLCPZ", at=7)) == (200, 1000)
    assert data(hubbed, path)["status"] == "OFFLINE"
    assert put(hubbed, path, client("NLCPY")) == (200, 2001)


def test_who_is_no_hub_keeps_no_directory(acme: Ours) -> None:
    path = "/ocpi/2.2.1/hub/hubclientinfo/NL/CPZ"
    assert put(acme, path, client("NLCPZ")) == (200, 2000)


def test_a_hub_writes_for_parties_behind_it_but_not_for_partners_of_their_own(
    hubbed: Ours,
) -> None:
    put(hubbed, "/ocpi/2.2.1/hub/hubclientinfo/NL/CPX", client("NLCPX"))
    assert put(hubbed, SESSIONS, demoa(SESSION)) == (200, 1000)
    with mock_partner() as direct:
        direct.role("CPO", "NLCPX")
        registered(invited(hubbed.services, "direct"), direct)
    assert put(hubbed, SESSIONS, demoa(SESSION)) == (404, 2000)


def test_a_hub_of_2_3_0_lists_whom_it_reaches_in_its_credentials(
    ours: Ours, partner: MockPartner
) -> None:
    partner.role("OTHER", "NLHUB")
    partner.role("CPO", "DEABC")  # ourselves
    partner.extra = {"hub_party_id": "NLHUB"}
    registered(ours, partner, "2.3.0")
    assert _reached(ours) == {"NLCPX": "CONNECTED", "NLEMX": "CONNECTED"}
    assert ours.partner().hub == "NLHUB"


@pytest.mark.parametrize("fault", ["garbage", "error500", "redirect", "huge", "refuses", "deep"])
def test_a_hub_that_answers_with_nonsense_changes_nothing(
    hubbed: Ours, partner: MockPartner, fault: str
) -> None:
    partner.fault = fault
    with pytest.raises(Unavailable) as caught:
        hub.pull(hubbed.network, hubbed.partner())
    assert caught.value.code in (
        "partner_garbage",
        "partner_refused",
        "answer_too_large",
    )
    assert _reached(hubbed) == {}


def test_pages_that_lead_in_a_circle_end(hubbed: Ours, partner: MockPartner) -> None:
    partner.clients, partner.circle, partner.page_size = [client("NLCPZ")], True, 1
    with pytest.raises(Unavailable) as caught:
        hub.pull(hubbed.network, hubbed.partner())
    assert caught.value.code == "partner_garbage"


def test_a_partner_that_is_gone_is_told(services: Services) -> None:
    with services.deployment.store.read() as tx, pytest.raises(NotFound):
        needed(tx, "nobody")
