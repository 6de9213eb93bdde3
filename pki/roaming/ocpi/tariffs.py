"""Shapes of tariffs; what they cost is worked out elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.parties import COUNTRY, PARTY
from pki.roaming.ocpi.shapes import Shape, ci, many, matching, one_of, shape, string
from pki.roaming.ocpi.versions import Version

TARIFF_TYPES: Final = (
    "AD_HOC_PAYMENT",
    "PROFILE_CHEAP",
    "PROFILE_FAST",
    "PROFILE_GREEN",
    "REGULAR",
)
_DAYS: Final = (
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
)
_CLOCK: Final = matching(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", "a time of day such as 13:30")
_DATE: Final = matching(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", "a date such as 2026-12-24")
_COMPONENT: Final = shape(
    {
        "type": one_of(("ENERGY", "FLAT", "PARKING_TIME", "TIME")),
        "price": shapes.number,
        "step_size": shapes.integer,
    },
    {"vat": shapes.number},
)
_RESTRICTIONS: Final = shape(
    {},
    {
        "start_time": _CLOCK,
        "end_time": _CLOCK,
        "start_date": _DATE,
        "end_date": _DATE,
        **{
            f"{end}_{kind}": shapes.number
            for end in ("min", "max")
            for kind in ("kwh", "current", "power")
        },
        "min_duration": shapes.integer,
        "max_duration": shapes.integer,
        "day_of_week": many(one_of(_DAYS), most=7),
        "reservation": one_of(("RESERVATION", "RESERVATION_EXPIRES")),
    },
)
_ELEMENT: Final = shape(
    {"price_components": many(_COMPONENT, least=1, most=100)}, {"restrictions": _RESTRICTIONS}
)
_TEXT: Final = shape({"language": ci(2, 2), "text": string(512)})
_LIMITS: Final[Mapping[Version, Shape]] = {
    Version.V2_2_1: shape({"excl_vat": shapes.number}, {"incl_vat": shapes.number}),
    Version.V2_3_0: shape({"before_taxes": shapes.number}, {"after_taxes": shapes.number}),
}


def _tariff(version: Version) -> Shape:
    taxed = {"tax_included": one_of(("YES", "NO", "N/A"))} if version is Version.V2_3_0 else {}
    return shape(
        {
            "country_code": COUNTRY,
            "party_id": PARTY,
            "id": ci(36),
            "currency": matching(r"[A-Za-z]{3}", "a currency of three letters"),
            "elements": many(_ELEMENT, least=1, most=1000),
            "last_updated": shapes.time,
            **taxed,
        },
        {
            "type": one_of(TARIFF_TYPES),
            "tariff_alt_text": many(_TEXT, most=100),
            "tariff_alt_url": shapes.url,
            "min_price": _LIMITS[version],
            "max_price": _LIMITS[version],
            "start_date_time": shapes.time,
            "end_date_time": shapes.time,
            "energy_mix": shapes.any_object,
        },
    )


TARIFFS: Final[Mapping[Version, Shape]] = {v: _tariff(v) for v in Version}
