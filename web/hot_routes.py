"""Which requests take a hot path, told from method and raw path alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import unquote

from web.hot import HotRequest, HotResponse
from web.logs import ERRORS
from web.status import MAX_OCSP_BODY, StatusPages

OCSP: Final = "/ocsp"
"""Label of this hot path in metrics."""

_OCSP: Final = re.compile(r"/+ocsp(?:/.*)?")
_CRL: Final = re.compile(r"/crl/([^/]+)(?:/(\d{1,9}))?")
_CA: Final = re.compile(r"/ca/([^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One hot path.

    Attributes:
        label: as it stands in metrics.
        most: octets of a body that the handler takes.
        handler: answers; may wait for database, disk or key, and may raise.
    """

    label: str
    handler: Callable[[HotRequest], HotResponse]
    most: int = 0

    def tried(self, request: HotRequest) -> HotResponse | None:
        """Answer, or return None where an error is to be told: whoever does that asks anew."""
        try:
            return self.handler(request)
        except Exception as error:  # noqa: BLE001 - Flask asks again, tells and logs what it was
            ERRORS.debug("hot path", exc_info=error)
            return None


def match(pages: StatusPages, method: str, raw_path: str) -> Route | None:
    """Return the hot path of a request, or None; never more than `web.status_routes` has."""
    path = unquote(raw_path) if "%" in raw_path else raw_path
    if method in ("GET", "POST") and _OCSP.fullmatch(path):
        return Route(label=OCSP, handler=pages.ocsp, most=MAX_OCSP_BODY)
    if method != "GET":
        return None
    if found := _CRL.fullmatch(path):
        handler = partial(pages.crl, issuer=found[1], shard=int(found[2] or 0))
        return Route(label="/crl", handler=handler)
    if found := _CA.fullmatch(path):
        return Route(label="/ca", handler=partial(pages.ca, issuer=found[1]))
    return None
