"""
The whole authorisation: certificate verdict, contract state, route, agreement, and the question to
the eMSP where the whitelist rule says so; one explained verdict.

The contract decision stays what it is and stays offline; the rest is a step after it, and both
stand in one receipt whose id is the `authorization_reference`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pki import access, route, validate
from pki.authorize import shown
from pki.authorize.case import TOKEN_STATUS, Place, Questions, Shown, place
from pki.authorize.found import find, read
from pki.authorize.told import from_json, to_json, to_ocpp
from pki.directory import Directory, Follower
from pki.model import (
    EMAID_TOKEN_TYPE,
    Allowed,
    Authorisation,
    AuthorisationFault,
    ContractCheck,
    ContractEvidence,
    CredentialKind,
    Decision,
    DecisionRecord,
    EmspAnswer,
    EmspQuestion,
    Fault,
    Principal,
    Rejected,
    Whitelist,
)
from pki.ports import Deployment
from pki.realtime import RealTime
from pki.validate.outcomes import OUTCOMES

__all__ = [
    "Authorised",
    "Roaming",
    "authorize",
    "credential",
    "find",
    "from_json",
    "read",
    "to_json",
    "to_ocpp",
]

Json = dict[str, Any]

KINDS: Final = {
    "ISO14443": (CredentialKind.RFID,),
    "ISO15693": (CredentialKind.RFID,),
    "KeyCode": (CredentialKind.KEY_CODE,),
    "Local": (CredentialKind.LOCAL,),
    "Central": (
        CredentialKind.CENTRAL,
        CredentialKind.APP_USER,
        CredentialKind.AD_HOC_USER,
    ),
    "DirectPayment": (CredentialKind.AD_HOC_USER,),
}
"""
OCPP idToken type to the kinds that it may show; what is not listed names nothing here.

`Central` is what a CSMS makes of a start by app. A MAC address (Autocharge) proves nothing.
"""

_ALLOWED: Final = {status: allowed for allowed, status in TOKEN_STATUS.items()}
_GOES_ON: Final = frozenset((Fault.CONTRACT_UNKNOWN, Fault.ACCOUNT_UNKNOWN))
"""Refusals behind which another eMSP may still know the contract: the certificate was good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roaming:
    """What authorisations use besides the store."""

    directory: Follower
    realtime: RealTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised:
    """
    The contract decision, where there was one, and the authorisation.

    Attributes:
        decision: None for credentials that are no contract certificates.
    """

    decision: Decision | None
    authorisation: Authorisation


def authorize(
    deployment: Deployment,
    roaming: Roaming,
    principal: Principal,
    check: ContractCheck,
    *,
    action: access.Action = access.Action.AUTHORIZE,
) -> Authorised:
    """
    Decide whether whoever shows this may charge here, and keep one receipt.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`.
        Unavailable: the store cannot be read or the receipt not written; never an acceptance.
    """
    access.require(principal, action)
    directory = roaming.directory.now()
    by_chain = check.chain is not None or check.unreadable is not None or bool(check.hash_data)
    if check.token_type != EMAID_TOKEN_TYPE and not by_chain:
        return _by_credential(deployment, roaming, directory, principal, check)
    found: list[Authorisation] = []

    def further(decision: Decision, evidence: ContractEvidence) -> Json:
        questions = _questions(
            deployment, roaming, directory, principal, check, decision.decision_id
        )
        found.append(_after(deployment, questions, decision, evidence, check))
        return to_json(found[0])

    decision = validate.validate(deployment, principal, check, action=action, further=further)
    return Authorised(decision=decision, authorisation=found[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks what."""

    principal: Principal
    check: ContractCheck
    action: access.Action = access.Action.AUTHORIZE


class NotAtOnce(Exception):
    """The question cannot be answered among many: somebody else must be asked, or it is rare."""


class _AtOnce(RealTime):
    """Knows who could be asked, and asks nobody: one eMSP must not hold up everybody's answers."""

    def __init__(self, real: RealTime) -> None:
        super().__init__()
        self._real = real

    def reaches(self, emsp: str, hub: str | None) -> bool:
        """Tell whether any way leads to an eMSP."""
        return self._real.reaches(emsp, hub)

    def ask(self, question: EmspQuestion) -> EmspAnswer:
        """Raise NotAtOnce."""
        raise NotAtOnce(question.emsp)


def authorize_many(
    deployment: Deployment, roaming: Roaming, asks: Sequence[Ask]
) -> list[Authorised | Exception]:
    """
    Decide as `authorize` does, with as many queries as for one and one commit.

    What one of them raises is its result, among that NotAtOnce for what `authorize` alone can do.

    Raises:
        Unavailable: the store cannot be read or the receipts not written; nobody is accepted.
    """
    directory = roaming.directory.now()
    quick = Roaming(directory=roaming.directory, realtime=_AtOnce(roaming.realtime))
    found: dict[int, Authorisation] = {}

    def further(at: int, ask: Ask) -> validate.Further:
        def ask_on(decision: Decision, evidence: ContractEvidence) -> Json:
            about = (quick, directory, ask.principal, ask.check, decision.decision_id)
            questions = _questions(deployment, *about)
            found[at] = _after(deployment, questions, decision, evidence, ask.check)
            return to_json(found[at])

        return ask_on

    chosen = {at: ask for at, ask in enumerate(asks) if ask.check.chain is not None}
    asked = [
        validate.Asked(
            principal=ask.principal, check=ask.check, action=ask.action, further=further(at, ask)
        )
        for at, ask in chosen.items()
    ]
    results = dict(zip(chosen, validate.validate_many(deployment, asked), strict=True))
    return [_result(results.get(at), found.get(at)) for at in range(len(asks))]


def _result(
    decision: Decision | Exception | None, authorisation: Authorisation | None
) -> Authorised | Exception:
    if isinstance(decision, Exception):
        return decision
    if decision is None or authorisation is None:
        return NotAtOnce("no chain was presented")
    return Authorised(decision=decision, authorisation=authorisation)


def _questions(  # noqa: PLR0913 - what the questions look at
    deployment: Deployment,
    roaming: Roaming,
    directory: Directory,
    principal: Principal,
    check: ContractCheck,
    reference: str,
) -> Questions:
    now = deployment.clock.now()
    where: Place = place(check.evse_id, check.station_id)
    return Questions(
        principal=principal,
        directory=directory,
        realtime=roaming.realtime,
        running=_running(deployment),
        place=where,
        reference=reference,
        now=now,
        told=Authorisation(
            reference=reference,
            at=now,
            allowed=Allowed.NOT_ALLOWED,
            fault=None,
            explanation="",
            token_status="Invalid",  # noqa: S106 - an OCPP status
            checks=(),
            evse_id=check.evse_id,
        ),
    )


def _running(deployment: Deployment) -> Callable[[str], int]:
    def running(contract_id: str) -> int:
        with deployment.store.read() as tx:
            return tx.sessions.running(contract_id)

    return running


def _after(
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


# --- credentials that are no contract certificates -----------------------------------------------


def _by_credential(
    deployment: Deployment,
    roaming: Roaming,
    directory: Directory,
    principal: Principal,
    check: ContractCheck,
) -> Authorised:
    reference = secrets.token_hex(12)
    questions = _questions(deployment, roaming, directory, principal, check, reference)
    with deployment.store.read() as tx:
        found = shown.look_up(tx, KINDS.get(check.token_type, ()), check.token or "")
    return _recorded(deployment, principal, shown.ask(questions, found))


def credential(  # noqa: PLR0913 - who asks about what and where
    deployment: Deployment,
    roaming: Roaming,
    principal: Principal,
    kind: CredentialKind,
    uid: str,
    *,
    emsps: Collection[str],
    evse_id: str | None = None,
    station_id: str | None = None,
) -> Authorisation:
    """
    Answer a CPO that asks about a credential of eMSPs kept here (OCPI `authorize`), with a receipt.

    Args:
        principal: the CPO, in the role CPO with its party ids.
        uid: as it came; an EMAID in any notation.
        emsps: provider ids of the eMSPs that are asked.

    Raises:
        Unavailable: the store cannot be read or the receipt not written.
    """
    access.require(principal, access.Action.AUTHORIZE)
    check = ContractCheck(token=uid, token_type=kind, evse_id=evse_id, station_id=station_id)
    directory = roaming.directory.now()
    reference = secrets.token_hex(12)
    questions = _questions(deployment, roaming, directory, principal, check, reference)
    with deployment.store.read() as tx:
        found = [
            (each, contract)
            for each, contract in shown.look_up(tx, (kind,), uid)
            if each.emsp in emsps and not each.partner
        ]
    told = shown.ask(questions, found)
    return _recorded(deployment, principal, told).authorisation


def _recorded(deployment: Deployment, principal: Principal, told: Authorisation) -> Authorised:
    record = DecisionRecord(
        decision_id=told.reference,
        decided_at=told.at,
        accepted=told.allowed is Allowed.ALLOWED,
        fault=told.fault.value if told.fault else None,
        emaid=told.contract,
        asked_by=principal.name,
        record=json.dumps({"authorisation": to_json(told)}, sort_keys=True, separators=(",", ":")),
    )
    with deployment.store.write() as tx:
        tx.decisions.add(record)
    return Authorised(decision=None, authorisation=told)
