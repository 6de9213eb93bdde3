"""Messages to charging stations and enrolments as JSON, for the command line and for HTTP."""

from __future__ import annotations

import json
from typing import Any

from pki.clock import format_time
from pki.model import Enrolment, StationMessage
from pki.pkix import pem


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
        "payload": json.loads(message.payload) if message.ready else None,
        "state": message.state.value,
        "createdAt": format_time(message.created_at),
        "createdBy": message.created_by,
        "expiresAt": format_time(message.expires_at),
        "certificate": message.certificate,
        "answer": json.loads(message.answer) if message.answer else None,
        "answeredAt": format_time(message.answered_at) if message.answered_at else None,
    }


def enrolment_json(enrolment: Enrolment) -> dict[str, Any]:
    """Return a request that waits, or what became of it."""
    return {
        "enrolmentId": enrolment.enrolment_id,
        "kind": enrolment.kind.value,
        "owner": enrolment.owner,
        "commonName": enrolment.common_name,
        "csr": _csr(enrolment.request),
        "requestedBy": enrolment.requested_by,
        "station": json.loads(enrolment.station)["station"] if enrolment.station else None,
        "state": enrolment.state.value,
        "createdAt": format_time(enrolment.created_at),
        "expiresAt": format_time(enrolment.expires_at),
        "decidedAt": format_time(enrolment.decided_at) if enrolment.decided_at else None,
        "decidedBy": enrolment.decided_by,
        "reason": enrolment.reason,
        "certificate": enrolment.certificate,
    }


def _csr(request: bytes) -> str:
    return pem.encode(request, "CERTIFICATE REQUEST") if request[:1] == b"0" else request.decode()
