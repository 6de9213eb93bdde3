"""Certificate status: changes, responders, stored answers, CRLs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from pki.ids import Fingerprint, SerialNumber
from pki.model.certificates import IntentState


class ChangeKind(StrEnum):
    """
    What changed.

    A certificate was revoked or released from hold; a CA or responder came; a contract changed its
    state or identifiers; anchors or rules changed; foreign evidence came; a key was blocked; a
    caller was disabled; or, for authorisations, a party, an account, a range or an agreement came.
    """

    REVOKED = "revoked"
    RELEASED = "released"
    ISSUERS = "issuers"
    ROAMING = "roaming"
    CONTRACT = "contract"
    TRUST = "trust"
    EVIDENCE = "evidence"
    KEYS = "keys"
    CLIENTS = "clients"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One entry of the change log, which every view of status follows.

    Attributes:
        sequence: grows with every change; commits happen in its order, without gaps.
        issuer_id: whose certificate; the contract for a contract, else empty.
        serial: None where the change concerns no single certificate.
        changed_at: None where nobody told.
    """

    sequence: int
    kind: ChangeKind
    issuer_id: str
    serial: SerialNumber | None
    changed_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """A delegated OCSP signer of an issuer; `key_label` is where `Keys` finds its key."""

    fingerprint: Fingerprint
    issuer_id: str
    key_label: str
    der: bytes
    not_before: dt.datetime
    not_after: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """
    A signed OCSP answer without nonce, for exactly one CertID.

    Attributes:
        cert_id: DER of the CertID as asked; its SHA-256 is the key.
        der: the complete OCSPResponse.
        refresh_at: from then on a job signs it anew, well before `next_update`.
    """

    cert_id: bytes
    issuer_id: str
    serial: SerialNumber
    der: bytes
    this_update: dt.datetime
    next_update: dt.datetime
    refresh_at: dt.datetime


RevokedRow = tuple[str, str, int, int]
"""Serial, reason, second since 1970 and shard of a revocation; plain, as there may be a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlIntent:
    """
    The committed decision to sign one CRL, once.

    Attributes:
        tbs_sha256: digest of the to-be-signed octets, which lie in a file.
    """

    intent_id: str
    issuer_id: str
    shard: int
    number: int
    tbs_sha256: bytes
    state: IntentState
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlRecord:
    """
    A published CRL, whose octets are kept in chunks.

    Attributes:
        shard: 0 for the only CRL of an issuer, else 1 to n.
        sequence: the last change that it contains.
    """

    issuer_id: str
    shard: int
    number: int
    this_update: dt.datetime
    next_update: dt.datetime
    entries: int
    octets: int
    sha256: bytes
    sequence: int
