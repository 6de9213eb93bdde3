"""Times at which certificates begin or end: between two of them nothing changes by itself."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from pki.pkix.certificate import Certificate

_SECOND: Final = dt.timedelta(seconds=1)
_NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


def turns_of(certificates: Iterable[Certificate]) -> Iterator[dt.datetime]:
    """Yield the times at which certificates begin, and have ended."""
    for certificate in certificates:
        yield certificate.not_before
        if certificate.not_after.year < dt.MAXYEAR:
            yield certificate.not_after + _SECOND


def first_behind(turns: tuple[dt.datetime, ...], now: dt.datetime) -> dt.datetime:
    """Return the first of sorted times that is still to come."""
    at = bisect_right(turns, now)
    return turns[at] if at < len(turns) else _NEVER
