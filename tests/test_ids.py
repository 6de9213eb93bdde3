"""Identifiers of parties, vehicles, stations and certificates; hostile text for every parser."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from pki.errors import BadInput
from pki.ids import (
    CpsName,
    DinEvcoId,
    Edition,
    Emaid,
    EvccId,
    EvseId,
    Fingerprint,
    OperatorId,
    Pcid,
    ProviderId,
    SeccId,
    SerialNumber,
    Wmi,
    quote,
)


def _iso2(text: str) -> Emaid:
    return Emaid.parse(text, Edition.ISO2)


def _iso20(text: str) -> Emaid:
    return Emaid.parse(text, Edition.ISO20)


def _pcid2(text: str) -> Pcid:
    return Pcid.parse(text, Edition.ISO2)


def _pcid20(text: str) -> Pcid:
    return Pcid.parse(text, Edition.ISO20)


PARSERS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "emaid_iso2": (_iso2, "invalid_emaid", "DE8AACA2B3C4D5"),
    "emaid_iso20": (_iso20, "invalid_emaid", "DE8AACA2B3C4D5678901"),
    "evco_id": (DinEvcoId.parse, "invalid_evco_id", "NLTNM0122045"),
    "provider_id": (ProviderId.parse, "invalid_provider_id", "DE8AA"),
    "operator_id": (OperatorId.parse, "invalid_operator_id", "DEABC"),
    "wmi": (Wmi.parse, "invalid_wmi", "WMI"),
    "pcid_iso2": (_pcid2, "invalid_pcid", "DE8PAA00003C4D58Y2"),
    "pcid_iso20": (_pcid20, "invalid_pcid", "DE8PAA00003C4D58Y2"),
    "evse_id": (EvseId.parse, "invalid_evse_id", "DEICEE45B78C"),
    "secc_id": (SeccId.parse, "invalid_secc_id", "DEICES00003C4D55787"),
    "evcc_id": (EvccId.parse, "invalid_evcc_id", "WMIV1234567890ABCDEX"),
    "common_name": (CpsName.parse, "invalid_common_name", "CPS LEAF"),
    "serial": (SerialNumber.parse, "invalid_serial", "3E8"),
    "fingerprint": (Fingerprint.parse, "invalid_fingerprint", "A" * 64),
}
EACH_PARSER = pytest.mark.parametrize("name", PARSERS)


def _refusal(parse: Callable[[str], object], text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse(text)
    return caught.value


# --- parties -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["DE*ABC", "DE-ABC", "DEABC", "de*abc"])
def test_operator_and_provider_ids_lose_case_and_separator(text: str) -> None:
    assert OperatorId.parse(text).value == "DEABC"
    assert str(ProviderId.parse(text)) == "DEABC"


@pytest.mark.parametrize("text", ["DE**ABC", "DE*AB", "DE*ABCD", "D1ABC", "DEAB*C", "DE ABC"])
def test_other_forms_of_operator_and_provider_ids_are_refused(text: str) -> None:
    assert _refusal(OperatorId.parse, text).code == "invalid_operator_id"
    assert _refusal(ProviderId.parse, text).code == "invalid_provider_id"


def test_an_operator_is_never_equal_to_a_provider() -> None:
    operator: object = OperatorId.parse("DEABC")
    assert operator != ProviderId.parse("DEABC")


def test_identifiers_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Wmi.parse("WMI").value = "XXX"  # type: ignore[misc]


# --- vehicles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", Edition)
def test_pcid_is_canonical_and_knows_its_maker(edition: Edition) -> None:
    pcid = Pcid.parse("de8-paa00003c4d58y-2", edition)
    assert pcid.value == "DE8PAA00003C4D58Y2"
    assert pcid.wmi == Wmi.parse("de8")


@pytest.mark.parametrize("length", [17, 18])
def test_iso2_pcid_has_17_or_18_characters(length: int) -> None:
    assert _pcid2("W" * length).value == "W" * length


@pytest.mark.parametrize(
    "text", ["W" * 16, "W" * 19, "-" + "W" * 17, "W" * 17 + "-", "WMI--" + "0" * 14]
)
def test_other_iso2_pcids_are_refused(text: str) -> None:
    assert _refusal(_pcid2, text).code == "invalid_pcid"


def test_iso20_pcid_has_17_to_64_characters() -> None:
    assert _pcid20("W" * 17) != _pcid20("W" * 64)
    assert _refusal(_pcid20, "W" * 16).code == "invalid_pcid"
    assert _refusal(_pcid20, "W" * 65).code == "invalid_pcid"


@pytest.mark.parametrize("text", ["WMIV1234567890ABCDEX", "wmi-v-1234567890abcde-x"])
def test_evccid_is_canonical_and_knows_its_maker(text: str) -> None:
    evcc = EvccId.parse(text)
    assert str(evcc) == "WMIV1234567890ABCDEX"
    assert evcc.wmi.value == "WMI"


@pytest.mark.parametrize(
    "text", ["WMIP" + "0" * 15, "WMIV" + "0" * 14, "WMIV" + "0" * 61, "0123456789AB"]
)
def test_other_evccids_are_refused(text: str) -> None:
    assert _refusal(EvccId.parse, text).code == "invalid_evcc_id"


def test_evccid_has_19_to_64_characters() -> None:
    assert len(EvccId.parse("WMIV" + "0" * 15).value) == 19
    assert len(EvccId.parse("WMIV" + "0" * 60).value) == 64


# --- charging stations ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["DE*ICE*E45B*78C", "de*ICEE45B78C", "DEICE*E45B*78c"])
def test_evse_ids_are_equal_whatever_their_separators(text: str) -> None:
    evse = EvseId.parse(text)
    assert evse == EvseId.parse("DEICEE45B78C")
    assert len({evse, EvseId.parse("DEICEE45B78C")}) == 1
    assert str(evse) == text.upper()
    assert evse.operator == OperatorId.parse("DE*ICE")


@pytest.mark.parametrize("text", ["DE*ICE*E" + "1" * 31, "DEICEE1"])
def test_evse_ids_at_both_limits_are_read(text: str) -> None:
    assert EvseId.parse(text).value == text


@pytest.mark.parametrize(
    "text",
    ["DE*ICE*E", "DE*ICE*E*1", "DE*ICE*E" + "1" * 32, "DE*ICE*S45B", "DE-ICE-E45B", "DE**ICE*E1"],
)
def test_other_evse_ids_are_refused(text: str) -> None:
    assert _refusal(EvseId.parse, text).code == "invalid_evse_id"


def test_din_evse_id_keeps_its_separators_and_names_no_operator() -> None:
    evse = EvseId.parse("+49*810*000*438")
    assert evse.key == evse.value == "+49*810*000*438"
    assert evse.operator is None
    assert evse != EvseId.parse("+49*8100*00*438")


@pytest.mark.parametrize("text", ["+49*81*1", "+4949*810*1", "49*810*1", "+49*810*", "+49*810*A"])
def test_other_din_evse_ids_are_refused(text: str) -> None:
    assert _refusal(EvseId.parse, text).code == "invalid_evse_id"


@pytest.mark.parametrize(
    ("text", "full_length"),
    [
        ("DE*ICE*E45B*78C", False),
        ("DEICES1", False),
        ("DE*ICE*S0001-2", False),
        ("DEICES" + "1" * 32, False),
        ("DEICES00003C4D5578786756453309675434762", True),
        ("DEICES" + "1" * 58, True),
        ("DE*ICE*E" + "1" * 31, False),
    ],
)
def test_secc_id_is_an_evse_id_or_the_iso20_form_of_any_length(
    text: str, *, full_length: bool
) -> None:
    secc = SeccId.parse(text)
    assert str(secc) == secc.value == text
    assert secc.operator.value == "DEICE"
    assert secc.full_length is full_length


def test_secc_ids_are_equal_whatever_their_separators() -> None:
    assert SeccId.parse("de-ice-s0001*2") == SeccId.parse("DEICES00012")


@pytest.mark.parametrize(
    "text",
    [
        "DEICES",
        "DEICES" + "1" * 59,
        "DE*ICE*S" + "1" * 57,
        "DEICES1-",
        "DEICES--1",
        "DEICEX1",
        "+49*810*000*438",
    ],
)
def test_other_secc_ids_are_refused(text: str) -> None:
    assert _refusal(SeccId.parse, text).code == "invalid_secc_id"


# --- certificates --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["A", "CPS Leaf 1", "x" * 64, "a,b=c+d#e/f'g(h)[i]{j}~!?@"])
def test_common_name_is_kept_as_it_is(text: str) -> None:
    assert CpsName.parse(text).value == text


@pytest.mark.parametrize(
    "text",
    ["", " ", " A", "A ", "x" * 65, "a<b", "a>b", 'a"b', "a\\b", "a;b", "a\tb", "a\x7fb", "Käufer"],
)
def test_other_common_names_are_refused(text: str) -> None:
    assert _refusal(CpsName.parse, text).code == "invalid_common_name"


@pytest.mark.parametrize("text", ["3e8", "3E8", "0003e8", "0" * 37 + "3e8"])
def test_serial_is_lower_case_hexadecimal_without_leading_zeros(text: str) -> None:
    serial = SerialNumber.parse(text)
    assert str(serial) == "3e8"
    assert serial.as_int == 1000
    assert serial == SerialNumber.from_int(1000)


@pytest.mark.parametrize(
    "text", ["", "0", "000", "f" * 41, "3e:8f", "0x3e8", "-3e8", "3g", " 3e8", "1_0"]
)
def test_other_serials_are_refused(text: str) -> None:
    assert _refusal(SerialNumber.parse, text).code == "invalid_serial"


@pytest.mark.parametrize("number", [0, -1, 1 << 160, 1 << 1000])
def test_foreign_serials_out_of_range_are_refused(number: int) -> None:
    with pytest.raises(BadInput) as caught:
        SerialNumber.from_int(number)
    assert caught.value.code == "invalid_serial"


def test_serial_of_twenty_octets_is_read() -> None:
    assert SerialNumber.from_int((1 << 160) - 1) == SerialNumber.parse("F" * 40)


def test_fingerprint_is_the_sha256_of_the_der() -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Fingerprint.of(b"abc").value == expected
    colons = ":".join(expected[i : i + 2] for i in range(0, 64, 2))
    assert Fingerprint.parse(colons.upper()) == Fingerprint.of(b"abc")
    assert str(Fingerprint.parse(expected.upper())) == expected


@pytest.mark.parametrize("text", ["", "a" * 63, "a" * 65, "g" * 64, "aa:" * 32, "aa:" + "a" * 62])
def test_other_fingerprints_are_refused(text: str) -> None:
    assert _refusal(Fingerprint.parse, text).code == "invalid_fingerprint"


# --- hostile text, for every parser --------------------------------------------------------------


@EACH_PARSER
@pytest.mark.parametrize(
    "character",
    [
        "\u0665",  # Arabic-Indic five: str.isdigit and int() take it
        "\uff15",  # full-width five
        "\uff21",  # full-width A
        "\u0131",  # dotless i: upper() makes it I
        "\u017f",  # long s: upper() makes it S
        "\u212a",  # Kelvin sign: lower() makes it k, and IGNORECASE matches K
        "ß",  # upper() makes it two letters
        "\u0430",  # Cyrillic a
        "é",
        "\ud800",
        "\U0001f697",
        "\x00",
        "\n",
        "\u202e",
    ],
    ids=ascii,
)
def test_a_character_that_is_not_printable_ascii_is_refused_anywhere(
    name: str, character: str
) -> None:
    parse, code, good = PARSERS[name]
    parse(good)
    for i in range(len(good)):
        assert _refusal(parse, good[:i] + character + good[i + 1 :]).code == code
        assert _refusal(parse, good[:i] + character + good[i:]).code == code
    assert _refusal(parse, good + character).code == code


@EACH_PARSER
@pytest.mark.parametrize(
    "fill", ["A", "0", "-", "*", "A-", "A*", "\x00", "DE8AA", "\U0001f697"], ids=ascii
)
def test_ten_megabytes_are_refused_at_once(name: str, fill: str) -> None:
    parse, code, good = PARSERS[name]
    text = good + fill * (10_000_000 // len(fill))
    began = time.process_time()
    error = _refusal(parse, text)
    assert time.process_time() - began < 0.5
    assert error.code == code
    assert len(error.message) < 120


@EACH_PARSER
def test_refusals_quote_without_control_characters_and_give_a_hint(name: str) -> None:
    parse, code, _ = PARSERS[name]
    error = _refusal(parse, "\x1b[31m\r\nroot\x00\u202e")
    assert error.code == code
    assert error.message.isascii()
    assert error.message.isprintable()
    assert error.hint


def test_quote_shows_short_text_whole() -> None:
    assert quote("DE8AA") == "'DE8AA'"
    assert quote("x" * 40) == f"'{'x' * 40}'"


def test_quote_cuts_long_text_and_shows_that_it_did() -> None:
    assert quote("x" * 41) == f"'{'x' * 40}'..."
    assert quote("abcdef", limit=3) == "'abc'..."


def test_quote_counts_escapes_as_they_are_written() -> None:
    assert quote("\x00" * 40) == "'" + "\\x00" * 10 + "'..."
    assert quote("a\nb") == r"'a\nb'"
