"""
Backups of a working installation, their restoration elsewhere, and its confirmation.

The formats, the checks and the order of steps are told by the modules; verbs stand here.
"""

from __future__ import annotations

from pki.backup.checks import Check, refusal, run
from pki.backup.confirming import Confirmation, confirm
from pki.backup.restoring import Restored, restore
from pki.backup.saving import Saved, save
from pki.backup.sealed import MIN_PASSPHRASE

__all__ = [
    "MIN_PASSPHRASE",
    "Check",
    "Confirmation",
    "Restored",
    "Saved",
    "confirm",
    "refusal",
    "restore",
    "run",
    "save",
]
