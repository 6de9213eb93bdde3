"""How verbs count what falls with a CA."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.ids import Fingerprint
from pki.model import Living


class Radius(Protocol):
    """Counts; see `pki.store.radius`."""

    def touched(self, issuer_ids: list[str], now: dt.datetime) -> list[Living]:
        """Return what lives under some issuers and is not revoked, by kind and owner."""

    def cars_under(self, issuer_ids: list[str]) -> int:
        """Return for how many cars a bundle waits whose contract one of these issuers signed."""

    def under_root(self, root: Fingerprint) -> tuple[int, int]:
        """Return how many cars have a provisioning chain, and how many bundles end, at a root."""
