"""The aggregates of the store: certificates, contracts, trust, clients, receipts, audit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from pki.ids import Edition, Emaid, Fingerprint, ProviderId, SerialNumber
from pki.model import (
    Account,
    Anchor,
    AuditEntry,
    AuditQuery,
    CertificateRecord,
    Checkpoint,
    Client,
    Contract,
    ContractEvidence,
    ContractState,
    DecisionRecord,
    Domain,
    Expiring,
    Holder,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Living,
    Party,
    ReceiptForm,
    Repetition,
    Revocation,
    Role,
    Standing,
    StatusRule,
)
from pki.pkix.profiles import Kind


class Issuers(Protocol):
    """CAs of ours, every generation."""

    def add(self, issuer: Issuer) -> None:
        """Store a new generation. Raises Conflict (`issuer_exists`)."""

    def get(self, issuer_id: str) -> Issuer | None: ...

    def active(self, name: str) -> Issuer | None:
        """Return the newest active generation of the issuer called `name`."""

    def all(self) -> list[Issuer]:
        """Return every issuer, oldest first, `pending` ones included."""

    def activate(self, issuer_id: str, certificate: bytes) -> None:
        """Give a pending issuer its certificate and make it active."""

    def set_state(self, issuer_id: str, state: IssuerState) -> None: ...


class Intents(Protocol):
    """Committed decisions to sign."""

    def add(self, intent: Intent) -> None:
        """Store an open intent. Raises Conflict (`serial_taken`)."""

    def add_many(self, added: Sequence[Intent]) -> None:
        """Store open intents, all or none. Raises Conflict (`serial_taken`)."""

    def several(self, intent_ids: list[str]) -> dict[str, Intent]:
        """Return those of the intents that are there."""

    def get(self, intent_id: str) -> Intent | None: ...

    def move(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""

    def move_many(self, intent_ids: list[str], before: IntentState, after: IntentState) -> int:
        """Change the state of those that are `before`; return how many were."""

    def unfinished(self) -> list[Intent]:
        """Return intents that are open or signing, oldest first."""

    def find(self, serial: SerialNumber) -> list[Intent]:
        """Return intents with this serial that are not completed, of any issuer."""


class Certificates(Protocol):
    """Certificates that we issued, and what was revoked of them."""

    def add(self, record: CertificateRecord) -> None: ...

    def add_many(self, records: Sequence[CertificateRecord]) -> None:
        """Store certificates, all or none. Raises Conflict (`certificate_exists`)."""

    def by_fingerprint(self, fingerprint: Fingerprint) -> CertificateRecord | None: ...

    def by_fingerprints(
        self, fingerprints: list[Fingerprint]
    ) -> dict[Fingerprint, CertificateRecord]: ...

    def standings(self, fingerprints: list[Fingerprint]) -> dict[Fingerprint, Standing]:
        """Return how those of the certificates stand that are ours, with one query."""

    def revocations_of(
        self, fingerprints: list[Fingerprint]
    ) -> dict[Fingerprint, Revocation | None]:
        """Return the revocation, if any, of those of the certificates that are ours, as above."""

    def by_serial(self, serial: SerialNumber) -> list[CertificateRecord]:
        """Return the certificates of every issuer that carry this serial."""

    def by_issuer_serial(
        self, issuer_id: str, serial: SerialNumber
    ) -> CertificateRecord | None: ...

    def ended(
        self, issuer_id: str, serials: list[SerialNumber], before: dt.datetime
    ) -> set[SerialNumber]:
        """Return those of an issuer's serials whose certificates ended before a time."""

    def by_key(self, spki_sha256: bytes) -> list[CertificateRecord]: ...

    def known_keys(
        self, spki_sha256s: list[bytes]
    ) -> tuple[set[bytes], list[tuple[bytes, Holder]]]:
        """Return those of the keys that are blocked, and whose certificates they stand in."""

    def by_intents(self, intent_ids: list[str]) -> list[CertificateRecord]: ...

    def by_contract(self, contract_id: str) -> list[CertificateRecord]: ...

    def search(  # noqa: PLR0913 - one keyword per filter
        self,
        *,
        kinds: tuple[Kind, ...] | None = None,
        owners: tuple[str, ...] | None = None,
        issuer_id: str | None = None,
        common_name: str | None = None,
        after: Fingerprint | None = None,
        limit: int = 100,
    ) -> list[CertificateRecord]:
        """Return a page ordered by fingerprint, beginning behind `after`."""

    def expiring(  # noqa: PLR0913 - one keyword per filter
        self,
        begin: dt.datetime,
        last: Fingerprint | None,
        end: dt.datetime,
        *,
        kinds: tuple[Kind, ...] | None = None,
        owners: tuple[str, ...] | None = None,
        issuer_id: str | None = None,
        limit: int = 100,
    ) -> list[Expiring]:
        """Return those in force that end behind `begin` (and `last`) and not behind `end`."""

    def ending(self, begin: dt.datetime, end: dt.datetime) -> dict[Kind, int]:
        """Return how many of them there are, by kind."""

    def count(self, issuer_id: str) -> int:
        """Return how many certificates an issuer issued."""

    def living(self, issuer_id: str, now: dt.datetime) -> list[Living]:
        """Return what an issuer's certificates that have not ended are, by kind and owner."""

    def revoke(self, revocation: Revocation) -> None:
        """Store a revocation. Raises Conflict (`already_revoked`)."""

    def release(self, issuer_id: str, serial: SerialNumber) -> None:
        """Remove a revocation (only a certificateHold may be released; the verb checks)."""

    def revocation(self, issuer_id: str, serial: SerialNumber) -> Revocation | None: ...

    def revocations(
        self, keys: list[tuple[str, SerialNumber]]
    ) -> dict[tuple[str, SerialNumber], Revocation]: ...

    def block_key(self, spki_sha256: bytes, at: dt.datetime, why: str) -> None:
        """Put a public key on the block list; a second time changes nothing."""

    def key_blocked(self, spki_sha256: bytes) -> bool: ...

    def all_blocked(self, most: int) -> frozenset[bytes] | None:
        """Return the whole block list; None where it has more than `most` keys."""

    def keys_blocked(self, spki_sha256s: list[bytes]) -> set[bytes]:
        """Return those of the keys that are on the block list, with one query."""


class Contracts(Protocol):
    """Contracts, accounts and parties."""

    def add_party(self, party: Party) -> None:
        """Store a party. Raises Conflict (`party_exists`)."""

    def party(self, role: Role, party_id: str) -> Party | None: ...

    def parties(self) -> list[Party]: ...

    def set_hub(self, role: Role, party_id: str, hub: str | None) -> bool:
        """Say through which hub a party is reached; tell whether the party was there."""

    def add_account(self, account: Account) -> None:
        """Store an account. Raises Conflict (`account_exists`)."""

    def account(self, provider_id: ProviderId, *, lock: bool = False) -> Account | None:
        """Return the account; with `lock`, other writers of its contracts wait for this one."""

    def accounts(self) -> list[Account]: ...

    def add(self, contract: Contract) -> None:
        """Store a contract with its identifiers. Raises Conflict (`contract_exists`)."""

    def add_identifier(self, contract_id: str, emaid: Emaid) -> None: ...

    def get(self, contract_id: str) -> Contract | None: ...

    def several(self, contract_ids: list[str]) -> dict[str, Contract]:
        """Return contracts by their ids, with one query."""

    def find(self, edition: Edition, key: str) -> Contract | None:
        """Return the contract with the identifier of that edition whose key is exactly `key`."""

    def named(self, emaids: list[Emaid]) -> dict[tuple[Edition, str], ContractEvidence]:
        """Return the contracts that have these identifiers, with their accounts, by one query."""

    def find_like(self, key14: str) -> list[Contract]:
        """Return contracts with an identifier that is `key14`, or it and one more character."""

    def set_state(self, contract_id: str, state: ContractState) -> None: ...

    def set_terms(self, contract: Contract) -> None:
        """Write validity and whitelist rule of a contract. Raises NotFound (`contract_unknown`)."""

    def block(self, contract_id: str, key: str, at: dt.datetime | None) -> int:
        """Block identifiers of a contract that begin with `key`, or with None unblock them."""

    def hand_over(
        self,
        prefix: str,
        party: ProviderId,
        limit: int,
        *,
        at: dt.datetime,
        apart: Collection[str] = (),
    ) -> int:
        """
        Move contracts whose -2 or -20 identifier begins so to an account; return how many.

        Args:
            at: when their credentials count as changed.
            limit: of each edition, at most; fewer than that means that there are no more.
            apart: longer prefixes, whose contracts stay.
        """

    def search(
        self,
        *,
        accounts: tuple[ProviderId, ...] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> list[Contract]:
        """Return a page ordered by contract id, beginning behind `after`."""


class TrustStore(Protocol):
    """Anchors and policies per domain. Every change raises `version` by one."""

    def version(self) -> int: ...

    def add_anchor(self, anchor: Anchor) -> None:
        """Store an anchor; one that was removed comes back. Raises Conflict (`anchor_exists`)."""

    def remove_anchor(self, fingerprint: Fingerprint, domain: Domain, at: dt.datetime) -> bool:
        """Mark an anchor removed; tell whether it was there."""

    def anchors(self) -> list[Anchor]:
        """Return the anchors in force."""

    def was_anchor(self, fingerprint: Fingerprint, domain: Domain) -> bool:
        """Tell whether an anchor is in force, or was once and was removed."""

    def anchor_der(self, fingerprint: Fingerprint) -> bytes | None:
        """Return the certificate of an anchor, in force or removed."""

    def set_rule(self, domain: Domain, rule: StatusRule) -> None: ...

    def rules(self) -> dict[Domain, StatusRule]:
        """Return the rules that were set; a domain without one requires the status."""


class Clients(Protocol):
    """Registered callers."""

    def add(self, client: Client) -> None: ...

    def by_token_hash(self, token_hash: bytes) -> Client | None: ...

    def get(self, client_id: str) -> Client | None: ...

    def all(self) -> list[Client]: ...

    def disable(self, client_id: str, at: dt.datetime) -> bool: ...


class Decisions(Protocol):
    """Receipts."""

    def add(self, record: DecisionRecord) -> None: ...

    def add_many(
        self,
        records: Sequence[DecisionRecord],
        forms: Sequence[ReceiptForm] = (),
        repeated: Sequence[Repetition] = (),
    ) -> None:
        """
        Store receipts; none is kept if one of them cannot be.

        Args:
            forms: those that the receipts name; one that is there already stays.
            repeated: of decisions that repeat one which is stored.
        """

    def form(self, form_id: str) -> str | None:
        """Return the text of a form, or None."""

    def get(self, decision_id: str) -> DecisionRecord | None: ...

    def prune(self, before: dt.datetime, originals_before: dt.datetime, limit: int) -> int:
        """
        Forget at most `limit` receipts of each kind; return how many.

        Those that repeat another one go if they are older than `before`, others if they are older
        than `originals_before`; with the last of these go the forms that none can name any more.
        """


class AuditLog(Protocol):
    """Append-only hash chains: one per issuer (named by `issuer_id`) and `admin`."""

    def head(self, chain: str) -> AuditEntry | None:
        """Return the last entry of a chain and hold the chain until this transaction ends."""

    def tip(self, chain: str) -> tuple[int, bytes] | None:
        """Return sequence and hash of the last entry and hold the chain as `head` does."""

    def append(self, entry: AuditEntry) -> None: ...

    def append_many(self, entries: Sequence[AuditEntry]) -> None:
        """Add the next entries of one chain."""

    def appended(self) -> list[tuple[AuditEntry, AuditEntry]]:
        """Return the first and the last entry that this transaction appended to each chain."""

    def seal(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint; one of the same entry stays."""

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield the checkpoints by chain and sequence, in bounded memory."""

    def last_checkpoint(self, chain: str) -> Checkpoint | None: ...

    def search(self, query: AuditQuery, limit: int) -> list[AuditEntry]:
        """Return the entries that fit, newest first: by time, chain and sequence."""

    def entry(self, chain: str, sequence: int) -> AuditEntry | None: ...

    def chains(self) -> list[str]: ...

    def entries(self, chain: str, behind: int = 0) -> Iterator[AuditEntry]:
        """Yield the entries of a chain behind a sequence in order, in bounded memory."""

    def heads(self) -> dict[str, tuple[int, bytes]]:
        """Return the stored head (sequence, hash) of every chain, kept apart from the entries."""
