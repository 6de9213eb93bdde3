"""What the spoken interfaces keep: keys of access tokens."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.model import TokenKey


class TokenKeys(Protocol):
    """Keys that sign access tokens."""

    def add(self, key: TokenKey) -> None: ...

    def all(self) -> list[TokenKey]:
        """Return every key, newest first."""

    def retire(self, at: dt.datetime) -> int:
        """Retire every key that still signs; return how many."""

    def forget(self, before: dt.datetime) -> int:
        """Forget keys that were retired before a time; return how many."""
