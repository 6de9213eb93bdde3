"""
How verbs see the store, the keys and the installation: protocols only.

A transaction is one consistent read, or one all-or-nothing write. Every method raises
`Unavailable` (`store_unavailable`, `store_busy`) when the database is gone or locked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pki.clock import Clock
from pki.ids import Edition, Emaid, Fingerprint, ProviderId, SerialNumber
from pki.model import (
    Account,
    Anchor,
    AuditEntry,
    CertificateRecord,
    Change,
    ChangeKind,
    Client,
    Contract,
    ContractState,
    CrlIntent,
    CrlRecord,
    DecisionRecord,
    Domain,
    ForeignCrl,
    ForeignStatus,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Party,
    Responder,
    Revocation,
    Role,
    SeenCertificate,
    StaleRule,
    StatusRule,
    StatusSource,
    StoredAnswer,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import PublicKey, Suite


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

    def get(self, intent_id: str) -> Intent | None: ...

    def move(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""

    def unfinished(self) -> list[Intent]:
        """Return intents that are open or signing, oldest first."""

    def find(self, serial: SerialNumber) -> list[Intent]:
        """Return intents with this serial that are not completed, of any issuer."""


class Certificates(Protocol):
    """Certificates that we issued, and what was revoked of them."""

    def add(self, record: CertificateRecord) -> None: ...

    def by_fingerprint(self, fingerprint: Fingerprint) -> CertificateRecord | None: ...

    def by_fingerprints(
        self, fingerprints: list[Fingerprint]
    ) -> dict[Fingerprint, CertificateRecord]: ...

    def by_serial(self, serial: SerialNumber) -> list[CertificateRecord]:
        """Return the certificates of every issuer that carry this serial."""

    def by_issuer_serial(
        self, issuer_id: str, serial: SerialNumber
    ) -> CertificateRecord | None: ...

    def by_key(self, spki_sha256: bytes) -> list[CertificateRecord]: ...

    def search(  # noqa: PLR0913 - one keyword per filter
        self,
        *,
        kind: Kind | None = None,
        owners: tuple[str, ...] | None = None,
        issuer_id: str | None = None,
        common_name: str | None = None,
        after: Fingerprint | None = None,
        limit: int = 100,
    ) -> list[CertificateRecord]:
        """Return a page ordered by fingerprint, beginning behind `after`."""

    def count(self, issuer_id: str) -> int:
        """Return how many certificates an issuer issued."""

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


class Contracts(Protocol):
    """Contracts, accounts and parties."""

    def add_party(self, party: Party) -> None:
        """Store a party. Raises Conflict (`party_exists`)."""

    def party(self, role: Role, party_id: str) -> Party | None: ...

    def parties(self) -> list[Party]: ...

    def add_account(self, account: Account) -> None:
        """Store an account. Raises Conflict (`account_exists`)."""

    def account(self, provider_id: ProviderId, *, lock: bool = False) -> Account | None:
        """Return the account; with `lock`, other writers of its contracts wait for this one."""

    def accounts(self) -> list[Account]: ...

    def add(self, contract: Contract) -> None:
        """Store a contract with its identifiers. Raises Conflict (`contract_exists`)."""

    def add_identifier(self, contract_id: str, emaid: Emaid) -> None: ...

    def get(self, contract_id: str) -> Contract | None: ...

    def find(self, edition: Edition, key: str) -> Contract | None:
        """Return the contract with the identifier of that edition whose key is exactly `key`."""

    def find_iso20_like(self, key14: str) -> list[Contract]:
        """Return contracts whose -20 identifier is `key14`, or it and one more character."""

    def set_state(self, contract_id: str, state: ContractState) -> None: ...

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

    def get(self, decision_id: str) -> DecisionRecord | None: ...


class AuditLog(Protocol):
    """Append-only hash chains: one per issuer (named by `issuer_id`) and `admin`."""

    def head(self, chain: str) -> AuditEntry | None:
        """Return the last entry of a chain and hold the chain until this transaction ends."""

    def append(self, entry: AuditEntry) -> None: ...

    def chains(self) -> list[str]: ...

    def entries(self, chain: str) -> Iterator[AuditEntry]:
        """Yield the entries of a chain in order, in bounded memory."""

    def heads(self) -> dict[str, tuple[int, bytes]]:
        """Return the stored head (sequence, hash) of every chain, kept apart from the entries."""


class StatusStore(Protocol):
    """What status answers are made of."""

    def sequence(self) -> int:
        """Return the number of the last change; 0 before the first."""

    def add_change(
        self, kind: ChangeKind, issuer_id: str, serial: SerialNumber | None, at: dt.datetime
    ) -> None:
        """Append to the change log, in the order of commits."""

    def changes(self, behind: int, limit: int) -> list[Change]:
        """Return changes after number `behind`, in order."""

    def changed(self, issuer_id: str, behind: int) -> bool:
        """Tell whether an issuer's certificates changed status after change `behind`."""

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

    def due_answers(self, now: dt.datetime, limit: int) -> list[StoredAnswer]:
        """Return answers that are to be signed anew, the most urgent first."""

    def crl(self, issuer_id: str, shard: int) -> CrlRecord | None:
        """Return the newest CRL of an issuer and shard."""

    def crl_number(self, issuer_id: str) -> int:
        """Return the highest CRL number of an issuer over all shards; 0 before the first."""

    def add_crl_intent(self, intent: CrlIntent) -> None:
        """Store an open intent. Raises Conflict (`crl_number_taken`)."""

    def crl_intent(self, intent_id: str) -> CrlIntent | None: ...

    def move_crl_intent(self, intent_id: str, before: IntentState, after: IntentState) -> bool:
        """Change the state only if it is `before`; tell whether it was."""

    def put_crl(self, record: CrlRecord, chunks: Iterable[bytes]) -> bool:
        """Store a CRL in chunks; tell whether its number was free. Older ones but one go."""

    def crl_chunks(self, record: CrlRecord) -> Iterator[bytes]:
        """Yield the octets of a CRL piece by piece; empty if it was pruned meanwhile."""

    def revoked(self, issuer_id: str, ended_before: dt.datetime) -> Iterator[Revocation]:
        """Yield an issuer's revocations by serial, without what expired, in bounded memory."""


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

    def stale_rules(self) -> dict[Domain, StaleRule]:
        """Return the rules that were set; a domain without one refuses."""

    def set_stale_rule(self, domain: Domain, rule: StaleRule) -> None: ...


class Leases(Protocol):
    """Who may do a periodic job, until when."""

    def take(self, name: str, holder: str, now: dt.datetime, until: dt.datetime) -> bool:
        """Take or extend a lease unless somebody else holds it; tell whether it is ours."""

    def give_back(self, name: str, holder: str) -> None: ...


class Transaction(Protocol):
    """Everything the store holds, within one transaction."""

    @property
    def issuers(self) -> Issuers: ...
    @property
    def intents(self) -> Intents: ...
    @property
    def certificates(self) -> Certificates: ...
    @property
    def contracts(self) -> Contracts: ...
    @property
    def trust(self) -> TrustStore: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def decisions(self) -> Decisions: ...
    @property
    def audit(self) -> AuditLog: ...
    @property
    def status(self) -> StatusStore: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def evidence(self) -> EvidenceStore: ...

    def setting(self, name: str) -> str | None:
        """Return a fact about the installation (`mode`, `created_at`), or None."""

    def put_setting(self, name: str, value: str) -> None: ...


class Store(Protocol):
    """The database."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Open one consistent read."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Open a write: committed and durable when the block ends, nothing kept if it raises."""

    def ping(self) -> None:
        """Raise Unavailable if the database cannot answer or its schema is not ours."""


class Signer(Protocol):
    """One private key that never leaves its home."""

    @property
    def suite(self) -> Suite: ...

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """
        Sign with the suite's algorithm (DER ECDSA, raw Ed448). Raises Unavailable
        (`key_unavailable`).
        """


class Keys(Protocol):
    """Where private keys live."""

    def create(self, label: str, suite: Suite) -> Signer:
        """Make and keep a key. Raises Conflict (`key_exists`)."""

    def signer(self, label: str) -> Signer:
        """Return a kept key's signer. Raises Unavailable (`key_missing`, `key_unavailable`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """
    What verbs need of this installation.

    Attributes:
        public_url: address of this service as relying parties reach it, without a trailing slash.
        demo: demo mode: private keys may be handed out and demo keys used.
    """

    store: Store
    keys: Keys
    clock: Clock
    public_url: str
    demo: bool
