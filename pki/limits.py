"""Whether a CA may sign now: the clocks agree, and the limits of its key leave room."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pki.errors import PolicyViolation, Unavailable
from pki.model import ANY_ISSUER, Held, Issuer, KeyLimit, KeyUse
from pki.ports import Deployment, Transaction

_MINUTE: Final = dt.timedelta(minutes=1)
_DAY: Final = dt.timedelta(days=1)


def count(deployment: Deployment, tx: Transaction, issuer: Issuer, kinds: Sequence[str]) -> Held:
    """
    Count signatures that are about to be made; nothing is counted unless the write commits.

    Returns what was asked of the CA before, which the write holds until it ends.

    Args:
        kinds: of each signature: a kind of certificate, `crl` or `answer`.

    Raises:
        PolicyViolation: `key_kind_not_allowed`.
        Unavailable: `clock_disagrees`, `key_rate_limit`, `key_daily_limit`.
    """
    now = deployment.clock.now()
    held = check(deployment, tx, issuer, kinds)
    use = held.use
    limit = limit_of(deployment, issuer)
    minute, day = _cut(now, _MINUTE), _cut(now, _DAY)
    counted = replace(
        use,
        last_at=max(now, use.last_at),
        minute=minute,
        in_minute=len(kinds) + (use.in_minute if use.minute == minute else 0),
        day=day,
        in_day=len(kinds) + (use.in_day if use.day == day else 0),
    )
    if limit is not None:
        _refuse_many(issuer, limit, counted)
    tx.key_uses.put(counted)
    if deployment.skew is not None:
        deployment.skew.trust(now)
    return held


def check(deployment: Deployment, tx: Transaction, issuer: Issuer, kinds: Sequence[str]) -> Held:
    """Judge clocks and kind alone, and count nothing; raises as `count`."""
    held = tx.key_uses.hold(issuer.issuer_id)
    if deployment.skew is not None:
        now = deployment.clock.now()
        deployment.skew.check(now, held.at, held.use.last_at)
    limit = limit_of(deployment, issuer)
    barred = sorted(set(kinds) - limit.kinds) if limit is not None and limit.kinds else ()
    if limit is not None and barred:
        raise PolicyViolation(
            "key_kind_not_allowed",
            f"The key of {issuer.issuer_id} signs no {barred[0]} here.",
            hint="keys.limits says what it signs: " + ", ".join(sorted(limit.kinds)) + ".",
        )
    return held


def limit_of(deployment: Deployment, issuer: Issuer) -> KeyLimit | None:
    """Return the limit of a CA: the one with its name, else the one for all."""
    by_name = {limit.issuer: limit for limit in deployment.limits}
    return by_name.get(issuer.name) or by_name.get(ANY_ISSUER)


def _cut(now: dt.datetime, length: dt.timedelta) -> dt.datetime:
    return now - (now - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) % length


def _refuse_many(issuer: Issuer, limit: KeyLimit, use: KeyUse) -> None:
    if limit.per_minute is not None and use.in_minute > limit.per_minute:
        raise Unavailable(
            "key_rate_limit",
            f"The key of {issuer.issuer_id} signs {limit.per_minute} times a minute, not more.",
            hint="Try again in the next minute, or raise per_minute in keys.limits.",
            data={"limit": limit.per_minute},
        )
    if limit.per_day is not None and use.in_day > limit.per_day:
        raise Unavailable(
            "key_daily_limit",
            f"The key of {issuer.issuer_id} signs {limit.per_day} times a day (UTC), not more.",
            hint="Try again tomorrow, or raise per_day in keys.limits if this many are right.",
            data={"limit": limit.per_day},
        )
