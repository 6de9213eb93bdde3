"""The hash-chained record."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """
    One link of a hash chain: an issuer's, or `admin`.

    Attributes:
        sequence: from 1, without gaps.
        details: JSON object, keys sorted, free of secrets.
        previous_hash, entry_hash: SHA-256; see `pki.audit` for what is hashed.
    """

    chain: str
    sequence: int
    at: dt.datetime
    actor: str
    action: str
    subject: str
    details: str
    previous_hash: bytes
    entry_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """
    A signature over an entry's hash, and so over its chain up to there.

    Attributes:
        kid: of the key that signed: SHA-256 of its SubjectPublicKeyInfo in hexadecimal.
        signature: ECDSA in DER over what `pki.audit.checkpoints.statement` returns.
    """

    chain: str
    sequence: int
    entry_hash: bytes
    at: dt.datetime
    kid: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """
    Which entries are wanted; None: whichever.

    Attributes:
        since: first moment. until: the first moment not wanted.
        before: time, chain and sequence of the entry behind which to go on.
    """

    chain: str | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    before: tuple[dt.datetime, str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPolicy:
    """
    How often the record is signed.

    Attributes:
        entries: of one chain, from one checkpoint to the next.
        seconds: from one round of the job to the next.
    """

    entries: int = 1000
    seconds: int = 600
