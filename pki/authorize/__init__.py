"""
The whole authorisation: certificate verdict, contract state, route, agreement, and the question to
the eMSP where the whitelist rule says so; one explained verdict.

The contract decision stays what it is and stays offline; the rest is a step after it, and both
stand in one receipt whose id is the `authorization_reference`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from pki import access, validate
from pki.authorize import shown
from pki.authorize.after import Authorised, Outcome, Roaming, after, questions_of
from pki.authorize.found import find, read
from pki.authorize.many import Ask, NotAtOnce, authorize_many
from pki.authorize.memory import Memory, Remembered
from pki.authorize.told import from_json, to_json
from pki.directory import Directory
from pki.model import (
    EMAID_TOKEN_TYPE,
    Allowed,
    Authorisation,
    ContractCheck,
    ContractEvidence,
    CredentialKind,
    Decision,
    DecisionRecord,
    Principal,
)
from pki.ports import Deployment
from pki.validate.repeats import new_id

__all__ = [
    "Ask",
    "Authorised",
    "Memory",
    "NotAtOnce",
    "Outcome",
    "Remembered",
    "Roaming",
    "authorize",
    "authorize_many",
    "credential",
    "find",
    "from_json",
    "read",
    "to_json",
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
        reference, at = decision.decision_id, decision.decided_at
        questions = questions_of(deployment, roaming, directory, principal, check, reference, at)
        found.append(after(deployment, questions, decision, evidence, check))
        return to_json(found[0])

    decision = validate.validate(deployment, principal, check, action=action, further=further)
    return Authorised.of(decision, found[0])


# --- credentials that are no contract certificates -----------------------------------------------


def _by_credential(
    deployment: Deployment,
    roaming: Roaming,
    directory: Directory,
    principal: Principal,
    check: ContractCheck,
) -> Authorised:
    now = deployment.clock.now()
    questions = questions_of(deployment, roaming, directory, principal, check, new_id(now), now)
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
    now = deployment.clock.now()
    questions = questions_of(deployment, roaming, directory, principal, check, new_id(now), now)
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
    return Authorised.of(None, told)
