"""
How verbs see the store, the keys and the installation: protocols only.

A transaction is one consistent read, or one all-or-nothing write. Every method raises
`Unavailable` (`store_unavailable`, `store_busy`) when the database is gone or locked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from pki.clock import Clock, SkewGuard
from pki.model import (
    ApprovalPolicy,
    Budget,
    Change,
    DecisionRecord,
    EnrolmentRules,
    KeyLimit,
    SeenCertificate,
    TokenPolicy,
)
from pki.ports.aggregates import (
    AuditLog,
    Certificates,
    Clients,
    Contracts,
    Decisions,
    Intents,
    Issuers,
    TrustStore,
)
from pki.ports.approvals import Proposals
from pki.ports.entities import Entities
from pki.ports.keys import Keys, KeyUses, Signer, SignerProcess
from pki.ports.partners import PageMarks, PartnerObjects, Partners, Vault
from pki.ports.provisioning import Outbox, Pools
from pki.ports.radius import Radius
from pki.ports.roaming import AskEmsp, Credentials, RoamingLists, RoamingStore, Sessions
from pki.ports.snapshots import Description, Frozen, Snapshots
from pki.ports.spoken import (
    TokenKeys,
    Webhooks,
)
from pki.ports.stations import Stations
from pki.ports.status import (
    EvidenceStore,
    Leases,
    StatusStore,
)

Shared = TypeVar("Shared")


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
    def key_uses(self) -> KeyUses: ...
    @property
    def evidence(self) -> EvidenceStore: ...
    @property
    def pools(self) -> Pools: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def token_keys(self) -> TokenKeys: ...
    @property
    def partners(self) -> Partners: ...
    @property
    def partner_objects(self) -> PartnerObjects: ...

    @property
    def page_marks(self) -> PageMarks: ...
    @property
    def radius(self) -> Radius: ...
    @property
    def roaming(self) -> RoamingStore: ...

    @property
    def lists(self) -> RoamingLists: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def audit_keys(self) -> TokenKeys: ...
    @property
    def proposals(self) -> Proposals: ...
    @property
    def stations(self) -> Stations: ...
    @property
    def entities(self) -> Entities: ...

    def setting(self, name: str) -> str | None:
        """Return a fact about the installation (`mode`, `created_at`), or None."""

    def put_setting(self, name: str, value: str) -> None: ...

    def commit_lazily(self) -> None:
        """Let this write be on disk no sooner than the next one, where the database can do so."""


class Store(Protocol):
    """The database."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Open one consistent read."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Open a write: committed and durable when the block ends, nothing kept if it raises."""

    def ping(self) -> None:
        """Raise Unavailable if the database cannot answer or its schema is not ours."""


class Desk(Protocol):
    """What a process that decides again and again keeps between decisions."""

    def keep(self, record: DecisionRecord, seen: Sequence[SeenCertificate]) -> None:
        """Store a receipt with those of others; durable at the return. Raises Unavailable."""

    def shared(
        self,
        tx: Transaction,
        read: Callable[[Transaction], Shared],
        concerns: Callable[[Shared, Change], bool],
    ) -> Shared:
        """Return what `read` reads, remembered until a change concerns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """
    What verbs need of this installation.

    Attributes:
        public_url: address of this service as relying parties reach it, without a trailing slash.
        demo: demo mode: private keys may be handed out and demo keys used.
        budget: how long the answer to an installation may be.
        tokens: what access tokens say and how long.
        enrolment: what is asked before a certificate is issued.
        signer: the process that holds the keys of CAs; None where this one does.
        limits: bounds on the keys of CAs.
        prove_each: every signature of a CA is verified, also of a software key in this process.
        skew: compares clocks before a CA signs; None: nobody does.
        desk: None where one decision is made and no more.
        approvals: who must agree before an act of consequence is done.
    """

    store: Store
    keys: Keys
    vault: Vault
    clock: Clock
    public_url: str
    demo: bool
    budget: Budget = field(default_factory=Budget)
    tokens: TokenPolicy = field(default_factory=TokenPolicy)
    enrolment: EnrolmentRules = field(default_factory=EnrolmentRules)
    signer: SignerProcess | None = None
    limits: tuple[KeyLimit, ...] = ()
    prove_each: bool = False
    skew: SkewGuard | None = None
    desk: Desk | None = None
    approvals: ApprovalPolicy = field(default_factory=ApprovalPolicy)


__all__ = [
    "AskEmsp",
    "AuditLog",
    "Certificates",
    "Clients",
    "Contracts",
    "Credentials",
    "Decisions",
    "Deployment",
    "Description",
    "Desk",
    "Entities",
    "EvidenceStore",
    "Frozen",
    "Intents",
    "Issuers",
    "KeyUses",
    "Keys",
    "Leases",
    "Outbox",
    "PageMarks",
    "PartnerObjects",
    "Partners",
    "Pools",
    "Proposals",
    "Radius",
    "RoamingLists",
    "RoamingStore",
    "Sessions",
    "Signer",
    "SignerProcess",
    "Snapshots",
    "Stations",
    "StatusStore",
    "Store",
    "TokenKeys",
    "Transaction",
    "TrustStore",
    "Vault",
    "Webhooks",
]
