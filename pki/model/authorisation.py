"""The answer to the whole question: whose customer is this, and may it charge here?"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NoReturn

from pki.model.decisions import Check
from pki.model.roaming import Allowed, CredentialKind, Whitelist


class AuthorisationFault(StrEnum):
    """Why an authorisation refuses; stable, in the order of the questions."""

    CONTRACT = "contract"
    CREDENTIAL_UNKNOWN = "credential_unknown"
    CREDENTIAL_AMBIGUOUS = "credential_ambiguous"
    CREDENTIAL_BLOCKED = "credential_blocked"
    CONTRACT_BLOCKED = "contract_blocked"
    CONTRACT_ENDED = "contract_ended"
    EMSP_UNKNOWN = "emsp_unknown"
    CPO_UNKNOWN = "cpo_unknown"
    NO_AGREEMENT = "no_agreement"
    KIND_NOT_AGREED = "kind_not_agreed"
    NOT_HERE = "not_here"
    TOO_MANY_SESSIONS = "too_many_sessions"
    EMSP_REFUSED = "emsp_refused"
    EMSP_SILENT = "emsp_silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """
    The whole verdict, explained.

    Attributes:
        reference: `authorization_reference`, which ties session and CDR to it: id of the receipt.
        token_status: OCPP AuthorizationStatusEnum.
        cpo, emsp: party ids, or None where none was found.
        contract: identifier of the contract as its eMSP writes it.
        agreement: id and version, or None.
        rule: whitelist rule that applied, or None where it did not come to that.
        asked: whether the eMSP was asked in real time, and answered.
        fallback: the rule that stood in for a silent eMSP, or None.
        emsp_reference: the eMSP's own reference; where there is one, it goes into what it is sent.
    """

    reference: str
    at: dt.datetime
    allowed: Allowed
    fault: AuthorisationFault | None
    explanation: str
    token_status: str
    checks: tuple[Check, ...]
    cpo: str | None = None
    emsp: str | None = None
    kind: CredentialKind | None = None
    contract_id: str | None = None
    contract: str | None = None
    evse_id: str | None = None
    agreement: tuple[str, int] | None = None
    tariff: str | None = None
    rule: Whitelist | None = None
    asked: Literal["no", "answered", "failed"] = "no"
    fallback: str | None = None
    emsp_reference: str | None = None

    def __bool__(self) -> NoReturn:
        """Refuse: a refusal must not pass as true."""
        raise TypeError("look at `allowed`; an authorisation has no truth value")
