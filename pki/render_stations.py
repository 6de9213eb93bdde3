"""Messages to charging stations as JSON, for the command line and for HTTP."""

from __future__ import annotations

import json
from typing import Any

from pki.clock import format_time
from pki.model import StationMessage


def message_json(message: StationMessage) -> dict[str, Any]:
    """
    Return a message.

    `call` and `payload` are what the CSMS sends: in OCPP 1.6 a DataTransfer that carries `action`.
    """
    return {
        "id": message.message_id,
        "station": message.station_id,
        "operator": message.operator,
        "version": message.version,
        "action": message.action,
        "call": "DataTransfer" if message.version == "1.6" else message.action,
        "payload": json.loads(message.payload) if message.payload else None,
        "state": message.state.value,
        "createdAt": format_time(message.created_at),
        "createdBy": message.created_by,
        "expiresAt": format_time(message.expires_at),
        "certificate": message.certificate,
        "answer": json.loads(message.answer) if message.answer else None,
        "answeredAt": format_time(message.answered_at) if message.answered_at else None,
    }
