"""Credentials by their uid, and which of several eMSPs' cards it is."""

from __future__ import annotations

from collections.abc import Iterable

from pki.authorize.case import Questions, Shown
from pki.errors import BadInput
from pki.ids import CredentialUid, Edition, Emaid
from pki.model import (
    Authorisation,
    AuthorisationFault,
    Contract,
    ContractState,
    Credential,
    CredentialKind,
    CredentialState,
)
from pki.ports import Transaction

Found = tuple[Credential, Contract | None]
"""A credential and, where it is kept here, its contract."""

_STATES = {
    ContractState.BLOCKED: AuthorisationFault.CONTRACT_BLOCKED,
    ContractState.SUSPENDED: AuthorisationFault.CONTRACT_BLOCKED,
    ContractState.ENDED: AuthorisationFault.CONTRACT_ENDED,
}


def look_up(tx: Transaction, kinds: Iterable[CredentialKind], token: str) -> list[Found]:
    """Return whatever is called so, of every eMSP; nothing for what is no uid."""
    found = [each for kind in kinds for each in tx.credentials.named(kind, _uid(kind, token))]
    return [(c, tx.contracts.get(c.contract_id) if c.contract_id else None) for c in found]


def _uid(kind: CredentialKind, token: str) -> str:
    """Return the folded uid; what is no uid names nothing."""
    try:
        if kind is CredentialKind.EMAID:
            return Emaid.parse(token, Edition.ISO2).key
    except BadInput:
        pass  # a longer one, of -20, or a contract id of a partner
    try:
        folded = CredentialUid.parse(token).value
    except BadInput:
        return ""
    return folded.replace("-", "") if kind is CredentialKind.EMAID else folded


def ask(questions: Questions, found: list[Found]) -> Authorisation:
    """
    Go by the one credential of that uid; where several eMSPs call a card so, by the one that may.

    Two that may are ambiguous: nobody can tell who would pay.
    """
    if not found:
        return questions.refuse(
            AuthorisationFault.CREDENTIAL_UNKNOWN, "no credential of this kind and uid is known"
        )
    agreed = [each for each in found if questions.agreed(_shown(*each))] if found[1:] else found
    if len(agreed) == 1 or not agreed:
        return _one(questions, *(agreed or found)[0])
    emsps = ", ".join(credential.emsp for credential, _ in agreed)
    return questions.refuse(AuthorisationFault.CREDENTIAL_AMBIGUOUS, f"it is one of {emsps}")


def _one(questions: Questions, credential: Credential, contract: Contract | None) -> Authorisation:
    state = contract.state_at(questions.now) if contract else ContractState.ACTIVE
    if state in _STATES:
        return questions.refuse(_STATES[state], f"the contract is {state.value}")
    return questions.ask(_shown(credential, contract))


def _shown(credential: Credential, contract: Contract | None) -> Shown:
    return Shown(
        kind=credential.kind,
        uid=credential.uid,
        presented=credential.presented,
        emsp=credential.emsp,
        contract=credential.contract,
        contract_id=credential.contract_id,
        rule=credential.whitelist or (contract.whitelist if contract else None),
        usable=credential.state is CredentialState.ACTIVE,
        kept=not credential.partner,
    )
