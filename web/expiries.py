"""How many certificates end soon, for Prometheus: facts of the store, not counts of a process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from pki import expiry
from pki.errors import PkiError
from pki.ports import Deployment
from web.logs import ERRORS

DAYS: Final = (7, 30, 90)
_KEPT_SECONDS: Final = 300.0
_HEAD: Final = (
    "# HELP pnc_certificates_expiring Certificates in force that end within so many days.\n"
    "# TYPE pnc_certificates_expiring gauge\n"
)


@dataclass(slots=True)
class Expiries:
    """Counts, asked of the store every five minutes at most."""

    deployment: Deployment
    _text: bytes = b""
    _until: float = field(default=0.0)

    def text(self) -> bytes:
        """Return the gauges in the exposition format; what was known last where the store fails."""
        if time.monotonic() >= self._until:
            try:
                self._text = self._asked()
                self._until = time.monotonic() + _KEPT_SECONDS
            except PkiError as error:
                ERRORS.warning("expiries: %s", error.code)
        return self._text

    def _asked(self) -> bytes:
        lines = [
            f'pnc_certificates_expiring{{kind="{kind.value}",days="{days}"}} {count}\n'
            for days in DAYS
            for kind, count in sorted(expiry.counts(self.deployment, days).items())
        ]
        return (_HEAD + "".join(lines)).encode()
