"""
Trees as JSON: for vectors, for tools that show a message, never for signatures.

Binary is base64, a SessionID upper-case hexadecimal; numbers are JSON numbers of any size.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Final

from pki.errors import BadInput
from pki.v2g.exi.grammar import Event, Grammar, Production
from pki.v2g.exi.schema import Encoding, Simple, Tree, Value

_HEX: Final = "SessionID"
_NUMBERS: Final = {Encoding.INTEGER, Encoding.UNSIGNED, Encoding.OCTET}

Json = str | int | Mapping[str, "Json"] | list["Json"]


def to_json(value: Value, name: str = "") -> Json:
    """Return the JSON form of the content of `name`."""
    match value:
        case bytes() if name == _HEX:
            return value.hex().upper()
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case dict():
            return {key: to_json(item, key) for key, item in value.items()}
        case list():
            return [to_json(item, name) for item in value]
        case _:
            return value


def from_json(grammar: Grammar, value: object) -> Tree:
    """
    Read the JSON form of an element with content.

    Raises:
        BadInput: `exi_json`, where it is not the JSON form of such an element.
    """
    if not isinstance(value, dict):
        raise _bad("An element with content is not an object")
    known = _productions(grammar)
    return {name: _field(known, name, item) for name, item in value.items()}


def _productions(grammar: Grammar) -> dict[str, Production]:
    return {
        production.name: production
        for state in grammar.states
        for production in state.by_code.values()
        if production.event is not Event.END
    }


def _field(known: Mapping[str, Production], name: object, item: object) -> Value:
    production = known.get(str(name))
    if production is None:
        raise _bad(f"{name!s:.40} is not known here")
    if not production.many:
        return _value(production, item)
    if not isinstance(item, list):
        raise _bad(f"{name} is not a list")
    return [_value(production, each) for each in item]


def _value(production: Production, item: object) -> Value:
    match production.type, item:
        case Grammar() as grammar, _:
            return from_json(grammar, item)
        case Simple(encoding=Encoding.BINARY), str() as text:
            return _binary(text, bytes.fromhex if production.name == _HEX else _base64)
        case Simple(encoding=Encoding.STRING | Encoding.ENUMERATION), str() as text:
            return text
        case Simple(encoding=encoding), int() as number if encoding in _NUMBERS:
            return number
        case _:  # true and false come here too: the only strings and numbers are above
            raise _bad(f"{production.name} has a value of the wrong kind")


def _binary(text: str, decode: Callable[[str], bytes]) -> bytes:
    try:
        return decode(text)
    except ValueError as error:
        raise _bad("A binary value is not in its form") from error


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _bad(what: str) -> BadInput:
    return BadInput("exi_json", f"{what}.")
