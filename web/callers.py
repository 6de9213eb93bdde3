"""Who calls, remembered: a token of ours is looked up once for each change to a caller."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from typing import Final

from pki import tokens
from pki.access import TOKEN_PREFIX, token_hash
from pki.model import Change, ChangeKind, Principal
from pki.ports import Deployment
from pki.status import View
from web.auth import token_of

MOST: Final = 10_000
"""Callers that one process remembers."""


class Callers:
    """Knows callers by the hash of their token; access tokens with an end are read every time."""

    def __init__(self, deployment: Deployment, view: View) -> None:
        self._deployment = deployment
        self._view = view
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[bytes, Principal]] = {}
        view.listen(self._hear)

    def find(self, headers: Mapping[str, str]) -> Principal:
        """
        Return who sent a request.

        Args:
            headers: names in lower case.

        Raises:
            Unauthenticated, Unavailable: as `web.auth.principal`.
        """
        token = token_of(headers)
        if not token.startswith(TOKEN_PREFIX):
            return tokens.authenticate(self._deployment, token)
        wanted = token_hash(token)
        current = self._view.ready()
        known = self._known.get(wanted) if current else None
        if known is not None and hmac.compare_digest(known[0], wanted):
            return known[1]
        before = self._view.sequence
        found = tokens.authenticate(self._deployment, token)
        with self._lock:
            # what changed since was told already, and would not be told again
            if current and before == self._view.sequence:
                while len(self._known) >= MOST:
                    del self._known[next(iter(self._known))]
                self._known[wanted] = (wanted, found)
        return found

    def _hear(self, change: Change) -> None:
        if change.kind in (ChangeKind.CLIENTS, ChangeKind.ISSUERS):  # the latter: begun anew
            with self._lock:
                self._known.clear()
