"""Shapes of sessions and charge detail records (CDRs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.parties import COUNTRY, PARTY
from pki.roaming.ocpi.shapes import Shape, ci, many, matching, one_of, shape, string
from pki.roaming.ocpi.tariffs import TARIFFS
from pki.roaming.ocpi.tokens import CLOSED_TYPES
from pki.roaming.ocpi.versions import Version

AUTH_METHODS: Final = ("AUTH_REQUEST", "COMMAND", "WHITELIST")
SESSION_STATUSES: Final = ("ACTIVE", "COMPLETED", "INVALID", "PENDING", "RESERVATION")
CDR_DIMENSIONS: Final = (
    "ENERGY",
    "MAX_CURRENT",
    "MIN_CURRENT",
    "MAX_POWER",
    "MIN_POWER",
    "PARKING_TIME",
    "RESERVATION_TIME",
    "TIME",
)
SESSION_DIMENSIONS: Final = (
    *CDR_DIMENSIONS,
    "CURRENT",
    "ENERGY_EXPORT",
    "ENERGY_IMPORT",
    "POWER",
    "STATE_OF_CHARGE",
)
CURRENCY: Final = matching(r"[A-Za-z]{3}", "a currency of three letters")
_COORDINATE: Final = matching(r"-?[0-9]{1,3}(?:\.[0-9]{1,16})?", "a coordinate in degrees")
"""Deployed CPOs send fewer decimals than demanded; nothing of ours depends on them."""

_VAT_PRICE: Final = shape({"excl_vat": shapes.number}, {"incl_vat": shapes.number})
_TAX: Final = shape(
    {"name": string(255), "amount": shapes.number},
    {"account_number": string(36), "percentage": shapes.number},
)
_TAX_PRICE: Final = shape({"before_taxes": shapes.number}, {"taxes": many(_TAX, most=100)})
PRICES: Final[Mapping[Version, Shape]] = {
    Version.V2_2_1: _VAT_PRICE,
    Version.V2_3_0: _TAX_PRICE,
}


def _cdr_token(version: Version) -> Shape:
    kind = one_of(CLOSED_TYPES) if version is Version.V2_2_1 else ci(36)
    return shape(
        {
            "country_code": COUNTRY,
            "party_id": PARTY,
            "uid": ci(36),
            "type": kind,
            "contract_id": ci(36),
        }
    )


def _period(dimensions: tuple[str, ...]) -> Shape:
    dimension = shape({"type": one_of(dimensions), "volume": shapes.number})
    return shape(
        {"start_date_time": shapes.time, "dimensions": many(dimension, most=50)},
        {"tariff_id": ci(36)},
    )


def _session(version: Version) -> Shape:
    return shape(
        {
            "country_code": COUNTRY,
            "party_id": PARTY,
            "id": ci(36),
            "start_date_time": shapes.time,
            "kwh": shapes.number,
            "cdr_token": _cdr_token(version),
            "auth_method": one_of(AUTH_METHODS),
            "location_id": ci(36),
            "evse_uid": ci(36),
            "connector_id": ci(36),
            "currency": CURRENCY,
            "status": one_of(SESSION_STATUSES),
            "last_updated": shapes.time,
        },
        {
            "end_date_time": shapes.time,
            "authorization_reference": ci(36),
            "meter_id": string(255),
            "charging_periods": many(_period(SESSION_DIMENSIONS)),
            "total_cost": PRICES[version],
        },
    )


_CDR_LOCATION: Final = shape(
    {
        "id": ci(36),
        "address": string(255),  # 45 before edition 2 of 2.3.0
        "city": string(45),
        "country": matching(r"[A-Za-z]{3}", "a country code of three letters"),
        "coordinates": shape({"latitude": _COORDINATE, "longitude": _COORDINATE}),
        "evse_uid": ci(36),
        "evse_id": ci(48),
        "connector_id": ci(36),
        "connector_standard": ci(50),
        "connector_format": one_of(("SOCKET", "CABLE")),
        "connector_power_type": ci(20),
    },
    {"name": string(255), "postal_code": string(10), "state": string(45)},
)
_SIGNED_VALUE: Final = shape(
    {"nature": ci(32), "plain_data": string(5000), "signed_data": string(5000)}
)
_SIGNED_DATA: Final = shape(
    {"encoding_method": ci(36), "signed_values": many(_SIGNED_VALUE, least=1, most=1000)},
    {
        "encoding_method_version": shapes.integer,
        "public_key": string(512),
        "url": string(512),
    },
)


def _cdr(version: Version) -> Shape:
    price = PRICES[version]
    costs = ("fixed", "energy", "time", "parking", "reservation")
    return shape(
        {
            "country_code": COUNTRY,
            "party_id": PARTY,
            "id": ci(39),  # 36, and 39 for a credit
            "start_date_time": shapes.time,
            "end_date_time": shapes.time,
            "cdr_token": _cdr_token(version),
            "auth_method": one_of(AUTH_METHODS),
            "cdr_location": _CDR_LOCATION,
            "currency": CURRENCY,
            "charging_periods": many(_period(CDR_DIMENSIONS), least=1),
            "total_cost": price,
            "total_energy": shapes.number,
            "total_time": shapes.number,
            "last_updated": shapes.time,
        },
        {
            "session_id": ci(36),
            "authorization_reference": ci(36),
            "meter_id": string(255),
            "tariffs": many(TARIFFS[version], most=100),
            "signed_data": _SIGNED_DATA,
            **{f"total_{part}_cost": price for part in costs},
            "total_parking_time": shapes.number,
            "remark": string(255),
            "invoice_reference_id": ci(39),
            "credit": shapes.flag,
            "credit_reference_id": ci(39),
            "home_charging_compensation": shapes.flag,
        },
    )


SESSIONS: Final[Mapping[Version, Shape]] = {v: _session(v) for v in Version}
CDRS: Final[Mapping[Version, Shape]] = {v: _cdr(v) for v in Version}
