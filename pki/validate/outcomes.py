"""One table: fault, what it means, and how OCPP, ISO 15118-2 and ISO 15118-20 say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pki.model import Fault

_OK = "OK"
_SOON = "OK_CertificateExpiresSoon"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one fault is told.

    Attributes:
        certificate_status: OCPP AuthorizeCertificateStatusEnum (C07).
        token_status: OCPP AuthorizationStatusEnum of idTokenInfo.
        iso2, iso20: response codes (spec sections 5.1 and 5.3).
        meaning: what happened, for a support engineer; the detail of the check follows it.
    """

    certificate_status: str
    token_status: str
    iso2: str
    iso20: str
    meaning: str


def _chain(meaning: str, iso2: str = "FAILED_CertChainError") -> Outcome:
    return Outcome("CertChainError", "Invalid", iso2, "WARNING_CertificateValidationError", meaning)


def _contract(token_status: str, meaning: str) -> Outcome:
    return Outcome(
        "ContractCancelled",
        token_status,
        "FAILED_ContractCanceled",
        # [V2G20-2210] names a code that the schema lacks; this is the nearest one
        "WARNING_GeneralPnCAuthorizationError",
        meaning,
    )


OUTCOMES: Final[dict[Fault, Outcome]] = {
    Fault.UNREADABLE: _chain("The presented certificates cannot be read"),
    Fault.TOO_MANY_CERTIFICATES: _chain("Too many certificates were presented"),
    Fault.DUPLICATE_CERTIFICATE: _chain("A certificate was presented twice"),
    Fault.LEAF_NOT_FIRST: _chain("The contract certificate does not come first"),
    Fault.HASH_DATA_UNKNOWN: _chain("The certificate hash data name no contract known here"),
    Fault.LEAF_IS_CA: _chain("A CA certificate was presented as a contract certificate"),
    Fault.NO_PATH: _chain("No path leads from the certificate to a trust anchor"),
    Fault.SIGNATURE_INVALID: _chain("A signature of the chain is wrong"),
    Fault.ISSUER_IS_LEAF: _chain("A certificate was issued by an end-entity certificate"),
    Fault.ISSUER_NOT_CA: _chain("A certificate was issued by one that is no CA"),
    Fault.PATH_LENGTH: _chain("The path is longer than a CA of it allows"),
    Fault.WRONG_ROLE: _chain("This is not a contract certificate"),
    Fault.PROFILE: _chain("A certificate breaks the contract certificate profile"),
    Fault.NOT_YET_VALID: Outcome(
        "CertChainError",
        "Invalid",
        "FAILED_CertificateExpired",
        "WARNING_CertificateNotYetValid",
        "A certificate of the path is not valid yet",
    ),
    Fault.EXPIRED: Outcome(
        "CertificateExpired",
        "Expired",
        "FAILED_CertificateExpired",
        "WARNING_CertificateExpired",
        "A certificate of the path has expired",
    ),
    Fault.EMAID_MISMATCH: _chain("The presented EMAID is not the one in the certificate"),
    Fault.EMAID_AMBIGUOUS: _chain("The presented identifier names two different contracts"),
    Fault.REVOKED: Outcome(
        "CertificateRevoked",
        "Invalid",
        "FAILED_CertificateRevoked",
        "WARNING_CertificateRevoked",
        "A certificate of the path has been revoked",
    ),
    Fault.STATUS_MISSING: _chain("The revocation status of a certificate cannot be established"),
    Fault.CONTRACT_UNKNOWN: _contract("Unknown", "The contract is not known here"),
    Fault.CONTRACT_BLOCKED: _contract("Blocked", "The eMSP has blocked the contract"),
    Fault.CONTRACT_SUSPENDED: _contract("Blocked", "The eMSP has suspended the contract"),
    Fault.CONTRACT_ENDED: _contract("Expired", "The contract has ended"),
    Fault.ACCOUNT_UNKNOWN: Outcome(
        "ContractCancelled",
        "Unknown",
        "FAILED_ContractCanceled",
        "WARNING_eMSPUnknown",
        "No eMSP account exists for the provider of the contract",
    ),
}

ACCEPTED: Final = Outcome("Accepted", "Accepted", _OK, _OK, "The contract is good")
EXPIRES_SOON: Final = Outcome(
    "Accepted", "Accepted", _SOON, _SOON, "The contract is good, its certificate expires soon"
)

COLUMNS: Final = (
    "Fault",
    "OCPP certificateStatus",
    "OCPP idTokenInfo",
    "ISO 15118-2",
    "ISO 15118-20",
    "Meaning",
)


def rows() -> list[tuple[str, ...]]:
    """Return the table in the order of `COLUMNS`: both acceptances, then every fault."""
    named = {"": ACCEPTED, "(expires soon)": EXPIRES_SOON}
    named |= {fault.value: outcome for fault, outcome in OUTCOMES.items()}
    return [
        (name, o.certificate_status, o.token_status, o.iso2, o.iso20, o.meaning)
        for name, o in named.items()
    ]


def markdown() -> str:
    """Return the table as `OUTCOMES.md` beside this module holds it."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
