"""Credentials of every kind on a contract: register, block and unblock at once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Final

from pki import audit, contracts
from pki.errors import BadInput, Conflict, NotFound
from pki.ids import CredentialUid, Edition, quote
from pki.model import (
    Contract,
    Credential,
    CredentialKind,
    CredentialState,
    Principal,
    Whitelist,
)
from pki.ports import Deployment, Transaction

MAX_OF_CONTRACT: Final = 100
_EMAID_KEY: Final = 14
_LANGUAGE: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    A credential to register.

    Attributes:
        whitelist: None: the rule of the contract.
        group_id: credentials of one group may stop each other's sessions.
        language: ISO 639-1.
    """

    kind: CredentialKind
    uid: str
    whitelist: Whitelist | None = None
    visual_number: str | None = None
    issuer: str | None = None
    group_id: str | None = None
    language: str | None = None


def add(
    deployment: Deployment,
    principal: Principal,
    emaid: str,
    wanted: Wanted,
    *,
    edition: Edition | None = None,
) -> Credential:
    """
    Give a contract one more credential.

    Raises:
        BadInput: `invalid_emaid`, `invalid_uid`, `invalid_credential` (an EMAID comes with its
            contract, not by itself).
        NotFound: `contract_unknown`.
        Conflict: `credential_exists`, `too_many_credentials`.
    """
    uid = CredentialUid.parse(wanted.uid)
    if wanted.kind is CredentialKind.EMAID:
        raise BadInput(
            "invalid_credential",
            "An EMAID becomes a credential with its contract or its certificate.",
            hint="Register the contract, or issue its certificate.",
        )
    if wanted.language is not None and len(wanted.language) != _LANGUAGE:
        raise BadInput("invalid_credential", "A language has two letters.")
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        contract = contracts.named(tx, principal, emaid, edition)
        contracts.require_account(tx, contract.account.value, lock=True)
        if len(tx.credentials.of_contract(contract.contract_id)) >= MAX_OF_CONTRACT:
            raise Conflict(
                "too_many_credentials", f"A contract has at most {MAX_OF_CONTRACT} credentials."
            )
        credential = Credential(
            credential_id=secrets.token_hex(12),
            emsp=contract.account.value,
            kind=wanted.kind,
            uid=uid.value,
            presented=uid.presented,
            contract_id=contract.contract_id,
            contract=contract.identifiers[0].key,
            state=CredentialState.ACTIVE,
            created_at=now,
            updated_at=now,
            whitelist=wanted.whitelist,
            visual_number=wanted.visual_number,
            issuer=wanted.issuer,
            group_id=wanted.group_id,
            language=wanted.language,
        )
        tx.credentials.add(credential)
        _record(tx, principal, credential, "credential.add")
    return credential


def set_state(  # noqa: PLR0913 - which credential, and what becomes of it
    deployment: Deployment,
    principal: Principal,
    emaid: str,
    kind: CredentialKind,
    uid: str,
    state: CredentialState,
    *,
    edition: Edition | None = None,
) -> Credential:
    """
    Block or unblock one credential of a contract; the next decision sees it.

    Blocking an EMAID refuses the contract certificates that carry it, and leaves the cards.

    Raises:
        BadInput: `invalid_emaid`, `invalid_uid`.
        NotFound: `contract_unknown`, `credential_unknown`.
    """
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        contract = contracts.named(tx, principal, emaid, edition)
        contracts.require_account(tx, contract.account.value, lock=True)
        before = _of(tx, contract, kind, uid)
        after = replace(before, state=state, updated_at=now)
        tx.credentials.put(after)
        if kind is CredentialKind.EMAID:
            blocked = now if state is CredentialState.BLOCKED else None
            tx.contracts.block(contract.contract_id, after.uid[:_EMAID_KEY], blocked)
        _record(tx, principal, after, "credential.set")
    return after


def _of(tx: Transaction, contract: Contract, kind: CredentialKind, uid: str) -> Credential:
    wanted = CredentialUid.parse(uid).value
    if kind is CredentialKind.EMAID:
        wanted = wanted.replace("-", "")
    for found in tx.credentials.of_contract(contract.contract_id):
        same = found.uid == wanted
        if kind is CredentialKind.EMAID:  # with its check character or without
            same = found.uid[:_EMAID_KEY] == wanted[:_EMAID_KEY]
        if found.kind is kind and same:
            return found
    raise NotFound(
        "credential_unknown",
        f"The contract has no credential {quote(uid)} of this kind.",
        hint="`pnc credential list EMAID` shows its credentials.",
    )


def of_contract(  # noqa: PLR0913 - which contract, and which page
    deployment: Deployment,
    principal: Principal,
    emaid: str,
    edition: Edition | None = None,
    *,
    after: tuple[str, str] | None = None,
    limit: int = MAX_OF_CONTRACT + 1,
) -> list[Credential]:
    """
    Return a page of the credentials of a contract, by kind and uid; errors as `contracts.find`.

    Args:
        after: kind and uid, folded, of the last one of the page before.
    """
    with deployment.store.read() as tx:
        contract = contracts.named(tx, principal, emaid, edition)
        return tx.credentials.of_contract(contract.contract_id, after=after, limit=limit)


def _record(tx: Transaction, principal: Principal, credential: Credential, action: str) -> None:
    audit.note(
        tx,
        credential.updated_at,
        principal.name,
        action,
        credential.credential_id,
        {"kind": credential.kind.value, "state": credential.state.value},
    )
