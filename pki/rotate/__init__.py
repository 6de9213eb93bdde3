"""
Rotation of every key: the next generation is made, then used, then the old one is let go.

Issuing, deciding and answering never stop for it. Every step is safe to repeat after a crash, and
`plan` (or `dry_run`) says beforehand who feels it.
"""

from __future__ import annotations

from pki.rotate.cas import close, plan_of, prepare, retire, settle, switch
from pki.rotate.leaves import cps, responder
from pki.rotate.lines import GRACE, line
from pki.rotate.rehearsal import plan
from pki.rotate.secret_keys import storage, token, webhooks
from pki.rotate.values import Effect, Rotation, Step

__all__ = [
    "GRACE",
    "Effect",
    "Rotation",
    "Step",
    "close",
    "cps",
    "line",
    "plan",
    "plan_of",
    "prepare",
    "responder",
    "retire",
    "settle",
    "storage",
    "switch",
    "token",
    "webhooks",
]
