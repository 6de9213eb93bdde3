"""Bits, numbers and strings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.v2g.enumerations import FaultCode
from pki.v2g.exi import values
from pki.v2g.exi.bits import BitReader, BitWriter
from pki.v2g.exi.schema import (
    BINARY,
    INTEGER,
    OCTET,
    STRING,
    UNSIGNED,
    Simple,
    Value,
    enumeration,
)

FAULT_CODE = enumeration(FaultCode)


def written(kind: Simple, value: Value, shift: int = 0) -> bytes:
    writer = BitWriter()
    writer.bits(0, shift)
    values.write(writer, kind, value, "it")
    return writer.finish()


def refused(kind: Simple, data: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        values.read(BitReader(data), kind)
    return caught.value.code


@given(
    st.lists(st.integers(0, 80).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, 2**w - 1))))
)
def test_bits_come_back_in_order(fields: list[tuple[int, int]]) -> None:
    writer = BitWriter()
    for width, value in fields:
        writer.bits(value, width)
    data = writer.finish()
    assert len(data) == (sum(width for width, _ in fields) + 7) // 8
    reader = BitReader(data)
    assert [(width, reader.bits(width)) for width, _ in fields] == fields
    assert reader.bits(reader.left) == 0


VALUES: st.SearchStrategy[tuple[Simple, Any]] = st.one_of(
    st.tuples(st.just(BINARY), st.binary(max_size=200)),
    st.tuples(
        st.just(STRING),
        st.text(
            st.characters(codec="utf-8", exclude_characters="\ufffe\uffff").filter(
                lambda c: c >= " " or c in "\t\n\r"
            ),
            max_size=200,
        ),
    ),
    st.tuples(st.just(INTEGER), st.integers(-(2**304), 2**304 - 1)),
    st.tuples(st.just(UNSIGNED), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(OCTET), st.integers(0, 255)),
    st.tuples(st.just(FAULT_CODE), st.sampled_from(FaultCode)),
)


@given(VALUES, st.integers(0, 7))
def test_values_come_back_at_any_alignment(pair: tuple[Simple, Any], shift: int) -> None:
    kind, value = pair
    reader = BitReader(written(kind, value, shift))
    reader.bits(shift)
    assert values.read(reader, kind) == value
    assert reader.left < 8


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (300, "ac02")],
)
def test_numbers_are_written_in_their_shortest_form(value: int, octets: str) -> None:
    assert written(UNSIGNED, value).hex() == octets


@pytest.mark.parametrize(("octets", "value"), [("8500", 5), ("858000", 5), ("ac8200", 300)])
def test_longer_forms_are_read(octets: str, value: int) -> None:
    assert values.read(BitReader(bytes.fromhex(octets)), UNSIGNED) == value


def test_a_number_is_bounded_in_value_and_in_groups() -> None:
    assert refused(UNSIGNED, b"\xff" * 9 + b"\x7f") == "exi_integer"
    assert refused(UNSIGNED, b"\x80" * 10_000 + b"\x00") == "exi_integer"
    assert refused(INTEGER, b"\xff" * 10_000) == "exi_integer"


@pytest.mark.parametrize("kind", [BINARY, STRING])
@pytest.mark.parametrize("length", ["ffffffff07", "ffffffffffffffff7f", "7f"])
def test_a_length_beyond_the_stream_is_refused_before_memory_is_taken(
    kind: Simple, length: str
) -> None:
    assert refused(kind, bytes.fromhex(length) + b"abcd") == "exi_length"


@pytest.mark.parametrize("count", ["00", "01"])
def test_a_string_out_of_a_table_is_refused(count: str) -> None:
    assert refused(STRING, bytes.fromhex(count) + b"abcd") == "exi_string_table"


@pytest.mark.parametrize("code_point", [0, 8, 0x1F, 0xD800, 0xDFFF, 0xFFFE, 0x110000, 0x1FFFFF])
def test_what_is_no_xml_character_is_refused(code_point: int) -> None:
    writer = BitWriter()
    writer.unsigned(3)
    writer.unsigned(code_point)
    assert refused(STRING, writer.finish() + bytes(4)) == "exi_character"


def test_an_index_beyond_an_enumeration_is_refused() -> None:
    assert refused(FAULT_CODE, b"\xc0") == "exi_enumeration"


def test_a_stream_that_ends_is_truncated() -> None:
    assert refused(UNSIGNED, b"\x80") == "exi_truncated"
    assert refused(OCTET, b"") == "exi_truncated"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (BINARY, "text"),
        (STRING, b"octets"),
        (STRING, "\x00"),
        (STRING, "\ud800"),
        (INTEGER, 2**304),
        (INTEGER, -(2**304) - 1),
        (UNSIGNED, -1),
        (UNSIGNED, 2**64),
        (OCTET, 256),
        (FAULT_CODE, "Nothing"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_not_written(kind: Simple, value: Value) -> None:
    with pytest.raises(BadInput) as caught:
        written(kind, value)
    assert caught.value.code == "exi_unencodable"
