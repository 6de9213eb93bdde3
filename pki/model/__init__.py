"""The frozen values that store, verbs and web share."""

from __future__ import annotations

from pki.model.audit import (
    AuditEntry,
)
from pki.model.certificates import (
    CertificateRecord,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Reason,
    Revocation,
)
from pki.model.contracts import (
    Contract,
    ContractState,
)
from pki.model.decisions import (
    EMAID_TOKEN_TYPE,
    Accepted,
    CertificateStatus,
    Check,
    ContractCheck,
    ContractEvidence,
    Decision,
    DecisionPolicy,
    DecisionRecord,
    Evidence,
    Fault,
    HashData,
    PathStatus,
    Rejected,
    Status,
    Verdict,
)
from pki.model.people import (
    Account,
    Client,
    Party,
    Principal,
    Role,
)
from pki.model.status import (
    Change,
    ChangeKind,
    CrlIntent,
    CrlRecord,
    Responder,
    StoredAnswer,
)
from pki.model.trust import (
    Anchor,
    Domain,
    OwnIssuer,
    StatusRule,
    Trust,
    TrustAnchor,
)

__all__ = [
    "EMAID_TOKEN_TYPE",
    "Accepted",
    "Account",
    "Anchor",
    "AuditEntry",
    "CertificateRecord",
    "CertificateStatus",
    "Change",
    "ChangeKind",
    "Check",
    "Client",
    "Contract",
    "ContractCheck",
    "ContractEvidence",
    "ContractState",
    "CrlIntent",
    "CrlRecord",
    "Decision",
    "DecisionPolicy",
    "DecisionRecord",
    "Domain",
    "Evidence",
    "Fault",
    "HashData",
    "Intent",
    "IntentState",
    "Issuer",
    "IssuerState",
    "OwnIssuer",
    "Party",
    "PathStatus",
    "Principal",
    "Reason",
    "Rejected",
    "Responder",
    "Revocation",
    "Role",
    "Status",
    "StatusRule",
    "StoredAnswer",
    "Trust",
    "TrustAnchor",
    "Verdict",
]
