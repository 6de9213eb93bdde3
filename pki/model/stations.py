"""Charging stations: the messages that wait for them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class MessageState(StrEnum):
    """
    What became of a message to a station.

    `making`: reserved, its certificate is being issued. `pending`: the CSMS may fetch it.
    `superseded`: a newer certificate for the same use came before the station answered.
    """

    MAKING = "making"
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


OPEN_STATES = (MessageState.MAKING, MessageState.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationMessage:
    """
    One OCPP message from a CSMS to a station, which the CSMS fetches, forwards and answers.

    Attributes:
        message_id: sorts by time of creation.
        operator: CPO whose station it is.
        version: of OCPP: 1.6, 2.0.1 or 2.1.
        use: certificateType of a CertificateSigned, else empty.
        digest: of what asked for it; of two open messages with the same one there is one.
        payload: JSON; while `making` what it will hold beside the chain, or empty.
        answer: JSON of the station's answer, or of its CALLERROR.
        certificate: fingerprint of what a CertificateSigned carries.
    """

    message_id: str
    operator: str
    station_id: str
    version: str
    action: str
    use: str
    digest: str
    payload: str
    state: MessageState
    created_at: dt.datetime
    created_by: str
    expires_at: dt.datetime
    certificate: str | None = None
    answer: str | None = None
    answered_at: dt.datetime | None = None

    @property
    def ready(self) -> bool:
        """Whether its payload is complete: a CertificateSigned has its certificate."""
        return self.certificate is not None or self.action != "CertificateSigned"
