"""Two homes behind one `Keys`: the keys of CAs, and those that CAs delegated to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pki.pkix.suites import Suite
from pki.ports import Keys, Signer

_DELEGATED: Final = re.compile(r"(?:ocsp|cps)\..+|token-[0-9a-f]+|webhooks", re.ASCII)
"""Labels of responders, leaves of the provisioning service, access tokens and webhooks."""


def is_delegated(label: str) -> bool:
    """Tell whether a label is of a key that is no CA's; whatever is unknown is a CA's."""
    return _DELEGATED.fullmatch(label) is not None


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
