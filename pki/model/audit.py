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
