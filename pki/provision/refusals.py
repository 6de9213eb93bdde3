"""Why a car gets nothing, and how each edition says so (spec 5.2, 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pki.v2g import messages
from pki.v2g.enumerations import ResponseCode2, ResponseCode20
from pki.v2g.messages import iso2, iso20
from pki.v2g.messages.refusals import refuse_installation, refuse_installation20, refuse_update

Request = (
    iso2.CertificateInstallationReq | iso2.CertificateUpdateReq | iso20.CertificateInstallationReq
)
_NEXT_TIME: Final = 0
"""RetryCounter: ask again at the next charging process [V2G2-696], [V2G2-928]."""


class Why(Exception):
    """A car's request is refused; caught where the answer is made."""

    def __init__(self, code: str, explanation: str) -> None:
        super().__init__(explanation)
        self.code = code
        self.explanation = explanation.rstrip(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """
    A refused request.

    Attributes:
        code: stable reason of ours.
        response_code: as the message says it.
        exi: the whole message for the car.
    """

    code: str
    response_code: str
    explanation: str
    exi: bytes


_CODES: Final[dict[str, tuple[ResponseCode2, ResponseCode20]]] = {
    "certificate_expired": (
        ResponseCode2.FAILED_CERTIFICATE_EXPIRED,
        ResponseCode20.WARNING_CERTIFICATE_EXPIRED,
    ),
    "certificate_not_yet_valid": (
        ResponseCode2.FAILED_CERTIFICATE_EXPIRED,
        ResponseCode20.WARNING_CERTIFICATE_NOT_YET_VALID,
    ),
    "certificate_revoked": (
        ResponseCode2.FAILED_CERTIFICATE_REVOKED,
        ResponseCode20.WARNING_CERTIFICATE_REVOKED,
    ),
    "signature": (ResponseCode2.FAILED_SIGNATURE_ERROR, ResponseCode20.FAILED_SIGNATURE_ERROR),
    "contract_not_active": (
        ResponseCode2.FAILED_CONTRACT_CANCELED,
        ResponseCode20.WARNING_GENERAL_PNC_AUTHORIZATION_ERROR,
    ),
    "vehicle_unknown": (
        ResponseCode2.FAILED_NO_CERTIFICATE_AVAILABLE,
        ResponseCode20.WARNING_NO_CONTRACT_MATCHING_PCID_FOUND,
    ),
    "no_contract": (
        ResponseCode2.FAILED_NO_CERTIFICATE_AVAILABLE,
        ResponseCode20.WARNING_NO_CONTRACT_MATCHING_PCID_FOUND,
    ),
    **dict.fromkeys(
        ("vehicle_key", "bundle_ended", "no_listed_root", "not_renewed"),
        (
            ResponseCode2.FAILED_NO_CERTIFICATE_AVAILABLE,
            ResponseCode20.WARNING_NO_CERTIFICATE_AVAILABLE,
        ),
    ),
}
_OTHERWISE: Final = (ResponseCode2.FAILED, ResponseCode20.WARNING_CERTIFICATE_VALIDATION_ERROR)
"""A chain that does not hold: the table of -2 has no code of its own for it (spec 5.2)."""


def refuse(request: Request, why: Why, timestamp: int) -> Refusal:
    """Return the refusal of a request; `timestamp` in seconds since 1970."""
    code2, code20 = _CODES.get(why.code, _OTHERWISE)
    answer: messages.Message
    if isinstance(request, iso20.CertificateInstallationReq):
        answer = refuse_installation20(request, code20, timestamp)
        told = code20.value
    elif isinstance(request, iso2.CertificateUpdateReq):
        answer = refuse_update(request, code2, _NEXT_TIME)
        told = code2.value
    else:
        answer = refuse_installation(request, code2)
        told = code2.value
    return Refusal(
        code=why.code,
        response_code=told,
        explanation=why.explanation,
        exi=messages.encode(answer),
    )
