"""Issuers, intents, certificates, revocations."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from pki.ids import Edition, Fingerprint, SerialNumber
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite


class IssuerState(StrEnum):
    """Life of an issuer generation."""

    PENDING = "pending"
    ACTIVE = "active"
    STATUS_ONLY = "status_only"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """
    One generation of a CA of ours.

    Attributes:
        issuer_id: `name` + `.g` + `generation`; the key everywhere.
        certificate: DER; empty while the state is `pending` (a root before its first signature).
        parent_id: issuer that signed it; None for a root.
        key_label: where `Keys` finds the private key; "" where it lies offline.
        owner: party id, or "" for the operator of this PKI.
        demo: made in demo mode; such a key is refused in production mode.
        crl_url: certificates of this issuer name its CRL (costs some 40 octets of each).
        crl_shards: they name one of so many partial CRLs instead; 0: none.
    """

    issuer_id: str
    name: str
    generation: int
    kind: Kind
    edition: Edition
    suite: Suite
    state: IssuerState
    certificate: bytes
    parent_id: str | None
    key_label: str
    owner: str
    demo: bool
    created_at: dt.datetime
    crl_url: bool = False
    crl_shards: int = 0

    @property
    def offline(self) -> bool:
        """Tell whether the key is kept elsewhere, so that nothing can be signed here."""
        return not self.key_label

    @property
    def published_as(self) -> str:
        """
        Return the last part of the addresses of its CRL and its certificate.

        The first generation has the bare name, a later one an address of its own: certificates
        name it, and what it serves must go on being about them.
        """
        return self.name if self.generation == 1 else self.issuer_id


class IntentState(StrEnum):
    """
    How far a two-phase issuance came.

    `open`: committed, no signature. `signing`: the one signature may exist.
    `completed`: the certificate is stored. `abandoned`: an administrator closed it.
    """

    OPEN = "open"
    SIGNING = "signing"
    COMPLETED = "completed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """
    The committed decision to sign exactly these to-be-signed bytes, once.

    Attributes:
        tbs: DER of the TBSCertificate, equal to that of the linted twin.
        contract_id: contract that the certificate will belong to, or None.
    """

    intent_id: str
    issuer_id: str
    serial: SerialNumber
    profile: str
    kind: Kind
    edition: Edition
    suite: Suite
    tbs: bytes
    owner: str
    requested_by: str
    state: IntentState
    created_at: dt.datetime
    contract_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """A certificate that we issued."""

    fingerprint: Fingerprint
    issuer_id: str
    serial: SerialNumber
    der: bytes
    kind: Kind
    edition: Edition
    suite: Suite
    subject: str
    common_name: str
    not_before: dt.datetime
    not_after: dt.datetime
    owner: str
    spki_sha256: bytes
    intent_id: str
    issued_at: dt.datetime
    contract_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """
    Certificates of one issuer, kind and owner that have not ended.

    Attributes:
        names: of how many cars, chargers or contracts they are; 0 where nobody counted.
        last: when the last of them ends.
    """

    kind: Kind
    owner: str
    count: int
    last: dt.datetime
    names: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """
    A certificate that ends soon and is not revoked.

    Attributes:
        renewed: one of the same kind, name and owner ends later.
    """

    record: CertificateRecord
    renewed: bool


class Reason(StrEnum):
    """RFC 5280 5.3.1 reasons, spelt as there; `aACompromise` only for attribute authorities."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whose certificate a key stands in."""

    kind: Kind
    edition: Edition
    common_name: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a certificate of ours stands: whose and which it is, and its revocation if any."""

    issuer_id: str
    serial: SerialNumber
    revocation: Revocation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """
    A revoked serial; `revoked_at` is the time that status answers carry.

    Attributes:
        not_after: end of its certificate, after which CRLs may leave it out; None where it never
            became a certificate.
        shard: the CRL that its certificate names; 0: none of the partial ones.
    """

    issuer_id: str
    serial: SerialNumber
    reason: Reason
    revoked_at: dt.datetime
    revoked_by: str
    not_after: dt.datetime | None = None
    shard: int = 0
