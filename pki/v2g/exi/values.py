"""Simple values on the wire (EXI 1.0 section 7), read with bounds and written in one form."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from pki.errors import BadInput
from pki.v2g.exi.bits import BitReader, BitWriter
from pki.v2g.exi.schema import Encoding, Simple, Value

MAX_INTEGER: Final = 304
"""Bits of an Integer; serial numbers of certificates have at most 160."""
_MAX_UNSIGNED: Final = 64
_MAX_OCTET: Final = 8
_STRING_OFFSET: Final = 2
"""Counts 0 and 1 are hits in the string table, which these streams do not have."""
_MAX_CODE_POINT: Final = 21
_LAST_CODE_POINT: Final = 0x10FFFF
_NOT_XML: Final = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # XML 1.0 production 2
)


def read(reader: BitReader, kind: Simple) -> Value:
    """
    Read one value.

    Raises:
        BadInput: `exi_truncated`, `exi_length`, `exi_integer`, `exi_string_table`,
            `exi_character`, `exi_enumeration`.
    """
    match kind.encoding:
        case Encoding.BINARY:
            return reader.octets(reader.unsigned(_MAX_UNSIGNED))
        case Encoding.STRING:
            return read_string(reader)
        case Encoding.INTEGER:
            negative = reader.bits(1)
            value = reader.unsigned(MAX_INTEGER)
            return -value - 1 if negative else value
        case Encoding.UNSIGNED:
            return reader.unsigned(_MAX_UNSIGNED)
        case Encoding.OCTET:
            return reader.bits(_MAX_OCTET)
        case Encoding.ENUMERATION:
            return _read_name(reader, kind.names)


def _read_name(reader: BitReader, names: tuple[str, ...]) -> str:
    index = reader.bits((len(names) - 1).bit_length())
    if index >= len(names):
        raise reader.fault("exi_enumeration", f"There are {len(names)} values, not {index + 1}")
    return names[index]


def read_string(reader: BitReader) -> str:
    """Read a String that is written out, of XML characters only."""
    count = reader.unsigned(_MAX_UNSIGNED) - _STRING_OFFSET
    if count < 0:
        raise reader.fault("exi_string_table", "A string refers to a table that does not exist")
    if count * 8 > reader.left:
        raise reader.fault("exi_length", f"A length of {count} exceeds the stream")
    begin = reader.position
    octets = reader.octets(count)
    if octets.isascii():
        text = octets.decode("ascii")
    else:
        reader.position = begin
        text = "".join(_read_character(reader) for _ in range(count))
    if _NOT_XML.search(text):
        raise reader.fault("exi_character", "A string holds what is no XML character")
    return text


def _read_character(reader: BitReader) -> str:
    code_point = reader.unsigned(_MAX_CODE_POINT)
    if code_point > _LAST_CODE_POINT:
        raise reader.fault("exi_character", "A string holds what is no Unicode code point")
    return chr(code_point)


def empty(kind: Simple) -> Value | None:
    """Return the empty value of a type, or None where a value cannot be empty."""
    if kind.encoding is Encoding.BINARY:
        return b""
    return "" if kind.encoding is Encoding.STRING else None


def write(writer: BitWriter, kind: Simple, value: Value, name: str) -> None:
    """
    Write one value, of the element or attribute `name`.

    Raises:
        BadInput: `exi_unencodable`, where the value is not of the type.
    """
    match kind.encoding, value:
        case Encoding.BINARY, bytes():
            writer.unsigned(len(value))
            writer.octets(value)
        case Encoding.STRING, str():
            _write_string(writer, value, name)
        case Encoding.INTEGER, int() if _magnitude(value).bit_length() <= MAX_INTEGER:
            writer.bits(int(value < 0), 1)
            writer.unsigned(_magnitude(value))
        case Encoding.UNSIGNED, int() if 0 <= value < 1 << _MAX_UNSIGNED:
            writer.unsigned(value)
        case Encoding.OCTET, int() if 0 <= value < 1 << _MAX_OCTET:
            writer.bits(value, _MAX_OCTET)
        case Encoding.ENUMERATION, str() if value in kind.names:
            writer.bits(kind.names.index(value), (len(kind.names) - 1).bit_length())
        case _:
            unencodable(f"The value of {name} is not of its type")


def _magnitude(value: int) -> int:
    return -value - 1 if value < 0 else value


def _write_string(writer: BitWriter, text: str, name: str) -> None:
    if _NOT_XML.search(text):
        unencodable(f"{name} holds what is no XML character")
    writer.unsigned(len(text) + _STRING_OFFSET)
    if text.isascii():
        writer.octets(text.encode("ascii"))
        return
    for character in text:
        writer.unsigned(ord(character))


def unencodable(what: str) -> NoReturn:
    """Raise BadInput (`exi_unencodable`)."""
    raise BadInput("exi_unencodable", f"{what}.")
