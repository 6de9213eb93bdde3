"""What a key may be used for, and how often."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from pki.model.certificates import IssuerState

RESTORED: Final = "restored"
"""The fact that a store was restored and nobody has confirmed it yet (I10)."""

ANY_ISSUER: Final = "*"
CRL: Final = "crl"
"""Word for CRLs among the kinds of certificates in `KeyLimit.kinds`."""
ANSWER: Final = "answer"
"""Word there for OCSP answers that a CA signs itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimit:
    """
    Bounds on the key of one CA.

    Attributes:
        issuer: name of the CA, every generation of it; `*`: each CA by itself.
        per_minute, per_day: signatures in a minute and in a day of UTC; None: any number.
        kinds: kinds of certificates, `crl` and `answer`; empty: whatever the CA may sign.
    """

    issuer: str
    per_minute: int | None = None
    per_day: int | None = None
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """
    How often a CA signed.

    Attributes:
        last_at: its newest signature.
        minute, day: begin of the minute and of the day that are counted.
    """

    issuer_id: str
    last_at: dt.datetime
    minute: dt.datetime
    in_minute: int
    day: dt.datetime
    in_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    What is asked before a CA signs.

    Attributes:
        state: of the CA.
        restored: nobody has confirmed yet what a backup brought.
        at: time of the database; None where its clock is that of this host.
    """

    use: KeyUse
    state: IssuerState
    restored: bool
    at: dt.datetime | None


_DELEGATED: Final = re.compile(
    r"(?:ocsp|cps)\..+|(?:audit|token)-[0-9a-f]+|webhooks(?:\.\d+)?", re.ASCII
)
"""Labels of responders, CPS leaves, audit checkpoints, access tokens and webhooks."""


def is_delegated(label: str) -> bool:
    """Tell whether a label is of a key that is no CA's; whatever is unknown is a CA's."""
    return _DELEGATED.fullmatch(label) is not None
