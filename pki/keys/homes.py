"""Two homes behind one `Keys`: the keys of CAs, and those that CAs delegated to."""

from __future__ import annotations

from dataclasses import dataclass

from pki.model import is_delegated
from pki.pkix.suites import Suite
from pki.ports import Keys, Signer


@dataclass(frozen=True, slots=True)
class SplitKeys:
    """`Keys` that sends each label to its home."""

    ca: Keys
    delegated: Keys

    def create(self, label: str, suite: Suite) -> Signer:
        """Make a key where it belongs. Raises as the home does."""
        return self._home(label).create(label, suite)

    def signer(self, label: str) -> Signer:
        """Return a key's signer. Raises as the home does."""
        return self._home(label).signer(label)

    def _home(self, label: str) -> Keys:
        return self.delegated if is_delegated(label) else self.ca
