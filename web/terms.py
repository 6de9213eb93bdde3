"""The terms of an agreement, from JSON."""

from __future__ import annotations

import datetime as dt
from typing import Final

from pki.agreements import MAX_PLACES
from pki.clock import parse_time
from pki.errors import BadInput
from pki.model import CredentialKind, Terms
from web.parsing import MAX_TEXT, Fields, one_of

AGREEMENT: Final = frozenset(
    (
        "cpo",
        "emsp",
        "validFrom",
        "validUntil",
        "countries",
        "operators",
        "evseGroups",
        "kinds",
        "sessions",
        "tariff",
    )
)
VERSION: Final = "version"


def terms_of(fields: Fields, now: dt.datetime) -> Terms:
    """
    Read terms; they begin now where nothing is said.

    Raises:
        BadInput: `field_missing`, `wrong_type`, `too_long`, `invalid_value`, `invalid_time`.
    """
    begin, end = fields.text("validFrom"), fields.text("validUntil")
    kinds = _texts(fields, "kinds")
    return Terms(
        cpo=fields.needed("cpo"),
        emsp=fields.needed("emsp"),
        valid_from=parse_time(begin) if begin is not None else now,
        valid_until=parse_time(end) if end is not None else None,
        countries=_texts(fields, "countries"),
        operators=_texts(fields, "operators"),
        evse_groups=_texts(fields, "evseGroups"),
        kinds=tuple(one_of("kinds", k, CredentialKind, tuple(CredentialKind)) for k in kinds),
        sessions=_number(fields, "sessions"),
        tariff=fields.text("tariff", longest=64),
    )


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    match fields.values.get(name, []):
        case list(values) if len(values) <= MAX_PLACES and all(map(_is_text, values)):
            return tuple(str(value) for value in values)
        case _:
            raise BadInput(
                "wrong_type",
                f"{name} is a list of at most {MAX_PLACES} texts.",
                data={"field": name},
            )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _number(fields: Fields, name: str) -> int | None:
    value = fields.values.get(name)
    if value is None or type(value) is int:
        return value
    raise BadInput("wrong_type", f"{name} is a whole number.", data={"field": name})
