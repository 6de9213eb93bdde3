"""Tokens both ways, the question in real time, pushes: over HTTP with a partner that misbehaves."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import event

from pki import agreements, authorize, contracts
from pki import parties as companies
from pki.authorize import Authorised
from pki.clock import Clock, SystemClock
from pki.errors import NotFound, Unavailable
from pki.ids import ProviderId
from pki.model import (
    Allowed,
    AuthorisationFault,
    ContractCheck,
    ContractState,
    Credential,
    CredentialKind,
    CredentialState,
    Emsp,
    EmspQuestion,
    Principal,
    Role,
    Terms,
    Whitelist,
)
from pki.partners import registry, resync
from pki.partners.ask import OcpiAsk
from pki.partners.push import push_due
from pki.partners.tokens import kinds_of, uid_of
from pki.services import Services
from tests.homes import ADMIN, make_home, opened
from tests.roaming.conftest import (
    CPO,
    EMSP,
    Ours,
    allow_local,
    invited,
    ocpi_code,
    registered,
)
from tests.roaming.mock_partner import MockPartner
from tests.roaming.samples import SESSION, TOKEN
from web.app import create_app

OWN = "/ocpi/2.2.1/emsp/tokens"
THEIRS = "/ocpi/2.2.1/cpo/tokens/NL/EMX/04A1B2C3D4E5F6"
PARTNER_TOKEN: dict[str, Any] = TOKEN | {"country_code": "NL", "party_id": "EMX"}
EMAID = "DEMOAC12345678"
OTHER_EMAID = "DEMOAC00000002"
BEGUN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def agree(services: Services, cpo: str, emsp: str, **more: Any) -> None:
    terms = Terms(cpo=cpo, emsp=emsp, valid_from=BEGUN, **more)
    agreements.add(services.deployment, ADMIN, terms)


def card(services: Services, uid: str, n: int = 0, **more: Any) -> Credential:
    """Keep an RFID card of the eMSP DEMOA."""
    at = BEGUN + dt.timedelta(seconds=n)
    values: dict[str, Any] = {
        "credential_id": f"c{n:05d}",
        "emsp": EMSP,
        "kind": CredentialKind.RFID,
        "uid": uid,
        "presented": uid,
        "contract_id": None,
        "contract": EMAID,
        "state": CredentialState.ACTIVE,
        "created_at": at,
        "updated_at": at,
    }
    found = Credential(**(values | more))
    with services.deployment.store.write() as tx:
        tx.credentials.put(found)
    return found


def data(answer: Any) -> Any:
    assert ocpi_code(answer) == (200, 1000), answer.text
    return answer.json["data"]


# --- theirs --------------------------------------------------------------------------------------


def test_a_partners_token_comes_back_as_it_was(acme: Ours) -> None:
    assert ocpi_code(acme.call("GET", THEIRS)) == (404, 2004)
    assert ocpi_code(acme.call("PUT", THEIRS, PARTNER_TOKEN)) == (200, 1000)
    assert data(acme.call("GET", THEIRS)) == PARTNER_TOKEN
    assert data(acme.call("GET", THEIRS.lower() + "?type=RFID")) == PARTNER_TOKEN
    assert ocpi_code(acme.call("GET", THEIRS + "?type=APP_USER")) == (404, 2004)
    assert ocpi_code(acme.call("DELETE", THEIRS)) == (405, 2000)


def test_a_patch_blocks_a_token_and_an_older_one_changes_nothing(acme: Ours) -> None:
    change = {"valid": False, "last_updated": "2026-11-21T00:00:00.250Z"}
    assert ocpi_code(acme.call("PATCH", THEIRS, change)) == (404, 2004)
    acme.call("PUT", THEIRS, PARTNER_TOKEN)
    assert ocpi_code(acme.call("PATCH", THEIRS, change)) == (200, 1000)
    for late in (PARTNER_TOKEN, PARTNER_TOKEN | {"last_updated": "2026-11-21T00:00:00.249Z"}):
        assert ocpi_code(acme.call("PUT", THEIRS, late)) == (200, 1000)
    assert data(acme.call("GET", THEIRS)) == PARTNER_TOKEN | change


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        (THEIRS, {"uid": "04FF"}, (200, 2001)),
        (THEIRS, {"type": "APP_USER"}, (200, 2001)),
        (THEIRS, {"party_id": "EMY"}, (200, 2001)),
        (THEIRS.replace("EMX", "EMY"), {"party_id": "EMY"}, (404, 2000)),
        (THEIRS.replace("EMX", "CPX"), {"party_id": "CPX"}, (404, 2000)),
        (THEIRS, {"last_updated": "2100-01-01T00:00:00Z"}, (200, 2001)),
        (THEIRS, {"type": "EMAID"}, (200, 2001)),
        (THEIRS, {"whitelist": "SOMETIMES"}, (200, 2001)),
        (THEIRS + "?type=" + "x" * 37, {}, (200, 2001)),
    ],
)
def test_tokens_of_others_and_broken_ones_are_refused(
    acme: Ours, path: str, change: dict[str, Any], status: tuple[int, int]
) -> None:
    assert ocpi_code(acme.call("PUT", path, PARTNER_TOKEN | change)) == status


def test_an_emaid_is_one_under_whatever_type_it_comes() -> None:
    emaid, plain = CredentialKind.EMAID, CredentialKind.OTHER
    assert kinds_of("OTHER", "DE-8AA-CA2B3C4D5-L") == (emaid, plain)
    assert kinds_of("OTHER", "something") == (plain,)
    assert kinds_of("RFID", "DE8AACA2B3C4DX") == (emaid, CredentialKind.RFID)
    assert kinds_of("RFID", "AB12CD34EF5678") == (CredentialKind.RFID, emaid)
    assert kinds_of("RFID", "04A1B2C3") == (CredentialKind.RFID,)
    assert kinds_of("EMAID", "anything") == (emaid,)
    assert kinds_of("APP_USER", "DE8AACA2B3C4DX") == (CredentialKind.APP_USER,)


def test_a_pull_takes_every_token_that_can_be_read_and_asks_for_news_only(
    ours: Ours, partner: MockPartner
) -> None:
    partner.endpoint("tokens", "SENDER")
    registered(ours, partner)
    partner.tokens = [PARTNER_TOKEN | {"uid": f"04AA00{n:02X}"} for n in range(5)]
    partner.tokens[2:2] = [{"odd": 1}, PARTNER_TOKEN | {"party_id": "MOA", "country_code": "DE"}]
    partner.page_size, partner.wrong_total = 1, 99
    assert resync.sync(ours.network, ADMIN, "acme") == 5
    assert resync.sync_due(ours.network) == 5
    asked = partner.calls("GET", "/sender/tokens")
    assert "date_from" not in asked[0].query
    assert asked[7].query["date_from"].endswith("Z")
    with ours.services.deployment.store.read() as tx:
        for n in range(5):
            assert [
                c.emsp for c in tx.credentials.named(CredentialKind.RFID, f"04AA00{n:02X}")
            ] == ["NLEMX"]
        assert tx.credentials.named(CredentialKind.RFID, PARTNER_TOKEN["uid"]) == []
    partner.fault = "garbage"
    assert resync.sync_due(ours.network) == 0
    with pytest.raises(Unavailable):
        resync.sync(ours.network, ADMIN, "acme", whole=True)


# --- ours, page by page --------------------------------------------------------------------------


def _walk(ours: Ours, path: str) -> list[Any]:
    """Follow the links of a pull and return every token."""
    found: list[Any] = []
    place: str | None = path
    while place is not None:
        answer = ours.call("GET", place)
        found += data(answer)
        assert answer.headers["X-Limit"] == "1000"
        link = answer.headers.get("Link")
        place = None
        if link:
            url = link.partition(">")[0].removeprefix("<")
            place = url.removeprefix(ours.services.settings.public_url)
    return found


def test_a_pull_gives_every_token_once_oldest_first(acme: Ours) -> None:
    cards = [card(acme.services, f"04{n:06X}", n // 3, credential_id=f"c{n:03d}")
             for n in range(25)]  # fmt: skip
    found = _walk(acme, f"{OWN}?limit=4")
    assert [t["uid"] for t in found] == [c.uid for c in cards]
    assert found[0] == {
        "country_code": "DE",
        "party_id": "MOA",
        "uid": "04000000",
        "type": "RFID",
        "contract_id": EMAID,
        "issuer": "Demo Mobility",
        "valid": True,
        "whitelist": "ALLOWED",
        "last_updated": "2026-01-01T00:00:00Z",
    }
    first = acme.call("GET", f"{OWN}?limit=4")
    assert first.headers["X-Total-Count"] == "25"
    by_offset = [data(acme.call("GET", f"{OWN}?limit=10&offset={o}")) for o in (0, 10, 20)]
    assert [t for page in by_offset for t in page] == found
    within = _walk(
        acme, f"{OWN}?limit=2&date_from=2026-01-01T00:00:02Z&date_to=2026-01-01T00:00:04Z"
    )
    assert [t["uid"] for t in within] == [c.uid for c in cards[6:12]]


def test_a_token_is_valid_while_its_contract_is(acme: Ours) -> None:
    contract = contracts.add(acme.services.deployment, ADMIN, EMAID)
    card(acme.services, "04AA", contract_id=contract.contract_id)
    card(acme.services, "04BB", 1, state=CredentialState.BLOCKED, whitelist=Whitelist.NEVER)
    shown = {t["uid"]: t for t in _walk(acme, OWN)}
    assert {u: t["valid"] for u, t in shown.items()} == {"04AA": True, "04BB": False, EMAID: True}
    assert (shown[EMAID]["type"], shown["04BB"]["whitelist"]) == ("OTHER", "NEVER")
    contracts.set_state(acme.services.deployment, ADMIN, EMAID, ContractState.BLOCKED)
    assert not any(t["valid"] for t in _walk(acme, OWN))


def test_tokens_of_an_emsp_that_the_partner_does_not_deal_with_are_not_shown(
    services: Services, partner: MockPartner
) -> None:
    companies.add_emsp(services.deployment, ADMIN, "DEEMB", "Other")
    acme = registered(invited(services), partner)
    card(services, "04AA")
    card(services, "04BB", 1, emsp="DEEMB")
    acme.call("PUT", THEIRS, PARTNER_TOKEN)
    assert [t["uid"] for t in _walk(acme, OWN)] == ["04AA"]
    assert ocpi_code(acme.call("POST", f"{OWN}/04BB/authorize")) == (404, 2004)


def test_two_emsps_are_merged_by_time(services: Services, partner: MockPartner) -> None:
    companies.add_emsp(services.deployment, ADMIN, "DEEMB", "Other")
    acme = registered(invited(services, emsps=(EMSP, "DEEMB")), partner)
    for n in range(9):
        card(services, f"04{n:02X}", n, emsp=(EMSP, "DEEMB")[n % 2])
    assert [t["uid"] for t in _walk(acme, f"{OWN}?limit=2")] == [f"04{n:02X}" for n in range(9)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_last_page_of_a_pull_costs_what_the_first_does(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, partner: MockPartner
) -> None:
    url = None if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))
    home = tmp_path / "home"
    make_home(home, "none", database_url=url)
    allow_local(home)
    with opened(home, database_url=url) as services:
        companies.add_party(services.deployment, ADMIN, Role.CPO, CPO, "Poles")
        acme = registered(invited(services), partner)
        for n in range(30):
            card(services, f"04{n:02X}", n)
        seen: list[tuple[str, Any]] = []
        event.listen(
            services.database._backend.engine,
            "before_cursor_execute",
            lambda _c, _cursor, text, values, _context, _many: seen.append((text, values)),
        )
        costs: list[int] = []
        place = f"{OWN}?limit=10"
        while place:
            seen.clear()
            answer = acme.call("GET", place)
            assert len(data(answer)) == 10
            costs.append(len([t for t, _ in seen if t.startswith("SELECT")]))
            link = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
            place = link.removeprefix(services.settings.public_url)
        assert costs[2] == costs[1] == costs[0] - 1  # the first counts besides
        pages = [(t, v) for t, v in seen if "FROM credentials" in t]
        assert len(pages) == 1
        if kind == "sqlite":
            with services.database._backend.engine.connect() as connection:
                plan = connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {pages[0][0]}", pages[0][1]
                ).all()
            steps = [str(row[-1]) for row in plan]
            assert len(steps) == 1, steps
            assert "ix_credentials_own" in steps[0]
            assert "OFFSET ?" not in pages[0][0] or pages[0][1][-1] == 0


# --- ours, asked ---------------------------------------------------------------------------------


def test_a_partner_that_asks_is_told_what_the_agreement_says(acme: Ours) -> None:
    card(acme.services, "04AA")
    refused = data(acme.call("POST", f"{OWN}/04AA/authorize"))
    assert refused["allowed"] == "NOT_ALLOWED"
    agree(acme.services, "NLCPX", EMSP)
    place = {"location_id": "L1", "evse_uids": ["E1"]}
    told = data(acme.call("POST", f"{OWN}/04:aa/authorize?type=RFID", place))
    assert (told["allowed"], told["location"]) == ("ALLOWED", place)
    assert told["token"]["uid"] == "04AA"
    with acme.services.deployment.store.read() as tx:
        receipt = tx.decisions.get(told["authorization_reference"])
    assert receipt is not None
    assert receipt.asked_by == "ocpi:acme"
    assert len(told["authorization_reference"]) <= 36


def test_blocked_is_an_answer_and_unknown_is_404_with_2004(acme: Ours) -> None:
    agree(acme.services, "NLCPX", EMSP)
    card(acme.services, "04AA", state=CredentialState.BLOCKED)
    told = data(acme.call("POST", f"{OWN}/04AA/authorize"))
    assert (told["allowed"], told["token"]["valid"]) == ("BLOCKED", False)
    for uid in ("04BB", "x" * 36, "x" * 37, "%C3%A9"):
        assert ocpi_code(acme.call("POST", f"{OWN}/{uid}/authorize"))[1] in (2004, 2001)
    assert ocpi_code(acme.call("POST", f"{OWN}/04BB/authorize")) == (404, 2004)
    assert ocpi_code(acme.call("POST", f"{OWN}/04AA/authorize", {"location_id": 1})) == (200, 2001)


@pytest.mark.parametrize(
    ("uid", "query"),
    [
        (EMAID, "?type=OTHER"),
        ("de-moa-c12345678", "?type=OTHER"),
        ("DE-MOA-C12345678-X", "?type=RFID"),
        (EMAID, ""),
        (EMAID, "?type=EMAID"),
    ],
)
def test_an_emaid_is_answered_in_any_notation_and_under_any_type(
    acme: Ours, uid: str, query: str
) -> None:
    agree(acme.services, "NLCPX", EMSP)
    contracts.add(acme.services.deployment, ADMIN, EMAID)
    told = data(acme.call("POST", f"{OWN}/{uid}/authorize{query}"))
    assert (told["allowed"], told["token"]["uid"]) == ("ALLOWED", EMAID)
    assert told["token"]["type"] == "OTHER"


def test_2_3_0_has_a_type_for_emaids(ours: Ours, partner: MockPartner) -> None:
    acme = registered(ours, partner, "2.3.0")
    agree(acme.services, "NLCPX", EMSP)
    contracts.add(acme.services.deployment, ADMIN, EMAID)
    path = OWN.replace("2.2.1", "2.3.0")
    told = data(acme.call("POST", f"{path}/{EMAID}/authorize?type=EMAID"))
    assert told["token"]["type"] == "EMAID"
    assert [t["type"] for t in _walk(acme, path)] == ["EMAID"]


def test_an_agreement_for_certain_places_wants_to_know_the_place(acme: Ours) -> None:
    card(acme.services, "04AA")
    agree(acme.services, "NLCPX", EMSP, countries=("NL",))
    assert ocpi_code(acme.call("POST", f"{OWN}/04AA/authorize")) == (200, 2002)
    place = {"location_id": "L1", "evse_uids": ["NL*CPX*E1*1"]}
    assert data(acme.call("POST", f"{OWN}/04AA/authorize", place))["allowed"] == "ALLOWED"


def test_of_several_evses_those_are_named_where_an_agreement_holds(acme: Ours) -> None:
    card(acme.services, "04AA")
    agree(acme.services, "NLCPX", EMSP, evse_groups=("NL*CPX*E2",))

    def told(*evses: str) -> Any:
        place = {"location_id": "L1", "evse_uids": list(evses)}
        return data(acme.call("POST", f"{OWN}/04AA/authorize", place))

    some = told("NL*CPX*E1*1", "NL*CPX*E2*1", "nlcpxe2*2", "4711", "NL*CPY*E2*1")
    assert some["allowed"] == "ALLOWED"
    assert some["location"] == {"location_id": "L1", "evse_uids": ["NL*CPX*E2*1", "nlcpxe2*2"]}
    none = told("NL*CPX*E1*1", "NL*CPX*E3*1")
    assert (none["allowed"], "location" in none) == ("NOT_ALLOWED", False)
    # another CPO's EVSE is none of the asking CPO's, whatever the agreement says
    assert told("NL*CPY*E2*1")["allowed"] == "NOT_ALLOWED"
    only_numbers = {"location_id": "L1", "evse_uids": ["4711"]}
    assert ocpi_code(acme.call("POST", f"{OWN}/04AA/authorize", only_numbers)) == (200, 2002)


def test_who_asks_is_a_cpo_of_the_partner(acme: Ours) -> None:
    card(acme.services, "04AA")
    agree(acme.services, "NLCPX", EMSP)
    foreign = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "CPY"}
    answer = acme.call("POST", f"{OWN}/04AA/authorize", headers=foreign)
    assert ocpi_code(answer) == (404, 2000)
    own = foreign | {"OCPI-from-party-id": "cpx"}
    answer = acme.call("POST", f"{OWN}/04AA/authorize", headers=own)
    assert data(answer)["allowed"] == "ALLOWED"
    assert answer.headers["OCPI-to-party-id"] == "CPX"


def test_sessions_of_a_partner_count_among_those_of_a_contract(acme: Ours) -> None:
    contract = contracts.add(acme.services.deployment, ADMIN, EMAID)
    driver = {
        "country_code": "DE",
        "party_id": "MOA",
        "uid": EMAID,
        "type": "OTHER",
        "contract_id": EMAID,
    }
    body = SESSION | {"cdr_token": driver}
    path = "/ocpi/2.2.1/emsp/sessions/NL/CPX/S-1"

    def running() -> int:
        with acme.services.deployment.store.read() as tx:
            return tx.sessions.running(contract.contract_id)

    data_of = acme.call("PUT", path, body)
    assert ocpi_code(data_of) == (200, 1000)
    assert running() == 1
    other = body | {"id": "S-2"}
    acme.call("PUT", path.replace("S-1", "S-2"), other)
    assert running() == 2
    over = {
        "status": "COMPLETED",
        "end_date_time": "2026-11-20T11:00:00Z",
        "last_updated": "2026-11-20T11:00:00Z",
    }
    acme.call("PATCH", path, over)
    acme.call("PATCH", path, over)
    assert running() == 1
    with acme.services.deployment.store.read() as tx:
        found = tx.sessions.search(cpos=("NLCPX", "NLCPY"))
    assert sorted((s.external_id, s.others, s.energy_wh) for s in found) == [
        ("S-1", 0, 12500),
        ("S-2", 1, None),
    ]


# --- theirs, asked -------------------------------------------------------------------------------


def _ask(services: Services, uid: str = "04A1B2C3D4E5F6") -> Authorised:
    check = ContractCheck(token=uid, token_type="ISO14443", evse_id="DE*ABC*E1", station_id=None)
    cpo = Principal(name="csms", role=Role.CPO, parties=(CPO,))
    return authorize.authorize(services.deployment, services.roaming, cpo, check)


@pytest.fixture
def asked(ours: Ours, partner: MockPartner) -> Ours:
    """A partner whose driver, with whitelist NEVER or ALLOWED_OFFLINE, is asked about."""
    partner.endpoint("tokens", "SENDER")
    theirs = registered(ours, partner)
    agree(ours.services, CPO, "NLEMX")
    theirs.call("PUT", THEIRS, PARTNER_TOKEN | {"whitelist": "ALLOWED_OFFLINE"})
    return theirs


def test_an_emsp_partner_is_asked_and_its_reference_is_kept(
    asked: Ours, partner: MockPartner
) -> None:
    partner.allowed = {"allowed": "ALLOWED", "authorization_reference": "THEIRS-1"}
    told = _ask(asked.services).authorisation
    assert (told.allowed, told.asked, told.emsp_reference) == (
        Allowed.ALLOWED,
        "answered",
        "THEIRS-1",
    )
    [question] = partner.calls("POST", "/sender/tokens/04A1B2C3D4E5F6/authorize")
    assert question.query == {"type": "RFID"}
    assert question.headers["ocpi-from-party-id"] == "ABC"
    assert question.headers["ocpi-to-party-id"] == "EMX"
    assert len(question.headers["x-request-id"]) == 36


def test_what_the_emsp_answers_counts(asked: Ours, partner: MockPartner) -> None:
    partner.allowed = {"allowed": "NO_CREDIT", "info": {"language": "en", "text": "Pay."}}
    told = _ask(asked.services).authorisation
    assert (told.allowed, told.fault) == (Allowed.NO_CREDIT, AuthorisationFault.EMSP_REFUSED)
    partner.allowed = {"allowed": "404"}
    told = _ask(asked.services).authorisation
    assert told.fault is AuthorisationFault.CREDENTIAL_UNKNOWN


@pytest.mark.parametrize(
    "fault", ["garbage", "error500", "redirect", "huge", "no-code", "refuses", "deep"]
)
def test_nonsense_is_silence_and_the_whitelist_rule_decides(
    asked: Ours, partner: MockPartner, fault: str
) -> None:
    partner.fault = fault
    told = _ask(asked.services).authorisation
    assert (told.allowed, told.asked) == (Allowed.ALLOWED, "failed")
    assert told.fallback == "ALLOWED_OFFLINE"
    change = {"whitelist": "NEVER", "last_updated": "2026-11-22T00:00:00Z"}
    asked.call("PATCH", THEIRS, change)
    told = _ask(asked.services).authorisation
    assert (told.allowed, told.fault) == (Allowed.NOT_ALLOWED, AuthorisationFault.EMSP_SILENT)


def test_a_slow_emsp_is_given_up_in_its_time(asked: Ours, partner: MockPartner) -> None:
    partner.fault = "slow"
    way = OcpiAsk(asked.network)
    with pytest.raises(Unavailable) as caught:
        way.ask(_question(), 0.2)
    assert caught.value.code == "outbound_timeout"


def _question(**more: Any) -> EmspQuestion:
    values: dict[str, Any] = {
        "emsp": "NLEMX",
        "hub": None,
        "kind": CredentialKind.EMAID,
        "uid": OTHER_EMAID,
        "presented": OTHER_EMAID,
        "contract": None,
        "cpo": CPO,
        "evse_id": None,
        "station_id": None,
        "reference": "r",
    }
    return EmspQuestion(**(values | more))


def test_a_hub_is_asked_by_name_or_left_to_find_the_emsp_by_the_emaid(
    ours: Ours, partner: MockPartner
) -> None:
    partner.roles.clear()
    partner.role("HUB", "NLHUB")
    partner.endpoint("tokens", "SENDER")
    theirs = registered(ours, partner)
    client = {
        "country_code": "FR",
        "party_id": "EMF",
        "role": "EMSP",
        "status": "CONNECTED",
        "last_updated": "2026-11-20T10:00:00Z",
    }
    theirs.call("PUT", "/ocpi/2.2.1/hub/hubclientinfo/FR/EMF", client)
    way = OcpiAsk(ours.network)
    assert way.reaches("FREMF", None)
    assert way.reaches("XXYYY", "NLHUB")
    assert not way.reaches("XXYYY", None)
    assert not way.reaches("FREMF", "NLOTH")
    way.ask(_question(emsp="FREMF", hub="NLHUB"), 5)
    way.ask(_question(emsp="XXYYY", hub="NLHUB"), 5)
    named, open_ = partner.calls("POST", f"/sender/tokens/{OTHER_EMAID}/authorize")
    assert named.headers["ocpi-to-party-id"] == "EMF"
    assert "ocpi-to-party-id" not in open_.headers
    assert named.query == {"type": "OTHER"}
    offline = client | {"status": "OFFLINE", "last_updated": "2026-11-20T10:00:01Z"}
    theirs.call("PUT", "/ocpi/2.2.1/hub/hubclientinfo/FR/EMF", offline)
    with pytest.raises(Unavailable) as caught:
        OcpiAsk(ours.network).ask(_question(emsp="FREMF"), 5)
    assert caught.value.code == "partner_offline"
    with pytest.raises(Unavailable) as caught:
        way.ask(_question(emsp="XXYYY"), 5)
    assert caught.value.code == "partner_unreachable"


def test_what_is_known_of_partners_is_read_anew_after_a_while(
    ours: Ours, partner: MockPartner
) -> None:
    seconds = [0.0]
    way = OcpiAsk(ours.network, lambda: seconds[0])
    assert not way.reaches("NLEMX", None)
    partner.endpoint("tokens", "SENDER")
    registered(ours, partner)
    assert not way.reaches("NLEMX", None)
    seconds[0] = 5.0
    assert way.reaches("NLEMX", None)
    registry.suspend(ours.network, ADMIN, "acme")
    seconds[0] = 10.0
    assert not way.reaches("NLEMX", None)


def test_an_answer_in_a_list_of_one_is_taken(asked: Ours, partner: MockPartner) -> None:
    partner.wrap = True
    assert _ask(asked.services).authorisation.asked == "answered"


def test_unknown_at_the_partner_is_no_outage(asked: Ours, partner: MockPartner) -> None:
    partner.allowed = {"allowed": "404"}
    with pytest.raises(NotFound):
        OcpiAsk(asked.network).ask(_question(), 5)


# --- pushes --------------------------------------------------------------------------------------


class Later:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.at = SystemClock().now()

    def now(self) -> dt.datetime:
        return self.at

    def move(self, seconds: int = 5) -> None:
        self.at += dt.timedelta(seconds=seconds)


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def pushing(services: Services, partner: MockPartner, later: Later) -> Iterator[Ours]:
    """A partner that wants to hear of our tokens; what was before is not told."""
    partner.endpoint("tokens", "RECEIVER")
    registered(invited(services), partner)
    with opened(services.settings.home, clock=_as_clock(later)) as running:
        assert push_due(running.partners) == 0
        later.move()
        yield Ours(running, create_app(running), "")


def _as_clock(later: Later) -> Clock:
    return later


def pushed(partner: MockPartner) -> list[tuple[str, bool]]:
    return [(s.path, s.body["valid"]) for s in partner.seen if s.method == "PUT"]


def test_a_change_is_pushed_once_after_its_commit(
    pushing: Ours, partner: MockPartner, later: Later
) -> None:
    contracts.add(pushing.services.deployment, ADMIN, EMAID)
    assert push_due(pushing.network) == 0  # it may still be under way
    later.move()
    place = f"/receiver/tokens/DE/MOA/{EMAID}"
    assert push_due(pushing.network) == 1
    assert pushed(partner) == [(place, True)]
    assert partner.calls("PUT", place)[0].query == {"type": "OTHER"}
    later.move()
    assert push_due(pushing.network) == 0
    contracts.set_state(pushing.services.deployment, ADMIN, EMAID, ContractState.BLOCKED)
    for _ in range(3):
        push_due(pushing.network)
        later.move()
    assert pushed(partner) == [(place, True), (place, False)]


@pytest.mark.parametrize("fault", ["error500", "garbage", "refuses"])
def test_a_push_that_fails_is_dropped(
    pushing: Ours, partner: MockPartner, later: Later, fault: str
) -> None:
    contracts.add(pushing.services.deployment, ADMIN, EMAID)
    later.move()
    partner.fault = fault
    assert push_due(pushing.network) == 0
    assert len([s for s in partner.seen if s.method == "PUT"]) == 1
    partner.fault = ""
    later.move()
    assert push_due(pushing.network) == 0


def test_pushes_go_to_partners_that_deal_with_the_emsp_and_receive(
    services: Services, partner: MockPartner, later: Later
) -> None:
    registered(invited(services), partner)  # offers no receiver
    with opened(services.settings.home, clock=_as_clock(later)) as running:
        push_due(running.partners)
        contracts.add(running.deployment, ADMIN, EMAID)
        later.move()
        assert push_due(running.partners) == 0
    assert pushed(partner) == []


def test_a_cursor_is_a_place_and_no_permission(acme: Ours) -> None:
    for n in range(3):
        card(acme.services, f"04{n:02X}", n)
    answer = acme.call("GET", f"{OWN}?limit=1")
    link = answer.headers["Link"].partition(">")[0].removeprefix("<")
    query = dict(parse_qsl(urlsplit(link).query))
    assert set(query) == {"offset", "limit", "after"}
    assert ocpi_code(acme.call("GET", f"{OWN}?after=x")) == (200, 2001)


def test_several_ask_at_a_time(asked: Ours) -> None:
    way = OcpiAsk(asked.network)
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(way.reaches("NLEMX", None))) for _ in range(4)
    ]
    way.reaches("NLEMX", None)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_an_emsp_with_another_party_id_is_known_by_it(
    services: Services, partner: MockPartner
) -> None:
    with services.deployment.store.write() as tx:
        tx.roaming.put_emsp(Emsp(provider_id=ProviderId(value=EMSP), party_id="DEXYZ"))
    acme = registered(invited(services), partner)
    card(services, "04AA")
    [token] = _walk(acme, OWN)
    assert (token["country_code"], token["party_id"]) == ("DE", "XYZ")


@pytest.mark.parametrize(
    "place",
    [
        "WzI0OTk5OTk5OTk5OTk5OTk5OSwiYyIsMV0",  # late in the year 9892
        "WzI1MDAwMDAwMDAwMDAwMDAwMCwiYyIsMV0",  # later than a time can be
        "Wy0xLCJjIiwxXQ",  # before 1970
        "WzEsIlx1MDAwMCIsMV0",  # a key with a NUL
        "WzEsIlx1ZDgwMCIsMV0",  # half a character
    ],
)
def test_no_cursor_that_somebody_made_up_breaks_a_pull(acme: Ours, place: str) -> None:
    assert ocpi_code(acme.call("GET", f"{OWN}?after={place}")) in ((200, 1000), (200, 2001))


@pytest.mark.parametrize("form", ["tokens/", "tokens//"])
def test_addresses_may_be_appended_to_with_a_slash_or_without(acme: Ours, form: str) -> None:
    path = THEIRS.replace("tokens/", form)
    assert ocpi_code(acme.call("PUT", path, PARTNER_TOKEN)) == (200, 1000)
    assert data(acme.call("GET", OWN + "/")) == []


def test_the_contract_ids_of_the_vectors_are_emaids_however_they_are_written(
    vectors: Path,
) -> None:
    document = json.loads((vectors / "ocpi" / "contract_ids.json").read_text("utf-8"))
    for case in document["contract_ids"]:
        kinds = kinds_of("OTHER", case["input"])
        assert (CredentialKind.EMAID in kinds) is case["valid_syntax"], case["id"]
        if case["valid_syntax"]:
            assert uid_of(CredentialKind.EMAID, case["input"]) == case["canonical_14"]
    for case in document["same_contract"]:
        uids = {uid_of(CredentialKind.EMAID, value) for value in case["values"]}
        assert (len(uids) == 1) is case["same"], case["id"]


def test_a_push_to_a_hub_is_addressed_to_the_hub_which_tells_everybody(
    services: Services, partner: MockPartner, later: Later
) -> None:
    partner.roles.clear()
    partner.role("HUB", "NLHUB")
    partner.endpoint("tokens", "RECEIVER")
    registered(invited(services), partner)
    with opened(services.settings.home, clock=_as_clock(later)) as running:
        push_due(running.partners)
        later.move()
        contracts.add(running.deployment, ADMIN, EMAID)
        later.move()
        assert push_due(running.partners) == 1
    [sent] = [s for s in partner.seen if s.method == "PUT"]
    assert sent.headers["ocpi-to-party-id"] == "HUB"
    assert sent.headers["ocpi-from-party-id"] == "MOA"
