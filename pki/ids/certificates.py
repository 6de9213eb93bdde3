"""What names a certificate: serial, fingerprint, and the common name of CPS and OCSP leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple, Self

from pki.errors import BadInput
from pki.ids.base import Syntax, Value

_MAX_SERIAL: Final = (1 << 160) - 1
_new: Final = tuple.__new__


_NAME_CHARACTER: Final = r"!#-:=?-\[\]-~"
_COMMON_NAME = Syntax(
    pattern=re.compile(f"[{_NAME_CHARACTER}](?:[ {_NAME_CHARACTER}]{{0,62}}[{_NAME_CHARACTER}])?"),
    code="invalid_common_name",
    noun="a common name",
    hint='Use 1 to 64 printable ASCII characters without < > " \\ ; and outer blanks.',
)
_SERIAL = Syntax(
    pattern=re.compile("0*([1-9A-Fa-f][0-9A-Fa-f]{0,39})"),
    code="invalid_serial",
    noun="a serial number",
    hint="Write 1 to 40 hexadecimal digits, not all of them zero.",
)
_FINGERPRINT = Syntax(
    pattern=re.compile("[0-9A-Fa-f]{64}|(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}"),
    code="invalid_fingerprint",
    noun="a SHA-256 fingerprint",
    hint="Write 64 hexadecimal digits, with or without colons between the octets.",
    longest=95,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpsName(Value):
    """A CN of a CPS or OCSP leaf: printable ASCII, case kept."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 1 to 64 characters. Raises BadInput (`invalid_common_name`)."""
        return cls(value=_COMMON_NAME.match(text)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialNumber(Value):
    """A positive serial of at most 20 octets: lower-case hexadecimal without leading zeros."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read hexadecimal digits, leading zeros ignored. Raises BadInput (`invalid_serial`)."""
        return cls(value=_SERIAL.match(text)[1].lower())

    @classmethod
    def from_int(cls, number: int) -> Self:
        """Take over a serial. Raises BadInput (`invalid_serial`) for zero, negative, too long."""
        if not 0 < number <= _MAX_SERIAL:
            raise BadInput(
                "invalid_serial",
                "The serial number is not a positive number of at most 20 octets.",
                hint=_SERIAL.hint,
            )
        return cls(value=f"{number:x}")

    @property
    def as_int(self) -> int:
        """The serial as a number."""
        return int(self.value, 16)


class Fingerprint(NamedTuple):
    """
    The SHA-256 of a certificate's DER: 64 lower-case hexadecimal digits.

    A tuple, since every decision makes one and looks up several: made, hashed and compared without
    a line of Python.
    """

    value: str

    def __str__(self) -> str:
        """Return the digits."""
        return self.value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the digits, with or without colons. Raises BadInput (`invalid_fingerprint`)."""
        return cls(value=_FINGERPRINT.match(text)[0].lower().replace(":", ""))

    @classmethod
    def of(cls, der: bytes) -> Self:
        """Return the fingerprint of a certificate."""
        return _new(cls, (sha256(der).hexdigest(),))
