"""Status for those who ask by OCPP hash data instead of OCSP; never fetches what a peer names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pki import access
from pki.model import HashData, Principal
from pki.pkix.ocsp_ask import request_for, status_in
from pki.status.answers import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    What is known of one certificate.

    Attributes:
        response: DER OCSPResponse.
        status: `good`, `revoked` or `unknown`.
    """

    response: bytes
    status: str
    next_update: dt.datetime | None


def certificate_status(answers: Answers, principal: Principal, item: HashData) -> Told | None:
    """
    Return our signed answer about a certificate of ours; None for a foreign issuer, and while no
    answer can be given.

    Raises:
        NotAllowed: `role_not_allowed`.
    """
    access.require(principal, access.Action.AUTHORIZE)
    request = request_for(
        item.algorithm.lower(), item.issuer_name_hash, item.issuer_key_hash, item.serial.as_int
    )
    response = answers.respond(request).der
    known = status_in(response)
    if known is None:
        return None
    return Told(response=response, status=known[0], next_update=known[1])
