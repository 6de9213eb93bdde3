"""Contracts with their identifiers, eMSP accounts and registered parties."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    not_,
    select,
    update,
)

from pki.errors import Conflict, NotFound
from pki.ids import CheckDigit, Edition, Emaid, ProviderId
from pki.model import (
    ChangeKind,
    Contract,
    ContractEvidence,
    ContractState,
    Whitelist,
)
from pki.store import lookups
from pki.store.hot import hot
from pki.store.parties import PartyRows
from pki.store.schema import contract_identifiers, contracts
from pki.store.schema_roaming import credentials
from pki.store.session import Upsert

_BEHIND_Z: Final = "["
"""The character behind Z: closes a range over identifiers of A to Z and 0 to 9."""

_ADD: Final = Upsert.new(contracts)
_ADD_IDENTIFIER: Final = Upsert.new(contract_identifiers)
_SET_STATE: Final = (
    update(contracts)
    .where(contracts.c.contract_id == bindparam("the_contract"))
    .values(state=bindparam("after"))
)

_SET_TERMS: Final = (
    update(contracts)
    .where(contracts.c.contract_id == bindparam("the_contract"))
    .values(
        valid_from=bindparam("begin"),
        valid_until=bindparam("end"),
        whitelist=bindparam("rule"),
    )
)
_BLOCK: Final = (
    update(contract_identifiers)
    .where(
        contract_identifiers.c.contract_id == bindparam("the_contract"),
        contract_identifiers.c.key >= bindparam("first"),
        contract_identifiers.c.key < bindparam("behind"),
    )
    .values(blocked_at=bindparam("at"))
)
_HAND_OVER: Final = (
    update(contracts)
    .where(contracts.c.contract_id == bindparam("the_contract"))
    .values(account=bindparam("after"))
)
_ALIKE: Final = credentials.alias("alike")
_CREDENTIALS_TOO: Final = (
    update(credentials)
    .where(
        credentials.c.contract_id == bindparam("the_contract"),
        # what the other eMSP calls so already stays apart
        ~exists().where(
            _ALIKE.c.kind == credentials.c.kind,
            _ALIKE.c.uid == credentials.c.uid,
            _ALIKE.c.emsp == bindparam("after"),
        ),
    )
    .values(emsp=bindparam("after"), updated_at=bindparam("at"))
)


def _with_identifiers(wanted: Select[tuple[str]]) -> Select[Any]:
    """Return contracts, one row per identifier: by contract id, -2 identifiers first."""
    identifier = contract_identifiers.c
    return (
        select(contracts, *(column for column in identifier if column.name != "contract_id"))
        .outerjoin(contract_identifiers)
        .where(contracts.c.contract_id.in_(wanted))
        .order_by(contracts.c.contract_id, identifier.edition, identifier.key)
    )


_NAMED: Final = contract_identifiers.alias("named")
_GET: Final = hot(
    _with_identifiers(
        select(contracts.c.contract_id).where(contracts.c.contract_id == bindparam("contract_id"))
    )
)
_FIND: Final = hot(
    _with_identifiers(
        select(_NAMED.c.contract_id).where(
            _NAMED.c.edition == bindparam("edition"), _NAMED.c.key == bindparam("key")
        )
    )
)
_LIKE: Final = hot(
    _with_identifiers(
        select(_NAMED.c.contract_id).where(
            _NAMED.c.edition.in_(list(Edition)),
            _NAMED.c.key >= bindparam("first"),
            _NAMED.c.key < bindparam("behind"),
            func.length(_NAMED.c.key, type_=Integer) <= bindparam("longest"),
        )
    )
)


class ContractRows(PartyRows):
    """Contracts, accounts and parties; see `pki.ports.Contracts`."""

    __slots__ = ()

    def add(self, contract: Contract) -> None:
        """Store a contract with its identifiers. Raises Conflict (`contract_exists`)."""
        row = {
            "contract_id": contract.contract_id,
            "account": contract.account.value,
            "state": contract.state,
            "created_at": contract.created_at,
            "valid_from": contract.valid_from,
            "valid_until": contract.valid_until,
            "whitelist": contract.whitelist,
        }
        if not self._session.put(_ADD, row):
            raise Conflict("contract_exists", "There is a contract of this id already.")
        for emaid in contract.identifiers:
            self._add_identifier(contract.contract_id, emaid)

    def add_identifier(self, contract_id: str, emaid: Emaid) -> None:
        """
        Give a contract one more EMAID.

        Raises:
            Conflict: `contract_exists`: the EMAID names a contract already; nothing of this
                transaction can be committed then, as the contract might lack an identifier.
        """
        self._add_identifier(contract_id, emaid)
        self._session.note(ChangeKind.CONTRACT, contract_id)

    def _add_identifier(self, contract_id: str, emaid: Emaid) -> None:
        row = {
            "edition": emaid.edition,
            "key": emaid.key,
            "contract_id": contract_id,
            "presented": emaid.presented,
            "check_digit": emaid.check_digit,
            "blocked_at": None,
        }
        if not self._session.put(_ADD_IDENTIFIER, row):
            raise self._session.spoil(
                Conflict("contract_exists", f"The contract {emaid.key} is registered already.")
            )

    def get(self, contract_id: str) -> Contract | None:
        """Return the contract, or None."""
        return _only(self._session.rows(_GET, {"contract_id": contract_id}))

    def several(self, contract_ids: list[str]) -> dict[str, Contract]:
        """Return contracts by their ids, with one query."""
        page = select(contracts.c.contract_id).where(contracts.c.contract_id.in_(contract_ids))
        rows = self._session.rows(_with_identifiers(page)) if contract_ids else ()
        return {contract.contract_id: contract for contract in _contracts(rows)}

    def find(self, edition: Edition, key: str) -> Contract | None:
        """Return the contract with the identifier of that edition whose key is exactly `key`."""
        return _only(self._session.rows(_FIND, {"edition": edition, "key": key}))

    def named(self, emaids: list[Emaid]) -> dict[tuple[Edition, str], ContractEvidence]:
        """Return the contracts that have these identifiers, with their accounts, by one query."""
        return lookups.named(self._session, emaids)

    def find_like(self, key14: str) -> list[Contract]:
        """Return contracts with an identifier that is `key14`, or one character more."""
        near = {"first": key14, "behind": key14 + _BEHIND_Z, "longest": len(key14) + 1}
        return _contracts(self._session.rows(_LIKE, near))

    def set_state(self, contract_id: str, state: ContractState) -> None:
        """Change the state. Raises NotFound (`contract_unknown`)."""
        if not self._session.change(_SET_STATE, {"the_contract": contract_id, "after": state}):
            raise NotFound("contract_unknown", "There is no such contract.")
        self._session.note(ChangeKind.CONTRACT, contract_id)

    def set_terms(self, contract: Contract) -> None:
        """Write validity and whitelist rule of a contract. Raises NotFound (`contract_unknown`)."""
        terms = {
            "the_contract": contract.contract_id,
            "begin": contract.valid_from,
            "end": contract.valid_until,
            "rule": contract.whitelist,
        }
        if not self._session.change(_SET_TERMS, terms):
            raise NotFound("contract_unknown", "There is no such contract.")
        self._session.note(ChangeKind.CONTRACT, contract.contract_id)

    def block(self, contract_id: str, key: str, at: dt.datetime | None) -> int:
        """Block identifiers of a contract that begin with `key`, or with None unblock them."""
        near = {"the_contract": contract_id, "first": key, "behind": key + _BEHIND_Z, "at": at}
        self._session.note(ChangeKind.CONTRACT, contract_id)
        return self._session.change(_BLOCK, near)

    def hand_over(
        self,
        prefix: str,
        party: ProviderId,
        limit: int,
        *,
        at: dt.datetime,
        apart: Collection[str] = (),
    ) -> int:
        """Move contracts of a range to an account; return how many, at most `limit`."""
        identifier = contract_identifiers.c
        found = (
            select(contracts.c.contract_id)
            .join(contract_identifiers)
            .where(_begins(identifier.key, prefix), contracts.c.account != party.value)
            .where(identifier.edition == bindparam("edition"))
            .where(*(not_(_begins(identifier.key, longer)) for longer in apart))
            .limit(limit)
        )
        moved: set[str] = set()
        for edition in Edition:
            rows = self._session.rows(found, {"edition": edition})
            moved.update([row.contract_id for row in rows][: limit - len(moved)])
        if moved:
            self._session.note(ChangeKind.CONTRACT)  # of any of them
        for contract_id in moved:
            key = {"the_contract": contract_id, "after": party.value}
            self._session.change(_HAND_OVER, key)
            self._session.change(_CREDENTIALS_TOO, {**key, "at": at})
        return len(moved)

    def search(
        self,
        *,
        accounts: tuple[ProviderId, ...] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Contract]:
        """Return a page ordered by contract id, beginning behind `after`."""
        page = select(contracts.c.contract_id).order_by(contracts.c.contract_id).limit(limit)
        if accounts is not None:
            page = page.where(contracts.c.account.in_([account.value for account in accounts]))
        if after is not None:
            page = page.where(contracts.c.contract_id > after)
        return _contracts(self._session.rows(_with_identifiers(page)))


def _begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Return a range over an index: LIKE would not use it on both databases."""
    return and_(column >= prefix, column < prefix + _BEHIND_Z)


def _only(rows: Iterable[Row[Any]]) -> Contract | None:
    return next(iter(_contracts(rows)), None)


def _contracts(rows: Iterable[Row[Any]]) -> list[Contract]:
    """Fold rows, one per identifier and sorted by contract, into contracts."""
    return [_contract(list(group)) for _, group in groupby(rows, lambda row: row.contract_id)]


def _contract(rows: list[Row[Any]]) -> Contract:
    row = rows[0]
    return Contract(
        contract_id=row.contract_id,
        identifiers=tuple(_emaid(each) for each in rows if each.key is not None),
        account=ProviderId(value=row.account),
        state=ContractState(row.state),
        created_at=row.created_at,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        blocked=tuple(_emaid(each) for each in rows if each.blocked_at is not None),
        whitelist=Whitelist(row.whitelist) if row.whitelist else None,
    )


def _emaid(row: Row[Any]) -> Emaid:
    return Emaid(
        edition=Edition(row.edition),
        key=row.key,
        presented=row.presented,
        check_digit=CheckDigit(row.check_digit),
    )
