"""End entities that were registered, and enrolments that wait for somebody's consent."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from pki.ids import SeccId
from pki.pkix.profiles import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEntity:
    """
    A charging point that its operator registered before it enrols.

    Attributes:
        secc_id: CN of its certificates.
        details: JSON of what else the operator said of it.
    """

    secc_id: SeccId
    details: str
    registered_at: dt.datetime
    registered_by: str


class EnrolmentState(StrEnum):
    """
    What became of a request that waits for consent.

    `issued`: the certificate was made, once; the same CSR is a new request from then on.
    """

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ISSUED = "issued"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """
    A request for a certificate that somebody must accept first.

    Attributes:
        digest: of kind, owner, name and key; of one there is one open request.
        request: CSR as it came.
        station: JSON of the SignCertificate that it came in, else None.
        reason: of who decided, for whoever asked.
        certificate: fingerprint of what was issued.
    """

    enrolment_id: str
    kind: Kind
    owner: str
    common_name: str
    digest: str
    request: bytes
    requested_by: str
    state: EnrolmentState
    created_at: dt.datetime
    expires_at: dt.datetime
    station: str | None = None
    decided_at: dt.datetime | None = None
    decided_by: str | None = None
    reason: str | None = None
    certificate: str | None = None
