"""What an installation is set to, frozen."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pki.enrol.policy import EnrolPolicy
from pki.model import ApprovalPolicy, AuditPolicy, Budget, EnrolmentRules, TokenPolicy
from pki.outbound import OutboundPolicy
from pki.settings.keys import KeySettings
from pki.status.policy import StatusPolicy

FILE_NAME: Final = "pnc.toml"
DEFAULT_HOME: Final = "var"
MIN_PASSPHRASE: Final = 12


class Mode(StrEnum):
    """`demo` hands out keys and tokens; `production` refuses whatever came from a demo."""

    DEMO = "demo"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    One installation.

    Attributes:
        home: directory of state, keys and logs.
        public_url: address under which relying parties reach this service; stands in certificates.
        audit: how often the record is signed.
        approvals: how many others must approve an act of consequence; at least 1 in production.
        keep_decisions: receipts older than that are pruned.
        budget: how long the answer to an installation may be.
        mtls_port: second listener, TLS with client certificates, for re-enrolment; 0: none.
        tls_certificate, tls_key: PEM files of that listener; a demo makes its own.
        enrolment: what is asked before a certificate is issued.
        bulk_signers: files of public keys whose owners may sign jobs for `pnc bulk run`.
        base64url_hash_data: iso15118CertificateHashData of OCPP may also come as one deployed
            station stack writes them: base64url hashes, decimal serial number.
    """

    home: Path
    mode: Mode
    database_url: str
    public_url: str
    approvals: ApprovalPolicy
    host: str
    port: int
    workers: int
    keys: KeySettings = field(default_factory=KeySettings)
    status: StatusPolicy = field(default_factory=StatusPolicy)
    outbound: OutboundPolicy = field(default_factory=OutboundPolicy)
    keep_decisions: dt.timedelta = dt.timedelta(days=400)
    budget: Budget = field(default_factory=Budget)
    base64url_hash_data: bool = False
    tokens: TokenPolicy = field(default_factory=TokenPolicy)
    audit: AuditPolicy = field(default_factory=AuditPolicy)
    enrol: EnrolPolicy = field(default_factory=EnrolPolicy)
    enrolment: EnrolmentRules = field(default_factory=EnrolmentRules)
    bulk_signers: tuple[Path, ...] = ()
    mtls_port: int = 0
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def demo(self) -> bool:
        """Tell whether this is a demo installation."""
        return self.mode is Mode.DEMO


def usual_approvals(mode: Mode) -> int:
    """Return how many others must approve where the settings do not say."""
    return 0 if mode is Mode.DEMO else 2


def default_database(home: Path) -> str:
    """Return the address of the database that a home has of its own."""
    return f"sqlite:///{home / 'pnc.db'}"
