"""Traps of OCPI that no other test walks into: one by one, as they are known from the field."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

from pki.partners import handshake, hub, resync
from pki.partners.push import push_due
from tests.homes import ADMIN
from tests.roaming.conftest import Ours, invited, ocpi_code, registered
from tests.roaming.mock_partner import MockPartner, mock_partner
from tests.roaming.samples import CDR, TARIFF
from tests.roaming.test_intake import BASE, TARIFFS, data, demoa, hubbed, put
from tests.roaming.test_tokens import OWN, PARTNER_TOKEN, THEIRS, card

__all__ = ["hubbed"]  # a fixture

TO = ("ocpi-to-country-code", "ocpi-to-party-id", "ocpi-from-country-code", "ocpi-from-party-id")


def test_a_client_without_the_modules_that_are_needed_is_told_3003(
    ours: Ours, partner: MockPartner
) -> None:
    partner.endpoint("tokens", "SENDER")
    partner.no_credentials = True
    answer = ours.call("POST", "/ocpi/2.2.1/credentials", partner.credentials("token-b"))
    assert ocpi_code(answer) == (200, 3003)


def test_the_token_of_the_printed_samples_ends_in_a_newline_and_is_taken(acme: Ours) -> None:
    header = "Token " + base64.b64encode(f"{acme.token}\n".encode()).decode()
    answer = acme.app.test_client().get("/ocpi/versions", headers={"Authorization": header})
    assert ocpi_code(answer) == (200, 1000)


def test_routing_headers_go_with_functional_modules_alone(
    hubbed: Ours, partner: MockPartner
) -> None:
    partner.endpoint("tokens", "SENDER")
    partner.endpoint("tokens", "RECEIVER")
    handshake.rotate(hubbed.network, ADMIN, "acme")
    hub.pull(hubbed.network, hubbed.partner())
    resync.sync(hubbed.network, ADMIN, "acme")
    plain = ("/versions", "/details", "/credentials", "/sender/hubclientinfo")
    asked = [seen for seen in partner.seen if seen.path in plain]
    assert {seen.path for seen in asked} == set(plain)
    assert [name for seen in asked for name in TO if name in seen.headers] == []
    assert push_due(hubbed.network) == 0
    ids = [seen.headers["x-request-id"] for seen in partner.seen]
    assert len(ids) == len(set(ids))  # new for every request
    assert all(seen.headers["x-correlation-id"] for seen in partner.seen)


def test_a_put_takes_away_what_it_leaves_out(acme: Ours) -> None:
    acme.call("PUT", THEIRS, PARTNER_TOKEN | {"group_id": "fleet", "language": "de"})
    fewer = {k: v for k, v in PARTNER_TOKEN.items() if k != "visual_number"}
    later = fewer | {"last_updated": "2026-11-21T00:00:00Z"}
    assert put(acme, THEIRS, later) == (200, 1000)
    assert data(acme, THEIRS) == later
    assert put(acme, TARIFFS, TARIFF | {"min_price": {"excl_vat": 1}}) == (200, 1000)
    newer = TARIFF | {"last_updated": "2026-02-01T00:00:00Z"}
    assert put(acme, TARIFFS, newer) == (200, 1000)
    assert data(acme, TARIFFS) == newer


def test_tariffs_know_no_patch_and_cdrs_neither_put_nor_patch(acme: Ours) -> None:
    put(acme, TARIFFS, TARIFF)
    assert ocpi_code(acme.call("PATCH", TARIFFS, {"currency": "CHF"})) == (405, 2000)
    acme.call("POST", f"{BASE}/cdrs", demoa(CDR))
    for method in ("PUT", "PATCH", "DELETE"):
        answer = acme.call(method, f"{BASE}/cdrs/NL/CPX/CDR-1", demoa(CDR))
        assert ocpi_code(answer) == (405, 2000)


def test_a_credit_cdr_may_have_three_characters_more(acme: Ours) -> None:
    acme.call("POST", f"{BASE}/cdrs", demoa(CDR))
    credit = demoa(CDR) | {"id": "C" * 39, "credit": True, "credit_reference_id": "CDR-1"}
    assert ocpi_code(acme.call("POST", f"{BASE}/cdrs", credit)) == (201, 1000)
    longer = credit | {"id": "C" * 40}
    assert ocpi_code(acme.call("POST", f"{BASE}/cdrs", longer)) == (200, 2001)


def test_a_link_repeats_every_filter_and_the_server_s_limit_is_told(acme: Ours) -> None:
    for n in range(5):
        card(acme.services, f"04{n:02X}", n)
    asked = "date_from=2026-01-01T00:00:01&date_to=2026-01-01T00:00:04.000Z"
    answer = acme.call("GET", f"{OWN}?{asked}&limit=2")
    assert [t["uid"] for t in (answer.json or {})["data"]] == ["0401", "0402"]  # `to` is exclusive
    assert (answer.headers["X-Total-Count"], answer.headers["X-Limit"]) == ("3", "1000")
    link = answer.headers["Link"]
    assert link.endswith('; rel="next"')
    query = parse_qs(urlsplit(link.partition(">")[0].removeprefix("<")).query)
    assert query["date_from"] == ["2026-01-01T00:00:01Z"]
    assert query["date_to"] == ["2026-01-01T00:00:04Z"]
    assert (query["limit"], query["offset"]) == (["2"], ["2"])
    last = acme.call("GET", f"{OWN}?{asked}&limit=2&offset=2")
    assert "Link" not in last.headers
    assert last.headers["X-Limit"] == "1000"


def test_the_party_of_a_role_need_not_begin_the_ids_of_its_evses(acme: Ours) -> None:
    with mock_partner() as other:
        other.role("CPO", "NLCPY")
        theirs = registered(invited(acme.services, "other"), other)
    card(acme.services, "04AA")
    place = {"location_id": "L1", "evse_uids": ["NL*XXX*E1"]}  # no range says that it is NLCPY's
    answer = theirs.call("POST", f"{OWN}/04AA/authorize", place)
    assert (answer.json or {})["data"]["allowed"] == "NOT_ALLOWED"
