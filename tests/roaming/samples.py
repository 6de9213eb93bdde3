"""OCPI objects as partners send them."""

from __future__ import annotations

import copy
from typing import Any, Final

TOKEN: Final[dict[str, Any]] = {
    "country_code": "DE",
    "party_id": "EMP",
    "uid": "04A1B2C3D4E5F6",
    "type": "RFID",
    "contract_id": "DE-EMP-C00000017-V",
    "visual_number": "card 17",
    "issuer": "Emp Mobility",
    "valid": True,
    "whitelist": "ALLOWED",
    "last_updated": "2026-11-20T10:00:00Z",
}
_CDR_TOKEN: Final = {
    "country_code": "DE",
    "party_id": "EMP",
    "uid": "04A1B2C3D4E5F6",
    "type": "RFID",
    "contract_id": "DE-EMP-C00000017-V",
}
_PERIOD: Final = {
    "start_date_time": "2026-11-20T10:00:00Z",
    "dimensions": [{"type": "ENERGY", "volume": 12.5}],
}
SESSION: Final[dict[str, Any]] = {
    "country_code": "NL",
    "party_id": "CPX",
    "id": "S-1",
    "start_date_time": "2026-11-20T10:00:00Z",
    "kwh": 12.5,
    "cdr_token": _CDR_TOKEN,
    "auth_method": "AUTH_REQUEST",
    "authorization_reference": "AUTH-1",
    "location_id": "L1",
    "evse_uid": "E1",
    "connector_id": "1",
    "meter_id": "M1",
    "currency": "EUR",
    "charging_periods": [_PERIOD],
    "total_cost": {"excl_vat": 3.5},
    "status": "ACTIVE",
    "last_updated": "2026-11-20T10:30:00Z",
}
TARIFF: Final[dict[str, Any]] = {
    "country_code": "NL",
    "party_id": "CPX",
    "id": "T-25",
    "currency": "EUR",
    "elements": [{"price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}]}],
    "last_updated": "2026-01-01T00:00:00Z",
}
CDR: Final[dict[str, Any]] = {
    "country_code": "NL",
    "party_id": "CPX",
    "id": "CDR-1",
    "start_date_time": "2026-11-20T10:00:00Z",
    "end_date_time": "2026-11-20T11:00:00Z",
    "session_id": "S-1",
    "cdr_token": _CDR_TOKEN,
    "auth_method": "AUTH_REQUEST",
    "authorization_reference": "AUTH-1",
    "cdr_location": {
        "id": "L1",
        "address": "Kade 1",
        "city": "Utrecht",
        "country": "NLD",
        "coordinates": {"latitude": "52.0907", "longitude": "5.1214"},
        "evse_uid": "E1",
        "evse_id": "NL*CPX*E1*1",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2_COMBO",
        "connector_format": "CABLE",
        "connector_power_type": "DC",
    },
    "currency": "EUR",
    "tariffs": [TARIFF],
    "charging_periods": [_PERIOD],
    "signed_data": {
        "encoding_method": "OCMF",
        "public_key": "abc",
        "signed_values": [{"nature": "Start", "plain_data": "p", "signed_data": "s"}],
    },
    "total_cost": {"excl_vat": 3.5},
    "total_energy": 12.5,
    "total_time": 1.0,
    "credit_reference_id": "CDR-0",
    "last_updated": "2026-11-20T11:05:00Z",
}


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy in which the field at a dotted path has another value."""
    copied = copy.deepcopy(body)
    *parents, last = path.split(".")
    target = copied
    for name in parents:
        target = target[name]
    target[last] = value
    return copied
