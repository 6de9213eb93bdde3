"""The credentials object: what two platforms exchange when they meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.parties import COUNTRY, PARTY, PartyKey, PartyRole
from pki.roaming.ocpi.shapes import Json, ci, many, needed_text, shape, string, text_of
from pki.roaming.ocpi.text import checked_token, fold

MAX_ROLES: Final = 5000
"""A hub of 2.3.0 lists every party that it reaches."""

_ROLE: Final = shape(
    {
        "role": ci(20),
        "party_id": PARTY,
        "country_code": COUNTRY,
        "business_details": shape({"name": string(100)}, {"website": shapes.url}),
    }
)
_CREDENTIALS: Final = shape(
    {
        "token": string(400),
        "url": shapes.url,
        "roles": many(_ROLE, least=1, most=MAX_ROLES),
    },
    {"hub_party_id": ci(5, 5)},
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class CredentialsRole:
    """One party of a platform in one role."""

    key: PartyKey
    role: PartyRole
    name: str

    def to_json(self) -> dict[str, object]:
        """Return it as OCPI writes it."""
        return {
            "role": self.role.value,
            "country_code": self.key.country_code,
            "party_id": self.key.party_id,
            "business_details": {"name": self.name},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """
    Credentials of a platform.

    Attributes:
        token: what the other side is to send; never shown.
        url: its versions address.
        hub: the hub that a 2.3.0 platform is.
    """

    token: str = field(repr=False)
    url: str
    roles: tuple[CredentialsRole, ...]
    hub: PartyKey | None = None

    @classmethod
    def parse(cls, data: object) -> Self:
        """
        Read credentials.

        Raises:
            BadInput: `ocpi_…` of the first fault, `ocpi_invalid_token`.
        """
        _CREDENTIALS.check(data)
        values: Json = data if isinstance(data, dict) else {}
        rows = values["roles"]
        hub = text_of(values, "hub_party_id")
        return cls(
            token=checked_token(needed_text(values, "token")),
            url=needed_text(values, "url"),
            roles=tuple(_role(row) for row in (rows if isinstance(rows, list) else [])),
            hub=PartyKey.parse(hub) if hub else None,
        )

    def to_json(self) -> dict[str, object]:
        """Return them as OCPI writes them."""
        return {
            "token": self.token,
            "url": self.url,
            "roles": [role.to_json() for role in self.roles],
        }

    def hub_key(self) -> PartyKey | None:
        """Return the party of the hub that this platform is, by either version's way to say it."""
        if self.hub is not None:
            return self.hub
        return next((r.key for r in self.roles if r.role is PartyRole.HUB), None)


def _role(row: Json) -> CredentialsRole:
    role = fold(needed_text(row, "role"))
    details = row.get("business_details")
    name = text_of(details, "name") if isinstance(details, dict) else None
    return CredentialsRole(
        key=PartyKey.of(needed_text(row, "country_code"), needed_text(row, "party_id")),
        role=PartyRole(role) if role in list(PartyRole) else PartyRole.OTHER,
        name=name or "",
    )
