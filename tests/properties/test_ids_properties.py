"""Identifiers: what holds for every text."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters, ascii_uppercase, digits

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.ids import (
    CheckDigit,
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
    check_character,
    check_character_din,
    quote,
)

UPPER = digits + ascii_uppercase
KEYS_14 = st.from_regex(r"[A-Z]{2}[A-Z0-9]{12}", fullmatch=True)
KEYS_11 = st.from_regex(r"[A-Z]{2}[A-Z0-9]{9}", fullmatch=True)
KEYS_ISO20 = st.from_regex(r"[A-Z]{2}[A-Z0-9]{12,34}", fullmatch=True)
ANYTHING = st.text() | st.text(alphabet=ascii_letters + digits + "-*+:", max_size=80)

PARSERS: list[Callable[[str], object]] = [
    lambda text: Emaid.parse(text, Edition.ISO2),
    lambda text: Emaid.parse(text, Edition.ISO20),
    lambda text: Pcid.parse(text, Edition.ISO2),
    lambda text: Pcid.parse(text, Edition.ISO20),
    DinEvcoId.parse,
    ProviderId.parse,
    OperatorId.parse,
    Wmi.parse,
    EvseId.parse,
    SeccId.parse,
    EvccId.parse,
    CpsName.parse,
    SerialNumber.parse,
    Fingerprint.parse,
]


def _outcome(parse: Callable[[str], object], text: str) -> object:
    try:
        return parse(text)
    except BadInput as refusal:
        return refusal


@given(text=ANYTHING)
@example(text="DE8AACA2B3C4D5")
@example(text="DE*ICE*E45B*78C")
def test_any_text_is_read_to_a_fixed_point_or_refused_as_bad_input(text: str) -> None:
    for parse in PARSERS:
        match _outcome(parse, text):
            case BadInput() as refusal:
                assert refusal.code.startswith("invalid_")
                assert refusal.message.isprintable()
            case value:
                assert str(value).isascii()
                assert parse(str(value)) == value


@given(key=KEYS_14, lower=st.booleans(), dashes=st.tuples(*[st.sampled_from(["", "-"])] * 3))
def test_every_spelling_of_an_iso2_emaid_leads_to_its_key(
    key: str, dashes: tuple[str, str, str], *, lower: bool
) -> None:
    last = check_character(key)
    text = f"{key[:2]}{dashes[0]}{key[2:5]}{dashes[1]}{key[5:]}{dashes[2]}{last}"
    emaid = Emaid.parse(text.lower() if lower else text, Edition.ISO2)
    assert emaid.key == key
    assert emaid.check_digit is CheckDigit.GOOD
    assert emaid.normalised == emaid.with_check_character == key + last


@given(key=KEYS_14, last=st.sampled_from(["", *UPPER]))
def test_the_usual_spelling_of_an_emaid_is_read_as_any_other(key: str, last: str) -> None:
    usual = Emaid.parse(key + last, Edition.ISO2)
    other = Emaid.parse((key + last).lower(), Edition.ISO2)
    assert (usual, usual.check_digit) == (other, other.check_digit)
    assert usual.presented == key + last


@given(
    case=st.tuples(KEYS_14, st.just(Edition.ISO2)) | st.tuples(KEYS_ISO20, st.just(Edition.ISO20))
)
def test_display_leads_back_to_the_key(case: tuple[str, Edition]) -> None:
    key, edition = case
    emaid = Emaid.parse(key, edition)
    assert Emaid.parse(emaid.display, edition).key == emaid.key == key


@given(key=KEYS_14, position=st.integers(0, 13), data=st.data())
def test_a_single_substitution_changes_the_check_character(
    key: str, position: int, data: st.DataObject
) -> None:
    alphabet = ascii_uppercase if position < 2 else UPPER
    other = data.draw(st.sampled_from(alphabet.replace(key[position], "")))
    changed = key[:position] + other + key[position + 1 :]
    assert check_character(changed) != check_character(key)


@given(key=KEYS_14, position=st.integers(0, 12), data=st.data())
def test_swapping_neighbours_changes_the_check_character(
    key: str, position: int, data: st.DataObject
) -> None:
    alphabet = st.sampled_from(ascii_uppercase if position < 2 else UPPER)
    x, y = data.draw(st.lists(alphabet, min_size=2, max_size=2, unique=True))
    before, after = key[:position], key[position + 2 :]
    assert check_character(before + x + y + after) != check_character(before + y + x + after)


def _reference(key15: str) -> tuple[list[int], list[int]]:
    """The two sums of Annex H, as written there: weights are powers of two matrices."""
    sums = [[0, 0], [0, 0]]
    for start, modulus, by in (([0, 1, 1, 1], 2, 0), ([0, 1, 1, 2], 3, 1)):
        power = start
        for character in key15:
            q, r = divmod(UPPER.index(character), 9)
            x, y = divmod(q, 2) if by == 0 else divmod(r, 3)
            a, b, c, d = power
            sums[by][0] += x * a + y * c
            sums[by][1] += x * b + y * d
            e, f, g, h = start
            power = [
                n % modulus for n in (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
            ]
    return [n % 2 for n in sums[0]], [n % 3 for n in sums[1]]


@given(key=KEYS_14)
def test_with_its_check_character_both_sums_of_annex_h_are_zero(key: str) -> None:
    assert _reference(key + check_character(key)) == ([0, 0], [0, 0])


@given(key=KEYS_11, separator=st.sampled_from(["", "-", "*"]))
def test_din_id_keeps_provider_and_instance_when_converted(key: str, separator: str) -> None:
    text = separator.join([key[:2], key[2:5], key[5:], check_character_din(key)])
    din = DinEvcoId.parse(text)
    assert din.check_digit is CheckDigit.GOOD
    for emaid, fill in ((din.to_iso(), "00"), (din.to_emi3(), "C0")):
        assert emaid.provider == din.provider
        assert emaid.key == key[:5] + fill + key[5:] + check_character_din(key)
        assert emaid.check_digit is CheckDigit.GOOD


@given(number=st.integers(1, (1 << 160) - 1))
def test_serials_survive_the_round_trip(number: int) -> None:
    serial = SerialNumber.from_int(number)
    assert serial.as_int == number
    assert SerialNumber.parse(serial.value.upper()) == serial
    assert SerialNumber.parse(serial.value.rjust(40, "0")) == serial


@given(number=st.integers(max_value=0) | st.integers(min_value=1 << 160))
def test_serials_out_of_range_are_refused(number: int) -> None:
    with pytest.raises(BadInput):
        SerialNumber.from_int(number)


@given(der=st.binary())
def test_fingerprints_survive_the_round_trip(der: bytes) -> None:
    fingerprint = Fingerprint.of(der)
    assert Fingerprint.parse(str(fingerprint)) == fingerprint


@given(text=st.text(), limit=st.integers(1, 60))
def test_quote_is_short_and_printable(text: str, limit: int) -> None:
    shown = quote(text, limit)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown.removesuffix("...")) <= limit + 2
