"""
Contracts by their identifiers: register, change state, find.

A -2 identifier is known by its 14 characters, a -20 identifier by all of it. An identifier of 14 or
15 characters can be read as both, so no two contracts may be registered that such a token would
both name.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from pki import access, alike, audit, route
from pki.clock import format_time
from pki.errors import BadInput, Conflict, JsonValue, NotFound, PolicyViolation
from pki.ids import Edition, Emaid, ProviderId, quote
from pki.model import (
    Account,
    Contract,
    ContractEvidence,
    ContractState,
    Credential,
    CredentialKind,
    CredentialState,
    Principal,
    Whitelist,
)
from pki.ports import Deployment, Transaction


class Keep(Enum):
    """Stands for a value that stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChange:
    """
    What becomes of a contract.

    Attributes:
        valid_from, valid_until, whitelist: None takes away the bound, or the rule.
    """

    state: ContractState | Keep = KEEP
    valid_from: dt.datetime | Keep | None = KEEP
    valid_until: dt.datetime | Keep | None = KEEP
    whitelist: Whitelist | Keep | None = KEEP


_AS_IT_COMES: Final = ContractChange()


def add(  # noqa: PLR0913 - what is registered, and how
    deployment: Deployment,
    principal: Principal,
    text: str,
    *,
    edition: Edition = Edition.ISO2,
    state: ContractState = ContractState.ACTIVE,
    terms: ContractChange = _AS_IT_COMES,
) -> Contract:
    """
    Register a contract whose certificate another PKI issued.

    Args:
        terms: validity and whitelist rule to begin with.

    Raises:
        BadInput: `invalid_emaid`, `invalid_validity`.
        PolicyViolation: `account_unknown`.
        Conflict: `contract_exists`, `emaid_ambiguous`.
    """
    emaid = Emaid.parse(text, edition)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        account = route.holder(tx, emaid.key, now)
        access.require(principal, access.Action.KEEP_CONTRACTS, account)
        require_account(tx, account, lock=True)
        near = alike.near(tx, emaid)
        if alike.holder(near, edition, emaid.key) is not None:
            raise Conflict("contract_exists", f"The contract {emaid} is registered already.")
        alike.refuse_twin(emaid, near, None)
        wanted = _changed(_new(emaid, account, state, now), terms)
        return _add(tx, wanted, now, principal.name)


def set_state(
    deployment: Deployment,
    principal: Principal,
    text: str,
    state: ContractState,
    *,
    edition: Edition = Edition.ISO2,
) -> Contract:
    """
    Change the state of a contract; the next decision sees it.

    Raises:
        BadInput: `invalid_emaid`.
        NotFound: `contract_unknown`.
    """
    return change(deployment, principal, text, ContractChange(state=state), edition=edition)


def change(
    deployment: Deployment,
    principal: Principal,
    text: str,
    wanted: ContractChange,
    *,
    edition: Edition | None = None,
) -> Contract:
    """
    Change state, validity or whitelist rule of a contract; the next decision sees it.

    Raises:
        BadInput: `invalid_emaid`, `invalid_validity`.
        NotFound: `contract_unknown`.
        Conflict: `emaid_ambiguous`.
        NotAllowed: `party_not_allowed`.
    """
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        before = named(tx, principal, text, edition)
        require_account(tx, before.account.value, lock=True)
        before = tx.contracts.get(before.contract_id) or before  # as it is behind the lock
        after = _changed(before, wanted)
        if after.state is not before.state:
            tx.contracts.set_state(before.contract_id, after.state)
        tx.contracts.set_terms(after)
        tx.credentials.touch(before.contract_id, now)
        audit.note(
            tx,
            now,
            principal.name,
            "contract.set",
            before.identifiers[0].key,
            {"before": before.state.value, "after": after.state.value, **_told(after)},
        )
    return after


def _changed(before: Contract, wanted: ContractChange) -> Contract:
    after = replace(
        before,
        state=before.state if isinstance(wanted.state, Keep) else wanted.state,
        valid_from=_kept(wanted.valid_from, before.valid_from),
        valid_until=_kept(wanted.valid_until, before.valid_until),
        whitelist=before.whitelist if isinstance(wanted.whitelist, Keep) else wanted.whitelist,
    )
    begin, end = after.valid_from, after.valid_until
    if begin is not None and end is not None and end <= begin:
        raise BadInput("invalid_validity", "The end of a contract lies behind its begin.")
    return after


def _kept(wanted: dt.datetime | Keep | None, before: dt.datetime | None) -> dt.datetime | None:
    return before if isinstance(wanted, Keep) else wanted


def _told(contract: Contract) -> dict[str, JsonValue]:
    """Return for the audit log what bounds a contract."""
    told: dict[str, JsonValue] = {}
    if contract.valid_from is not None:
        told["validFrom"] = format_time(contract.valid_from)
    if contract.valid_until is not None:
        told["validUntil"] = format_time(contract.valid_until)
    if contract.whitelist is not None:
        told["whitelist"] = contract.whitelist.value
    return told


def find(
    deployment: Deployment, principal: Principal, text: str, edition: Edition | None = None
) -> Contract:
    """
    Return a contract of the caller's.

    Raises:
        BadInput: `invalid_emaid`.
        NotFound: `contract_unknown`, also for what the caller may not see.
        Conflict: `emaid_ambiguous`.
    """
    with deployment.store.read() as tx:
        return named(tx, principal, text, edition)


def named(tx: Transaction, principal: Principal, text: str, edition: Edition | None) -> Contract:
    """Return the caller's contract that an identifier names; errors as `find`."""
    found = resolve(tx, text, edition)
    if found.ambiguous:
        raise Conflict(
            "emaid_ambiguous",
            f"{quote(text)} names a -2 and a -20 contract.",
            hint="Say which edition is meant.",
        )
    if found.contract is None:
        emaid = Emaid.parse(text, edition or Edition.ISO2)
        access.require(principal, access.Action.KEEP_CONTRACTS, emaid.provider.value)
        raise NotFound(
            "contract_unknown",
            f"No contract {emaid} is registered for ISO 15118-{emaid.edition.value}.",
            hint="`pnc contract list` shows the contracts.",
        )
    access.require(principal, access.Action.KEEP_CONTRACTS, found.contract.account.value)
    return found.contract


def search(
    deployment: Deployment,
    principal: Principal,
    *,
    provider: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Contract]:
    """Return a page of contracts that the caller may see, ordered by contract id."""
    account = ProviderId.parse(provider) if provider else None
    access.require(principal, access.Action.KEEP_CONTRACTS, account.value if account else None)
    own = access.visible_owners(principal)
    accounts = None if own is None else tuple(ProviderId.parse(party) for party in own)
    if account is not None:
        accounts = (account,)
    with deployment.store.read() as tx:
        return tx.contracts.search(accounts=accounts, after=after, limit=limit)


def resolve(tx: Transaction, token: str, edition: Edition | None) -> ContractEvidence:
    """
    Find the contract that a presented identifier names.

    With an edition, only identifiers of that edition count. Without one, 14 or 15 characters are
    read
    as -2 first and then as a whole -20 identifier; two different hits are ambiguous.
    """
    found: list[Contract] = []
    for candidate in (edition,) if edition else (Edition.ISO2, Edition.ISO20):
        try:
            emaid = Emaid.parse(token, candidate)
        except BadInput:
            continue
        contract = tx.contracts.find(candidate, emaid.key)
        if contract is not None and contract not in found:
            found.append(contract)
    if not found:
        return ContractEvidence()
    if len(found) > 1:
        return ContractEvidence(ambiguous=True)
    return ContractEvidence(contract=found[0], account=tx.contracts.account(found[0].account))


def require_account(tx: Transaction, provider: str, *, lock: bool = False) -> Account:
    """
    Return the eMSP account of a provider id; with `lock`, its other writers wait.

    Raises:
        PolicyViolation: `account_unknown`.
    """
    account = tx.contracts.account(ProviderId.parse(provider), lock=lock)
    if account is None:
        raise PolicyViolation(
            "account_unknown",
            f"There is no eMSP account for the provider {quote(provider)}.",
            hint=f'Open one: pnc emsp add {provider} --name "…"',
        )
    return account


def check_identifier(tx: Transaction, emaid: Emaid) -> None:
    """Refuse early what `attach` would refuse. Raises Conflict (`emaid_ambiguous`)."""
    near = alike.near(tx, emaid)
    if alike.holder(near, emaid.edition, emaid.key) is None:
        alike.refuse_twin(emaid, near, alike.same_contract(emaid, near))


def attach(tx: Transaction, emaid: Emaid, now: dt.datetime, actor: str) -> Contract:
    """
    Return the contract that a new certificate belongs to, registering it where it is new.

    One contract may have a -2 and a -20 certificate under the same EMAID, for a car that speaks
    both.

    Raises:
        Conflict: `emaid_ambiguous`.
    """
    account = route.holder(tx, emaid.key, now)
    require_account(tx, account, lock=True)
    near = alike.near(tx, emaid)
    known = alike.holder(near, emaid.edition, emaid.key)
    if known is not None:
        return known
    same = alike.same_contract(emaid, near)
    alike.refuse_twin(emaid, near, same)
    if same is None:
        return _add(tx, _new(emaid, account, ContractState.ACTIVE, now), now, actor)
    tx.contracts.add_identifier(same.contract_id, emaid)
    if emaid.edition is Edition.ISO2:  # the same EMAID of -20 is the same credential
        _register(tx, same, emaid, now)
    return same


def _register(tx: Transaction, contract: Contract, emaid: Emaid, now: dt.datetime) -> None:
    """Keep the EMAID as a credential of its contract, in place of what a partner told of it."""
    credential = Credential(
        credential_id=f"e{emaid.edition}{emaid.key}",
        emsp=contract.account.value,
        kind=CredentialKind.EMAID,
        uid=emaid.key,
        presented=emaid.presented,
        contract_id=contract.contract_id,
        contract=emaid.key,
        state=CredentialState.ACTIVE,
        created_at=now,
        updated_at=now,
    )
    tx.credentials.put(credential)


def _new(emaid: Emaid, account: str, state: ContractState, now: dt.datetime) -> Contract:
    return Contract(
        contract_id=secrets.token_hex(12),
        identifiers=(emaid,),
        account=ProviderId.parse(account),
        state=state,
        created_at=now,
    )


def _add(tx: Transaction, contract: Contract, now: dt.datetime, actor: str) -> Contract:
    emaid = contract.identifiers[0]
    tx.contracts.add(contract)
    _register(tx, contract, emaid, now)
    audit.note(
        tx,
        now,
        actor,
        "contract.add",
        emaid.key,
        {
            "edition": emaid.edition.value,
            "state": contract.state.value,
            **_told(contract),
        },
    )
    return contract
