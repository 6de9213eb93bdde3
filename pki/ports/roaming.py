"""The aggregates of the store that roaming needs, and who asks an eMSP in real time."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.ids import ProviderId
from pki.model import (
    Account,
    Agreement,
    Credential,
    CredentialKind,
    Emsp,
    EmspAnswer,
    EmspQuestion,
    NumberRange,
    Party,
    RangeKind,
    Remembered,
    Session,
    SessionProtocol,
    Viewer,
)


class RoamingStore(Protocol):
    """
    What authorisations go by and every process keeps in memory: ranges, agreements, eMSPs.

    Whoever changes any of it calls `changed` in the same transaction.
    """

    def changed(self, at: dt.datetime) -> None:
        """Tell every process, through the change log, to read all of it anew."""

    def add_range(self, found: NumberRange) -> None:
        """Store a range. Raises Conflict (`range_exists`)."""

    def end_range(self, found: NumberRange, at: dt.datetime) -> bool:
        """Set the end of a range; tell whether it was there."""

    def ranges(self) -> list[NumberRange]:
        """Return every range, by kind, prefix and begin."""

    def add_agreement(self, agreement: Agreement) -> None:
        """Store a version. Raises Conflict (`agreement_changed`: that version is there)."""

    def agreement(self, agreement_id: str, version: int | None = None) -> Agreement | None:
        """Return the newest version, or a certain one."""

    def agreements(self) -> list[Agreement]:
        """Return the newest version of every agreement, by id."""

    def agreement_versions(self, agreement_id: str) -> list[Agreement]:
        """Return every version of one agreement, oldest first."""

    def put_emsp(self, emsp: Emsp) -> None:
        """Keep how an eMSP is asked, in place of what was."""

    def emsp(self, provider_id: ProviderId) -> Emsp | None: ...

    def emsps(self) -> list[Emsp]: ...

    def remember(self, answer: Remembered) -> bool:
        """Keep the answer to a request under its key; False where one is kept, waiting for it."""

    def remembered(self, client: str, key: str) -> Remembered | None: ...

    def answer(self, answer: Remembered) -> None:
        """Write status and answer under a key that was taken in this transaction."""

    def forget_key(self, client: str, key: str) -> None:
        """Free a key."""

    def forget(self, before: dt.datetime, limit: int) -> int:
        """Forget at most `limit` answers older than `before`; return how many."""


class RoamingLists(Protocol):
    """Pages of what concerns whoever looks; a viewer None sees everything."""

    def emsps(
        self, owners: tuple[str, ...] | None, *, after: str | None = None, limit: int = 100
    ) -> list[tuple[Account, Emsp]]:
        """Return a page of accounts and how they are asked, by provider id."""

    def parties(
        self,
        viewer: Viewer | None,
        now: dt.datetime,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> list[Party]:
        """Return a page of companies, by role and identifier."""

    def ranges(
        self,
        viewer: Viewer | None,
        now: dt.datetime,
        *,
        after: tuple[RangeKind, str, dt.datetime] | None = None,
        limit: int = 100,
    ) -> list[NumberRange]:
        """Return a page of ranges of the companies that are shown, by kind, prefix and begin."""

    def agreements(
        self, viewer: Viewer | None, *, after: str | None = None, limit: int = 100
    ) -> list[Agreement]:
        """Return a page of the newest versions that name whoever looks, by id."""


class Credentials(Protocol):
    """What drivers show, on contracts kept here and pushed by partners."""

    def add(self, credential: Credential) -> None:
        """Store a credential. Raises Conflict (`credential_exists`)."""

    def put(self, credential: Credential) -> None:
        """Store a credential in place of the one of the same kind, uid and eMSP; its id stays."""

    def get(self, credential_id: str) -> Credential | None: ...

    def find(self, kind: CredentialKind, uid: str, emsp: str) -> Credential | None: ...

    def named(self, kind: CredentialKind, uid: str) -> list[Credential]:
        """Return what every eMSP calls so, by eMSP; at most ten."""

    def of_contract(
        self, contract_id: str, *, after: tuple[str, str] | None = None, limit: int | None = None
    ) -> list[Credential]:
        """Return a page of the credentials of a contract kept here, by kind and uid."""

    def search(
        self,
        *,
        emsps: tuple[str, ...] | None = None,
        changed_from: dt.datetime | None = None,
        changed_to: dt.datetime | None = None,
        after: tuple[dt.datetime, str] | None = None,
        limit: int = 100,
    ) -> list[Credential]:
        """
        Return a page of those kept here, by time of change and id, beginning behind `after`.

        Args:
            changed_to: exclusive.
        """

    def place(
        self,
        emsps: tuple[str, ...],
        distance: int,
        *,
        changed_from: dt.datetime | None = None,
        changed_to: dt.datetime | None = None,
        after: tuple[dt.datetime, str] | None = None,
    ) -> tuple[dt.datetime, str] | None:
        """Return where the object stands that is `distance` behind `after`, or None behind them."""

    def touch(self, contract_id: str, at: dt.datetime) -> int:
        """Have the credentials of a contract count as changed; return how many there are."""

    def count(
        self,
        emsp: str,
        changed_from: dt.datetime | None = None,
        changed_to: dt.datetime | None = None,
    ) -> int: ...


class Sessions(Protocol):
    """Charging sessions."""

    def add(self, session: Session) -> bool:
        """Store a session; False where its external id was stored already."""

    def get(self, session_id: str) -> Session | None: ...

    def find(
        self, protocol: SessionProtocol, cpo: str, station_id: str, external_id: str
    ) -> Session | None: ...

    def by_reference(self, reference: str) -> list[Session]:
        """Return the sessions that one authorisation let begin."""

    def running(self, contract_id: str) -> int:
        """Return how many sessions of a contract are running."""

    def tie(self, session: Session) -> None:
        """Write references, eMSP, contract and the number of others of a session."""

    def stop(self, session: Session) -> bool:
        """Write end, energy and reason of a session; False where it was stopped already."""

    def search(
        self,
        *,
        cpos: tuple[str, ...] | None = None,
        emsps: tuple[str, ...] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Session]:
        """Return a page of these CPOs or eMSPs by session id, beginning behind `after`."""


class AskEmsp(Protocol):
    """One way to ask eMSPs in real time; OCPI is one, a web hook another."""

    def reaches(self, emsp: str, hub: str | None) -> bool:
        """Tell, from memory, whether this way leads to the eMSP, or to the hub before it."""

    def ask(self, question: EmspQuestion, seconds: float) -> EmspAnswer:
        """
        Ask, and wait for `seconds` at the most.

        Raises:
            Unavailable: the partner is silent, or answers with what cannot be read.
            NotFound: `token_unknown`: the partner does not know the credential.
        """


__all__ = ["AskEmsp", "Credentials", "RoamingLists", "RoamingStore", "Sessions"]
