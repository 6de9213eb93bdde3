"""Access tokens: the keys that sign them, and how long they last."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """
    A key that signs access tokens, or checkpoints of the audit.

    The private half lies with the other keys, under `label`.

    Attributes:
        kid: RFC 7638 thumbprint of the public key; of an audit key its SHA-256.
        public_key: DER of the SubjectPublicKeyInfo.
        retired_at: since when it signs no more; tokens that it signed before are still good.
    """

    kid: str
    label: str
    public_key: bytes
    created_at: dt.datetime
    retired_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPolicy:
    """
    What access tokens say and how long.

    Attributes:
        lifetime: of a token; OPCP clients expect a day.
        key_life: a key signs no longer than that.
        audiences: names of this service besides its public address.
    """

    lifetime: dt.timedelta = dt.timedelta(hours=24)
    key_life: dt.timedelta = dt.timedelta(days=90)
    audiences: tuple[str, ...] = ()
