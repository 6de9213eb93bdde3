"""What a role of PostgreSQL needs to be the signer's: to read intents, spend them, and tell so."""

from __future__ import annotations

import re
from typing import Final

from pki.errors import BadInput

_ROLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_READ: Final = (
    "alembic_version, settings, issuers, intents, crl_intents, audit, audit_heads, audit_keys, "
    "audit_checkpoints, key_uses, certificates, revocations"
)
_NEEDED: Final = (
    ("SELECT", _READ),
    ("UPDATE (state)", "intents, crl_intents"),
    ("INSERT, UPDATE", "audit_heads, key_uses"),
    ("INSERT", "audit, audit_checkpoints"),
)


def signer_grants(role: str) -> str:
    """Return the statements. Raises BadInput (`role_invalid`)."""
    if not _ROLE.fullmatch(role):
        raise BadInput("role_invalid", "A role is named by lower-case letters, digits and _.")
    return "\n".join(f"GRANT {right} ON {tables} TO {role};" for right, tables in _NEEDED)
