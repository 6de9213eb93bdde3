"""Parties of an OCPI platform, the routing headers, and a hub's directory."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from pki.errors import BadInput
from pki.ids import quote
from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.shapes import Json, ci, needed_text, one_of, shape
from pki.roaming.ocpi.text import fold, format_time, parse_time

COUNTRY: Final = shapes.matching(r"[A-Za-z]{2}", "a country code of two letters")
PARTY: Final = shapes.matching(r"[A-Za-z0-9]{3}", "a party id of three letters or digits")
_KEY: Final = re.compile(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3})", re.ASCII)


class PartyRole(StrEnum):
    """What a party of a platform is; 2.3.0 knows no HUB any more."""

    CPO = "CPO"
    EMSP = "EMSP"
    HUB = "HUB"
    NAP = "NAP"
    NSP = "NSP"
    OTHER = "OTHER"
    SCSP = "SCSP"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PartyKey:
    """Country and party of an owner, both folded."""

    country_code: str
    party_id: str

    @classmethod
    def of(cls, country_code: str, party_id: str) -> Self:
        """
        Read the two parts as they stand in an address or a body.

        Raises:
            BadInput: `ocpi_invalid_value`.
        """
        COUNTRY(country_code, "country_code")
        PARTY(party_id, "party_id")
        return cls(country_code=fold(country_code), party_id=fold(party_id))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DE8AA`, `DE*8AA` or `DE-8AA`. Raises BadInput (`invalid_ocpi_party`)."""
        found = _KEY.fullmatch(text)
        if found is None:
            raise BadInput(
                "invalid_ocpi_party",
                f"{quote(text)} is no country code and party id.",
                hint="Write two letters and three letters or digits, such as DE8AA.",
            )
        return cls(country_code=fold(found[1]), party_id=fold(found[2]))

    def __str__(self) -> str:
        return self.country_code + self.party_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """
    The routing headers of a functional module.

    Attributes:
        to: party that is meant; None is open routing: a hub decides from the content.
        sender: party that speaks.
    """

    to: PartyKey | None = None
    sender: PartyKey | None = None

    @classmethod
    def read(cls, header: Callable[[str], str | None]) -> Self:
        """
        Read the headers; `header` gives the value of one, whatever its case.

        Raises:
            BadInput: `ocpi_invalid_value`, and `ocpi_field_missing` for half a pair.
        """
        return cls(to=_pair(header, "OCPI-to"), sender=_pair(header, "OCPI-from"))

    def headers(self) -> dict[str, str]:
        """Return the headers to send."""
        found: dict[str, str] = {}
        for prefix, key in (("OCPI-to", self.to), ("OCPI-from", self.sender)):
            if key is not None:
                found[f"{prefix}-country-code"] = key.country_code
                found[f"{prefix}-party-id"] = key.party_id
        return found

    def answer(self) -> Routing:
        """Return the routing of the answer: the other way round."""
        return Routing(to=self.sender, sender=self.to)


def _pair(header: Callable[[str], str | None], prefix: str) -> PartyKey | None:
    country = header(f"{prefix}-country-code")
    party = header(f"{prefix}-party-id")
    if not country and not party:
        return None
    if not country or not party:
        raise shapes.missing(f"{prefix}-{'party-id' if country else 'country-code'}")
    return PartyKey.of(country, party)


class ConnectionStatus(StrEnum):
    """What a hub says of a client."""

    CONNECTED = "CONNECTED"
    OFFLINE = "OFFLINE"
    PLANNED = "PLANNED"
    SUSPENDED = "SUSPENDED"


_CLIENT_INFO: Final = shape(
    {
        "party_id": PARTY,
        "country_code": COUNTRY,
        "role": ci(20),
        "status": one_of(ConnectionStatus),
        "last_updated": shapes.time,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """One party behind a hub."""

    key: PartyKey
    role: PartyRole
    status: ConnectionStatus
    last_updated: dt.datetime

    @classmethod
    def parse(cls, data: object) -> Self:
        """Read a ClientInfo; a role that we do not know is OTHER. Raises BadInput (`ocpi_…`)."""
        _CLIENT_INFO.check(data)
        values: Json = data if isinstance(data, dict) else {}
        role = fold(needed_text(values, "role"))
        return cls(
            key=PartyKey.of(needed_text(values, "country_code"), needed_text(values, "party_id")),
            role=PartyRole(role) if role in list(PartyRole) else PartyRole.OTHER,
            status=ConnectionStatus(needed_text(values, "status")),
            last_updated=parse_time(needed_text(values, "last_updated"), "last_updated"),
        )

    def to_json(self) -> dict[str, object]:
        """Return it as OCPI writes it."""
        return {
            "party_id": self.key.party_id,
            "country_code": self.key.country_code,
            "role": self.role.value,
            "status": self.status.value,
            "last_updated": format_time(self.last_updated),
        }
