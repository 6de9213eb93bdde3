"""Identifiers of charging points and their controllers."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self

from pki.ids.base import Syntax, Value, pattern
from pki.ids.parties import OperatorId

_ISO_EVSE: Final = r"@{2}\*?#{3}\*?[Ee]#(?:#|\*){0,30}"
_DIN_EVSE: Final = r"\+[0-9]{1,3}\*[0-9]{3,6}\*[0-9*]{1,32}"
_EVSE_ID = Syntax(
    pattern=pattern(f"{_ISO_EVSE}|{_DIN_EVSE}"),
    code="invalid_evse_id",
    noun="an EVSE id",
    hint="Write it as DE*ICE*E45B*78C or, in the form of DIN SPEC 91286, +49*810*000*438.",
)
_SECC_ID = Syntax(
    pattern=pattern(f"{_ISO_EVSE}|@{{2}}[*-]?#{{3}}[*-]?[Ss](?:[*-]?#){{1,58}}"),
    code="invalid_secc_id",
    noun="a SECC id",
    hint="Write an EVSE id such as DE*ICE*E45B*78C, or country, operator, S and letters or digits.",
)
_SECC_FULL_LENGTH: Final = 39
_STATION_SERIAL = Syntax(
    pattern=re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9*._+=|@-]{0,62}[A-Za-z0-9*=])?"),
    code="invalid_station_serial",
    noun="the serial number of a station",
    hint="Use 1 to 64 letters, digits and * . _ + = | @ -; a URL or IP address is none "
    "(OCPP A00.FR.511).",
)
_HOST_NAME = Syntax(
    pattern=re.compile(
        r"(?=.*[a-z])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        re.ASCII | re.IGNORECASE,
    ),
    code="invalid_host_name",
    noun="a fully qualified host name",
    hint="Write the name under which stations reach the CSMS, such as csms.example.com; at most "
    "64 characters, no wildcard (OCPP A00.FR.510).",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseId:
    """
    A charging point; equal if the keys are.

    Attributes:
        value: as presented, in upper case, separators kept.
        key: without separators; the DIN form keeps them, there they delimit its parts.
    """

    value: str = field(compare=False)
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read the form of ISO 15118-2 and eMI3 or, beginning with `+`, that of DIN SPEC 91286.

        Raises:
            BadInput: `invalid_evse_id`.
        """
        value = _EVSE_ID.match(text)[0].upper()
        return cls(value=value, key=value if value[0] == "+" else value.replace("*", ""))

    @property
    def operator(self) -> OperatorId | None:
        """The CPO; None for the DIN form, whose operator is a number under a calling code."""
        return None if self.key[0] == "+" else OperatorId(value=self.key[:5])

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SeccId:
    """
    What may stand as CN in a SECC leaf of either edition; equal if the keys are.

    Attributes:
        value: as presented, in upper case, separators kept; at most 64 characters.
        key: without separators.
    """

    value: str = field(compare=False)
    key: str

    @staticmethod
    @lru_cache(maxsize=1024)
    def parse(text: str) -> SeccId:
        """
        Read an EVSE id in the ISO form, or country, operator, `S` and 1 to 58 more characters.

        An issuance asks for the same one at several places; it is read once.

        Raises:
            BadInput: `invalid_secc_id`.
        """
        value = _SECC_ID.match(text)[0].upper()
        return SeccId(value=value, key=value.replace("*", "").replace("-", ""))

    @property
    def operator(self) -> OperatorId:
        """The CPO."""
        return OperatorId(value=self.key[:5])

    @property
    def full_length(self) -> bool:
        """Whether it has the 39 to 64 characters that -20 fixes (the field does not keep to it)."""
        return self.key[5] == "S" and len(self.key) >= _SECC_FULL_LENGTH

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class StationSerial(Value):
    """What a charging station is called in the certificate of its TLS connection; case kept."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 1 to 64 characters, no address. Raises BadInput (`invalid_station_serial`)."""
        value = _STATION_SERIAL.match(text)[0]
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return cls(value=value)
        raise _STATION_SERIAL.refusal(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostName(Value):
    """A host under its full name, in lower case."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read two labels or more. Raises BadInput (`invalid_host_name`)."""
        return cls(value=_HOST_NAME.match(text)[0].lower())

    def within(self, domain: str) -> bool:
        """Tell whether this is the domain or a host below it."""
        return self.value == domain or self.value.endswith(f".{domain}")
