"""Tokens: what identifies a driver, and the answer to a question about one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from pki.errors import BadInput
from pki.ids import quote
from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.parties import COUNTRY, PARTY, PartyKey
from pki.roaming.ocpi.shapes import Json, Shape, ci, many, needed_text, one_of, shape, text_of
from pki.roaming.ocpi.text import fold, format_time, parse_time
from pki.roaming.ocpi.versions import Version


class TokenType(StrEnum):
    """Kinds of tokens; EMAID came with 2.3.0, where the list is open."""

    AD_HOC_USER = "AD_HOC_USER"
    APP_USER = "APP_USER"
    EMAID = "EMAID"
    OTHER = "OTHER"
    RFID = "RFID"


CLOSED_TYPES: Final = tuple(t for t in TokenType if t is not TokenType.EMAID)
"""The types of 2.2.1."""


class Whitelist(StrEnum):
    """
    What a CPO does with a token.

    ALWAYS: accept, no question. ALLOWED: may ask. ALLOWED_OFFLINE: ask, and accept where the eMSP
    cannot be reached. NEVER: only by asking, even where `valid` is false.
    """

    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


class Allowed(StrEnum):
    """The answer of an eMSP."""

    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    NO_CREDIT = "NO_CREDIT"
    NOT_ALLOWED = "NOT_ALLOWED"


_LANGUAGE: Final = 2
_PROFILES: Final = ("CHEAP", "FAST", "GREEN", "REGULAR")
_TOKEN: Final = shape(
    {
        "country_code": COUNTRY,
        "party_id": PARTY,
        "uid": ci(36),
        "type": one_of(CLOSED_TYPES),
        "contract_id": ci(36),
        "issuer": shapes.string(64),
        "valid": shapes.flag,
        "whitelist": one_of(Whitelist),
        "last_updated": shapes.time,
    },
    {
        "visual_number": shapes.string(64),
        "group_id": ci(36),
        "language": ci(_LANGUAGE, _LANGUAGE),
        "default_profile_type": one_of(_PROFILES),
        "energy_contract": shape(
            {"supplier_name": shapes.string(64)}, {"contract_id": shapes.string(64)}
        ),
    },
)
_TOKEN_SHAPES: Final[Mapping[Version, Shape]] = {
    Version.V2_2_1: _TOKEN,
    Version.V2_3_0: _TOKEN.with_fields(
        shapes.Field("type", ci(36)),
        shapes.Field("default_profile_type", ci(36), needed=False),
    ),
}
_KEPT: Final = ("visual_number", "group_id", "language", "default_profile_type", "energy_contract")
_REFERENCES: Final = shape({"location_id": ci(36)}, {"evse_uids": many(ci(36), most=1000)})
_AUTHORIZATION: Final = shape(
    {"allowed": one_of(Allowed)},
    {
        "token": shapes.any_object,
        "location": _REFERENCES,
        "authorization_reference": ci(36),
        "info": shape({}, {"language": ci(_LANGUAGE, _LANGUAGE), "text": shapes.string(512)}),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """
    A token of a driver.

    Attributes:
        owner: the eMSP, whose `country_code` and `party_id` it carries.
        uid: as its owner writes it; compared folded.
        type: a `TokenType`, or what else a partner of 2.3.0 says.
        more: the optional fields as they came.
    """

    owner: PartyKey
    uid: str
    type: str
    contract_id: str
    issuer: str
    valid: bool
    whitelist: Whitelist
    last_updated: dt.datetime
    more: Json

    @classmethod
    def parse(cls, data: object, version: Version) -> Self:
        """
        Read a token.

        Raises:
            BadInput: `ocpi_…` of the first fault.
        """
        _TOKEN_SHAPES[version].check(data)
        values: Json = data if isinstance(data, dict) else {}
        return cls(
            owner=PartyKey.of(needed_text(values, "country_code"), needed_text(values, "party_id")),
            uid=needed_text(values, "uid"),
            type=fold(needed_text(values, "type")),
            contract_id=needed_text(values, "contract_id"),
            issuer=needed_text(values, "issuer"),
            valid=values["valid"] is True,
            whitelist=Whitelist(needed_text(values, "whitelist")),
            last_updated=parse_time(needed_text(values, "last_updated"), "last_updated"),
            more={name: values[name] for name in _KEPT if values.get(name) is not None},
        )

    def to_json(self, version: Version, emaid_type: TokenType = TokenType.OTHER) -> Json:
        """
        Return the token as a version writes it.

        Args:
            emaid_type: what stands for EMAID in 2.2.1, which has no such type.
        """
        shown = self.type
        if version is Version.V2_2_1 and shown not in CLOSED_TYPES:
            shown = emaid_type.value if shown == TokenType.EMAID else TokenType.OTHER.value
        return {
            "country_code": self.owner.country_code,
            "party_id": self.owner.party_id,
            "uid": self.uid,
            "type": shown,
            "contract_id": self.contract_id,
            "issuer": self.issuer,
            "valid": self.valid,
            "whitelist": self.whitelist.value,
            **self.more,
            "last_updated": format_time(self.last_updated),
        }


def patched(data: Json, change: object, version: Version) -> dict[str, object]:
    """
    Return a token's JSON with a PATCH applied; what names the token may be repeated, not changed.

    Raises:
        BadInput: `ocpi_…` of the first fault, `ocpi_field_missing` without `last_updated`.
    """
    _TOKEN_SHAPES[version].check(change, partial=True)
    return merged(data, change, ("country_code", "party_id", "uid", "type"))


def merged(data: Json, change: object, naming: tuple[str, ...]) -> dict[str, object]:
    """
    Return an object with a PATCH applied.

    Raises:
        BadInput: `ocpi_field_missing` without `last_updated`, `ocpi_ids_differ`.
    """
    changes: Json = change if isinstance(change, dict) else {}
    needed_text(changes, "last_updated")
    for name in naming:
        given, held = text_of(changes, name), text_of(data, name)
        if given is not None and held is not None and fold(given) != fold(held):
            raise ids_differ(name, held, given)
    return {**data, **{k: v for k, v in changes.items() if k not in naming}}


def ids_differ(field: str, address: str, body: str) -> BadInput:
    """Return the error of a body that names another object than its address."""
    return BadInput(
        "ocpi_ids_differ",
        f"{field} is {quote(body)} in the body and {quote(address)} in the address.",
        data={"field": field},
    )


def token_type(text: str | None) -> str:
    """Return the `type` of a query, RFID where it is left out. Raises BadInput (`ocpi_…`)."""
    if not text:
        return TokenType.RFID.value
    ci(36)(text, "type")
    return fold(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationReferences:
    """Where a driver wants to charge."""

    location_id: str
    evse_uids: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object) -> Self:
        """Read them. Raises BadInput (`ocpi_…`)."""
        _REFERENCES.check(data)
        values: Json = data if isinstance(data, dict) else {}
        uids = values.get("evse_uids")
        return cls(
            location_id=needed_text(values, "location_id"),
            evse_uids=tuple(uids) if isinstance(uids, list) else (),
        )

    def to_json(self) -> Json:
        """Return them as OCPI writes them."""
        body: dict[str, object] = {"location_id": self.location_id}
        return body | ({"evse_uids": list(self.evse_uids)} if self.evse_uids else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationInfo:
    """
    What an eMSP says of a driver who wants to charge.

    Attributes:
        location: only the EVSEs that are allowed.
        authorization_reference: comes back in the session and in the CDR.
    """

    allowed: Allowed
    authorization_reference: str | None = None
    location: LocationReferences | None = None
    info: str | None = None

    @classmethod
    def parse(cls, data: object) -> Self:
        """
        Read an answer; the token in it is not believed, since the question named it.

        Raises:
            BadInput: `ocpi_…` of the first fault.
        """
        _AUTHORIZATION.check(data)
        values: Json = data if isinstance(data, dict) else {}
        info, place = values.get("info"), values.get("location")
        return cls(
            allowed=Allowed(needed_text(values, "allowed")),
            authorization_reference=text_of(values, "authorization_reference"),
            location=LocationReferences.parse(place) if place is not None else None,
            info=text_of(info, "text") if isinstance(info, dict) else None,
        )

    def to_json(self, token: Json) -> Json:
        """Return the answer about `token`, which is repeated whole."""
        body: dict[str, object] = {"allowed": self.allowed.value, "token": token}
        if self.location is not None:
            body["location"] = self.location.to_json()
        if self.authorization_reference is not None:
            body["authorization_reference"] = self.authorization_reference
        if self.info is not None:
            body["info"] = {"language": "en", "text": self.info}
        return body
