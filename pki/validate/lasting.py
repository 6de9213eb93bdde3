"""How long a verdict holds, and what it hangs on, so that it may be given again until then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from pki.model import Accepted, Contract, Rejected
from pki.pkix.certificate import Certificate
from pki.pkix.leaf_cut import digits_of
from pki.pkix.leaves import Alike
from pki.validate import repeats
from pki.validate.case import EXPIRES_SOON
from pki.validate.frame import Frame
from pki.validate.presented import Presented
from pki.validate.turns import first_behind, turns_of


class Lasting(NamedTuple):
    """
    An acceptance that nothing but time and the changes named here can end.

    Attributes:
        decision_id: names its receipt.
        since, until: it holds from the one to just before the other.
        above, serial: of the certificates whose status counted, the leaf's apart; any CA's
            certificate of such a number.
        contract_id: the contract that was used.
    """

    decision_id: str
    since: dt.datetime
    until: dt.datetime
    above: frozenset[int]
    serial: int
    contract_id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Above:
    """
    What lies above a leaf, as far as it ends an acceptance.

    Attributes:
        serials: of the certificates whose status counted.
        turns: when one of those that were presented begins or has ended, in order.
    """

    serials: frozenset[int]
    turns: tuple[dt.datetime, ...]


def above_of(verdict: Accepted | Rejected, chain: Presented, frame: Frame) -> Above | None:
    """
    Return what lies above the leaf of an acceptance, or None where it may not be repeated.

    Refusals may not, since many things mend them; nor what others told of their certificates, which
    grows old.
    """
    if isinstance(verdict, Rejected) or chain.by_hash or not chain.certificates:
        return None
    leaf, *issuers = chain.certificates
    presented = {certificate.fingerprint: certificate for certificate in issuers}
    serials = {certificate.serial for certificate in issuers}
    for entry in verdict.path:
        if entry.status.source == "foreign":
            return None
        if entry.fingerprint == leaf.fingerprint:
            continue
        certificate = presented.get(entry.fingerprint) or frame.upper.get(entry.fingerprint)
        if certificate is None:
            return None
        serials.add(certificate.serial)
    turns = tuple(sorted(set(turns_of(issuers))))
    return Above(serials=frozenset(serials), turns=turns)


def lasting(  # noqa: PLR0913 - what the decision looked at, and what became of it
    decision_id: str,
    above: Above | None,
    leaf: Certificate,
    contract: Contract | None,
    turn: dt.datetime,
    now: dt.datetime,
) -> Lasting | None:
    """
    Return how long an acceptance lasts, or None where that is not plain.

    Args:
        turn: when the next of our own CAs and of the anchors begins or has ended.
    """
    if above is None or contract is None:
        return None
    until = _until(above, turn, now)
    if not (isinstance(leaf, Alike) and leaf.begins <= _digits(now) and leaf.ends > _horizon(now)):
        until = min([until, *(end for end in _turns(leaf) if end > now)])
    for end in (contract.valid_from, contract.valid_until):
        if end is not None and now < end < until:
            until = end
    return Lasting(decision_id, now, until, above.serials, leaf.serial, contract.contract_id)


@lru_cache(maxsize=16)
def _until(above: Above, turn: dt.datetime, now: dt.datetime) -> dt.datetime:
    """Return when something ends that is not the leaf's own."""
    return min(now + repeats.LONGEST, turn, first_behind(above.turns, now))


def _turns(leaf: Certificate) -> Iterator[dt.datetime]:
    """Yield the times at which something about a leaf changes."""
    for soon in EXPIRES_SOON.values():
        yield leaf.not_after - soon
    yield from turns_of((leaf,))


_LAST: Final = b"9"
"""Behind the digits of every time, where a time has none."""


@lru_cache(maxsize=16)
def _digits(now: dt.datetime) -> bytes:
    """Return a time such that it compares with the dates of a leaf (`pki.pkix.leaf_cut`)."""
    return digits_of(now) or b""


@lru_cache(maxsize=16)
def _horizon(now: dt.datetime) -> bytes:
    """Return the end of a leaf behind which it is of no matter to what may be repeated from now."""
    return digits_of(now + repeats.LONGEST + max(EXPIRES_SOON.values())) or _LAST
