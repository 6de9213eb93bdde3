"""eMSP accounts and registered parties."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update

from pki.errors import Conflict
from pki.ids import ProviderId
from pki.model import Account, Party, Role
from pki.store.hot import hot
from pki.store.schema import accounts, parties
from pki.store.session import Session, Upsert

_ADD_PARTY: Final = Upsert.new(parties)
_PARTY: Final = hot(
    select(parties).where(
        parties.c.role == bindparam("role"), parties.c.party_id == bindparam("party_id")
    )
)
_PARTIES: Final = select(parties).order_by(parties.c.role, parties.c.party_id)
_ADD_ACCOUNT: Final = Upsert.new(accounts)
_OF_PROVIDER: Final = select(accounts).where(accounts.c.provider_id == bindparam("provider_id"))
_ACCOUNT: Final = hot(_OF_PROVIDER)
_LOCK_ACCOUNT: Final = hot(_OF_PROVIDER.with_for_update())
_ACCOUNTS: Final = select(accounts).order_by(accounts.c.provider_id)
_SET_HUB: Final = (
    update(parties)
    .where(parties.c.role == bindparam("the_role"), parties.c.party_id == bindparam("the_party"))
    .values(hub=bindparam("after"))
)


class PartyRows:
    """The half of `pki.ports.Contracts` that is about companies."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_party(self, party: Party) -> None:
        """Store a party. Raises Conflict (`party_exists`)."""
        row = {
            "role": party.role,
            "party_id": party.party_id,
            "name": party.name,
            "created_at": party.created_at,
            "hub": party.hub,
        }
        if not self._session.put(_ADD_PARTY, row):
            raise Conflict(
                "party_exists", f"{party.party_id} is registered as {party.role.value} already."
            )

    def party(self, role: Role, party_id: str) -> Party | None:
        """Return the party, or None."""
        row = self._session.first(_PARTY, {"role": role, "party_id": party_id})
        return to_party(row) if row else None

    def parties(self) -> list[Party]:
        """Return every party, by role and identifier."""
        return [to_party(row) for row in self._session.rows(_PARTIES)]

    def set_hub(self, role: Role, party_id: str, hub: str | None) -> bool:
        """Say through which hub a party is reached; tell whether the party was there."""
        key = {"the_role": role, "the_party": party_id, "after": hub}
        return self._session.change(_SET_HUB, key) > 0

    def add_account(self, account: Account) -> None:
        """Store an account. Raises Conflict (`account_exists`)."""
        row = {
            "provider_id": account.provider_id.value,
            "name": account.name,
            "created_at": account.created_at,
        }
        if not self._session.put(_ADD_ACCOUNT, row):
            raise Conflict(
                "account_exists", f"{account.provider_id.value} has an eMSP account already."
            )

    def account(self, provider_id: ProviderId, *, lock: bool = False) -> Account | None:
        """Return the account or None; in a write, `lock` makes its other writers wait."""
        query = _LOCK_ACCOUNT if lock and self._session.writable else _ACCOUNT
        row = self._session.first(query, {"provider_id": provider_id.value})
        return to_account(row) if row else None

    def accounts(self) -> list[Account]:
        """Return every account, by provider id."""
        return [to_account(row) for row in self._session.rows(_ACCOUNTS)]


def to_account(row: Row[Any]) -> Account:
    """Read an account."""
    return Account(
        provider_id=ProviderId(value=row.provider_id), name=row.name, created_at=row.created_at
    )


def to_party(row: Row[Any]) -> Party:
    """Read a party."""
    return Party(
        party_id=row.party_id,
        role=Role(row.role),
        name=row.name,
        created_at=row.created_at,
        hub=row.hub,
    )
