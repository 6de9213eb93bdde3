"""The aggregates of the store that status and periodic work need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pki.ids import SerialNumber
from pki.model import (
    Change,
    ChangeKind,
    CrlIntent,
    CrlRecord,
    Domain,
    ForeignCrl,
    ForeignStatus,
    IntentState,
    Responder,
    RevokedRow,
    SeenCertificate,
    StaleRule,
    StatusSource,
    StoredAnswer,
)


class StatusStore(Protocol):
    """What status answers are made of."""

    def sequence(self) -> int:
        """Return the number of the last change; 0 before the first."""

    def add_change(
        self,
        kind: ChangeKind,
        issuer_id: str,
        serial: SerialNumber | None,
        at: dt.datetime | None,
        *,
        shard: int = 0,
    ) -> None:
        """Append to the change log, in the order of commits."""

    def take_turn(self) -> None:
        """Make everybody else who changes a status wait until this transaction ends."""

    def hold_changes(self) -> None:
        """Make every writer of the change log wait until this transaction ends."""

    def changes(self, behind: int, limit: int) -> list[Change]:
        """Return changes after number `behind`, in order."""

    def changed(self, issuer_id: str, behind: int, shard: int | None = None) -> bool:
        """Tell whether certificates of an issuer, or a shard, changed status after `behind`."""

    def released(self, issuer_id: str, behind: int) -> set[SerialNumber]:
        """Return serials of an issuer that were released from hold after change `behind`."""

    def add_responder(self, responder: Responder) -> None: ...

    def responders(self) -> list[Responder]:
        """Return every delegated signer, oldest first for each issuer."""

    def answer(self, cert_id: bytes) -> StoredAnswer | None:
        """Return the stored answer to exactly this CertID (DER), or None."""

    def put_answer(self, answer: StoredAnswer) -> None:
        """Keep an answer in place of an older one to the same CertID."""

    def drop_answers(self, issuer_id: str, serial: SerialNumber) -> None: ...

    def drop_every_answer(self) -> int:
        """Forget every stored answer; return how many there were."""

    def due_answers(self, now: dt.datetime, limit: int) -> list[StoredAnswer]:
        """Return answers that are to be signed anew, the most urgent first."""

    def crl(self, issuer_id: str, shard: int) -> CrlRecord | None:
        """Return the newest CRL of an issuer and shard."""

    def crl_number(self, issuer_id: str) -> int:
        """Return the highest CRL number of an issuer over all shards; 0 before the first."""

    def add_crl_intent(self, intent: CrlIntent) -> None:
        """Store an open intent. Raises Conflict (`crl_number_taken`)."""

    def crl_intent(self, intent_id: str) -> CrlIntent | None: ...

    def unfinished_crl_intents(self) -> list[CrlIntent]:
        """Return intents that are open or signing, oldest first."""

    def move_crl_intent(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""

    def put_crl(self, record: CrlRecord, chunks: Iterable[bytes]) -> bool:
        """Store a CRL in chunks; tell whether its number was free. Older ones but one go."""

    def crl_chunks(self, record: CrlRecord) -> Iterator[bytes]:
        """Yield the octets of a CRL piece by piece; empty if it was pruned meanwhile."""

    def revoked(
        self, issuer_id: str, ended_before: dt.datetime, shard: int | None = None
    ) -> Iterator[Sequence[RevokedRow]]:
        """Yield pages of what an issuer, or a shard, revoked, without what expired."""


class EvidenceStore(Protocol):
    """Evidence of foreign certificates' status."""

    def add_source(self, source: StatusSource) -> None:
        """Store a source. Raises Conflict (`source_exists`)."""

    def sources(self) -> list[StatusSource]:
        """Return every source, oldest first."""

    def remove_source(self, source_id: str) -> bool:
        """Forget a source; tell whether it was there."""

    def fetched(self, source_id: str, at: dt.datetime, problem: str | None) -> None:
        """Note how the last attempt at a source went."""

    def crl(self, issuer_hash: bytes) -> ForeignCrl | None: ...

    def put_crl(self, crl: ForeignCrl, listed: Iterable[ForeignStatus]) -> None:
        """Replace a foreign CA's CRL and everything that it lists."""

    def put_status(self, status: ForeignStatus) -> None: ...

    def statuses(self, issuer_hash: bytes, serial: str) -> list[ForeignStatus]:
        """Return what each kind of source says of one certificate."""

    def see(self, certificate: SeenCertificate) -> None:
        """Remember a foreign certificate."""

    def seen(self, issuer_hash: bytes, now: dt.datetime, limit: int) -> list[SeenCertificate]:
        """Return certificates of a foreign CA that are still valid, last seen first."""

    def forget(self, now: dt.datetime, unseen_since: dt.datetime) -> int:
        """Forget certificates that expired or were not seen for long; return how many."""

    def issuers(self) -> frozenset[bytes]:
        """Return the identities of the CAs about whose certificates there is evidence."""

    def stale_rules(self) -> dict[Domain, StaleRule]:
        """Return the rules that were set; a domain without one refuses."""

    def set_stale_rule(self, domain: Domain, rule: StaleRule) -> None: ...


class Leases(Protocol):
    """Who may do a periodic job, until when."""

    def take(self, name: str, holder: str, now: dt.datetime, until: dt.datetime) -> bool:
        """Take or extend a lease unless somebody else holds it; tell whether it is ours."""

    def give_back(self, name: str, holder: str) -> None: ...
