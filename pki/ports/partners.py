"""How verbs see partners and the objects that partners keep with us."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.model import (
    PageMark,
    Partner,
    PartnerCommand,
    PartnerObject,
    PartnerParty,
)


class Vault(Protocol):
    """Encryption at rest of secrets that we must be able to tell others."""

    def seal(self, secret: bytes, context: str) -> bytes:
        """Encrypt for a context. Raises Unavailable (`key_unavailable`)."""

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for that context. Raises Unavailable (`key_unavailable`)."""

    @property
    def generations(self) -> tuple[int, ...]:
        """Numbers of the keys in force, the one that seals last."""

    @property
    def prepared(self) -> int | None:
        """Number of the key that was made and does not seal yet."""

    def prepare(self) -> int:
        """Make the next key; it unseals from now on. Raises Conflict (`rotation_underway`)."""

    def switch(self) -> int:
        """Seal with the prepared key from now on. Raises Conflict (`not_prepared`)."""

    def is_newest(self, sealed: bytes, context: str) -> bool:
        """Tell whether something is sealed with the key that seals now."""

    def retire(self) -> tuple[int, ...]:
        """Remove every key that no longer seals; return their numbers."""


class Partners(Protocol):
    """Platforms that we speak OCPI with."""

    def add(self, partner: Partner) -> None:
        """Store a partner. Raises Conflict (`partner_exists`)."""

    def get(self, partner_id: str, *, lock: bool = False) -> Partner | None:
        """Return a partner, removed or not; with `lock`, its other writers wait."""

    def by_token_hash(self, token_hash: bytes) -> Partner | None: ...

    def all(self) -> list[Partner]:
        """Return every partner, removed ones included, by id."""

    def replace(self, partner: Partner) -> None:
        """Store a partner in place of the one with its id."""

    def parties(self, partner_id: str) -> list[PartnerParty]: ...

    def set_parties(self, partner_id: str, parties: list[PartnerParty]) -> None:
        """Replace what the partner's credentials say; its hub directory stays."""

    def put_client(self, party: PartnerParty) -> bool:
        """Store a word of a hub about a party; tell whether it was newer than what is held."""

    def reaching(self, party: str, role: str) -> list[tuple[Partner, PartnerParty]]:
        """Return the registered partners through which a party is reached, direct ones first."""

    def with_own(self, party: str) -> list[Partner]:
        """Return registered partners that deal with this party of ours."""


class PageMarks(Protocol):
    """How far partners are that count the pages of a pull by themselves."""

    def put(self, mark: PageMark) -> None:
        """Keep a mark in place of the one at its position."""

    def before(self, partner_id: str, pull: str, position: int) -> PageMark | None:
        """Return the last mark at a position or before it, or None."""

    def forget(self, partner_id: str, pull: str) -> int:
        """Forget the marks of a pull; return how many."""

    def forget_old(self, before: dt.datetime) -> int:
        """Forget marks older than `before`; return how many."""


class PartnerObjects(Protocol):
    """Objects that partners own and keep with us."""

    def get(self, kind: str, party: str, key: str) -> PartnerObject | None:
        """Return the newest version, or None."""

    def put(self, found: PartnerObject) -> None:
        """Store an object in place of the one with its kind, party, key and sequence."""

    def of_reference(self, kind: str, reference: str) -> list[PartnerObject]:
        """Return objects tied to an authorisation."""

    def of_key(self, kind: str, key: str) -> list[PartnerObject]:
        """Return the objects with this key of every owner."""

    def versions(self, party: str, key: str) -> list[PartnerObject]:
        """Return every version of a tariff, oldest first."""

    def add_command(self, command: PartnerCommand) -> None:
        """Store a command. Raises Conflict (`command_exists`)."""

    def command(self, command_id: str) -> PartnerCommand | None: ...

    def finish_command(self, command_id: str, result: str, *, expired: bool = False) -> bool:
        """Give an open command its result; tell whether it was open."""

    def open_commands(
        self, parties: tuple[str, ...] | None, *, after: str | None = None, limit: int = 100
    ) -> list[PartnerCommand]:
        """Return a page of open inbound commands of these parties of ours, by id."""

    def expired_commands(self, now: dt.datetime, limit: int) -> list[PartnerCommand]:
        """Return open commands whose time is over."""
