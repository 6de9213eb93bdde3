"""OCPI text, tokens of headers, envelopes, pages and shapes, read from whatever a peer sends."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.roaming.ocpi import paging, parties, text, versions
from pki.roaming.ocpi.charging import CDRS, SESSIONS
from pki.roaming.ocpi.commands import Command, CommandRequest
from pki.roaming.ocpi.credentials import Credentials
from pki.roaming.ocpi.envelope import Envelope, envelope
from pki.roaming.ocpi.paging import Cursor, PageRequest
from pki.roaming.ocpi.parties import ClientInfo, PartyKey, Routing
from pki.roaming.ocpi.tariffs import TARIFFS
from pki.roaming.ocpi.tokens import (
    Allowed,
    AuthorizationInfo,
    LocationReferences,
    Token,
    TokenType,
    patched,
    token_type,
)
from pki.roaming.ocpi.versions import InterfaceRole, Module, Version
from tests.roaming.samples import CDR, SESSION, TARIFF, TOKEN, changed

UTC = dt.UTC
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
V2, V3 = Version.V2_2_1, Version.V2_3_0


def refusal(read: Callable[[], object]) -> str | None:
    """Return the code with which a reader refuses, or None where it reads."""
    try:
        read()
    except BadInput as error:
        return error.code
    return None


def code(error: pytest.ExceptionInfo[BadInput]) -> tuple[str, object]:
    return error.value.code, error.value.data.get("field")


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        ("2026-11-24T20:00:00Z", 0),
        ("2026-11-24T20:00:00", 0),
        ("2026-11-24T20:00:00.5Z", 500_000),
        ("2026-11-24T20:00:00.123Z", 123_000),
        ("2026-11-24T20:00:00.1234", 123_400),
    ],
)
def test_a_time_has_a_z_or_no_zone_and_may_have_a_fraction(written: str, micros: int) -> None:
    assert text.parse_time(written) == dt.datetime(2026, 11, 24, 20, 0, 0, micros, UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-24T20:00:00+00:00",
        "2026-11-24T20:00:00+01:00",
        "2026-11-24 20:00:00Z",
        "2026-11-24",
        "2026-13-24T20:00:00Z",
        "2026-02-30T20:00:00Z",
        "2026-11-24T24:01:00Z",
        "2026-11-24T20:00:00.12345678Z",
        "20261124T200000Z",
        "٢٠٢٦-11-24T20:00:00Z",
        "",
        "2026-11-24T20:00:00Z\n",
    ],
)
def test_other_times_are_refused(written: str) -> None:
    with pytest.raises(BadInput) as caught:
        text.parse_time(written, "last_updated")
    assert code(caught) == ("ocpi_invalid_time", "last_updated")


@given(st.datetimes(min_value=dt.datetime(1970, 1, 1), max_value=dt.datetime(2200, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_written_time_is_read_again_to_the_millisecond(naive: dt.datetime) -> None:
    value = naive.replace(tzinfo=UTC, microsecond=naive.microsecond // 1000 * 1000)
    written = text.format_time(value)
    assert len(written) <= text.MAX_TIME
    assert text.parse_time(written) == value


# --- tokens of headers ---------------------------------------------------------------------------


def test_a_header_is_read_encoded_raw_and_with_the_newline_of_the_samples() -> None:
    encoded = base64.b64encode(b"pnc_secret-1\n").decode()
    assert text.tokens_of(f"Token {encoded}")[0] == "pnc_secret-1"
    assert text.tokens_of("Token pnc_secret-1") == ("pnc_secret-1",)
    assert text.tokens_of("token   pnc_secret-1 ") == ("pnc_secret-1",)


def test_a_raw_token_that_could_be_base64_is_tried_both_ways() -> None:
    raw = base64.b64encode(b"inner").decode()
    assert text.tokens_of(f"Token {raw}") == ("inner", raw)


@pytest.mark.parametrize(
    "header", ["", "Token", "Token ", "Bearer abc", "Basic abc", "Token " + "a" * 500, "Token a b"]
)
def test_other_headers_name_no_token(header: str) -> None:
    assert text.tokens_of(header) == ()


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64))
def test_every_token_arrives_however_it_is_sent(token: str) -> None:
    assert text.tokens_of(text.encode_token(token))[0] == token
    assert token in text.tokens_of(text.encode_token(token, raw=True))


@given(st.text())
def test_no_header_breaks_the_reader(header: str) -> None:
    for token in text.tokens_of(header):
        assert text.checked_token(token) == token


@pytest.mark.parametrize("token", ["", "a" * 65, "with blank", "ümlaut", "line\n"])
def test_a_credentials_token_has_64_printable_characters_at_most(token: str) -> None:
    with pytest.raises(BadInput) as caught:
        text.checked_token(token)
    assert caught.value.code == "ocpi_invalid_token"
    assert not token or token not in str(caught.value)


# --- envelope and pages --------------------------------------------------------------------------


def test_an_envelope_is_read_again() -> None:
    now = dt.datetime(2026, 11, 24, tzinfo=UTC)
    body = envelope(now, [1], message="m" * 300)
    assert body["timestamp"] == "2026-11-24T00:00:00Z"
    read = Envelope.parse(json.loads(json.dumps(body)))
    assert (read.status, read.data, read.good) == (1000, [1], True)
    assert read.message == "m" * 255
    assert not Envelope.parse({"status_code": 2001}).good


@given(JSON)
def test_an_answer_is_an_envelope_or_is_refused(body: Any) -> None:
    assert refusal(lambda: Envelope.parse(body)) in (None, "ocpi_no_envelope")


@given(
    st.builds(
        PageRequest,
        date_from=st.none() | st.just(dt.datetime(2026, 1, 1, tzinfo=UTC)),
        date_to=st.none() | st.just(dt.datetime(2027, 1, 1, tzinfo=UTC)),
        offset=st.integers(0, 10**9),
        limit=st.integers(1, paging.MAX_LIMIT),
        after=st.none()
        | st.builds(
            Cursor, updated=st.integers(0, 1 << 57), key=st.text(), total=st.integers(0, 1 << 61)
        ),
    )
)
def test_a_link_repeats_what_was_asked(request: PageRequest) -> None:
    headers = paging.page_headers("https://a.example/x", 7, request)
    link = paging.next_link(headers["Link"])
    assert link is not None
    query = dict(parse_qsl(urlsplit(link).query))
    assert PageRequest.read(query) == request


def test_the_last_page_has_no_link_and_a_limit_is_cut_to_ours() -> None:
    assert paging.page_headers("https://a.example/x", 7, None) == {
        "X-Total-Count": "7",
        "X-Limit": "1000",
    }
    assert PageRequest.read({"limit": "5000"}).limit == paging.MAX_LIMIT


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"offset": "-1"}, "offset"),
        ({"offset": "x"}, "offset"),
        ({"limit": "0"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"after": "AAAA"}, "after"),
        ({"after": "é"}, "after"),
        ({"date_from": "yesterday"}, "date_from"),
        ({"date_to": "2026-01-01T00:00:00+00:00"}, "date_to"),
    ],
)
def test_a_broken_parameter_is_named(query: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        PageRequest.read(query)
    assert caught.value.data["field"] == field


@given(st.text(max_size=200))
def test_no_cursor_breaks_the_reader(cursor: str) -> None:
    assert refusal(lambda: Cursor.read(cursor)) in (None, "ocpi_invalid_value")


def test_a_next_page_must_lie_where_the_first_did() -> None:
    here = "https://a.example/tokens"
    assert paging.next_of(here, "https://A.example/tokens?offset=2").endswith("offset=2")
    for elsewhere in ("https://b.example/tokens", "http://a.example/tokens", "//evil", "/tokens"):
        with pytest.raises(BadInput) as caught:
            paging.next_of(here, elsewhere)
        assert caught.value.code == "ocpi_foreign_link"


@given(st.text())
def test_no_link_header_breaks_the_reader(header: str) -> None:
    paging.next_link(header)


# --- versions, parties, credentials --------------------------------------------------------------


def test_the_newest_common_version_is_taken() -> None:
    listed = versions.parse_versions(
        [
            {"version": "2.1.1", "url": "https://a.example/2.1.1"},
            {"version": "2.2.1", "url": "https://a.example/2.2.1"},
            {"version": "9.9", "url": "https://a.example/9.9", "more": 1},
        ]
    )
    assert versions.best(listed) == (V2, "https://a.example/2.2.1")
    with pytest.raises(BadInput) as caught:
        versions.best({"2.1.1": "https://a.example"})
    assert caught.value.code == "ocpi_no_common_version"


def test_the_role_of_the_credentials_endpoint_has_no_meaning() -> None:
    rows = [
        {"identifier": "credentials", "role": "RECEIVER", "url": "https://a.example/c/"},
        {"identifier": "tokens", "role": "receiver", "url": "https://a.example/t"},
        {"identifier": "nltnm-hello", "role": "ODD", "url": "https://a.example/h"},
    ]
    found = versions.parse_details({"version": "2.2.1", "endpoints": rows})
    credentials = versions.find(found, Module.CREDENTIALS, InterfaceRole.SENDER)
    assert credentials == "https://a.example/c/"
    assert versions.find(found, Module.TOKENS, InterfaceRole.RECEIVER) == "https://a.example/t"
    assert versions.find(found, Module.TOKENS, InterfaceRole.SENDER) is None
    assert len(found) == 2
    with pytest.raises(BadInput) as caught:
        versions.parse_details({"version": "2.2.1", "endpoints": rows[1:]})
    assert caught.value.code == "ocpi_endpoints_missing"


def test_our_details_list_the_modules_of_our_roles() -> None:
    both = versions.details_json("https://pki.example/ocpi", V3, frozenset(("cpo", "emsp")))
    found = versions.parse_details(both)
    assert versions.find(found, Module.TOKENS, InterfaceRole.SENDER) == (
        "https://pki.example/ocpi/2.3.0/emsp/tokens/"
    )
    emsp = versions.parse_details(versions.details_json("https://x.example", V3, frozenset()))
    assert [e.identifier for e in emsp] == ["credentials"]


def test_routing_headers_come_in_pairs_and_turn_round_in_the_answer() -> None:
    sent = {
        "OCPI-to-country-code": "de",
        "OCPI-to-party-id": "8aa",
        "OCPI-from-country-code": "NL",
        "OCPI-from-party-id": "CPX",
    }
    routing = Routing.read(sent.get)
    assert (str(routing.to), str(routing.sender)) == ("DE8AA", "NLCPX")
    assert routing.answer().headers()["OCPI-to-party-id"] == "CPX"
    assert Routing.read(lambda _: None) == Routing()
    with pytest.raises(BadInput) as caught:
        Routing.read({"OCPI-to-party-id": "8AA"}.get)
    assert code(caught) == ("ocpi_field_missing", "OCPI-to-country-code")
    with pytest.raises(BadInput):
        Routing.read((sent | {"OCPI-to-party-id": "8AAA"}).get)


def _credentials(**more: Any) -> dict[str, Any]:
    role = {
        "role": "CPO",
        "party_id": "cpx",
        "country_code": "nl",
        "business_details": {"name": "CPX"},
    }
    return {"token": "abc", "url": "https://a.example/versions", "roles": [role]} | more


def test_credentials_are_read_folded_and_their_token_does_not_show() -> None:
    read = Credentials.parse(_credentials(unknown={"x": 1}))
    assert [str(r.key) for r in read.roles] == ["NLCPX"]
    assert "abc" not in repr(read)
    assert Credentials.parse(json.loads(json.dumps(read.to_json()))) == read
    assert read.hub_key() is None


def test_a_hub_says_so_by_its_role_or_by_its_field() -> None:
    hub = _credentials()["roles"][0] | {"role": "HUB"}
    assert Credentials.parse(_credentials(roles=[hub])).hub_key() == PartyKey.parse("NLCPX")
    assert Credentials.parse(_credentials(hub_party_id="nlhub")).hub_key() == PartyKey.parse(
        "NLHUB"
    )


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"token": "a b"}, ("ocpi_invalid_token", "token")),
        ({"token": None}, ("ocpi_field_missing", "token")),
        ({"url": "ftp://a.example"}, ("ocpi_invalid_url", "url")),
        ({"url": "https://a.example/" + "a" * 250}, ("ocpi_too_long", "url")),
        ({"roles": []}, ("ocpi_wrong_count", "roles")),
        ({"roles": [1]}, ("ocpi_wrong_type", "roles[0]")),
        ({"roles": [{"role": "CPO"}]}, ("ocpi_field_missing", "roles[0].party_id")),
    ],
)
def test_broken_credentials_are_told_by_field(
    more: dict[str, Any], wanted: tuple[str, str]
) -> None:
    with pytest.raises(BadInput) as caught:
        Credentials.parse(_credentials(**more))
    assert code(caught) == wanted


def test_a_hubs_word_about_a_client_is_read() -> None:
    body = {
        "party_id": "CPX",
        "country_code": "NL",
        "role": "SOMETHING_NEW",
        "status": "OFFLINE",
        "last_updated": "2026-11-24T20:00:00Z",
    }
    info = ClientInfo.parse(body)
    assert info.role is parties.PartyRole.OTHER
    assert ClientInfo.parse(info.to_json()) == info
    with pytest.raises(BadInput) as caught:
        ClientInfo.parse(body | {"status": "GONE"})
    assert code(caught) == ("ocpi_invalid_value", "status")


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_comes_back_as_it_was_and_forgets_what_nobody_knows() -> None:
    read = Token.parse(TOKEN | {"novel": 1}, V2)
    assert read.to_json(V2) == TOKEN
    assert str(read.owner) == "DEEMP"


def test_emaid_is_a_type_of_2_3_0_only() -> None:
    emaid = TOKEN | {"type": "EMAID"}
    token = Token.parse(emaid, V3)
    assert token.to_json(V3)["type"] == "EMAID"
    assert token.to_json(V2)["type"] == "OTHER"
    assert token.to_json(V2, TokenType.RFID)["type"] == "RFID"
    with pytest.raises(BadInput) as caught:
        Token.parse(emaid, V2)
    assert code(caught) == ("ocpi_invalid_value", "type")
    novel = Token.parse(TOKEN | {"type": "PALM"}, V3)
    assert (novel.type, novel.to_json(V2)["type"]) == ("PALM", "OTHER")


def test_an_omitted_type_means_rfid() -> None:
    assert token_type(None) == token_type("rfid") == "RFID"
    with pytest.raises(BadInput):
        token_type("é")


def test_a_patch_needs_last_updated_and_cannot_rename() -> None:
    change = {"valid": False, "last_updated": "2026-12-01T00:00:00Z"}
    assert patched(TOKEN, change, V2) == TOKEN | change
    assert patched(TOKEN, change | {"uid": TOKEN["uid"].lower()}, V2) == TOKEN | change
    with pytest.raises(BadInput) as caught:
        patched(TOKEN, {"valid": False}, V2)
    assert code(caught) == ("ocpi_field_missing", "last_updated")
    with pytest.raises(BadInput) as caught:
        patched(TOKEN, change | {"uid": "other"}, V2)
    assert code(caught) == ("ocpi_ids_differ", "uid")
    with pytest.raises(BadInput):
        patched(TOKEN, change | {"valid": None}, V2)


def test_an_answer_about_a_token_is_read_again() -> None:
    place = LocationReferences(location_id="L1", evse_uids=("E1",))
    info = AuthorizationInfo(
        allowed=Allowed.NO_CREDIT, authorization_reference="A-1", location=place, info="Pay."
    )
    assert AuthorizationInfo.parse(info.to_json(TOKEN)) == info
    with pytest.raises(BadInput):
        AuthorizationInfo.parse({"allowed": "MAYBE"})
    with pytest.raises(BadInput):
        AuthorizationInfo.parse({"allowed": "ALLOWED", "authorization_reference": "a" * 37})


# --- every limit of every object -----------------------------------------------------------------

LIMITS: list[tuple[str, dict[str, Any], Any, str, int]] = [
    (name, sample, shapes, path, limit)
    for name, sample, shapes, limits in (
        (
            "session",
            SESSION,
            SESSIONS,
            {"id": 36, "location_id": 36, "evse_uid": 36, "connector_id": 36, "meter_id": 255,
             "authorization_reference": 36, "cdr_token.uid": 36, "cdr_token.contract_id": 36},
        ),
        (
            "cdr",
            CDR,
            CDRS,
            {"id": 39, "session_id": 36, "authorization_reference": 36, "remark": 255,
             "cdr_location.id": 36, "cdr_location.address": 255, "cdr_location.city": 45,
             "cdr_location.evse_id": 48, "signed_data.encoding_method": 36,
             "signed_data.public_key": 512, "credit_reference_id": 39},
        ),
        ("tariff", TARIFF, TARIFFS, {"id": 36}),
    )
    for path, limit in limits.items()
]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "shapes", "path", "limit"),
    [case[1:] for case in LIMITS],
    ids=[f"{c[0]}-{c[3]}" for c in LIMITS],
)
def test_a_field_may_be_as_long_as_its_limit_and_no_longer(
    sample: dict[str, Any], shapes: Any, path: str, limit: int
) -> None:
    for version in Version:
        body = for_version(sample, version)
        shapes[version].check(changed(body, path, "x" * limit))
        with pytest.raises(BadInput) as caught:
            shapes[version].check(changed(body, path, "x" * (limit + 1)))
        assert code(caught) == ("ocpi_too_long", path)


def for_version(sample: dict[str, Any], version: Version) -> dict[str, Any]:
    """Return a sample with the prices of a version."""
    body = copy.deepcopy(sample)
    for name in [n for n in body if n.endswith("_cost")]:
        if version is V3:
            body[name] = {"before_taxes": body[name]["excl_vat"], "taxes": []}
    if version is V3 and "elements" in body:
        body["tax_included"] = "NO"
    for tariff in body.get("tariffs", []):
        if version is V3:
            tariff["tax_included"] = "NO"
    return body


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    ("sample", "shapes"), [(SESSION, SESSIONS), (CDR, CDRS), (TARIFF, TARIFFS)]
)
def test_each_needed_field_is_missed(sample: dict[str, Any], shapes: Any, version: Version) -> None:
    body = for_version(sample, version)
    shapes[version].check(body)
    needed = [f.name for f in shapes[version].fields if f.needed]
    assert len(needed) > 5
    for name in needed:
        for without in ({**body, name: None}, {k: v for k, v in body.items() if k != name}):
            with pytest.raises(BadInput) as caught:
                shapes[version].check(without)
            assert code(caught) == ("ocpi_field_missing", name)
    shapes[version].check({"id": "X"}, partial=True)


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        ("kwh", "12.5", "ocpi_wrong_type"),
        ("kwh", True, "ocpi_wrong_type"),
        ("kwh", 1e300, "ocpi_number_too_large"),
        ("currency", "EURO", "ocpi_invalid_value"),
        ("status", "RESERVED", "ocpi_invalid_value"),
        ("start_date_time", "2026-01-01T00:00:00+00:00", "ocpi_invalid_time"),
        ("country_code", "DEU", "ocpi_invalid_value"),
        ("id", "ümlaut", "ocpi_invalid_characters"),
        ("id", "", "ocpi_invalid_characters"),
        ("meter_id", "a\x00b", "ocpi_invalid_characters"),
        ("charging_periods", {}, "ocpi_wrong_type"),
        ("cdr_token", [], "ocpi_wrong_type"),
    ],
)
def test_a_value_of_another_kind_is_told_by_field(path: str, value: Any, wanted: str) -> None:
    with pytest.raises(BadInput) as caught:
        SESSIONS[V2].check(changed(SESSION, path, value))
    assert code(caught) == (wanted, path)


@given(JSON)
def test_whatever_comes_is_an_object_or_bad_input(body: Any) -> None:
    readers: list[Any] = [
        Credentials.parse,
        ClientInfo.parse,
        AuthorizationInfo.parse,
        LocationReferences.parse,
        versions.parse_versions,
        versions.parse_details,
        lambda data: Token.parse(data, V2),
        lambda data: CommandRequest.parse(Command.START_SESSION, data, V2),
        SESSIONS[V2].check,
        CDRS[V3].check,
        TARIFFS[V3].check,
    ]
    for reader in readers:
        code = refusal(partial(reader, body))
        assert code is None or code.startswith(("ocpi_", "invalid_ocpi_"))


@given(st.sampled_from(sorted(TOKEN)), JSON)
def test_a_token_with_one_odd_field_is_read_or_bad_input(name: str, value: Any) -> None:
    for version in Version:
        try:
            token = Token.parse(TOKEN | {name: value}, version)
        except BadInput:
            continue
        assert Token.parse(token.to_json(version), version) == token


def test_commands_hold_what_they_need() -> None:
    body = {"response_url": "https://a.example/r/1", "token": TOKEN, "location_id": "L1"}
    start = CommandRequest.parse(Command.START_SESSION, body, V2)
    assert start.token is not None
    assert start.token.uid == TOKEN["uid"]
    for name in body:
        with pytest.raises(BadInput) as caught:
            CommandRequest.parse(Command.START_SESSION, {**body, name: None}, V2)
        assert code(caught) == ("ocpi_field_missing", name)
    stop = {"response_url": "https://a.example/r/1", "session_id": "S1"}
    assert CommandRequest.parse(Command.STOP_SESSION, stop, V2).session_id == "S1"


# --- vectors -------------------------------------------------------------------------------------


def test_the_records_of_the_vectors_keep_to_the_shape(vectors: Path) -> None:
    cases = json.loads((vectors / "ocpi" / "cdr_checks.json").read_text("utf-8"))["cases"]
    for case in cases:
        CDRS[V2].check(case["cdr"])
    assert len(cases) == 14
