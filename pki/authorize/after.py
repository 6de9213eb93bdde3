"""What follows the contract decision: the questions about route, agreement and eMSP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from pki import route, validate
from pki.authorize import shown
from pki.authorize.case import TOKEN_STATUS, Place, Questions, Shown, place
from pki.authorize.told import Json, to_ocpp
from pki.directory import Directory, Follower
from pki.model import (
    Allowed,
    Authorisation,
    AuthorisationFault,
    ContractCheck,
    ContractEvidence,
    CredentialKind,
    Decision,
    Fault,
    Principal,
    Rejected,
    Whitelist,
)
from pki.ports import Deployment
from pki.realtime import RealTime
from pki.validate.outcomes import OUTCOMES

_ALLOWED: Final = {status: allowed for allowed, status in TOKEN_STATUS.items()}
_GOES_ON: Final = frozenset((Fault.CONTRACT_UNKNOWN, Fault.ACCOUNT_UNKNOWN))
"""Refusals behind which another eMSP may still know the contract: the certificate was good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roaming:
    """What authorisations use besides the store."""

    directory: Follower
    realtime: RealTime


class Outcome(NamedTuple):
    """
    What is counted of an authorisation.

    Attributes:
        decided: `accepted` or `rejected`; None without a contract decision.
        refused: the fault of that decision, or nothing.
        allowed, fault: of the authorisation; no fault: nothing.
    """

    decided: str | None
    refused: str
    allowed: str
    fault: str


def outcome_of(decision: Decision | None, found: Authorisation) -> Outcome:
    """Return what is counted."""
    verdict = decision.verdict if decision else None
    refused = verdict.fault.value if isinstance(verdict, Rejected) else ""
    return Outcome(
        decided=None if verdict is None else "rejected" if refused else "accepted",
        refused=refused,
        allowed=found.allowed.value,
        fault=found.fault.value if found.fault else "",
    )


class Authorised(NamedTuple):
    """
    The contract decision, where there was one, and the authorisation.

    Attributes:
        made: makes both; no decision for credentials that are no contract certificates.
        outcome: what is counted of them.
        lasting: how long both may be repeated; None where they must be made anew each time.
        told: makes the JSON of both, as `POST /v1/contracts/validate` answers; None where nobody
            did.
        spoken: what `ocpp` returns, where that is known before both are made.
    """

    made: Callable[[], tuple[Decision | None, Authorisation]]
    outcome: Outcome
    lasting: validate.Lasting | None = None
    told: Callable[[], bytes] | None = None
    spoken: tuple[str, Json] | None = None

    @classmethod
    def of(cls, decision: Decision | None, found: Authorisation) -> Self:
        """Return what was made already, to be made anew each time."""
        return cls(lambda: (decision, found), outcome_of(decision, found))

    def ocpp(self) -> tuple[str, Json]:
        """Return the reference, and the AuthorizeResponse of OCPP."""
        if self.spoken is not None:
            return self.spoken
        decision, found = self.made()
        return found.reference, to_ocpp(decision, found)

    @property
    def decision(self) -> Decision | None:
        """The contract decision."""
        return self.made()[0]

    @property
    def authorisation(self) -> Authorisation:
        """The authorisation."""
        return self.made()[1]


def questions_of(  # noqa: PLR0913 - what the questions look at
    deployment: Deployment,
    roaming: Roaming,
    directory: Directory,
    principal: Principal,
    check: ContractCheck,
    reference: str,
    now: dt.datetime,
) -> Questions:
    """Return the questions about one authorisation, none of them asked."""
    where: Place = place(check.evse_id, check.station_id)
    return Questions(
        principal=principal,
        directory=directory,
        realtime=roaming.realtime,
        running=_running(deployment),
        place=where,
        reference=reference,
        now=now,
        evse_id=check.evse_id,
    )


def _running(deployment: Deployment) -> Callable[[str], int]:
    def running(contract_id: str) -> int:
        with deployment.store.read() as tx:
            return tx.sessions.running(contract_id)

    return running


def after(
    deployment: Deployment,
    questions: Questions,
    decision: Decision,
    evidence: ContractEvidence,
    check: ContractCheck,
) -> Authorisation:
    """Go on behind the contract decision."""
    verdict = decision.verdict
    emaid = verdict.emaid
    if isinstance(verdict, Rejected) and (verdict.fault not in _GOES_ON or emaid is None):
        return _refused(questions, verdict)
    if emaid is None:
        return questions.refuse(AuthorisationFault.CREDENTIAL_UNKNOWN, "nothing names a contract")
    contract = evidence.contract
    own = Shown(
        kind=CredentialKind.EMAID,
        uid=emaid.key,
        presented=check.token or emaid.normalised,
        emsp=emaid.provider.value,
        contract=emaid.key,
        contract_id=contract.contract_id if contract else None,
        rule=contract.whitelist if contract else None,
    )
    if isinstance(verdict, Rejected):
        with deployment.store.read() as tx:
            known = tx.credentials.named(CredentialKind.EMAID, emaid.key)
        partners = [each for each in known if each.partner]
        if partners:
            return shown.ask(questions, [(each, None) for each in partners])
        return (
            questions.ask(_foreign(own))
            if _reached(questions, own)
            else _refused(questions, verdict)
        )
    return questions.ask(own)


def _reached(questions: Questions, own: Shown) -> bool:
    """Tell whether an eMSP that keeps no contracts here can be asked about an EMAID."""
    way = route.to_emsp(questions.directory, own.uid, questions.now)
    return questions.realtime.reaches(way.party, way.hub)


def _foreign(own: Shown) -> Shown:
    """Take a contract that only its eMSP knows: nothing but its word counts."""
    return replace(own, rule=Whitelist.NEVER, kept=False, contract_id=None)


def _refused(questions: Questions, verdict: Rejected) -> Authorisation:
    """Tell the refusal of the contract decision in the words of the authorisation."""
    row = OUTCOMES[verdict.fault]
    told = questions.refuse(AuthorisationFault.CONTRACT, verdict.explanation.rstrip("."))
    allowed = _ALLOWED.get(row.token_status, Allowed.NOT_ALLOWED)
    if row.token_status == "Invalid":  # noqa: S105 - an OCPP status
        allowed = Allowed.BLOCKED
    emaid = verdict.emaid
    return replace(
        told,
        allowed=allowed,
        token_status=row.token_status,
        kind=CredentialKind.EMAID,
        emsp=emaid.provider.value if emaid else None,
        contract=emaid.key if emaid else None,
    )
