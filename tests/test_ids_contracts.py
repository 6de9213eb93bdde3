"""Contract identifiers and check characters: published vectors, accepted and refused forms."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pki.errors import BadInput
from pki.ids import (
    CheckDigit,
    DinEvcoId,
    Edition,
    Emaid,
    ProviderId,
    check_character,
    check_character_din,
    check_character_iso20,
)

_VECTORS = (
    Path(os.environ.get("PNC_VECTORS", Path(__file__).parents[2] / "shared" / "vectors"))
    / "ocpi"
    / "contract_ids.json"
)


def _iso2(text: str) -> Emaid:
    return Emaid.parse(text, Edition.ISO2)


def _iso20(text: str) -> Emaid:
    return Emaid.parse(text, Edition.ISO20)


def _refusal(parse: Callable[[str], object], text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse(text)
    return caught.value


# --- check characters: vectors of the specification, sections 2.2 to 2.4 -------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("NN123ABCDEFGHI", "T"),
        ("DE8AA001234567", "0"),
        ("GBTWK123456789", "B"),
        ("FRXYZ123456789", "2"),
        ("NLTNM000122045", "U"),
        ("CSKTH5U8TC90A1", "S"),
        ("ITA1B2C3E4F5G6", "4"),
        ("NLTNMC00122045", "K"),
        ("IHRFRNPCZVPPVE", "W"),
        ("ESZU8WOX834H1D", "R"),
        ("NLTNM000722345", "X"),
        ("DE8AA00123A563", "M"),
        ("PT73902837ABCZ", "Z"),
        ("NLTNM012345678", "W"),
        ("DEICEC12345678", "W"),
        ("DE83DUIEN83QGZ", "D"),
        ("GBTWK012345678", "V"),
        ("USEMAC00000001", "7"),
        ("DE83DUIEN83ZGQ", "M"),
        ("GBABC123456789", "S"),
        ("DEABCC00000001", "3"),
        ("TUAABCAZ2BK7JR", "0"),
    ],
)
def test_check_character_follows_annex_h(key: str, expected: str) -> None:
    assert check_character(key) == expected
    assert _iso2(key + expected).check_digit is CheckDigit.GOOD


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("INTNM000071", "9"),
        ("INTNM000191", "5"),
        ("INTNM000110", "X"),
        ("NLTNM012204", "5"),
        ("INTNM000124", "0"),
        ("NLTNM122045", "0"),
        ("INTNM000114", "6"),
        ("DE8AA123A56", "5"),
    ],
)
def test_check_character_of_din_is_mod_11(key: str, expected: str) -> None:
    assert check_character_din(key) == expected
    assert DinEvcoId.parse(key + expected).check_digit is CheckDigit.GOOD


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DE8PAA00003C4D58Y", "2"),
        ("WMIV1234567890ABCDE", "X"),
        ("US3PAA00003C4D58Y", "9"),
        ("US3VJG34EU7D8U6JR6D", None),
        ("DEICES00003C4D557878675645330967543476", None),
    ],
)
def test_check_character_of_iso20_is_computed_up_to_28_digits(
    text: str, expected: str | None
) -> None:
    assert check_character_iso20(text) == expected


def test_iso20_check_character_stops_exactly_above_28_expanded_digits() -> None:
    assert check_character_iso20("1" * 28) is not None
    assert check_character_iso20("1" * 29) is None


@pytest.mark.parametrize("text", ["", "de8aaca2b3c4d5", "DE8AACA2B3C4D\u0665", "DE8\n", "A" * 300])
@pytest.mark.parametrize("compute", [check_character, check_character_din, check_character_iso20])
def test_check_characters_refuse_what_is_not_a_key(
    compute: Callable[[str], str | None], text: str
) -> None:
    assert _refusal(compute, text).code == "invalid_identifier"


# --- the vector file -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors() -> Any:
    if not _VECTORS.is_file():
        pytest.skip(f"no {_VECTORS.name}; set PNC_VECTORS to the folder of the shared vectors")
    return json.loads(_VECTORS.read_text(encoding="utf-8"))


def _verdict(case: dict[str, Any]) -> CheckDigit:
    if "given_check_ok" not in case:
        return CheckDigit.ABSENT
    return CheckDigit.GOOD if case["given_check_ok"] else CheckDigit.WRONG


def test_contract_ids_of_the_vector_file_are_read_as_published(vectors: Any) -> None:
    valid = [case for case in vectors["contract_ids"] if case["valid_syntax"]]
    assert len(valid) >= 15
    for case in valid:
        emaid = _iso2(case["input"])
        assert emaid.key == case["canonical_14"], case["id"]
        assert emaid.check_character == case["check_character"], case["id"]
        assert emaid.with_check_character == case["canonical_15"], case["id"]
        assert emaid.display == case["display"], case["id"]
        assert emaid.provider == ProviderId.parse(case["provider"]), case["id"]
        assert emaid.presented == case["input"], case["id"]
        assert emaid.check_digit is _verdict(case), case["id"]


def test_bad_contract_ids_of_the_vector_file_are_refused(vectors: Any) -> None:
    invalid = [case for case in vectors["contract_ids"] if not case["valid_syntax"]]
    assert len(invalid) >= 4
    for case in invalid:
        assert _refusal(_iso2, case["input"]).code == "invalid_emaid", case["id"]


def test_vector_file_agrees_on_which_values_name_one_contract(vectors: Any) -> None:
    for case in vectors["same_contract"]:
        assert (len({_iso2(value) for value in case["values"]}) == 1) is case["same"], case["id"]


def test_din_ids_of_the_vector_file_become_newer_ids(vectors: Any) -> None:
    for case in vectors["din_to_iso"]:
        din = DinEvcoId.parse(case["din"])
        assert din.to_iso().key == case["iso_14"]
        assert str(din.to_iso()) == case["iso_15"]
        assert str(din.to_emi3()) == case["emi3_15"]


# --- Emaid ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "DE8AACA2B3C4D5",
        "de8aaca2b3c4d5",
        "DE-8AACA2B3C4D5",
        "DE8AA-CA2B3C4D5",
        "DE-8AA-CA2B3C4D5",
        "DE8AACA2B3C4D5L",
        "DE8AACA2B3C4D5-L",
        "dE-8aACA2B3C4D5-l",
        "DE-8AA-CA2B3C4D5L",
        "DE-8AA-CA2B3C4D5-N",
    ],
)
def test_every_accepted_form_of_an_iso2_emaid_is_one_contract(text: str) -> None:
    emaid = _iso2(text)
    assert emaid == _iso2("DE8AACA2B3C4D5")
    assert hash(emaid) == hash(_iso2("DE8AACA2B3C4D5"))
    assert emaid.key == "DE8AACA2B3C4D5"
    assert str(emaid) == emaid.normalised == text.upper().replace("-", "")


@pytest.mark.parametrize(
    "text",
    [
        "DE8AACA2B3C4D",
        "DE8AACA2B3C4D5LL",
        "DE--8AACA2B3C4D5",
        "-DE8AACA2B3C4D5",
        "DE8AACA2B3C4D5-",
        "DE8AACA2B3C4D5--L",
        "D-E8AACA2B3C4D5",
        "D18AACA2B3C4D5",
        "DE*8AA*CA2B3C4D5",
        "DE8AA_A2B3C4D5",
        "DE8AA[A2B3C4D5",
        "DE 8AA CA2B3C4D5",
    ],
)
def test_other_forms_of_an_iso2_emaid_are_refused(text: str) -> None:
    error = _refusal(_iso2, text)
    assert error.code == "invalid_emaid"
    assert "ISO 15118-2" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("DE8AACA2B3C4D5", "DE8AACA2B3C4D5"),
        ("de-8aa-ca2b3c4d5-l", "DE8AACA2B3C4D5L"),
        ("DE-8AA-C" + "0" * 29 + "-1", "DE8AAC" + "0" * 29 + "1"),
    ],
)
def test_an_iso20_emaid_is_never_cut(text: str, key: str) -> None:
    emaid = _iso20(text)
    assert emaid.key == emaid.normalised == emaid.with_check_character == key
    assert emaid.check_digit is CheckDigit.NOT_JUDGED
    assert emaid.check_character is None
    assert _iso20(emaid.display) == emaid


@pytest.mark.parametrize("text", ["DE8AA" + "1" * 8, "DE8AA" + "1" * 32, "DE8AAC1-234567890123"])
def test_an_iso20_emaid_has_14_to_36_characters_and_its_separators_where_they_belong(
    text: str,
) -> None:
    assert _refusal(_iso20, text).code == "invalid_emaid"


def test_emaids_of_two_editions_are_different_contracts() -> None:
    assert _iso2("DE8AACA2B3C4D5") != _iso20("DE8AACA2B3C4D5")


def test_iso20_emaids_that_differ_in_the_last_character_are_different_contracts() -> None:
    assert _iso20("DE8AACA2B3C4D5L") != _iso20("DE8AACA2B3C4D5")


# --- DinEvcoId -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["NL-TNM-012204-5", "nl*tnm*012204*5", "NLTNM0122045", "NLTNM012204"]
)
def test_din_id_is_read_with_either_separator_and_without_check_digit(text: str) -> None:
    din = DinEvcoId.parse(text)
    assert din == DinEvcoId.parse("NL-TNM-012204-5")
    assert str(din) == "NLTNM0122045"
    assert din.provider.value == "NLTNM"


def test_din_id_says_what_it_thinks_of_its_check_digit() -> None:
    assert DinEvcoId.parse("IN-TNM-000110-x").check_digit is CheckDigit.GOOD
    assert DinEvcoId.parse("IN-TNM-000110-1").check_digit is CheckDigit.WRONG
    assert DinEvcoId.parse("IN-TNM-000110").check_digit is CheckDigit.ABSENT


def test_a_wrong_din_check_digit_still_becomes_part_of_the_newer_id() -> None:
    assert str(DinEvcoId.parse("DE*8AA*123A56*3").to_iso()) == "DE8AA00123A563M"


def test_converted_din_id_has_a_good_check_digit() -> None:
    assert DinEvcoId.parse("NL-TNM-012204").to_iso().check_digit is CheckDigit.GOOD
