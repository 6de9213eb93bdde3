"""Simple values as XML text: binary is base64, a SessionID hexadecimal, numbers are decimal."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from pki.errors import BadInput
from pki.v2g.exi.schema import Encoding, Simple, Value

_HEX: Final = "SessionID"
_MAX_DIGITS: Final = 100
_NUMBER: Final = re.compile(rf"[+-]?[0-9]{{1,{_MAX_DIGITS}}}", re.ASCII)


def write(name: str, value: Value) -> str:
    """Return a value as text."""
    if isinstance(value, bytes):
        return value.hex().upper() if name == _HEX else base64.b64encode(value).decode("ascii")
    return str(value)


def read(name: str, kind: Simple, text: str) -> Value:
    """Return the value that a text stands for. Raises BadInput (`xml_invalid`)."""
    match kind.encoding:
        case Encoding.STRING:
            return text
        case Encoding.BINARY:
            return _binary(name, "".join(text.split()))
        case Encoding.ENUMERATION:
            return text.strip()
        case Encoding.INTEGER | Encoding.UNSIGNED | Encoding.OCTET:
            digits = text.strip()
            if not _NUMBER.fullmatch(digits):
                raise _wrong(name)
            return int(digits)


def _binary(name: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text) if name == _HEX else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise _wrong(name) from error


def _wrong(name: str) -> BadInput:
    return BadInput("xml_invalid", f"{name} has a value of the wrong kind.")
