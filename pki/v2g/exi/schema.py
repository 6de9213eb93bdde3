"""
Words in which the tables mirror the XML schemas.

A table says what the schema says: attributes, child elements with their numbers, choices, simple
values. Event codes are not written down; `grammar` derives them by the rules of EXI 1.0 (8.5.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

Value = str | int | bytes | dict[str, "Value"] | list["Value"]
Tree = dict[str, Value]
"""
An element with content: attributes and children by local name.

A repeatable child is a list; characters beside attributes stand under `TEXT`.
"""

TEXT: Final = "value"


class Encoding(Enum):
    """How a simple value is written (EXI 1.0 section 7)."""

    BINARY = auto()  # Unsigned count, octets: hexBinary and base64Binary alike
    STRING = auto()  # Unsigned count + 2, code points: string, ID, anyURI
    INTEGER = auto()  # sign bit, Unsigned: integer, short
    UNSIGNED = auto()  # Unsigned of at most 64 bits: unsignedLong
    OCTET = auto()  # 8 bits: unsignedByte has few enough values to be an n-bit number
    ENUMERATION = auto()  # index in schema order


@dataclass(frozen=True, slots=True, eq=False)
class Simple:
    """A simple type; `names` are the values of an enumeration in schema order."""

    encoding: Encoding
    names: tuple[str, ...] = ()


BINARY: Final = Simple(Encoding.BINARY)
STRING: Final = Simple(Encoding.STRING)
INTEGER: Final = Simple(Encoding.INTEGER)
UNSIGNED: Final = Simple(Encoding.UNSIGNED)
OCTET: Final = Simple(Encoding.OCTET)


def enumeration(members: type[StrEnum]) -> Simple:
    """Return the type of an enumeration whose members stand in schema order."""
    return Simple(Encoding.ENUMERATION, tuple(members))


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """An attribute; all that these schemas declare are strings."""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """
    A child element and how often it stands there.

    Attributes:
        type: None for what the schema declares and the profile refuses; it keeps its event code.
        most: None for unbounded.
    """

    name: str
    type: Simple | Complex | None
    least: int = 1
    most: int | None = 1


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Exactly one of several elements (at most one where `optional`)."""

    elements: tuple[Element, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Complex:
    """
    A complex type; two are equal only if they are the same object.

    Attributes:
        attributes: sorted by name, as EXI wants them.
        content: the sequence of children.
        text: type of the characters, where the content is simple.
        mixed: untyped characters may stand among the children.
    """

    attributes: tuple[Attribute, ...] = ()
    content: tuple[Element | Choice, ...] = ()
    text: Simple | None = None
    mixed: bool = False


def optional(name: str, type_: Simple | Complex | None) -> Element:
    """Return an element that may be absent."""
    return Element(name, type_, least=0)


def repeated(name: str, type_: Simple | Complex, most: int | None) -> Complex:
    """Return a type that holds one to `most` elements of one name and nothing else."""
    return Complex(content=(Element(name, type_, most=most),))


ANY: Final = Element("*", None, least=0, most=None)
"""A wildcard; every element that it would admit is refused."""
